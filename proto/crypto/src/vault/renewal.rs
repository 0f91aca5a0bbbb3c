//! The slot in use, brought up to date: the present verify key in its locked half, and Argon2 costs as
//! they are asked for today.
//!
//! Both need the slot's secret, so each slot is renewed at its next use. Its id, kind and public key stay,
//! so the manifest stays true, and whoever keeps the slots needs no proof but the signature on it.

use rand::CryptoRng;
use zeroize::Zeroizing;

use super::UnlockedVault;
use crate::{
    Result,
    kdf::Cost,
    slot::{KeySlot, SlotSecret},
};

/// A slot to be stored in the place of itself, and what this client keeps for its lock.
pub struct RenewedSlot {
    slot: KeySlot,
    lock_key: Zeroizing<[u8; 32]>,
}

impl RenewedSlot {
    /// The slot.
    pub const fn slot(&self) -> &KeySlot {
        &self.slot
    }
}

impl UnlockedVault {
    /// The slot this vault was opened through by `secret`, renewed; none if it is up to date. Runs Argon2id
    /// if its costs are below `least`; costs are never lowered.
    ///
    /// # Errors
    /// [`crate::CryptoError::Refused`] if `secret` is not what opened it.
    pub fn renew_slot(
        &self,
        secret: &SlotSecret<'_>,
        least: Cost,
        rng: &mut impl CryptoRng,
    ) -> Result<Option<RenewedSlot>> {
        let signer = &self.keyring.vault_signing;
        let Some(door) = &self.door else { return Ok(None) };
        let Some(before) = self.state.slots.iter().find(|slot| slot.id() == door.slot) else {
            return Ok(None);
        };
        let Some(lock_key) = &door.lock_key else { return Ok(None) };
        let (slot, lock_key) = match before.strengthen(&self.scope, secret, lock_key, least, rng)? {
            Some(stronger) => stronger,
            None if door.pinned != signer.verify_key() => (before.clone(), lock_key.clone()),
            None => return Ok(None),
        };
        let slot = slot.relock(&self.scope, &door.secret, &lock_key, signer, rng)?;
        Ok(Some(RenewedSlot { slot, lock_key }))
    }

    /// Takes over a renewed slot that the node has stored.
    pub fn adopt_slot(&mut self, renewed: RenewedSlot) {
        let present = self.keyring.vault_signing.verify_key();
        let RenewedSlot { slot, lock_key } = renewed;
        if let Some(door) = self.door.as_mut().filter(|door| door.slot == slot.id()) {
            (door.lock_key, door.pinned) = (Some(lock_key), present);
        }
        if let Some(kept) = self.state.slots.iter_mut().find(|kept| kept.id() == slot.id()) {
            *kept = slot;
        }
    }
}
