//! Backup codes of sign-in: what a person types when the authenticator is away, each once.
//!
//! 120 random bits in six groups of four (`ABCD-EFGH-…`), as RFC 4648 base32. At rest stands
//! SHA-256("OCMT backup code v1" ‖ 0x00 ‖ the 15 bytes): with so many bits there is nothing to stretch.

use data_encoding::BASE32_NOPAD;
use ocmt_types::Digest32;
use rand::CryptoRng;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{CryptoError, Result, typed};

/// How many an account gets at once.
pub const CODES: usize = 8;
const LEN: usize = 15;

/// One code, wiped when dropped.
pub struct BackupCode(Zeroizing<[u8; LEN]>);

impl BackupCode {
    /// A fresh code.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut code = Zeroizing::new([0; LEN]);
        rng.fill_bytes(code.as_mut_slice());
        Self(code)
    }

    /// Reads what a person typed, in any case and spacing.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is none.
    pub fn parse(typed: &str) -> Result<Self> {
        let letters = typed::letters(typed).ok_or(CryptoError::Refused)?;
        let bytes = Zeroizing::new(BASE32_NOPAD.decode(&letters).map_err(|_| CryptoError::Refused)?);
        let code: &[u8; LEN] = bytes.as_slice().try_into().map_err(|_| CryptoError::Refused)?;
        Ok(Self(Zeroizing::new(*code)))
    }

    /// The text to print once and never store.
    pub fn to_text(&self) -> Zeroizing<String> {
        typed::groups(&Zeroizing::new(BASE32_NOPAD.encode(self.0.as_slice())))
    }

    /// What is stored of it.
    pub fn hash(&self) -> Digest32 {
        let digest = Sha256::new().chain_update(b"OCMT backup code v1\0").chain_update(self.0.as_slice());
        Digest32(digest.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn m5_a_code_is_taken_in_any_case_and_spacing() {
        let code = BackupCode::generate(&mut rand::rng());
        let text = code.to_text();
        assert_eq!((text.len(), text.split('-').count()), (29, 6));
        for typed in [
            text.to_string(),
            text.to_lowercase(),
            text.replace('-', " "),
            format!("  {} ", text.replace('-', "")),
            text.replace('O', "0").replace('I', "1").replace('B', "8"),
        ] {
            assert_eq!(BackupCode::parse(&typed).unwrap().hash(), code.hash(), "{typed}");
        }
    }

    #[test]
    fn what_is_no_code_is_refused_and_every_letter_counts() {
        let code = BackupCode(Zeroizing::new([7; LEN]));
        let text = code.to_text();
        for bad in ["", "A", &text[1..], &format!("{}AAAA", text.as_str()), &"A".repeat(10_000), "é"] {
            assert!(BackupCode::parse(bad).is_err());
        }
        for at in (0..text.len()).filter(|at| text.as_bytes()[*at] != b'-') {
            let mut typed = text.as_bytes().to_vec();
            typed[at] = if typed[at] == b'A' { b'C' } else { b'A' };
            let typed = String::from_utf8(typed).unwrap();
            assert_ne!(BackupCode::parse(&typed).unwrap().hash(), code.hash(), "slip at {at}");
        }
    }

    #[test]
    fn the_hash_is_not_a_code() {
        let code = BackupCode::generate(&mut rand::rng());
        assert!(BackupCode::parse(&code.hash().to_string()).is_err());
    }
}
