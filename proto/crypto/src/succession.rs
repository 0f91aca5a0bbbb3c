//! Successions: a rotation changes the vault signing key, the new one signed by the old, so that whoever
//! holds an older verify key (a slot's locked half, a member's vault, a node) reaches the present one.

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    datakey::VaultScope,
    kind::Kind,
    sign::{Purpose, Signature, SigningKey, VerifyKey},
};

const VERSION: u8 = 1;
const PURPOSE: Purpose = Purpose::new("succession");
/// Most successions that are followed.
pub const MAX_CHAIN: usize = 4096;

/// One change of the vault signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Succession {
    /// The epoch that begins with it.
    pub epoch: u32,
    /// The key until then.
    pub old: VerifyKey,
    /// The key from then on.
    pub new: VerifyKey,
    signature: Signature,
}

impl Succession {
    /// The old key hands over to `new` at `epoch`.
    pub fn sign(scope: &VaultScope, epoch: u32, old: &SigningKey, new: VerifyKey) -> Self {
        let unsigned = Self { epoch, old: old.verify_key(), new, signature: Signature([0; 64]) };
        Self { signature: old.sign(PURPOSE, &unsigned.message(scope)), ..unsigned }
    }

    /// Verifies that the old key signed it for `scope`.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn verify(&self, scope: &VaultScope) -> Result<()> {
        self.old.verify(PURPOSE, &self.message(scope), &self.signature)
    }

    fn message(&self, scope: &VaultScope) -> Vec<u8> {
        let mut out = Writer::with_capacity(100);
        scope.write(&mut out);
        out.u32(self.epoch).fixed(self.old.as_bytes()).fixed(self.new.as_bytes());
        out.into_vec()
    }

    /// Canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::object(Kind::SUCCESSION, VERSION);
        out.u32(self.epoch).fixed(self.old.as_bytes()).fixed(self.new.as_bytes()).fixed(&self.signature.0);
        out.into_vec()
    }

    /// Reads canonical bytes; the signature is not yet verified.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::object(bytes, Kind::SUCCESSION, VERSION)?;
        let (epoch, old, new) = (reader.u32()?, VerifyKey(reader.array()?), VerifyKey(reader.array()?));
        let signature = Signature(reader.array()?);
        reader.finish()?;
        Ok(Self { epoch, old, new, signature })
    }
}

/// Follows a chain, in order, from `pinned` to the present key. `seen` is the newest key this client has
/// met, which must lie on the same chain: a branch signed with a key that was given up is refused.
///
/// # Errors
/// [`CryptoError::Refused`].
pub fn follow(
    scope: &VaultScope,
    chain: &[Succession],
    pinned: &VerifyKey,
    seen: Option<&VerifyKey>,
) -> Result<VerifyKey> {
    let keys: Vec<VerifyKey> =
        chain.first().map(|first| first.old).into_iter().chain(chain.iter().map(|link| link.new)).collect();
    let Some(present) = keys.last() else {
        return if seen.is_none_or(|seen| seen == pinned) { Ok(*pinned) } else { Err(CryptoError::Refused) };
    };
    let place = |key: &VerifyKey| keys.iter().position(|other| other == key).ok_or(CryptoError::Refused);
    let start = place(pinned)?.min(place(seen.unwrap_or(pinned))?);
    if chain.len() > MAX_CHAIN {
        return Err(CryptoError::Refused);
    }
    let mut epoch = None;
    for (index, link) in chain.iter().enumerate() {
        let joined = keys.get(index) == Some(&link.old) && epoch.is_none_or(|before| link.epoch > before);
        if !joined {
            return Err(CryptoError::Refused);
        }
        epoch = Some(link.epoch);
        if index >= start {
            link.verify(scope)?;
        }
    }
    Ok(*present)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ocmt_types::{Id as _, TenantId, VaultId};

    fn scope() -> VaultScope {
        VaultScope { tenant: TenantId::from_bytes([1; 16]), vault: VaultId::from_bytes([2; 16]) }
    }

    fn key(n: u8) -> SigningKey {
        SigningKey::from_bytes(&[n; 32])
    }

    fn link(epoch: u32, old: u8, new: u8) -> Succession {
        Succession::sign(&scope(), epoch, &key(old), key(new).verify_key())
    }

    #[test]
    fn a_chain_leads_from_any_of_its_keys_to_the_present_one() {
        let chain = [link(2, 1, 2), link(3, 2, 3), link(4, 3, 4)];
        for pinned in 1..=4 {
            for seen in 1..=4 {
                let seen = key(seen).verify_key();
                let present = follow(&scope(), &chain, &key(pinned).verify_key(), Some(&seen)).unwrap();
                assert!(present == key(4).verify_key());
            }
        }
        assert_eq!(follow(&scope(), &[], &key(1).verify_key(), None), Ok(key(1).verify_key()));
    }

    #[test]
    fn broken_forged_and_branched_chains_are_refused() {
        let other = VaultScope { vault: VaultId::from_bytes([9; 16]), ..scope() };
        let pinned = key(1).verify_key();
        let forged = Succession { old: pinned, ..link(2, 9, 2) };
        for bad in [
            vec![forged],
            vec![link(2, 1, 2), link(3, 9, 3)],
            vec![link(3, 1, 2), link(3, 2, 3)],
            vec![link(3, 2, 3)],
            vec![Succession::sign(&other, 2, &key(1), key(2).verify_key())],
        ] {
            assert_eq!(follow(&scope(), &bad, &pinned, None), Err(CryptoError::Refused));
        }
        // a thief of the first key branches off after this client has seen the second
        let branch = [link(2, 1, 9)];
        assert!(follow(&scope(), &branch, &pinned, None).is_ok());
        assert!(follow(&scope(), &branch, &pinned, Some(&key(2).verify_key())).is_err());
        assert!(follow(&scope(), &[], &pinned, Some(&key(2).verify_key())).is_err());
    }

    #[test]
    fn every_flip_and_prefix_of_a_succession_is_refused() {
        let good = link(2, 1, 2);
        let bytes = good.to_bytes();
        let check = |bytes: &[u8]| Succession::from_bytes(bytes).and_then(|link| link.verify(&scope()));
        check(&bytes).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(check(&bad), Err(CryptoError::Refused));
        }
        for len in 0..bytes.len() {
            assert_eq!(check(&bytes[..len]), Err(CryptoError::Refused));
        }
        assert_eq!(check(&[bytes.as_slice(), &[0]].concat()), Err(CryptoError::Refused));
    }
}
