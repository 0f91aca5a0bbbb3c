//! Durable state of OCMT: typed rows, one fenced writer per tenant, on SQLite, PostgreSQL or in memory.
//!
//! - [`Store::fenced`] is the only way to write a tenant's state. The transaction begins by checking the
//!   claim (incarnation and epoch) and holds it until the commit, so that an old owner can never commit
//!   after a new one has loaded. [`Store::read`] checks the same for strict reads.
//! - [`Store::cluster`]: nodes, claims, and what is due across tenants. [`Store::directory`]: the only
//!   state without a tenant, from address to tenants, and sign-ups.
//! - [`tables`] has one typed row per table. Actors work on rows: `tx.get`, `find`, `insert`,
//!   `update_if`, `take`.
//!
//! A transaction is short: read, write, commit, nothing awaited in between that is not the store. SQLite
//! has one writer for all tenants, and whoever holds it holds up everybody; on PostgreSQL each tenant has one,
//! and a transaction that rests for 2 s is ended.

mod area;
mod backend;
mod error;
mod gather;
mod glance;
pub mod kernel;
mod migrate;
mod portable;
mod store;
pub mod tables;
mod tx;

#[cfg(feature = "testing")]
pub mod testing;

pub use area::{
    agent_policy::AgentPolicyState,
    audit::actor as actor_text,
    cluster::{Claim, ClusterStore},
    directory::{DirectoryStore, Founding, MOST_TENANTS_OF_ADDRESS},
    due::KeysDue,
    egress::EgressState,
    honoured::Honoured,
    idempotency::{Fresh, Idempotent, RequestKey},
    look::Look,
    nodes::Observed,
    operator::{Confirmation, OperatorStore, Revocation},
    prune::{PRUNED_AT_ONCE, Pruned},
    removal::Removal,
    restore::{Acceptance, Accepted},
    revoked::Revocations,
    rotation::ObjectRange,
    sealing::{MayHold, Rewrap, Rewrapping, Rotation},
    trail::{ClusterAct, Remembered},
};
pub use backend::{
    faults::{Fault, Faults, Link, Passage, Point, Stalled},
    postgres::{PgConfig, PgIdentity, PgLogin, PgRoles, PgTimes, check_address, unverified_host},
};
pub use error::StoreError;
pub use glance::{Glance, TenantSeen};
pub use kernel::{
    filter::{Col, Filter, MAX_LIMIT, Query},
    row::{Row, TenantRow},
};
pub use portable::{Dump, DumpError, Purpose};
pub use store::Store;
pub use tx::{FencedTx, ReadTx};
