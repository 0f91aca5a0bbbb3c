//! What a host reads for the egress proxy of a container: whoever owns the tenant, and however fresh that is known here.

use ocmt_types::{ContainerId, TenantId};

use crate::{
    ClusterStore, StoreError,
    tables::{EgressPolicyRow, EgressUse},
};

/// What stands of one container.
#[derive(Debug, Clone, Default)]
pub struct EgressState {
    /// The tenant's policy.
    pub tenant: Option<EgressPolicyRow>,
    /// The container's own.
    pub container: Option<EgressPolicyRow>,
    /// What it has used.
    pub used: Option<EgressUse>,
}

impl ClusterStore {
    /// The policies that hold for a container and what it has used, in one snapshot.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn egress(&self, tenant: TenantId, container: ContainerId) -> Result<EgressState, StoreError> {
        let of = |container| {
            let subject = EgressPolicyRow::subject_of(container);
            EgressPolicyRow::tenant_id.eq(tenant).and(EgressPolicyRow::subject.eq(subject))
        };
        let used = EgressUse::tenant_id.eq(tenant).and(EgressUse::container_id.eq(container));
        let mut tx = self.begin_read().await?;
        Ok(EgressState {
            tenant: tx.first(of(None), false).await?,
            container: tx.first(of(Some(container)), false).await?,
            used: tx.first(used, false).await?,
        })
    }
}
