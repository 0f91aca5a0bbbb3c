//! The cell's side of its key: offered while locked, used for one payload, then for channels.

use std::time::Duration;

use ocmt_types::{Timestamp, UnlockId};

use crate::{
    CryptoError, Result,
    channel::{CellChannels, ChannelPlace},
    group_cell::{Handover, Opened},
    seal::{SealPublicKey, SealSecretKey},
    snapshot::SnapshotPayload,
    unlock::UnlockPayload,
};

use super::{CellKeyOffer, CellPlace, OFFER_MS, StartSecret};

/// A cell's secret key for one unlock. At the lock it is dropped and another one made.
pub struct CellKey {
    place: CellPlace,
    boot_nonce: [u8; 32],
    secret: SealSecretKey,
    unlock: Option<UnlockId>,
}

impl CellKey {
    /// A fresh key. `boot_nonce` is made once a start of the cell.
    pub fn generate(place: CellPlace, boot_nonce: [u8; 32], rng: &mut impl rand::CryptoRng) -> Self {
        Self { place, boot_nonce, secret: SealSecretKey::generate(rng), unlock: None }
    }

    /// The public half.
    pub fn public(&self) -> SealPublicKey {
        self.secret.public()
    }

    /// The unlock it was used for; `None` while locked.
    pub fn unlocked(&self) -> Option<UnlockId> {
        self.unlock
    }

    /// What to answer the host's `GetKey`: the offer, good for [`OFFER_MS`].
    ///
    /// # Errors
    /// None in practice.
    pub fn offer(&self, start: &StartSecret, now: Timestamp) -> Result<Vec<u8>> {
        let offer = CellKeyOffer {
            place: self.place,
            boot_nonce: self.boot_nonce,
            expires: now + Duration::from_millis(OFFER_MS),
            key: self.public(),
            unlock: self.unlock,
        };
        offer.seal(start)
    }

    /// Opens an unlock payload: once. A second one, the same or another, is refused; the one taken is
    /// extended by [`crate::unlock::Lease`].
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it was not sealed to this key in this place, or one was taken.
    pub fn unlock(&mut self, sealed: &[u8]) -> Result<UnlockPayload> {
        if self.unlock.is_some() {
            return Err(CryptoError::Refused);
        }
        let payload = UnlockPayload::open(&self.place, &self.boot_nonce, &self.secret, sealed)?;
        self.unlock = Some(payload.unlock);
        Ok(payload)
    }

    /// Opens a group's vault that its administrators have released to this key, which was made `held` ago by a clock that does not
    /// jump: once, and never beside a payload.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] for whatever is not of this cell, this ceremony and one vault, or if it was used;
    /// [`CryptoError::RolledBack`] if the vault is older than what was ordered.
    pub fn open_together(
        &mut self,
        handed: &Handover,
        (held, now): (Duration, Timestamp),
        rng: &mut impl rand::CryptoRng,
    ) -> Result<Opened> {
        if self.unlock.is_some() {
            return Err(CryptoError::Refused);
        }
        let opened = handed.open(&self.place, &self.secret, (held, now), rng)?;
        self.unlock = opened.payload.as_ref().map(|payload| payload.unlock);
        Ok(opened)
    }

    /// Opens a snapshot payload. For a cell that runs nothing: it takes one, does what it says, and ends.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it was not sealed to this key in this place, or is an unlock payload.
    pub fn snapshot(self, sealed: &[u8]) -> Result<SnapshotPayload> {
        SnapshotPayload::open(&self.place, &self.boot_nonce, &self.secret, sealed)
    }

    /// Takes the user's channels for the unlock of `payload`.
    pub fn channels(&self, payload: &UnlockPayload) -> CellChannels {
        let place = ChannelPlace {
            tenant: self.place.tenant,
            container: self.place.container,
            generation: self.place.generation,
            unlock: payload.unlock,
        };
        CellChannels::new(place, self.secret.duplicate(), payload.channel_key)
    }
}
