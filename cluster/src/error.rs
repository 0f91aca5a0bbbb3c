//! What can go wrong in the cluster layer.

use ocmt_store::StoreError;
use ocmt_types::{NodeId, TenantId};

/// Why a claim or a registration failed.
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
}

impl ClusterError {
    /// Whether the same call may succeed later with nothing changed by the caller.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_retryable(),
            Self::NotOwner { .. } | Self::NoTenant => false,
        }
    }

    /// Whether the claim may have been committed although the call failed.
    pub const fn outcome_unknown(&self) -> bool {
        match self {
            Self::Store(error) => error.outcome_unknown(),
            Self::NotOwner { .. } | Self::NoTenant => false,
        }
    }
}
