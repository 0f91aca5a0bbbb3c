//! The cell's key: made in memory, one for each unlock, shown to the node under the start secret.

use std::time::Duration;

use bytes::Bytes;
use ocmt_crypto::{
    CryptoError,
    cell::{CellKey, CellPlace, OFFER_MS, StartSecret},
    channel::CellChannels,
    group_cell::Handover,
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
    held: Option<Held>,
}

struct Current {
    key: CellKey,
    /// end of its last offer, boot time in milliseconds: what is sealed to it later is refused
    offered_until_ms: u64,
}

/// The key of an unlock by several together: it may take hours until they have approved.
struct Held {
    key: CellKey,
    /// boot time in milliseconds
    made_ms: u64,
    until_ms: u64,
}

impl Keys {
    /// No key yet; `start` authenticates the ones to come.
    pub fn new(place: CellPlace, start: StartSecret) -> Self {
        Self { place, boot_nonce: rand::random(), start, current: None, held: None }
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

    /// The offer of a fresh key for one unlock by several together. It is kept so long, by a clock that does not jump; the one
    /// before goes, for which nothing is awaited any more.
    ///
    /// # Errors
    /// [`CellError::Invalid`] never in practice.
    pub fn hold(&mut self, keep: Duration, now: Timestamp, now_ms: u64) -> Result<Bytes, CellError> {
        let key = CellKey::generate(self.place, self.boot_nonce, &mut rand::rng());
        let offer =
            key.offer(&self.start, now).map_err(|_| CellError::Invalid("the key could not be offered"))?;
        let keep = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
        self.held = Some(Held { key, made_ms: now_ms, until_ms: now_ms.saturating_add(keep) });
        Ok(offer.into())
    }

    /// Nobody is waited for any more: what was approved for the key that is held opens nothing. An opening that waits for its turn
    /// at the host, while its ceremony ends and the lock overtakes it, finds no key by this.
    pub fn let_go(&mut self) {
        self.held = None;
    }

    /// Whether a key waits for those who approve.
    pub fn is_holding(&self, now_ms: u64) -> bool {
        self.held.as_ref().is_some_and(|held| now_ms < held.until_ms)
    }

    /// Opens what was released to the key that is held. It is the key of this unlock from then on.
    ///
    /// # Errors
    /// [`CellError::NotForThisCell`] if no key is held, or what was handed over is not for it; [`CellError::VaultOlder`];
    /// [`CellError::PartsRefused`].
    pub fn open_together(
        &mut self,
        handover: &Handover,
        now: Timestamp,
        now_ms: u64,
    ) -> Result<UnlockPayload, CellError> {
        if !self.is_holding(now_ms) {
            self.held = None;
        }
        let held = self.held.as_mut().ok_or(CellError::NotForThisCell)?;
        let age = Duration::from_millis(now_ms.saturating_sub(held.made_ms));
        let opened = held.key.open_together(handover, (age, now), &mut rand::rng());
        let opened = opened.map_err(|error| match error {
            CryptoError::RolledBack { .. } => CellError::VaultOlder,
            _ => CellError::NotForThisCell,
        })?;
        for bad in &opened.bad {
            tracing::warn!(by = ?bad.guardianship, reason = ?bad.reason, "an approval was left out");
        }
        let by = opened.bad.iter().find_map(|bad| bad.guardianship);
        let payload = opened.payload.ok_or(CellError::PartsRefused(by))?;
        // used: it is the key of this unlock, and of no other
        self.current =
            self.held.take().map(|held| Current { key: held.key, offered_until_ms: held.until_ms });
        Ok(payload)
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
