//! The two ciphers of the project behind plain arrays: nothing else in the crate calls them.

use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{Aead as _, AeadInOut as _, Payload},
};
use chacha20poly1305::XChaCha20Poly1305;
use zeroize::Zeroizing;

use crate::{CryptoError, Result};

/// Bytes that a ciphertext is longer than its plaintext, both ciphers.
pub(crate) const TAG_LEN: usize = 16;

pub(crate) fn aes_seal(key: &[u8; 32], nonce: [u8; 12], aad: &[u8], msg: &[u8]) -> Result<Vec<u8>> {
    Aes256Gcm::new(key.into()).encrypt(&nonce.into(), Payload { msg, aad }).map_err(|_| CryptoError::Refused)
}

pub(crate) fn aes_open(
    key: &[u8; 32],
    nonce: [u8; 12],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>> {
    let mut buffer = Zeroizing::new(sealed.to_vec());
    Aes256Gcm::new(key.into())
        .decrypt_in_place(&nonce.into(), aad, &mut *buffer)
        .map_err(|_| CryptoError::Refused)?;
    Ok(buffer)
}

pub(crate) fn xchacha_seal(key: &[u8; 32], nonce: [u8; 24], aad: &[u8], msg: &[u8]) -> Result<Vec<u8>> {
    XChaCha20Poly1305::new(key.into())
        .encrypt(&nonce.into(), Payload { msg, aad })
        .map_err(|_| CryptoError::Refused)
}

pub(crate) fn xchacha_open(
    key: &[u8; 32],
    nonce: [u8; 24],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>> {
    let mut buffer = Zeroizing::new(sealed.to_vec());
    XChaCha20Poly1305::new(key.into())
        .decrypt_in_place(&nonce.into(), aad, &mut *buffer)
        .map_err(|_| CryptoError::Refused)?;
    Ok(buffer)
}
