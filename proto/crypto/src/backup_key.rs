//! A backup key: 256 random bits on paper, in base32 groups with a check group.
//!
//! `ABCD-EFGH-…`, 14 groups of four: 13 for the key (RFC 4648 base32, 52 letters), one of the first 20
//! bits of SHA-256("OCMT backup key v1" ‖ 0x00 ‖ key), so that a slip of the pen is told from a wrong key.

use data_encoding::BASE32_NOPAD;
use rand::CryptoRng;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::{CryptoError, Result, datakey, locked::LockedKey, typed};

const KEY_LETTERS: usize = 52;
const CHECK_LETTERS: usize = 4;

/// The key, wiped when dropped.
pub struct BackupKey(LockedKey);

impl BackupKey {
    /// A fresh key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(datakey::random_key(rng).into())
    }

    /// Reads what a person typed: case, spaces and dashes do not matter, and 0, 1 and 8 (which base32
    /// has not) are read as O, I and B.
    ///
    /// # Errors
    /// [`CryptoError::OutOfRange`] if it is mistyped.
    pub fn parse(typed: &str) -> Result<Self> {
        const MISTYPED: CryptoError = CryptoError::OutOfRange {
            what: "backup key",
            rule: "14 groups of four letters and digits, as printed",
        };
        let letters = typed::letters(typed).ok_or(MISTYPED)?;
        if letters.len() != KEY_LETTERS + CHECK_LETTERS {
            return Err(MISTYPED);
        }
        let (key, check) = letters.split_at(KEY_LETTERS);
        let key = Zeroizing::new(BASE32_NOPAD.decode(key).map_err(|_| MISTYPED)?);
        let key = datakey::secret_array(&key).map_err(|_| MISTYPED)?;
        if bool::from(check_letters(&key).as_bytes().ct_eq(check)) {
            Ok(Self(key.into()))
        } else {
            Err(MISTYPED)
        }
    }

    /// The text to print once and never store.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut letters = Zeroizing::new(BASE32_NOPAD.encode(self.0.as_slice()));
        letters.push_str(&check_letters(&self.0));
        typed::groups(&letters)
    }

    /// The 32 bytes, for stretching.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

fn check_letters(key: &[u8; 32]) -> String {
    let digest = Sha256::new().chain_update(b"OCMT backup key v1\0").chain_update(key).finalize();
    let mut letters = BASE32_NOPAD.encode(&digest);
    letters.truncate(CHECK_LETTERS);
    letters
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_printed_can_be_typed_in_any_hand() {
        let key = BackupKey::generate(&mut rand::rng());
        let text = key.to_text();
        assert_eq!((text.len(), text.split('-').count()), (69, 14));
        for typed in [
            text.to_string(),
            text.to_lowercase(),
            text.replace('-', " "),
            text.replace('-', ""),
            text.replace('O', "0").replace('I', "1").replace('B', "8"),
        ] {
            assert!(BackupKey::parse(&typed).unwrap().expose() == key.expose());
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_found() {
        let text = BackupKey::from_test([7; 32]).to_text();
        let letters: Vec<char> = text.chars().collect();
        for at in 0..letters.len() {
            let mut typed = letters.clone();
            if typed[at] == '-' {
                continue;
            }
            typed[at] = if typed[at] == 'A' { 'C' } else { 'A' };
            assert!(BackupKey::parse(&typed.iter().collect::<String>()).is_err(), "slip at {at}");
        }
        for bad in ["", "A", &text[1..], &format!("{}AAAA", text.as_str()), &"A".repeat(10_000)] {
            assert!(BackupKey::parse(bad).is_err());
        }
    }

    impl BackupKey {
        fn from_test(bytes: [u8; 32]) -> Self {
            Self(LockedKey::of(bytes))
        }
    }
}
