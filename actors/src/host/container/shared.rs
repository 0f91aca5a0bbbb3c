//! What outlives an operation on a container, and is seen by all of them at once.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicUsize, Ordering},
};

use ocmt_types::Timestamp;
use tokio::sync::watch;

use crate::host::{egress::Egress, gateway::GatewayEnd};

/// What relays and operations share with the actor.
#[derive(Default)]
pub(crate) struct Shared {
    active_at: AtomicI64,
    pub(super) unlocked_until: AtomicI64,
    /// Frames may go to the cell.
    pub(super) awake: watch::Sender<bool>,
    /// What the cell was last told to do that ends its connections, until the next operation. It closes them before it
    /// answers, and the actor learns of it after that.
    pub(super) ending: watch::Sender<Option<GatewayEnd>>,
    /// Requests that the workload owes an answer.
    owed: Arc<AtomicUsize>,
    /// Its way out.
    pub(super) egress: Egress,
}

impl Shared {
    pub(super) fn active_at(&self) -> Timestamp {
        Timestamp(self.active_at.load(Ordering::SeqCst))
    }

    /// Something happened that counts.
    pub(super) fn touch(&self, at: Timestamp) {
        self.active_at.fetch_max(at.0, Ordering::SeqCst);
    }

    /// The workload owes an answer, as long as this is held.
    pub(super) fn owe(&self) -> Owed {
        self.owed.fetch_add(1, Ordering::SeqCst);
        Owed(Arc::clone(&self.owed))
    }

    /// How many answers it owes.
    pub(super) fn owed(&self) -> usize {
        self.owed.load(Ordering::SeqCst)
    }

    pub(super) fn lease_is_over(&self, now: Timestamp) -> bool {
        self.unlocked_until.load(Ordering::SeqCst) <= now.0
    }
}

/// An answer that the workload owes.
pub(super) struct Owed(Arc<AtomicUsize>);

impl Drop for Owed {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
