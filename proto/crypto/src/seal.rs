//! Sealing to a public key: HPKE (RFC 9180), one shot, base mode.
//!
//! ```text
//! alg u8 | enc 32 | ciphertext ‖ tag
//! ```
//!
//! Algorithm 1 is DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM; 2 is kept for the X-Wing
//! hybrid. The suite is part of HPKE's key schedule, so that one cannot be passed off as the other.

use hpke::{
    Deserializable as _, OpModeR, OpModeS, Serializable as _, aead::AesGcm256, kdf::HkdfSha256,
    kem::X25519HkdfSha256,
};
use rand::CryptoRng;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::{CryptoError, Result, datakey, locked::LockedKey};

/// HPKE's KEM, KDF and AEAD as this project uses them.
pub(crate) type Kem = X25519HkdfSha256;
pub(crate) type Kdf = HkdfSha256;
pub(crate) type Aead = AesGcm256;

const X25519_AES256GCM: u8 = 1;
const ENC_LEN: usize = 32;
/// Bytes that a sealed box is longer than its content.
pub const OVERHEAD: usize = 1 + ENC_LEN + 16;

/// The public half of an X25519 key that things are sealed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SealPublicKey(pub [u8; 32]);

impl SealPublicKey {
    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn hpke(&self) -> Result<<Kem as hpke::Kem>::PublicKey> {
        <Kem as hpke::Kem>::PublicKey::from_bytes(&self.0).map_err(|_| CryptoError::Refused)
    }
}

/// The private half: 32 bytes, wiped when dropped.
pub struct SealSecretKey(LockedKey);

impl SealSecretKey {
    /// A fresh key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(datakey::random_key(rng).into())
    }

    /// The key of these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(LockedKey::of(bytes))
    }

    /// The key of this slice.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is not 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self> {
        datakey::secret_array(bytes).map(|key| Self(key.into()))
    }

    /// The bytes, for storing them encrypted.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// A second holder of the same key.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// The public half.
    pub fn public(&self) -> SealPublicKey {
        let secret = x25519_dalek::StaticSecret::from(*self.0);
        SealPublicKey(x25519_dalek::PublicKey::from(&secret).to_bytes())
    }

    /// Whether `public` is the other half, in constant time.
    pub fn is_half_of(&self, public: &SealPublicKey) -> bool {
        self.public().0.ct_eq(&public.0).into()
    }

    pub(crate) fn hpke(&self) -> Result<<Kem as hpke::Kem>::PrivateKey> {
        <Kem as hpke::Kem>::PrivateKey::from_bytes(self.0.as_slice()).map_err(|_| CryptoError::Refused)
    }
}

/// Seals `plaintext` to `to`. `info` says what for (domain and place), `aad` is authenticated beside it.
///
/// # Errors
/// [`CryptoError::Refused`] if `to` is a key of low order.
pub fn seal(
    to: &SealPublicKey,
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>> {
    let (enc, ciphertext) = hpke::single_shot_seal_with_rng::<Aead, Kdf, Kem>(
        &OpModeS::Base,
        &to.hpke()?,
        info,
        plaintext,
        aad,
        rng,
    )
    .map_err(|_| CryptoError::Refused)?;
    Ok([&[X25519_AES256GCM], enc.to_bytes().as_slice(), &ciphertext].concat())
}

/// Opens what was sealed to `secret` with the same `info` and `aad`.
///
/// # Errors
/// [`CryptoError::Refused`].
pub fn open(secret: &SealSecretKey, info: &[u8], aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let (&[alg], rest) = sealed.split_first_chunk::<1>().ok_or(CryptoError::Refused)?;
    let (enc, ciphertext) = rest.split_first_chunk::<ENC_LEN>().ok_or(CryptoError::Refused)?;
    if alg != X25519_AES256GCM {
        return Err(CryptoError::Refused);
    }
    let enc = <Kem as hpke::Kem>::EncappedKey::from_bytes(enc).map_err(|_| CryptoError::Refused)?;
    hpke::single_shot_open::<Aead, Kdf, Kem>(&OpModeR::Base, &secret.hpke()?, &enc, info, ciphertext, aad)
        .map(Zeroizing::new)
        .map_err(|_| CryptoError::Refused)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_sealed_box_opens_with_its_key_and_words_only() {
        let rng = &mut rand::rng();
        let (ours, theirs) = (SealSecretKey::generate(rng), SealSecretKey::generate(rng));
        let sealed = seal(&ours.public(), b"info", b"aad", b"content", rng).unwrap();
        assert_eq!(open(&ours, b"info", b"aad", &sealed).unwrap().as_slice(), b"content");
        assert_eq!(sealed.len(), OVERHEAD + 7);
        assert!(open(&theirs, b"info", b"aad", &sealed).is_err());
        assert!(
            open(&ours, b"infa", b"aad", &sealed).is_err() && open(&ours, b"info", b"aae", &sealed).is_err()
        );
        assert!(ours.is_half_of(&ours.public()) && !ours.is_half_of(&theirs.public()));
    }

    #[test]
    fn keys_of_low_order_are_refused() {
        let rng = &mut rand::rng();
        let zero = SealPublicKey([0; 32]);
        assert!(seal(&zero, b"", b"", b"", rng).is_err());
    }
}
