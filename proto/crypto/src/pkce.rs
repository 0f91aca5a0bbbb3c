//! PKCE with S256 (RFC 7636). The verifier is made and kept in the cell; the plain method is not there.

use data_encoding::BASE64URL_NOPAD;
use rand::CryptoRng;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::{CryptoError, Result, datakey};

/// The secret half of a PKCE exchange: 43 to 128 unreserved characters, wiped when dropped.
pub struct Verifier(Zeroizing<String>);

impl Verifier {
    /// A fresh verifier: 32 random bytes in base64url.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(Zeroizing::new(BASE64URL_NOPAD.encode(datakey::random_key(rng).as_slice())))
    }

    /// Takes a verifier from elsewhere.
    ///
    /// # Errors
    /// [`CryptoError::OutOfRange`] if it is not 43 to 128 of `A-Z a-z 0-9 - . _ ~`.
    pub fn parse(text: &str) -> Result<Self> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if (43..=128).contains(&text.len()) && text.bytes().all(unreserved) {
            Ok(Self(Zeroizing::new(text.to_owned())))
        } else {
            Err(CryptoError::OutOfRange { what: "PKCE verifier", rule: "43 to 128 unreserved characters" })
        }
    }

    /// The text, for the token request.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The S256 challenge, for the authorization request.
    pub fn challenge(&self) -> String {
        BASE64URL_NOPAD.encode(&Sha256::digest(self.0.as_bytes()))
    }

    /// Whether this verifier answers `challenge`, in constant time.
    pub fn answers(&self, challenge: &str) -> bool {
        self.challenge().as_bytes().ct_eq(challenge.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_its_own_verifier_answers_a_challenge() {
        let rng = &mut rand::rng();
        let (ours, theirs) = (Verifier::generate(rng), Verifier::generate(rng));
        assert!(ours.answers(&ours.challenge()) && !theirs.answers(&ours.challenge()));
        assert!(!ours.answers("") && !ours.answers(ours.expose()));
        assert!(Verifier::parse(ours.expose()).unwrap().answers(&ours.challenge()));
    }
}
