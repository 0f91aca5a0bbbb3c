//! What nodes keep in the database and must not lie there in clear: release private keys, TOTP secrets.
//!
//! Wrapped under the cluster's *sealing key*, which lies on the nodes' disks and never in the database
//! or its backups. A generation number goes with it, so that revoking a node makes a new one, the rows
//! are rewrapped, and old generations are erased. This protects against a copy of the database alone;
//! it is the nodes' secret, not a user's.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::{CryptoError, Result, codec::Writer, datakey, envelope, kind::Kind};

const DOMAIN: &[u8] = b"OCMT sealing v1\0";

/// One generation of the cluster's sealing key.
pub struct SealingKey {
    generation: u32,
    key: Zeroizing<[u8; 32]>,
}

impl SealingKey {
    /// A fresh key.
    pub fn generate(generation: u32, rng: &mut impl rand::CryptoRng) -> Self {
        Self { generation, key: datakey::random_key(rng) }
    }

    /// The key of these bytes.
    pub fn from_bytes(generation: u32, key: [u8; 32]) -> Self {
        Self { generation, key: Zeroizing::new(key) }
    }

    /// Which generation.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// A second holder of the same key.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self { generation: self.generation, key: self.key.clone() }
    }

    /// The bytes, for the node's disk and for sealing them to a joining node.
    pub fn expose(&self) -> &[u8; 32] {
        &self.key
    }
}

/// The generations that a node holds. Wraps under the latest, unwraps under any.
#[derive(Default)]
pub struct SealingKeys(BTreeMap<u32, SealingKey>);

/// What a wrapped secret is and where it belongs: another's row opens as nothing.
#[derive(Debug, Clone, Copy)]
pub struct SealingPlace<'a> {
    /// What it is, a constant of the caller, for example `"totp"`.
    pub purpose: &'static str,
    /// The row it is in: all of its key, for example tenant and user.
    pub row: &'a [u8],
}

impl SealingPlace<'_> {
    fn context(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.fixed(DOMAIN).var(self.purpose.as_bytes()).var(self.row);
        out.into_vec()
    }
}

impl SealingKeys {
    /// The generations given.
    pub fn new(keys: impl IntoIterator<Item = SealingKey>) -> Self {
        Self(keys.into_iter().map(|key| (key.generation, key)).collect())
    }

    /// Takes a generation in.
    pub fn insert(&mut self, key: SealingKey) {
        self.0.insert(key.generation, key);
    }

    /// Erases a generation, once nothing is wrapped under it.
    pub fn erase(&mut self, generation: u32) {
        self.0.remove(&generation);
    }

    /// The generations held, oldest first: for the node's disk and for sealing them to another node.
    pub fn generations(&self) -> impl Iterator<Item = &SealingKey> {
        self.0.values()
    }

    /// The latest generation.
    pub fn latest(&self) -> Option<u32> {
        self.0.last_key_value().map(|(generation, _)| *generation)
    }

    /// Wraps `secret` under the latest generation, bound to `place`.
    ///
    /// # Errors
    /// [`CryptoError::NotFound`] if there is no generation.
    pub fn wrap(
        &self,
        place: &SealingPlace<'_>,
        secret: &[u8],
        rng: &mut impl rand::CryptoRng,
    ) -> Result<Vec<u8>> {
        let (generation, key) = self.0.last_key_value().ok_or(CryptoError::NotFound("sealing key"))?;
        envelope::seal(Kind::NODE_SEALED, *generation, &key.key, &place.context(), secret, rng)
    }

    /// Unwraps what was wrapped for `place`.
    ///
    /// # Errors
    /// [`CryptoError::NotFound`] if its generation is not held; [`CryptoError::Refused`].
    pub fn unwrap_secret(&self, place: &SealingPlace<'_>, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let generation = Self::generation_of(wrapped)?;
        let key = self.0.get(&generation).ok_or(CryptoError::NotFound("sealing key"))?;
        envelope::open_at(Kind::NODE_SEALED, generation, &key.key, &place.context(), wrapped).map(Into::into)
    }

    /// The first bytes of everything that `generation` wraps: in the order of bytes it stands behind all that
    /// earlier generations wrapped and before the rest. For finding in a database what is still to be rewrapped.
    pub fn floor_of(generation: u32) -> Vec<u8> {
        envelope::floor_of(Kind::NODE_SEALED, generation)
    }

    /// Which generation wraps it: for finding what is still to be rewrapped. Not verified.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is no wrapped secret.
    pub fn generation_of(wrapped: &[u8]) -> Result<u32> {
        let header = envelope::parse(wrapped)?;
        if header.kind == Kind::NODE_SEALED { Ok(header.key_epoch) } else { Err(CryptoError::Refused) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    const TOTP: SealingPlace<'_> = SealingPlace { purpose: "totp", row: b"tenant and user" };

    #[test]
    fn wrapped_secrets_open_under_their_generation_and_place_alone() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut keys = SealingKeys::new([SealingKey::generate(1, &mut rng)]);
        let old = keys.wrap(&TOTP, b"secret", &mut rng).unwrap();
        keys.insert(SealingKey::generate(2, &mut rng));
        let new = keys.wrap(&TOTP, b"secret", &mut rng).unwrap();
        assert_eq!((SealingKeys::generation_of(&old), SealingKeys::generation_of(&new)), (Ok(1), Ok(2)));
        assert_eq!(keys.unwrap_secret(&TOTP, &old).unwrap().as_slice(), b"secret");
        assert_eq!(keys.unwrap_secret(&TOTP, &new).unwrap().as_slice(), b"secret");
        for other in [
            SealingPlace { purpose: "release", ..TOTP },
            SealingPlace { row: b"tenant and another", ..TOTP },
            // the boundary between purpose and row is part of it
            SealingPlace { purpose: "totpt", row: b"enant and user" },
        ] {
            assert_eq!(keys.unwrap_secret(&other, &new).err(), Some(CryptoError::Refused));
        }
        let floors = [1, 2, 3].map(SealingKeys::floor_of);
        assert!(floors[0] < old && old < floors[1] && floors[1] < new && new < floors[2]);
        keys.erase(1);
        assert_eq!(keys.unwrap_secret(&TOTP, &old).err(), Some(CryptoError::NotFound("sealing key")));
    }

    #[test]
    fn every_flipped_bit_and_every_prefix_is_refused() {
        let mut rng = StdRng::seed_from_u64(2);
        let keys = SealingKeys::new([SealingKey::generate(1, &mut rng)]);
        let wrapped = keys.wrap(&TOTP, b"secret", &mut rng).unwrap();
        crate::testing::assert_brittle(&wrapped, |bytes| keys.unwrap_secret(&TOTP, bytes).is_ok());
    }
}
