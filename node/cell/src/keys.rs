//! The cell's key: made in memory, one for each unlock, shown to the node under the start secret.

use bytes::Bytes;
use ocmt_crypto::{
    cell::{CellKey, CellPlace, OFFER_MS, StartSecret},
    channel::CellChannels,
    unlock::UnlockPayload,
};
use ocmt_types::Timestamp;

use crate::CellError;

/// The key of the next or the present unlock.
pub struct Keys {
    place: CellPlace,
    boot_nonce: [u8; 32],
    start: StartSecret,
    current: Option<Current>,
}

struct Current {
    key: CellKey,
    /// end of its last offer, boot time in milliseconds: what is sealed to it later is refused
    offered_until_ms: u64,
}

impl Keys {
    /// No key yet; `start` authenticates the ones to come.
    pub fn new(place: CellPlace, start: StartSecret) -> Self {
        Self { place, boot_nonce: rand::random(), start, current: None }
    }

    /// Random at each start of the cell.
    pub fn boot_nonce(&self) -> &[u8; 32] {
        &self.boot_nonce
    }

    /// The offer of the present key, or of a fresh one if there is none that can still be used.
    ///
    /// # Errors
    /// [`CellError::Invalid`] never in practice.
    pub fn offer(&mut self, now: Timestamp, now_ms: u64) -> Result<Bytes, CellError> {
        self.drop_if_over(now_ms);
        let current = self.current.get_or_insert_with(|| Current {
            key: CellKey::generate(self.place, self.boot_nonce, &mut rand::rng()),
            offered_until_ms: 0,
        });
        current.offered_until_ms = now_ms.saturating_add(OFFER_MS);
        let offer = current
            .key
            .offer(&self.start, now)
            .map_err(|_| CellError::Invalid("the key could not be offered"))?;
        Ok(offer.into())
    }

    /// Opens a payload sealed to the key that was offered.
    ///
    /// # Errors
    /// [`CellError::NotForThisCell`] if it is not, if no key is on offer, or if the offer is over.
    pub fn open(&mut self, sealed: &[u8], now_ms: u64) -> Result<UnlockPayload, CellError> {
        self.drop_if_over(now_ms);
        let current = self.current.as_mut().ok_or(CellError::NotForThisCell)?;
        current.key.unlock(sealed).map_err(|_| CellError::NotForThisCell)
    }

    /// Takes the user's channels for the unlock of `payload`.
    ///
    /// # Errors
    /// [`CellError::Locked`] if the key is gone.
    pub fn channels(&self, payload: &UnlockPayload) -> Result<CellChannels, CellError> {
        self.current.as_ref().map(|current| current.key.channels(payload)).ok_or(CellError::Locked)
    }

    /// Wipes the key: nothing sealed to it opens again.
    pub fn forget(&mut self) {
        self.current = None;
    }

    fn drop_if_over(&mut self, now_ms: u64) {
        if self
            .current
            .as_ref()
            .is_some_and(|current| current.key.unlocked().is_none() && now_ms >= current.offered_until_ms)
        {
            self.current = None;
        }
    }
}
