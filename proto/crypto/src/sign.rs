//! Signatures: Ed25519, each over a domain that names its purpose, so that none serves another.
//!
//! Signed bytes = `"OCMT " ‖ purpose ‖ " v1" ‖ 0x00 ‖ message`. Verification is strict (RFC 8032 with
//! canonical points and no small order): a signature has one meaning for everyone who checks it.

use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::{CryptoError, Result, datakey, locked::Locked};

/// What a signature says, for example `"manifest"`. Two purposes never share a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purpose(&'static str);

impl Purpose {
    /// A purpose: lower-case words, no zero byte.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    fn message(self, message: &[u8]) -> Vec<u8> {
        [b"OCMT ", self.0.as_bytes(), b" v1\0", message].concat()
    }
}

/// An Ed25519 signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl TryFrom<&[u8]> for Signature {
    type Error = CryptoError;
    fn try_from(bytes: &[u8]) -> Result<Self> {
        bytes.try_into().map(Self).map_err(|_| CryptoError::Refused)
    }
}

/// The private half of a signing key: wiped when dropped.
pub struct SigningKey(Locked<ed25519_dalek::SigningKey>);

impl SigningKey {
    /// A fresh key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self::from_bytes(&datakey::random_key(rng))
    }

    /// The key of this 32-byte seed.
    pub fn from_bytes(seed: &[u8; 32]) -> Self {
        Self(Locked::new(ed25519_dalek::SigningKey::from_bytes(seed)))
    }

    /// The key of this seed.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is not 32 bytes.
    pub fn from_slice(seed: &[u8]) -> Result<Self> {
        Ok(Self::from_bytes(&*datakey::secret_array(seed)?))
    }

    /// The 32-byte seed, for storing it encrypted.
    pub fn expose(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// Seed and public key, as PASETO's crate takes them.
    pub(crate) fn keypair(&self) -> Zeroizing<[u8; 64]> {
        Zeroizing::new(self.0.to_keypair_bytes())
    }

    /// The public half.
    pub fn verify_key(&self) -> VerifyKey {
        VerifyKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a text whose format has its domain in itself (`audit::checkpoint`).
    pub(crate) fn sign_plain(&self, text: &[u8]) -> Signature {
        use ed25519_dalek::Signer as _;
        Signature(self.0.sign(text).to_bytes())
    }

    /// Signs `message` for `purpose`.
    pub fn sign(&self, purpose: Purpose, message: &[u8]) -> Signature {
        use ed25519_dalek::Signer as _;
        Signature(self.0.sign(&purpose.message(message)).to_bytes())
    }
}

/// The public half of a signing key. Any 32 bytes; those that are no key verify nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VerifyKey(pub [u8; 32]);

impl VerifyKey {
    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Verifies a signature of [`SigningKey::sign_plain`].
    pub(crate) fn verify_plain(&self, text: &[u8], signature: &Signature) -> Result<()> {
        verify_raw(self, text, signature)
    }

    /// Verifies that the holder of the other half signed `message` for `purpose`.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn verify(&self, purpose: Purpose, message: &[u8], signature: &Signature) -> Result<()> {
        verify_raw(self, &purpose.message(message), signature)
    }
}

impl TryFrom<&[u8]> for VerifyKey {
    type Error = CryptoError;
    fn try_from(bytes: &[u8]) -> Result<Self> {
        bytes.try_into().map(Self).map_err(|_| CryptoError::Refused)
    }
}

/// Plain Ed25519, for what carries its domain in another way (PASETO) and for the vectors.
pub(crate) fn verify_raw(key: &VerifyKey, message: &[u8], signature: &Signature) -> Result<()> {
    ed25519_dalek::VerifyingKey::from_bytes(&key.0)
        .and_then(|key| key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature.0)))
        .map_err(|_| CryptoError::Refused)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_signature_holds_for_its_key_purpose_and_message() {
        let key = SigningKey::generate(&mut rand::rng());
        let signature = key.sign(Purpose::new("manifest"), b"message");
        let public = key.verify_key();
        public.verify(Purpose::new("manifest"), b"message", &signature).unwrap();
        assert!(public.verify(Purpose::new("slot"), b"message", &signature).is_err());
        assert!(public.verify(Purpose::new("manifest"), b"massage", &signature).is_err());
        assert!(VerifyKey([0; 32]).verify(Purpose::new("manifest"), b"message", &signature).is_err());
        assert!(SigningKey::from_bytes(&key.expose()).verify_key() == public);
    }
}
