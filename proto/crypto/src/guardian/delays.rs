//! How long what takes, so that an owner who looks now and then sees a theft in time.

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
};

const HOUR_MS: u64 = 60 * 60 * 1_000;
const YEAR_MS: u64 = 365 * 24 * HOUR_MS;

/// The delays of a set, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delays {
    /// How long a guardian's lock holds; also the delay of an override, the longest there is.
    pub lock_ms: u64,
    /// From the hand-over of the notice to the release.
    pub recovery_ms: u64,
    /// From the request of a change (channel, guardians) to when it can be made.
    pub change_ms: u64,
    /// How long it can be made from then on.
    pub change_window_ms: u64,
}

impl Delays {
    /// Five days, 48 h, 36 h and 12 h.
    pub const DEFAULT: Self = Self {
        lock_ms: 120 * HOUR_MS,
        recovery_ms: 48 * HOUR_MS,
        change_ms: 36 * HOUR_MS,
        change_window_ms: 12 * HOUR_MS,
    };

    /// Checks lock ≥ recovery ≥ change + window, none over a year, and none under an hour unless `dev`.
    ///
    /// # Errors
    /// [`CryptoError::OutOfRange`] naming the rule.
    pub fn check(&self, dev: bool) -> Result<()> {
        let all = [self.lock_ms, self.recovery_ms, self.change_ms, self.change_window_ms];
        let refuse = |rule| Err(CryptoError::OutOfRange { what: "guardian delays", rule });
        if all.iter().any(|delay| *delay > YEAR_MS) {
            return refuse("none over a year");
        }
        if !dev && all.iter().any(|delay| *delay < HOUR_MS) {
            return refuse("none under an hour");
        }
        if self.lock_ms < self.recovery_ms || self.recovery_ms < self.change_ms + self.change_window_ms {
            return refuse("lock >= recovery >= change + change window");
        }
        Ok(())
    }

    /// The longer of each, in their order still.
    #[must_use]
    pub fn or_longer(&self, other: &Self) -> Self {
        let (change_ms, change_window_ms) =
            (self.change_ms.max(other.change_ms), self.change_window_ms.max(other.change_window_ms));
        let sum = change_ms.saturating_add(change_window_ms);
        let recovery_ms = self.recovery_ms.max(other.recovery_ms).max(sum);
        let lock_ms = self.lock_ms.max(other.lock_ms).max(recovery_ms);
        Self { lock_ms, recovery_ms, change_ms, change_window_ms }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.u64(self.lock_ms).u64(self.recovery_ms);
        out.u64(self.change_ms).u64(self.change_window_ms);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            lock_ms: reader.u64()?,
            recovery_ms: reader.u64()?,
            change_ms: reader.u64()?,
            change_window_ms: reader.u64()?,
        })
    }
}
