//! The end of an unlock's lease.

use std::{sync::Weak, time::Duration};

use tokio::time;

use super::Cell;
use crate::{
    CellError,
    state::{Event, State},
};

/// The lease's timer looks at the clock at least this often: a suspended machine's timers stand.
const LEASE_CHECK: Duration = Duration::from_secs(5);

impl Cell {
    /// Moves the end of the lease, as a message authenticated under the payload says; returns what
    /// is left then.
    ///
    /// # Errors
    /// [`CellError::Locked`]; [`CellError::NotForThisCell`] if it is forged, replayed or over.
    pub fn extend(&self, extension: &[u8]) -> Result<Duration, CellError> {
        let now = self.clock.now();
        let mut inner = self.lock_inner();
        let unlocked = inner.unlocked.as_mut().ok_or(CellError::Locked)?;
        let ends =
            unlocked.lease.extend(extension, &unlocked.key, now).map_err(|_| CellError::NotForThisCell)?;
        let lease = ends.since(now);
        drop(inner);
        self.step(Event::ExtendAsked { lease_ms: u64::try_from(lease.as_millis()).unwrap_or(u64::MAX) })?;
        self.lease_moved.notify_one();
        tracing::info!(lease_ms = lease.as_millis(), "lease extended");
        Ok(lease)
    }

    /// What is left of the lease; `None` while locked.
    pub(super) fn lease_remaining(&self) -> Option<Duration> {
        match self.lock_inner().state {
            State::Unlocked { until_ms } => {
                Some(Duration::from_millis(until_ms.saturating_sub(self.now_ms())))
            }
            State::Locked | State::Opening | State::Locking => None,
        }
    }
}

/// Locks when the lease ends. Early, late and double looks are harmless: the state decides.
pub(super) async fn keep(cell: Weak<Cell>) {
    loop {
        let Some(cell) = cell.upgrade() else { return };
        match cell.lease_remaining() {
            Some(Duration::ZERO) => {
                tracing::info!("lease ended");
                if let Err(error) = cell.lock_on(Event::Tick).await {
                    tracing::error!(%error, "lock failed");
                }
            }
            remaining => {
                let wait = remaining.unwrap_or(LEASE_CHECK).min(LEASE_CHECK);
                // an error is the time running out, which is the other way on
                let _ = time::timeout(wait, cell.lease_moved.notified()).await;
            }
        }
    }
}
