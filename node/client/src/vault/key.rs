//! What a person opens a vault with, and trying it.

use std::sync::Arc;

use ocmt_crypto::{
    CryptoError,
    backup_key::BackupKey,
    kdf::{Cost, Passphrase},
    slot::{KeySlot, RecoveryKey, SlotKind, SlotSecret},
    vault::{LockedVault, RenewedSlot, Rollback, Seen, UnlockedVault},
};

use ocmt_proto::v1 as pb;

use super::blocking;
use crate::{ClientError, hardware::Token};

/// Hardware slots that are tried with the one token that is plugged in: each wants a touch.
const MOST_TOKENS: usize = 4;
/// The most that a node's policy is followed to: 512 MiB and 6 passes are some seconds on a small device.
const MOST_MEMORY_MIB: u32 = 512;
const MOST_PASSES: u32 = 6;

/// What every slot that people keep a secret for costs at the least: today's costs, or more by the tenant's policy. It
/// is renewed at its next use if it costs less.
pub(super) fn least_cost(handout: &pb::GetKeySlotsResponse) -> Cost {
    let (least_memory, least_passes, lanes) = Cost::DEFAULT.parts();
    let memory = handout.argon2_memory_mib.min(MOST_MEMORY_MIB).saturating_mul(1024).max(least_memory);
    let passes = handout.argon2_passes.min(MOST_PASSES).max(least_passes);
    Cost::new(memory, passes, lanes).unwrap_or(Cost::DEFAULT)
}

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
        least: Cost,
    ) -> Result<Result<Opened, CryptoError>, ClientError> {
        let (kind, none) = self.opens();
        if !locked.slots().iter().any(|slot| slot.kind() == kind) {
            return Err(ClientError::Usage(none.to_owned()));
        }
        match self {
            Self::Hardware(token) => open_by_token(locked, &token, seen, rollback, least).await,
            kept => {
                blocking(move || {
                    let secret = kept.secret().ok_or(CryptoError::Refused)?;
                    renewing(locked.open(&secret, seen.as_ref(), rollback)?, &secret, least)
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

    /// The kind of slot it opens.
    pub(super) const fn kind(&self) -> SlotKind {
        self.opens().0
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

fn renewing(vault: UnlockedVault, secret: &SlotSecret<'_>, least: Cost) -> Result<Opened, CryptoError> {
    let renewed = vault.renew_slot(secret, least, &mut rand::rng())?;
    Ok(Opened { vault, renewed })
}

async fn open_by_token(
    locked: LockedVault,
    token: &Token,
    seen: Option<Seen>,
    rollback: Rollback,
    least: Cost,
) -> Result<Result<Opened, CryptoError>, ClientError> {
    let locked = Arc::new(locked);
    let asked = |slot: &KeySlot| Some((slot.id(), *slot.challenge()?));
    let asked: Vec<_> = locked.slots().iter().filter_map(asked).take(MOST_TOKENS).collect();
    let mut opened = Err(CryptoError::Refused);
    for (slot, challenge) in asked {
        let (locked, answer) = (locked.clone(), token.answer(&challenge).await?);
        opened = blocking(move || {
            let secret = SlotSecret::Hardware(&answer);
            renewing(locked.open_slot(slot, &secret, seen.as_ref(), rollback)?, &secret, least)
        })
        .await?;
        // else the next slot may be this token's
        if !matches!(opened, Err(CryptoError::Refused)) {
            break;
        }
    }
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_can_make_a_passphrase_dearer_but_not_cheaper_and_not_without_end() {
        let cost = |argon2_memory_mib, argon2_passes| {
            let handout = pb::GetKeySlotsResponse { argon2_memory_mib, argon2_passes, ..Default::default() };
            least_cost(&handout).parts()
        };
        assert_eq!(cost(0, 0), Cost::DEFAULT.parts());
        assert_eq!(cost(1, 1), Cost::DEFAULT.parts());
        assert_eq!(cost(128, 4), (128 * 1024, 4, 4));
        assert_eq!(cost(u32::MAX, u32::MAX), (512 * 1024, 6, 4));
    }
}
