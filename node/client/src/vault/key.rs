//! What a person opens a vault with, and trying it.

use std::sync::Arc;

use ocmt_crypto::{
    CryptoError,
    backup_key::BackupKey,
    kdf::{Cost, Passphrase},
    slot::{KeySlot, RecoveryKey, SlotKind, SlotSecret},
    vault::{LockedVault, RenewedSlot, Rollback, Seen, UnlockedVault},
};

use super::blocking;
use crate::{ClientError, hardware::Token};

/// Hardware slots that are tried with the one token that is plugged in: each wants a touch.
const MOST_TOKENS: usize = 4;
/// What every slot that people keep a secret for has at the least; it is renewed at its next use if not.
const LEAST_COST: Cost = Cost::DEFAULT;

/// What a person opens a vault with.
pub enum Key {
    /// A passphrase.
    Passphrase(Passphrase),
    /// A backup key.
    Backup(BackupKey),
    /// A hardware token.
    Hardware(Token),
    /// The key that guardians gave back.
    Recovery(RecoveryKey),
}

/// An opened vault, and the slot that opened it if that is to be stored anew.
pub(super) struct Opened {
    pub(super) vault: UnlockedVault,
    pub(super) renewed: Option<RenewedSlot>,
}

impl Key {
    /// Tries it on the slots of its kind.
    pub(super) async fn open(
        self,
        locked: LockedVault,
        seen: Option<Seen>,
        rollback: Rollback,
    ) -> Result<Result<Opened, CryptoError>, ClientError> {
        let (kind, none) = self.opens();
        if !locked.slots().iter().any(|slot| slot.kind() == kind) {
            return Err(ClientError::Usage(none.to_owned()));
        }
        match self {
            Self::Hardware(token) => open_by_token(locked, &token, seen, rollback).await,
            kept => {
                blocking(move || {
                    let secret = kept.secret().ok_or(CryptoError::Refused)?;
                    renewing(locked.open(&secret, seen.as_ref(), rollback)?, &secret)
                })
                .await
            }
        }
    }

    /// What is tried on the slots; none for a token, which answers each slot's own challenge.
    fn secret(&self) -> Option<SlotSecret<'_>> {
        match self {
            Self::Passphrase(passphrase) => Some(SlotSecret::Passphrase(passphrase)),
            Self::Backup(key) => Some(SlotSecret::Backup(key)),
            Self::Recovery(key) => Some(SlotSecret::Recovery(key)),
            Self::Hardware(_) => None,
        }
    }

    /// The kind of slot it opens, and what to say if there is none.
    const fn opens(&self) -> (SlotKind, &'static str) {
        match self {
            Self::Passphrase(_) => (SlotKind::Passphrase, "this vault has no passphrase any more"),
            Self::Backup(_) => (
                SlotKind::Backup,
                "this vault has no backup key: with its passphrase, `ocmt vault backup-key` makes one",
            ),
            Self::Hardware(_) => (
                SlotKind::Hardware,
                "no hardware token opens this vault: with its passphrase, `ocmt vault slots add hardware` adds one",
            ),
            Self::Recovery(_) => (SlotKind::Recovery, "this vault has no guardians"),
        }
    }
}

fn renewing(vault: UnlockedVault, secret: &SlotSecret<'_>) -> Result<Opened, CryptoError> {
    let renewed = vault.renew_slot(secret, LEAST_COST, &mut rand::rng())?;
    Ok(Opened { vault, renewed })
}

async fn open_by_token(
    locked: LockedVault,
    token: &Token,
    seen: Option<Seen>,
    rollback: Rollback,
) -> Result<Result<Opened, CryptoError>, ClientError> {
    let locked = Arc::new(locked);
    let asked = |slot: &KeySlot| Some((slot.id(), *slot.challenge()?));
    let asked: Vec<_> = locked.slots().iter().filter_map(asked).take(MOST_TOKENS).collect();
    let mut opened = Err(CryptoError::Refused);
    for (slot, challenge) in asked {
        let (locked, answer) = (locked.clone(), token.answer(&challenge).await?);
        opened = blocking(move || {
            let secret = SlotSecret::Hardware(&answer);
            renewing(locked.open_slot(slot, &secret, seen.as_ref(), rollback)?, &secret)
        })
        .await?;
        // else the next slot may be this token's
        if !matches!(opened, Err(CryptoError::Refused)) {
            break;
        }
    }
    Ok(opened)
}
