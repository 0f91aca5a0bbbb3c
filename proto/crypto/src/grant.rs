//! Grants: one version of one object, handed to somebody who does not have the vault.
//!
//! ```text
//! sealed box (81 + 32) | signature 64
//! ```
//!
//! The box holds the object's data key, sealed to the taker's key; its info is `"OCMT entry grant v1"`, its
//! AAD the object's place. The giver's identity key signs place ‖ taker's key ‖ box: so a node can tell a grant
//! that its giver made, and the taker one that nobody else did. What opens the object is in neither's hands. A new
//! version has a new data key, which no grant of an earlier one opens.

use rand::CryptoRng;

use crate::{
    CryptoError, Result,
    datakey::{DataKey, ObjectPlace},
    seal::{self, SealPublicKey, SealSecretKey},
    sign::{Purpose, Signature, SigningKey, VerifyKey},
};

const INFO: &[u8] = b"OCMT entry grant v1";
const GRANT: Purpose = Purpose::new("entry grant");
const SIGNATURE_LEN: usize = 64;
/// Bytes of every grant.
pub const LEN: usize = seal::OVERHEAD + 32 + SIGNATURE_LEN;

/// Hands the data key of the object at `place` to `taker`.
///
/// # Errors
/// [`CryptoError::Refused`] if `taker` is a key of low order.
pub fn seal(
    place: &ObjectPlace,
    key: &DataKey,
    taker: &SealPublicKey,
    giver: &SigningKey,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>> {
    let mut grant = seal::seal(taker, INFO, &place.context(), key.expose(), rng)?;
    let signature = giver.sign(GRANT, &signed(place, taker, &grant));
    grant.extend_from_slice(&signature.0);
    Ok(grant)
}

/// Whether `giver` handed the object at `place` to `taker`. What is in the box, only the taker sees.
///
/// # Errors
/// [`CryptoError::Refused`].
pub fn verify(place: &ObjectPlace, grant: &[u8], taker: &SealPublicKey, giver: &VerifyKey) -> Result<()> {
    if grant.len() != LEN {
        return Err(CryptoError::Refused);
    }
    let (sealed, signature) = grant.split_at(LEN - SIGNATURE_LEN);
    giver.verify(GRANT, &signed(place, taker, sealed), &Signature::try_from(signature)?)
}

/// The data key that `giver` handed over.
///
/// # Errors
/// [`CryptoError::Refused`] if it is not for this place and taker, or not signed by `giver`.
pub fn open(place: &ObjectPlace, grant: &[u8], taker: &SealSecretKey, giver: &VerifyKey) -> Result<DataKey> {
    verify(place, grant, &taker.public(), giver)?;
    let (sealed, _) = grant.split_at(LEN - SIGNATURE_LEN);
    DataKey::from_slice(&seal::open(taker, INFO, &place.context(), sealed)?)
}

fn signed(place: &ObjectPlace, taker: &SealPublicKey, sealed: &[u8]) -> Vec<u8> {
    [place.context().as_slice(), taker.as_bytes(), sealed].concat()
}

/// For fuzzing: what stands for a box, as its giver signs it.
#[cfg(any(test, fuzzing))]
pub(crate) fn under_a_good_signature(
    place: &ObjectPlace,
    sealed: &[u8],
    taker: &SealPublicKey,
    giver: &SigningKey,
) -> Vec<u8> {
    [sealed, &giver.sign(GRANT, &signed(place, taker, sealed)).0].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::{Digest32, Id as _, TenantId, VaultId};

    use super::*;
    use crate::datakey::VaultScope;

    fn place() -> ObjectPlace {
        let scope = VaultScope { tenant: TenantId::from_bytes([1; 16]), vault: VaultId::from_bytes([2; 16]) };
        ObjectPlace { scope, object: Digest32([3; 32]), version: 7 }
    }

    #[test]
    fn a_grant_is_for_one_version_of_one_object_one_taker_and_of_one_giver() {
        let rng = &mut rand::rng();
        let (giver, taker) = (SigningKey::generate(rng), SealSecretKey::generate(rng));
        let (other_giver, other_taker) = (SigningKey::generate(rng), SealSecretKey::generate(rng));
        let key = DataKey::generate(rng);
        let grant = seal(&place(), &key, &taker.public(), &giver, rng).unwrap();
        assert_eq!(grant.len(), LEN);
        verify(&place(), &grant, &taker.public(), &giver.verify_key()).unwrap();
        let opened = open(&place(), &grant, &taker, &giver.verify_key()).unwrap();
        assert_eq!(opened.expose(), key.expose());
        let elsewhere = [
            ObjectPlace { version: 8, ..place() },
            ObjectPlace { object: Digest32([4; 32]), ..place() },
            ObjectPlace {
                scope: VaultScope { vault: VaultId::from_bytes([9; 16]), ..place().scope },
                ..place()
            },
        ];
        for place in elsewhere {
            assert!(verify(&place, &grant, &taker.public(), &giver.verify_key()).is_err());
            assert!(open(&place, &grant, &taker, &giver.verify_key()).is_err());
        }
        assert!(verify(&place(), &grant, &other_taker.public(), &giver.verify_key()).is_err());
        assert!(open(&place(), &grant, &other_taker, &giver.verify_key()).is_err());
        assert!(verify(&place(), &grant, &taker.public(), &other_giver.verify_key()).is_err());
        assert!(open(&place(), &grant, &taker, &other_giver.verify_key()).is_err());
    }

    #[test]
    fn v1_v2_every_flipped_bit_and_every_other_length_is_refused() {
        let rng = &mut rand::rng();
        let (giver, taker) = (SigningKey::generate(rng), SealSecretKey::generate(rng));
        let grant = seal(&place(), &DataKey::generate(rng), &taker.public(), &giver, rng).unwrap();
        for at in 0..grant.len() {
            assert!(verify(&place(), &grant[..at], &taker.public(), &giver.verify_key()).is_err());
            for bit in 0..8 {
                let mut bent = grant.clone();
                bent[at] ^= 1 << bit;
                assert!(verify(&place(), &bent, &taker.public(), &giver.verify_key()).is_err(), "{at} {bit}");
            }
        }
        let longer = [grant.as_slice(), &[0]].concat();
        assert!(verify(&place(), &longer, &taker.public(), &giver.verify_key()).is_err());
    }
}
