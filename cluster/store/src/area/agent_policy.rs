//! What a host reads of what the agents of a container may do: whoever owns the tenant, and however fresh that is known
//! here. And what the security audit reads of it.

use ocmt_types::{TenantId, UserId};

use crate::{
    ClusterStore, StoreError,
    tables::{AgentPolicyRow, Tenant},
};

/// All that the policy of a user's agents is made of.
#[derive(Debug, Clone)]
pub struct AgentPolicyState {
    /// The tenant, whose policy says who may talk to agents.
    pub tenant: Tenant,
    /// The tenant's.
    pub of_tenant: Option<AgentPolicyRow>,
    /// The user's own.
    pub of_user: Option<AgentPolicyRow>,
}

impl ClusterStore {
    /// The policies that hold for the agents of a user, or the tenant's alone, in one snapshot; none if there is no such
    /// tenant.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn agent_policy(
        &self,
        tenant: TenantId,
        user: Option<UserId>,
    ) -> Result<Option<AgentPolicyState>, StoreError> {
        let of = |user| {
            let subject = AgentPolicyRow::subject_of(user);
            AgentPolicyRow::tenant_id.eq(tenant).and(AgentPolicyRow::subject.eq(subject))
        };
        let mut tx = self.begin_read().await?;
        let Some(row) = tx.first(Tenant::tenant_id.eq(tenant), false).await? else { return Ok(None) };
        Ok(Some(AgentPolicyState {
            tenant: row,
            of_tenant: tx.first(of(None), false).await?,
            of_user: match user {
                Some(user) => tx.first(of(Some(user)), false).await?,
                None => None,
            },
        }))
    }
}
