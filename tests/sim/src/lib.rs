//! A simulated cluster: the real membership, router and store, on a simulated network and clock.
//!
//! Each host runs `ocmt_cluster::Membership` and `Router` over one shared sim store, which it reaches through
//! a link of its own that delays, hangs, breaks and loses answers. There are two worlds of them:
//!
//! - [`run`]: on top stands a small tenant service of this crate (`node`): it claims, writes fenced, answers reads
//!   from memory under the lease, and forwards to the owner. Small and fast: what it finds is in membership,
//!   router or fence.
//! - [`tree`]: on top stands the actors' tree itself, with containers on a simulated engine.
//!
//! A run is chaos, then healing, then a look at everything. All chance comes from one seed: the same seed
//! gives the same trace, and a test holds that.

mod chaos;
mod client;
pub mod invariants;
mod link;
mod node;
mod oracle;
mod run;
pub mod tree;
mod world;

pub use oracle::{Event, Oracle};
pub use run::{Report, run};
