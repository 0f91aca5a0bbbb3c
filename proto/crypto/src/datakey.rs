//! Vault keys and data keys: each object version has a random key of its own, wrapped under the vault's.

use std::sync::OnceLock;

use ocmt_types::{Digest32, TenantId, VaultId};
use rand::CryptoRng;
use zeroize::{Zeroize as _, Zeroizing};

use crate::{
    CryptoError, Result,
    codec::Writer,
    envelope,
    kind::Kind,
    locked::{Locked, LockedKey},
};

/// Which vault of which tenant: part of the context of everything in a vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VaultScope {
    /// The tenant.
    pub tenant: TenantId,
    /// The vault.
    pub vault: VaultId,
}

impl VaultScope {
    /// Appends both ids, 32 bytes.
    pub fn write(&self, out: &mut Writer) {
        out.id(self.tenant).id(self.vault);
    }
}

/// One version of one object: where a wrapped key or a body belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ObjectPlace {
    /// Of which vault.
    pub scope: VaultScope,
    /// Which object.
    pub object: Digest32,
    /// Which version of it, from 1.
    pub version: u64,
}

impl ObjectPlace {
    /// The context string: tenant 16, vault 16, object id 32, version `u64`.
    pub fn context(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(72);
        self.scope.write(&mut out);
        out.fixed(self.object.as_bytes()).u64(self.version);
        out.into_vec()
    }
}

/// 32 random bytes that encrypt one object version, one conversation or one volume.
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// A fresh key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(random_key(rng))
    }

    /// The key of these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key of this slice.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is not 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self> {
        bytes.try_into().map(|key: &[u8; 32]| Self(Zeroizing::new(*key))).map_err(|_| CryptoError::Refused)
    }

    /// The bytes, for the cipher.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// A second holder of the same key.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// For one that is held for longer than a call.
    pub(crate) fn into_locked(self) -> LockedKey {
        self.0.into()
    }

    /// Wraps this key under `vault_key` for `place`: an envelope of kind [`Kind::WRAPPED_KEY`], 72 bytes.
    ///
    /// # Errors
    /// None in practice.
    pub fn wrap(
        &self,
        vault_key: &VaultKey,
        place: &ObjectPlace,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>> {
        vault_key.wrapping().seal(&place.context(), self.0.as_slice(), rng)
    }

    /// Unwraps the key of `place`, wrapped under `vault_key` at its epoch.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn unwrap_from(vault_key: &VaultKey, place: &ObjectPlace, wrapped: &[u8]) -> Result<Self> {
        Self::from_slice(&vault_key.wrapping().open(&place.context(), wrapped)?)
    }
}

/// VK: 32 random bytes with an epoch that grows by one with each rotation. In clear only in a client.
pub struct VaultKey {
    key: LockedKey,
    epoch: u32,
    /// The cipher that wraps data keys, set up at the first of them.
    wrapping: OnceLock<Locked<envelope::Cipher>>,
}

impl VaultKey {
    /// A fresh key of `epoch`.
    pub fn generate(epoch: u32, rng: &mut impl CryptoRng) -> Self {
        Self::new(random_key(rng).into(), epoch)
    }

    /// The key of these bytes and epoch.
    pub fn from_bytes(key: [u8; 32], epoch: u32) -> Self {
        Self::new(LockedKey::of(key), epoch)
    }

    /// The key of this slice and epoch.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is not 32 bytes.
    pub fn from_slice(key: &[u8], epoch: u32) -> Result<Self> {
        secret_array(key).map(|key| Self::new(key.into(), epoch))
    }

    fn new(key: LockedKey, epoch: u32) -> Self {
        Self { key, epoch, wrapping: OnceLock::new() }
    }

    fn wrapping(&self) -> &envelope::Cipher {
        self.wrapping
            .get_or_init(|| Locked::new(envelope::Cipher::new(Kind::WRAPPED_KEY, self.epoch, &self.key)))
    }

    /// Which rotation it belongs to.
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The bytes, for sealing them to a slot and nothing else.
    pub fn expose(&self) -> &[u8; 32] {
        &self.key
    }
}

/// A random key that has never been anywhere but in its wiped place.
pub(crate) fn random_key(rng: &mut impl CryptoRng) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    rng.fill_bytes(key.as_mut_slice());
    key
}

/// Copies a secret of 32 bytes out of a slice and wipes nothing of the source.
pub(crate) fn secret_array(bytes: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
    let mut copy: [u8; 32] = bytes.try_into().map_err(|_| CryptoError::Refused)?;
    let secret = Zeroizing::new(copy);
    copy.zeroize();
    Ok(secret)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ocmt_types::Id as _;

    #[test]
    fn a_wrapped_key_opens_only_for_its_object_version_and_epoch() {
        let rng = &mut rand::rng();
        let scope = VaultScope { tenant: TenantId::from_bytes([1; 16]), vault: VaultId::from_bytes([2; 16]) };
        let place = ObjectPlace { scope, object: Digest32([3; 32]), version: 4 };
        let (vk, key) = (VaultKey::generate(5, rng), DataKey::generate(rng));
        let wrapped = key.wrap(&vk, &place, rng).unwrap();
        assert_eq!(wrapped.len(), 72);
        assert!(DataKey::unwrap_from(&vk, &place, &wrapped).unwrap().expose() == key.expose());
        let other_vault = VaultScope { vault: VaultId::from_bytes([9; 16]), ..scope };
        for elsewhere in [
            ObjectPlace { version: 5, ..place },
            ObjectPlace { object: Digest32([4; 32]), ..place },
            ObjectPlace { scope: other_vault, ..place },
        ] {
            assert!(DataKey::unwrap_from(&vk, &elsewhere, &wrapped).is_err());
        }
        let later = VaultKey::from_bytes(*vk.expose(), 6);
        assert!(DataKey::unwrap_from(&later, &place, &wrapped).is_err());
    }
}
