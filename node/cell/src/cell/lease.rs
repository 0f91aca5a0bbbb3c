//! The end of an unlock's lease.

use std::{sync::Weak, time::Duration};

use tokio::time;

use super::Cell;
use crate::state::Event;

/// The lease's timer looks at the clock at least this often: a suspended machine's timers stand.
const LEASE_CHECK: Duration = Duration::from_secs(5);

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
