//! The key of one unlock.

use zeroize::Zeroizing;

use crate::{Result, datakey, locked::LockedKey};

/// 32 bytes that client and cell share for one unlock. The client derives them from the vault's keyring
/// and the unlock's id ([`crate::keyring::Keyring::inbox_mac_key`]), so that any of the user's clients
/// can extend the lease and file the inbox.
pub struct UnlockKey(LockedKey);

impl From<Zeroizing<[u8; 32]>> for UnlockKey {
    fn from(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes.into())
    }
}

impl UnlockKey {
    /// A fresh key.
    pub fn generate(rng: &mut impl rand::CryptoRng) -> Self {
        Self(datakey::random_key(rng).into())
    }

    /// The key of these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(LockedKey::of(bytes))
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

    pub(crate) fn lease_key(&self) -> Result<Zeroizing<[u8; 32]>> {
        self.0.derive(b"OCMT unlock v1 lease")
    }

    pub(crate) fn inbox_key(&self) -> Result<Zeroizing<[u8; 32]>> {
        self.0.derive(b"OCMT unlock v1 inbox")
    }

    pub(crate) fn offer_key(&self) -> Result<Zeroizing<[u8; 32]>> {
        self.0.derive(b"OCMT unlock v1 authorization offer")
    }

    pub(crate) fn answer_key(&self) -> Result<Zeroizing<[u8; 32]>> {
        self.0.derive(b"OCMT unlock v1 authorization answer")
    }
}
