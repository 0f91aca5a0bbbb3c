//! Slots that a node keeps back until an unlock is proved: those of backup keys and hardware tokens. Whoever opens the vault by
//! another way needs none of them to open it, and all of them to change it: what is written names every slot, and a rotation
//! takes every slot along.
//!
//! What is left out is named by the manifest, so a node cannot slip another slot in later; that it shows none of these is no
//! more than refusing them, which it always can.

use super::{UnlockedVault, slot_key};
use crate::{
    CryptoError, Result,
    manifest::SlotKey,
    slot::{KeySlot, SlotKind},
};

/// The slots that the manifest names beyond those shown; none if the two do not fit. Both are in the order of their ids.
pub(super) fn missing(shown: &[KeySlot], named: &[SlotKey]) -> Option<Vec<SlotKey>> {
    let mut shown = shown.iter().map(slot_key).peekable();
    let missing: Vec<SlotKey> = named.iter().copied().filter(|key| shown.next_if_eq(key).is_none()).collect();
    let lawful = missing.iter().all(|key| matches!(key.kind, SlotKind::Backup | SlotKind::Hardware));
    (shown.next().is_none() && lawful).then_some(missing)
}

impl UnlockedVault {
    /// Whether the node still keeps slots back: nothing can be changed before.
    pub fn is_partial(&self) -> bool {
        !self.state.withheld.is_empty()
    }

    /// Takes the slots that were kept back out of what the node shows once the unlock is proved; others are passed over.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if one is still missing, or is not what the manifest names, signed for this vault.
    pub fn adopt_withheld<B: AsRef<[u8]>>(&mut self, shown: &[B]) -> Result<()> {
        if self.state.withheld.is_empty() {
            return Ok(());
        }
        let present = self.keyring.vault_signing.verify_key();
        let mut slots = self.state.slots.clone();
        for bytes in shown {
            let slot = KeySlot::from_bytes(bytes.as_ref())?;
            if !self.state.withheld.contains(&slot_key(&slot))
                || slots.iter().any(|own| own.id() == slot.id())
            {
                continue;
            }
            slot.verify(&self.scope, &present)?;
            if slot.epoch() != self.vk.epoch() {
                return Err(CryptoError::Refused);
            }
            slots.push(slot);
        }
        slots.sort_unstable_by_key(KeySlot::id);
        if !slots.iter().map(slot_key).eq(self.state.manifest.slots.iter().copied()) {
            return Err(CryptoError::Refused);
        }
        self.state.slots = slots;
        self.state.withheld.clear();
        Ok(())
    }
}
