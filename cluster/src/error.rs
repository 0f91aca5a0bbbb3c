//! What can go wrong in the cluster layer.

use ocmt_store::StoreError;
use ocmt_types::{ClusterId, NodeId, TenantId};

use crate::observer::WentBack;

/// Why a claim, a registration or a question of the cluster failed.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A living incarnation owns the tenant.
    #[error("tenant {tenant} is owned by node {owner}")]
    NotOwner {
        /// Which tenant.
        tenant: TenantId,
        /// Its owner, to ask there.
        owner: NodeId,
    },
    /// There is no such tenant.
    #[error("there is no such tenant")]
    NoTenant,
    /// The node's lease has run out: it cannot know whether another has taken over.
    #[error("this node has lost its lease of the cluster")]
    NoLease,
    /// This life of the node is over.
    #[error("this life of the node is over")]
    Over,
    /// The database is an older state of itself: restored from a backup, or a standby that lagged behind.
    #[error(
        "{0}: if a restore was meant, accept it with `ocmt store accept-restore`, otherwise bring back the newer database"
    )]
    WentBack(#[from] WentBack),
    /// The database is another cluster's.
    #[error(
        "this node belongs to cluster {known}, and the database is that of cluster {found}: write the address of its own into store.url, or name another data folder that is empty; this one holds the keys of its cluster"
    )]
    OtherCluster {
        /// The node's.
        known: ClusterId,
        /// The database's.
        found: ClusterId,
    },
    /// The node's certificates are not honoured any more.
    #[error("this node was revoked, invite it again under another id")]
    Revoked,
    /// What the node remembers cannot be read, or the data folder cannot be had.
    #[error("{0}")]
    Memory(String),
    /// The heartbeat's thread cannot be started.
    #[error("cannot start the heartbeat's thread: {0}")]
    Thread(#[source] std::io::Error),
}

impl ClusterError {
    /// Whether the same call may succeed later with nothing changed by the caller.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_retryable(),
            Self::NoLease | Self::Over => true,
            Self::NotOwner { .. }
            | Self::NoTenant
            | Self::WentBack(_)
            | Self::OtherCluster { .. }
            | Self::Revoked
            | Self::Memory(_)
            | Self::Thread(_) => false,
        }
    }

    /// Whether the claim may have been committed although the call failed.
    pub const fn outcome_unknown(&self) -> bool {
        match self {
            Self::Store(error) => error.outcome_unknown(),
            _ => false,
        }
    }
}
