//! What happens in the world of the actors' tree, for the trace and for the invariants.

use ocmt_types::{Digest32, Incarnation};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Somebody asked something of a tenant.
    Asked {
        /// Unique in the run.
        op: u64,
        /// Which tenant, by its number.
        tenant: u64,
        /// What.
        what: &'static str,
        /// The object that a write of a vault is to leave.
        object: Option<Digest32>,
    },
    /// A write of the vault was acknowledged.
    Wrote {
        /// Which call.
        op: u64,
        /// The counter of the manifest now stored.
        counter: u64,
    },
    /// A read of the vault was answered.
    Read {
        /// Which call.
        op: u64,
        /// The counter of the manifest shown.
        counter: u64,
    },
    /// Anything else was acknowledged.
    Done {
        /// Which call.
        op: u64,
        /// What was answered.
        what: String,
    },
    /// The call certainly did nothing, or was not let do it.
    Refused {
        /// Which call.
        op: u64,
        /// The stable reason.
        why: String,
    },
    /// Whether the call did something is not known.
    Unknown {
        /// Which call.
        op: u64,
    },
    /// The vault of a tenant changed in the database.
    Committed {
        /// Which tenant.
        tenant: u64,
        /// The epoch of its claim at that moment.
        epoch: i64,
        /// The counter from then on.
        counter: u64,
        /// The life that committed.
        by: Option<Incarnation>,
        /// The life that owns the tenant at that moment.
        owner: Option<Incarnation>,
    },
    /// An engine did something to a container.
    Engine {
        /// On which machine.
        machine: usize,
        /// What, to which making.
        did: String,
    },
}
