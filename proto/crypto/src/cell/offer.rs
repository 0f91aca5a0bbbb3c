//! What a cell tells its host of its key.

use std::time::Duration;

use ocmt_types::{Timestamp, UnlockId};

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    kind::Kind,
    mac,
    seal::SealPublicKey,
};

use super::{CellPlace, StartSecret};

const VERSION: u8 = 1;

/// How long an offer holds, in milliseconds.
pub const OFFER_MS: u64 = 10 * 60 * 1000;

/// The longest that a host believes, in milliseconds.
pub const MAX_OFFER_MS: u64 = 15 * 60 * 1000;

/// A cell's key with what it is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellKeyOffer {
    /// Which cell.
    pub place: CellPlace,
    /// 32 random bytes of this start of the cell.
    pub boot_nonce: [u8; 32],
    /// Refused from then on.
    pub expires: Timestamp,
    /// The key that an unlock payload is sealed to, and channels are opened with.
    pub key: SealPublicKey,
    /// The unlock that the cell is in; `None` while it is locked and takes a payload.
    pub unlock: Option<UnlockId>,
}

impl CellKeyOffer {
    /// The cell's side: the offer with its MAC.
    ///
    /// # Errors
    /// None in practice.
    pub fn seal(&self, start: &StartSecret) -> Result<Vec<u8>> {
        let mut out = Writer::object(Kind::CELL_KEY_OFFER, VERSION);
        self.write(&mut out);
        let tag = mac::tag(&*start.offer_key()?, out.as_bytes());
        out.fixed(&tag);
        Ok(out.into_vec())
    }

    /// The host's side: an offer of the cell started with `start` as `place`.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is another's, damaged, over, or for longer than [`MAX_OFFER_MS`].
    pub fn open(bytes: &[u8], start: &StartSecret, place: &CellPlace, now: Timestamp) -> Result<Self> {
        let (body, tag) = bytes.split_last_chunk::<{ mac::LEN }>().ok_or(CryptoError::Refused)?;
        mac::check(&*start.offer_key()?, body, tag)?;
        let mut reader = Reader::object(body, Kind::CELL_KEY_OFFER, VERSION)?;
        let offer = Self::read(&mut reader)?;
        reader.finish()?;
        let latest = now + Duration::from_millis(MAX_OFFER_MS);
        if offer.place == *place && now < offer.expires && offer.expires <= latest {
            Ok(offer)
        } else {
            Err(CryptoError::Refused)
        }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        self.place.write(out);
        out.fixed(&self.boot_nonce).i64(self.expires.0).fixed(&self.key.0);
        out.option(self.unlock, |out, unlock| {
            out.id(unlock);
        });
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            place: CellPlace::read(reader)?,
            boot_nonce: reader.array()?,
            expires: Timestamp(reader.i64()?),
            key: SealPublicKey(reader.array()?),
            unlock: reader.option(Reader::id)?,
        })
    }
}
