//! What clients and nodes saw, in one order. It keeps unknown outcomes unknown.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ocmt_types::Incarnation;

use crate::tree::Seen;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A client called: operation, tenant, whether it writes.
    Called {
        /// Unique in the run.
        op: u64,
        /// Which tenant.
        tenant: u64,
        /// Or it reads.
        writes: bool,
    },
    /// A write was acknowledged to the client.
    Wrote {
        /// Which call.
        op: u64,
        /// Under which claim.
        epoch: i64,
        /// At which place of the tenant's log.
        seq: u64,
        /// By which life.
        by: Incarnation,
    },
    /// A read was answered to the client.
    Read {
        /// Which call.
        op: u64,
        /// Under which claim.
        epoch: i64,
        /// The end of the log as it was seen.
        seq: u64,
        /// The operation there; 0 for an empty log.
        last: u64,
    },
    /// The call certainly did nothing.
    Refused {
        /// Which call.
        op: u64,
    },
    /// Whether the call did something is not known.
    Unknown {
        /// Which call.
        op: u64,
    },
    /// A fault, or a step of a node, for the trace.
    Noted(String),
    /// Something in the world of the actors' tree.
    Tree(Seen),
}

/// The history of a run. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Oracle {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    events: Vec<(u64, Event)>,
    violations: Vec<String>,
}

impl Oracle {
    /// Something happened at `now`, in milliseconds.
    pub fn saw(&self, now: u64, event: Event) {
        self.inner().events.push((now, event));
    }

    /// An invariant does not hold.
    pub fn violation(&self, what: String) {
        self.inner().violations.push(what);
    }

    /// All that happened, in order.
    pub fn events(&self) -> Vec<(u64, Event)> {
        self.inner().events.clone()
    }

    /// What was found while it happened.
    pub fn violations(&self) -> Vec<String> {
        self.inner().violations.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
