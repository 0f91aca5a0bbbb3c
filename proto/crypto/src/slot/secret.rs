//! What opens a key slot, and what a new one is made of.

use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::{
    CryptoError, Result,
    backup_key::BackupKey,
    datakey::random_key,
    kdf::{Cost, Passphrase},
    locked::LockedKey,
    seal::{SealPublicKey, SealSecretKey},
    sign::VerifyKey,
};

/// What kind of secret opens a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum SlotKind {
    /// A passphrase.
    Passphrase = 1,
    /// A backup key.
    Backup = 2,
    /// A hardware token's answer to the slot's challenge.
    Hardware = 3,
    /// The recovery key that guardians hold shares of.
    Recovery = 4,
    /// A user's identity key, in a group's vault.
    Member = 5,
}

impl SlotKind {
    /// The kind of this byte.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if there is none.
    pub const fn from_byte(byte: u8) -> Result<Self> {
        match byte {
            1 => Ok(Self::Passphrase),
            2 => Ok(Self::Backup),
            3 => Ok(Self::Hardware),
            4 => Ok(Self::Recovery),
            5 => Ok(Self::Member),
            _ => Err(CryptoError::Refused),
        }
    }
}

/// RK: 32 random bytes that lock a recovery slot and are shared among guardians once. Wiped when dropped.
pub struct RecoveryKey(LockedKey);

impl RecoveryKey {
    /// A fresh key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(random_key(rng).into())
    }

    /// The key of these bytes.
    pub fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for sharing.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// What opens a slot.
pub enum SlotSecret<'a> {
    /// A passphrase.
    Passphrase(&'a Passphrase),
    /// A backup key.
    Backup(&'a BackupKey),
    /// The token's answer to [`super::KeySlot::challenge`], 20 bytes or more.
    Hardware(&'a Zeroizing<Vec<u8>>),
    /// The recovery key.
    Recovery(&'a RecoveryKey),
    /// A member's identity key, with the vault's verify key as the member's own vault keeps it.
    Member(&'a SealSecretKey, VerifyKey),
}

impl SlotSecret<'_> {
    /// The kind of slot it opens.
    pub const fn kind(&self) -> SlotKind {
        match self {
            Self::Passphrase(_) => SlotKind::Passphrase,
            Self::Backup(_) => SlotKind::Backup,
            Self::Hardware(_) => SlotKind::Hardware,
            Self::Recovery(_) => SlotKind::Recovery,
            Self::Member(..) => SlotKind::Member,
        }
    }
}

/// What a new slot is made of.
pub enum NewSlot<'a> {
    /// Opened by a passphrase.
    Passphrase(&'a Passphrase, Cost),
    /// Opened by a backup key.
    Backup(&'a BackupKey, Cost),
    /// Opened by a hardware token: its challenge, and its answer to that.
    Hardware([u8; 32], &'a Zeroizing<Vec<u8>>, Cost),
    /// Opened by a recovery key.
    Recovery(&'a RecoveryKey),
    /// Opened by the identity key of a member of the group.
    Member(SealPublicKey),
}

/// The answer of a hardware token, if it is long enough to be one.
pub(super) fn hardware(answer: &[u8]) -> Result<&[u8]> {
    if (20..=1024).contains(&answer.len()) {
        Ok(answer)
    } else {
        Err(CryptoError::OutOfRange { what: "answer of a hardware token", rule: "20 to 1,024 bytes" })
    }
}
