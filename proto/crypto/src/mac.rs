//! HMAC-SHA256 under 32-byte keys, compared in constant time.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{CryptoError, Result};

/// Bytes of a tag.
pub(crate) const LEN: usize = 32;

pub(crate) fn tag(key: &[u8; 32], message: &[u8]) -> [u8; LEN] {
    keyed(key, message).finalize().into_bytes().into()
}

pub(crate) fn check(key: &[u8; 32], message: &[u8], tag: &[u8]) -> Result<()> {
    keyed(key, message).verify_slice(tag).map_err(|_| CryptoError::Refused)
}

fn keyed(key: &[u8; 32], message: &[u8]) -> Hmac<Sha256> {
    // RFC 2104 fills a short key up to the block with zeros
    let mut block = Zeroizing::new([0; 64]);
    block[..32].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    mac.update(message);
    mac
}
