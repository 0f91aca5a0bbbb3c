//! An unlock by several together: the cell opens a group's vault itself, and keeps of it what its vault has appointed.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use ocmt_crypto::{group_cell::Handover, unlock::UnlockPayload};
use ocmt_types::{Timestamp, UnlockId};

use super::{Cell, LOCK_GRACE};
use crate::{CellError, opening::SealedObject, tasks};

/// Longest that a key is held: an unlock of 24 hours, and some time to ask for it.
const LONGEST_HELD: Duration = Duration::from_secs(25 * 3600);

/// What an unlock comes as.
pub(super) enum Brought {
    /// A client's payload, sealed to the key of the next unlock.
    Payload { unlock: UnlockId, sealed: Bytes, objects: Vec<SealedObject> },
    /// What administrators of a group have released to the key that is held.
    Together(Bytes),
}

impl Cell {
    /// The offer of a fresh key for one unlock by several together, to be kept for so long. It counts as work: whoever waits for
    /// people waits awake.
    ///
    /// # Errors
    /// [`CellError::AlreadyUnlocked`]; [`CellError::Invalid`] for a time over 25 hours.
    pub fn hold_key(&self, keep: Duration) -> Result<Bytes, CellError> {
        if keep > LONGEST_HELD {
            return Err(CellError::Invalid("a key is not held for more than 25 hours"));
        }
        let (now, now_ms) = (self.clock.now(), self.now_ms());
        let mut inner = self.lock_inner();
        if inner.unlocked.is_some() {
            return Err(CellError::AlreadyUnlocked);
        }
        inner.keys.hold(keep, now, now_ms)
    }

    /// Opens what was released to the key that is held, as [`Self::unlock`] does a payload. Refused, it leaves the cell locked,
    /// and the key where it was until the vault itself has opened.
    ///
    /// # Errors
    /// [`CellError::AlreadyUnlocked`]; [`CellError::NotForThisCell`]; [`CellError::VaultOlder`]; [`CellError::PartsRefused`];
    /// [`CellError::Spawn`].
    pub async fn unlock_together(self: &Arc<Self>, handover: Bytes) -> Result<Duration, CellError> {
        let cell = Arc::clone(self);
        let brought = Brought::Together(handover);
        tasks::to_its_end(async move { cell.unlock_to_its_end(brought).await }).await?
    }

    /// The payload, and the ciphertext that it opens.
    pub(super) fn open_brought(
        &self,
        brought: Brought,
        now: Timestamp,
        now_ms: u64,
    ) -> Result<(UnlockPayload, Vec<SealedObject>), CellError> {
        match brought {
            Brought::Payload { unlock, sealed, objects } => {
                let mut inner = self.lock_inner();
                let payload = inner.keys.open(&sealed, now_ms)?;
                if payload.unlock != unlock {
                    inner.keys.forget();
                    return Err(CellError::NotForThisCell);
                }
                Ok((payload, objects))
            }
            Brought::Together(handover) => {
                let handover = Handover::decode(&handover).map_err(|_| CellError::NotForThisCell)?;
                let payload = self.lock_inner().keys.open_together(&handover, now, now_ms)?;
                let object = |object: ocmt_crypto::object::VaultObject| SealedObject {
                    object: object.object_id,
                    version: object.version,
                    body: object.body.into(),
                };
                Ok((payload, handover.objects.into_iter().map(object).collect()))
            }
        }
    }

    /// What is left of a lease that began then: ending what was there takes some of it.
    pub(super) fn left_of(&self, lease_ms: u64, since_ms: u64) -> u64 {
        // none would be the usual lease
        lease_ms.saturating_sub(self.now_ms().saturating_sub(since_ms)).max(1)
    }

    /// Ends what runs without secrets, and all that it or somebody else has left here: what a group's secrets are given to is what
    /// its image starts, and nothing beside it.
    pub(super) async fn clear_below(&self) {
        self.workload.stop(LOCK_GRACE).await;
        while !self.children.kill_all_below().await {
            tracing::warn!("processes below the cell could not be ended yet");
        }
    }
}
