//! How many slots a vault has, and which of them a secret is tried on.

use crate::{
    CryptoError, Result,
    manifest::MAX_SLOTS,
    slot::{KeySlot, SlotKind},
};

/// Most slots of a kind whose secret is stretched: trying one costs an Argon2id, the database says how
/// many there are, and a slot that is not tried is one that its owner's right secret does not open.
pub const MAX_STRETCHED: usize = 4;

const fn most(kind: SlotKind) -> usize {
    match kind {
        SlotKind::Passphrase | SlotKind::Backup | SlotKind::Hardware => MAX_STRETCHED,
        SlotKind::Recovery | SlotKind::Member => MAX_SLOTS,
    }
}

/// Whether a vault may have these slots.
///
/// # Errors
/// [`CryptoError::LastSlot`] for none, [`CryptoError::TooLarge`] past a bound.
pub(super) fn check(slots: &[KeySlot]) -> Result<()> {
    if slots.is_empty() {
        return Err(CryptoError::LastSlot);
    }
    if slots.len() > MAX_SLOTS {
        return Err(CryptoError::TooLarge { what: "key slots", max: MAX_SLOTS as u64 });
    }
    for (kind, what) in [
        (SlotKind::Passphrase, "passphrases of a vault"),
        (SlotKind::Backup, "backup keys of a vault"),
        (SlotKind::Hardware, "hardware tokens of a vault"),
    ] {
        if of(slots, kind).count() > most(kind) {
            return Err(CryptoError::TooLarge { what, max: most(kind) as u64 });
        }
    }
    Ok(())
}

/// The slots that a secret of this kind is tried on.
pub(super) fn tried(slots: &[KeySlot], kind: SlotKind) -> impl Iterator<Item = &KeySlot> {
    of(slots, kind).take(most(kind))
}

fn of(slots: &[KeySlot], kind: SlotKind) -> impl Iterator<Item = &KeySlot> {
    slots.iter().filter(move |slot| slot.kind() == kind)
}
