//! Pairing codes: eight characters that people read to each other.

use ocmt_types::{Digest32, PairingId, Secret};
use rand::{CryptoRng, RngExt as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// No I, L or O, no 0 or 1: 31 characters, 39 bits in eight of them.
const ALPHABET: &[u8; 31] = b"ABCDEFGHJKMNPQRSTUVWXYZ23456789";
pub(super) const LEN: usize = 8;

/// A fresh code.
pub(super) fn issue(rng: &mut impl CryptoRng) -> Secret<String> {
    let one = |_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]);
    Secret::new((0..LEN).map(one).collect())
}

/// What is stored of it.
pub(super) fn hash(pairing: PairingId, code: &Secret<String>) -> Digest32 {
    let mut hash = Sha256::new_with_prefix(b"OCMT pairing code v1\0");
    hash.update(pairing.as_bytes());
    hash.update(code.expose().to_ascii_uppercase().as_bytes());
    Digest32(hash.finalize().into())
}

/// Whether it is the code of this pairing, in constant time.
pub(super) fn fits(pairing: PairingId, code: &Secret<String>, stored: &Digest32) -> bool {
    hash(pairing, code).0.ct_eq(&stored.0).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_of_characters_that_nobody_mistakes_and_fits_in_any_case() {
        let pairing: PairingId = ocmt_store::testing::id(1);
        for _ in 0..200 {
            let code = issue(&mut rand::rng());
            assert_eq!(code.expose().len(), LEN);
            assert!(code.expose().bytes().all(|byte| ALPHABET.contains(&byte)), "{}", code.expose());
            let lower = Secret::new(code.expose().to_lowercase());
            assert!(fits(pairing, &lower, &hash(pairing, &code)));
            let elsewhere: PairingId = ocmt_store::testing::id(2);
            assert!(!fits(elsewhere, &code, &hash(pairing, &code)));
        }
        for look_alike in b"ILO01" {
            assert!(!ALPHABET.contains(look_alike));
        }
    }
}
