//! When the sealed volume is opened, sealed and closed.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use ocmt_crypto::unlock::VolumeUnlock;
use tokio::time;

use super::{Cell, LOCK_GRACE};
use crate::{
    CellError,
    children::Children,
    sealed::{OpenVolume, SealedVolume, VolumeError},
    tasks,
};

/// A sealing that something began or wrote in is thrown away and made again, so often.
const TRIES: usize = 3;

/// Seals the volume again and again while the cell is unlocked.
pub(super) async fn keep(cell: Weak<Cell>, every: Duration) {
    loop {
        time::sleep(every).await;
        let Some(cell) = cell.upgrade() else { return };
        // a seal runs to its end: what it stopped goes on
        if let Err(error) = tasks::to_its_end(async move { cell.seal_volume().await }).await {
            tracing::error!(%error, "sealing broke off");
        }
    }
}

impl Cell {
    /// Opens the volume, where this container has one. What ran without secrets is ended first.
    pub(super) async fn open_volume(
        &self,
        unlock: Option<VolumeUnlock>,
    ) -> Result<Option<Arc<OpenVolume>>, CellError> {
        let (volume, unlock) = match (&self.volume, unlock) {
            (None, None) => return Ok(None),
            (None, Some(_)) => return Err(VolumeError::NoVolume.into()),
            (Some(_), None) => return Err(VolumeError::NoKey.into()),
            (Some(volume), Some(unlock)) => (Arc::clone(volume), unlock),
        };
        self.workload.stop(LOCK_GRACE).await;
        while !self.children.kill_all_below().await {
            tracing::warn!("processes below the cell could not be ended yet");
        }
        let opening = Arc::clone(&volume);
        let opened = aside(move || opening.open(unlock)).await.inspect_err(|error| {
            self.end_if_not_emptied(error);
            self.start_locked_workload();
        })?;
        // it is not open before it is sealed
        volume.went(&Ok(()), self.clock.now(), false);
        tracing::info!("sealed volume opened");
        Ok(Some(Arc::new(opened)))
    }

    /// Seals the volume a last time and empties it. Nothing runs any more.
    pub(super) async fn close_volume(&self) -> Result<(), CellError> {
        let Some((volume, open)) = self.opened_volume() else { return Ok(()) };
        let closing = Arc::clone(&volume);
        let sealed = aside(move || {
            let sealed = closing.seal_at_end(&open);
            // locked is locked, also where it was not sealed
            let cleared = closing.clear();
            cleared.and(sealed)
        })
        .await
        .inspect_err(|error| self.end_if_not_emptied(error));
        volume.went(&sealed, self.clock.now(), true);
        if let Err(error) = &sealed {
            tracing::error!(%error, "volume not sealed: what changed since its last sealing is lost");
        }
        sealed
    }

    /// Who unlocks next reads that something is missing: what the log had of it went with the lock, and nobody hears the end of a lease.
    pub(super) fn tell_what_is_lost(&self, sealed: &Result<(), CellError>) {
        if let Err(error) = sealed {
            let line = format!(
                "ocmt: the sealed volume could not be sealed when the cell locked, what changed since its last sealing is lost: {error}\n"
            );
            self.logs.append(line.as_bytes());
        }
    }

    /// Empties it after an unlock that came to nothing.
    pub(super) async fn clear_volume(&self) -> Result<(), CellError> {
        let Some(volume) = self.volume.clone() else { return Ok(()) };
        self.workload.stop(Duration::ZERO).await;
        aside(move || volume.clear()).await.inspect_err(|error| self.end_if_not_emptied(error))?;
        self.start_locked_workload();
        Ok(())
    }

    /// Resolves when a locked cell could not empty its volume. The cell must end then: what is in there goes with it, and with nothing else.
    pub(crate) async fn not_emptied(&self) {
        self.not_emptied.notified().await;
    }

    /// Nothing is started any more over what may be there in clear.
    fn end_if_not_emptied(&self, error: &CellError) {
        // whatever broke off has not emptied it either
        if matches!(error, CellError::Volume(VolumeError::NotEmptied) | CellError::Io { .. }) {
            self.lock_inner().stopping = true;
            self.not_emptied.notify_one();
        }
    }

    async fn seal_volume(&self) {
        // neither in the middle of an unlock nor of a lock
        let _transition = self.transition.lock().await;
        let Some((volume, open)) = self.opened_volume() else { return };
        let (children, sealing) = (Arc::clone(&self.children), Arc::clone(&volume));
        let sealed = aside(move || standing_still(&children, &sealing, &open)).await;
        volume.went(&sealed, self.clock.now(), false);
        if let Err(error) = sealed {
            tracing::warn!(%error, "volume not sealed this time");
            // its user reads these lines; who reads the container's log reads the other
            self.logs.append(format!("ocmt: the sealed volume could not be sealed: {error}\n").as_bytes());
        }
    }

    fn opened_volume(&self) -> Option<(Arc<SealedVolume>, Arc<OpenVolume>)> {
        let open = self.lock_inner().unlocked.as_ref()?.volume.clone()?;
        self.volume.clone().map(|volume| (volume, open))
    }
}

/// Copies while all processes stand still, and brings it to the disk when they go on.
fn standing_still(children: &Children, volume: &SealedVolume, open: &OpenVolume) -> Result<(), VolumeError> {
    for _ in 0..TRIES {
        let before = children.started();
        let Some(frozen) = children.freeze() else { continue };
        let sealed = volume.seal(open);
        drop(frozen);
        let sealed = match sealed {
            Err(VolumeError::Restless) => continue,
            sealed => sealed?,
        };
        // a program that was run over a channel meanwhile did not stand still
        if children.started() == before {
            return volume.settle(open, &sealed);
        }
    }
    Err(VolumeError::Restless)
}

/// A call that waits for a disk.
async fn aside<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, VolumeError> + Send + 'static,
) -> Result<T, CellError> {
    let done =
        tasks::blocking(call).await.map_err(|source| CellError::Io { what: "seal a volume", source })?;
    Ok(done?)
}
