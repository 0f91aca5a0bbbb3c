//! What can go wrong, told so that an attacker learns nothing from it.

/// The result of this crate's functions.
pub type Result<T, E = CryptoError> = std::result::Result<T, E>;

/// Errors of `ocmt-crypto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CryptoError {
    /// The one error of everything that is opened or verified: wrong key, wrong passphrase, a damaged,
    /// swapped, replayed or unknown object. Which of them it was is not said.
    #[error("cannot be opened: the key or passphrase is wrong, or the object is damaged")]
    Refused,
    /// The object names a later version of its format than this program knows. Only
    /// [`crate::envelope::check_version`] says so; opening such an object gives [`Self::Refused`].
    #[error("made by a later version of OCMT: update this program")]
    UnsupportedVersion,
    /// The caller gave more than a format holds.
    #[error("{what} is too large: at most {max}")]
    TooLarge {
        /// What was too large, with its unit.
        what: &'static str,
        /// The most that is taken.
        max: u64,
    },
    /// The caller gave a value outside its lawful range.
    #[error("{what} is out of range: {rule}")]
    OutOfRange {
        /// What was out of range.
        what: &'static str,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// The vault as shown is older than one this client has seen, or another with the same counter:
    /// rolled back or forked by whoever holds the database, or restored from a backup.
    #[error("the vault shown is older than one seen before: counter {shown}, seen {seen}")]
    RolledBack {
        /// The counter of the manifest shown.
        shown: u64,
        /// The highest counter this client has seen.
        seen: u64,
    },
    /// No object, slot or entry of this name or id.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// It exists already.
    #[error("{0} exists already")]
    Exists(&'static str),
    /// A vault keeps at least one slot that opens it.
    #[error("the last key slot of a vault stays: add another first")]
    LastSlot,
    /// A rotation was finished before every object was converted.
    #[error("rotation is not complete: {left} objects left")]
    RotationIncomplete {
        /// Objects that still have their old key.
        left: u64,
    },
    /// Fewer share units than are needed.
    #[error("{have} share units of {need} needed")]
    TooFewUnits {
        /// Good ones.
        have: u8,
        /// The threshold.
        need: u8,
    },
    /// A frame of a sealed channel came before its turn, or a call did. Nothing was changed: drop the
    /// connection and resume the channel.
    #[error("out of order")]
    OutOfOrder,
    /// The sealed channel is over; nothing more goes through it.
    #[error("the channel has ended: open another")]
    ChannelEnded,
    /// The other side has not acknowledged enough yet: wait for its next frame and send again.
    #[error("the channel's window is full: wait for the other side")]
    WindowFull,
}

impl CryptoError {
    /// Whether the same call can succeed later: only when it waits for the other side of a channel, as
    /// all else in this crate is deterministic.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::WindowFull)
    }
}
