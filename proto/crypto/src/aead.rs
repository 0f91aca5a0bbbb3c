//! The two ciphers of the project behind plain slices: nothing else in the crate calls them.

use aes_gcm::{
    Aes256Gcm, AesGcm, KeyInit as _,
    aead::{AeadInOut, Nonce, Tag, consts::U16},
    aes::Aes256,
};
use chacha20poly1305::XChaCha20Poly1305;
use zeroize::Zeroize as _;

use crate::{CryptoError, Result, plaintext::Plaintext};

/// Bytes that a ciphertext is longer than its plaintext, both ciphers.
pub(crate) const TAG_LEN: usize = 16;

/// A cipher with its key set up, wiped when dropped.
#[expect(clippy::large_enum_variant, reason = "a box would cost what a cipher at hand saves")]
pub(crate) enum Cipher {
    Aes(Aes256Gcm),
    XChaCha(XChaCha20Poly1305),
}

impl Cipher {
    /// AES-256-GCM, nonces of 12 bytes.
    pub(crate) fn aes(key: &[u8; 32]) -> Self {
        Self::Aes(Aes256Gcm::new(key.into()))
    }

    /// XChaCha20-Poly1305, nonces of 24 bytes.
    pub(crate) fn xchacha(key: &[u8; 32]) -> Self {
        Self::XChaCha(XChaCha20Poly1305::new(key.into()))
    }

    /// Appends ciphertext and tag to `out`.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] for a nonce of another length, or a message that is too long for the cipher.
    pub(crate) fn seal(&self, nonce: &[u8], aad: &[u8], message: &[u8], out: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Aes(cipher) => seal(cipher, nonce, aad, message, out),
            Self::XChaCha(cipher) => seal(cipher, nonce, aad, message, out),
        }
    }

    /// The message of what [`Self::seal`] appended.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub(crate) fn open(&self, nonce: &[u8], aad: &[u8], sealed: &[u8]) -> Result<Plaintext> {
        match self {
            Self::Aes(cipher) => open(cipher, nonce, aad, sealed),
            Self::XChaCha(cipher) => open(cipher, nonce, aad, sealed),
        }
    }
}

/// What the earlier implementation sealed the fields of its database with, by nonces of 16 bytes; nothing is sealed
/// so any more.
pub(crate) fn open_long_nonce(key: &[u8; 32], nonce: &[u8; 16], sealed: &[u8]) -> Result<Plaintext> {
    open(&AesGcm::<Aes256, U16>::new(key.into()), nonce, b"", sealed)
}

/// In place: the message is copied once, to where its ciphertext stays.
fn seal<C: AeadInOut>(cipher: &C, nonce: &[u8], aad: &[u8], message: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let nonce = <&Nonce<C>>::try_from(nonce).map_err(|_| CryptoError::Refused)?;
    let start = out.len();
    out.reserve(message.len() + TAG_LEN);
    out.extend_from_slice(message);
    let body = out.get_mut(start..).ok_or(CryptoError::Refused)?;
    if let Ok(tag) = cipher.encrypt_inout_detached(nonce, aad, body.into()) {
        out.extend_from_slice(&tag);
        return Ok(());
    }
    // no plaintext stays where ciphertext was wanted
    body.zeroize();
    out.truncate(start);
    Err(CryptoError::Refused)
}

fn open<C: AeadInOut>(cipher: &C, nonce: &[u8], aad: &[u8], sealed: &[u8]) -> Result<Plaintext> {
    let nonce = <&Nonce<C>>::try_from(nonce).map_err(|_| CryptoError::Refused)?;
    let at = sealed.len().checked_sub(TAG_LEN).ok_or(CryptoError::Refused)?;
    let (ciphertext, tag) = sealed.split_at(at);
    let tag = <&Tag<C>>::try_from(tag).map_err(|_| CryptoError::Refused)?;
    let mut message = Plaintext::in_place_of(ciphertext);
    cipher
        .decrypt_inout_detached(nonce, aad, message.as_mut_slice().into(), tag)
        .map_err(|_| CryptoError::Refused)?;
    Ok(message)
}
