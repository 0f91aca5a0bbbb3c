//! Whether the last sealing succeeded, for whoever asks the cell how it is.

use std::{
    io,
    sync::{Mutex, PoisonError},
};

use ocmt_types::Timestamp;

use super::{SealedVolume, VolumeError};
use crate::CellError;

/// The sealing that counts is older than the volume was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsealed {
    /// The first that failed since one succeeded.
    pub since: Timestamp,
    /// Why the latest failed.
    pub why: VolumeError,
    /// The cell has locked since: what was not sealed is gone.
    pub lost: bool,
}

/// What is known of the last sealing.
#[derive(Debug, Default)]
pub(super) struct Last(Mutex<Option<Unsealed>>);

impl SealedVolume {
    /// What was not sealed; none while the last sealing is whole.
    pub fn unsealed(&self) -> Option<Unsealed> {
        *self.last.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How a sealing of this time went: the next that succeeds takes back that one failed.
    pub(crate) fn went(&self, sealed: &Result<(), CellError>, now: Timestamp, at_lock: bool) {
        let mut last = self.last.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = sealed.as_ref().err().map(|error| Unsealed {
            since: last.map_or(now, |before| before.since),
            why: match error {
                CellError::Volume(error) => *error,
                _ => VolumeError::File("sealing the volume", io::ErrorKind::Other),
            },
            lost: at_lock,
        });
    }
}
