//! Which node owns what. For now: one node, which claims every tenant it is asked for.
//!
//! The lease, the view of the cluster, placement, routing and draining come with the second node (issue 3).
//! What is here is what stays: the claim goes through the store's epoch from the first day, and a tenant
//! is activated and reached through [`LocalHost`].

mod error;
mod host;
mod single;

pub use error::ClusterError;
pub use host::{HostError, HostFuture, LocalHost};
pub use single::SingleNode;
