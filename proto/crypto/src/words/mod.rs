//! Six words that two people compare by telephone: requester and guardian, whether they mean the same
//! ceremony; two users, whether they see the same identity key.
//!
//! Six words of 2,048 are 66 bits. Who looks for another ceremony with the same words must pay an
//! Argon2id for each try, with what that takes of memory: that is why the hash is stretched.

use std::sync::LazyLock;

use ocmt_types::Digest32;

use crate::{
    Result,
    kdf::{Cost, Stretch},
    seal::SealPublicKey,
    sign::VerifyKey,
};

/// How many words.
pub const WORDS: usize = 6;

/// The English list of BIP 39 (MIT, see the README beside it).
static LIST: LazyLock<Vec<&'static str>> = LazyLock::new(|| include_str!("english.txt").lines().collect());

const CEREMONY_SALT: &[u8; 16] = b"OCMT ceremony w1";
const IDENTITY_SALT: &[u8; 16] = b"OCMT identity w1";

/// The words of a ceremony. Takes about 0.1 s and 64 MiB, like a passphrase: clients only.
///
/// # Errors
/// None in practice.
pub fn for_ceremony(hash: &Digest32) -> Result<[&'static str; WORDS]> {
    stretched(CEREMONY_SALT, hash.as_bytes())
}

/// The words of a person's identity keys. Takes as long as [`for_ceremony`].
///
/// # Errors
/// None in practice.
pub fn for_identity(identity: &VerifyKey, sealing: &SealPublicKey) -> Result<[&'static str; WORDS]> {
    stretched(IDENTITY_SALT, &[identity.0, sealing.0].concat())
}

fn stretched(salt: &[u8; 16], what: &[u8]) -> Result<[&'static str; WORDS]> {
    let bits = Stretch::new(Cost::DEFAULT, salt)?.derive(what)?;
    Ok(spell(&bits))
}

/// The first 66 bits, eleven to a word, most significant first.
fn spell(bits: &[u8; 32]) -> [&'static str; WORDS] {
    std::array::from_fn(|word| {
        let index = (0..11).fold(0_usize, |index, bit| {
            let at = word * 11 + bit;
            (index << 1) | usize::from(bits[at / 8] >> (7 - at % 8) & 1)
        });
        LIST.get(index).copied().unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use data_encoding::HEXLOWER;
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn the_list_is_the_one_of_bip_39() {
        assert_eq!(
            HEXLOWER.encode(&Sha256::digest(include_bytes!("english.txt"))),
            "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"
        );
        assert_eq!(LIST.len(), 2_048);
        assert!(LIST.windows(2).all(|pair| pair[0] < pair[1]), "sorted, none twice");
    }

    #[test]
    fn bits_are_spelled_eleven_to_a_word() {
        assert_eq!(spell(&[0; 32]), ["abandon"; WORDS]);
        assert_eq!(spell(&[0xff; 32]), ["zoo"; WORDS]);
        let mut bits = [0; 32];
        bits[1] = 0b0010_0000; // the last bit of the first word
        bits[8] = 0b0100_0000; // the last bit of the sixth
        assert_eq!(spell(&bits), ["ability", "abandon", "abandon", "abandon", "abandon", "ability"]);
    }

    #[test]
    fn another_ceremony_has_other_words() {
        let one = for_ceremony(&Digest32([1; 32])).unwrap();
        assert_eq!(one, for_ceremony(&Digest32([1; 32])).unwrap());
        assert_ne!(one, for_ceremony(&Digest32([2; 32])).unwrap());
        let (identity, sealing) = (VerifyKey([1; 32]), SealPublicKey([2; 32]));
        assert_ne!(
            for_identity(&identity, &sealing).unwrap(),
            for_identity(&VerifyKey([3; 32]), &sealing).unwrap()
        );
    }
}
