//! Which node owns what, which nodes there are, and where a tenant's calls go.
//!
//! - [`Membership`]: one life of a node in a cluster. It registers, renews the lease from a thread of its
//!   own, observes the others, declares the dead dead, and tells when this life is over.
//! - [`Lease`]: whether strict calls may be served at this moment. [`View`]: the nodes as observed last.
//! - [`Router`]: the node that a tenant's calls go to.
//! - [`SingleNode`]: the claims of a node that is alone with its database.
//!
//! What decides is pure and small: [`lease`](LeaseState), [`observer`](Observer), [`placement`](preferred).
//! Ownership itself is a row of the store, and only a claim changes it.

mod error;
mod heartbeat;
mod host;
mod lease;
mod membership;
mod memory;
mod observer;
mod placement;
mod progress;
mod revoked;
mod router;
mod single;
mod view;

pub use error::ClusterError;
pub use heartbeat::{HeartbeatThread, Job, Thread};
pub use host::{HostError, HostFuture, LocalHost};
pub use lease::{Lease, LeaseEvent, LeaseState, LeaseTimes};
pub use membership::{Connect, Connecting, Ending, Membership, MembershipConfig};
pub use memory::{FolderMemory, Memory, Remembered};
pub use observer::{Observer, Sighting, WentBack};
pub use placement::preferred;
pub use progress::Progress;
pub use revoked::RevokedFile;
pub use router::{Route, Router};
pub use single::{Alone, SingleNode};
pub use view::{Peer, View};
