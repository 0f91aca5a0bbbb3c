//! How long a cell stays unlocked, and how a client makes it longer.

use std::time::Duration;

use ocmt_types::{Timestamp, UnlockId};

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    kind::Kind,
    mac,
};

use super::UnlockKey;

const VERSION: u8 = 1;

/// The shortest lease, in milliseconds.
pub const MIN_LEASE_MS: u64 = 1_000;
/// The longest lease, in milliseconds.
pub const MAX_LEASE_MS: u64 = 7 * 24 * 60 * 60 * 1_000;

/// A client's wish for more time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseExtension {
    /// Of which unlock.
    pub unlock: UnlockId,
    /// Grows from one to the next; clients take their clock in milliseconds.
    pub serial: u64,
    /// The lease from when the cell takes it, in milliseconds.
    pub lease_ms: u64,
    /// Refused from then on, so that nobody on the way can keep it for later.
    pub expires: Timestamp,
}

impl LeaseExtension {
    /// The client's side: authenticated under the unlock's key.
    ///
    /// # Errors
    /// [`CryptoError::OutOfRange`] unless the lease is [`MIN_LEASE_MS`] to [`MAX_LEASE_MS`].
    pub fn seal(&self, key: &UnlockKey) -> Result<Vec<u8>> {
        if !(MIN_LEASE_MS..=MAX_LEASE_MS).contains(&self.lease_ms) {
            return Err(CryptoError::OutOfRange { what: "lease", rule: "one second to seven days" });
        }
        let mut out = Writer::object(Kind::EXTEND_LEASE, VERSION);
        out.id(self.unlock).u64(self.serial).u64(self.lease_ms).i64(self.expires.0);
        let tag = mac::tag(&*key.lease_key()?, out.as_bytes());
        out.fixed(&tag);
        Ok(out.into_vec())
    }

    fn open(bytes: &[u8], key: &UnlockKey) -> Result<Self> {
        let (body, tag) = bytes.split_last_chunk::<{ mac::LEN }>().ok_or(CryptoError::Refused)?;
        mac::check(&*key.lease_key()?, body, tag)?;
        let mut reader = Reader::object(body, Kind::EXTEND_LEASE, VERSION)?;
        let extension = Self {
            unlock: reader.id()?,
            serial: reader.u64()?,
            lease_ms: reader.u64()?,
            expires: Timestamp(reader.i64()?),
        };
        reader.finish()?;
        Ok(extension)
    }
}

/// The cell's side: when it locks itself.
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    unlock: UnlockId,
    serial: Option<u64>,
    ends: Timestamp,
}

impl Lease {
    /// The lease that a payload taken at `now` gives.
    pub fn begin(unlock: UnlockId, lease_ms: u64, now: Timestamp) -> Self {
        Self { unlock, serial: None, ends: now + Duration::from_millis(lease_ms) }
    }

    /// When the cell is to lock.
    pub fn ends(&self) -> Timestamp {
        self.ends
    }

    /// Takes an extension and returns the new end, which may be earlier than the old one.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is forged, of another unlock, replayed, over, or the lease ended.
    pub fn extend(&mut self, bytes: &[u8], key: &UnlockKey, now: Timestamp) -> Result<Timestamp> {
        let extension = LeaseExtension::open(bytes, key)?;
        let fresh = self.serial.is_none_or(|last| last < extension.serial);
        let lawful = (MIN_LEASE_MS..=MAX_LEASE_MS).contains(&extension.lease_ms);
        let in_time = now < extension.expires && now < self.ends;
        if extension.unlock != self.unlock || !fresh || !lawful || !in_time {
            return Err(CryptoError::Refused);
        }
        self.serial = Some(extension.serial);
        self.ends = now + Duration::from_millis(extension.lease_ms);
        Ok(self.ends)
    }
}
