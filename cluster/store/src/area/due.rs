//! Which vaults of groups are due for new keys: for the security audit, which may ask of every tenant.

use ocmt_types::{TenantId, Timestamp};

use crate::{ClusterStore, StoreError, backend::Scope, tables::GroupVault};

/// Vaults of a tenant's groups that are due for new keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeysDue {
    /// How many.
    pub vaults: i64,
    /// Since when the one has been that waits longest.
    pub since: Option<Timestamp>,
}

impl ClusterStore {
    /// Vaults of groups of a tenant that are due for new keys. It is read as the tenant's own work: work across tenants
    /// has no right to those rows.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn keys_due(&self, tenant: TenantId) -> Result<KeysDue, StoreError> {
        let due =
            || GroupVault::tenant_id.eq(tenant).and(GroupVault::due_since.gt(Some(Timestamp(i64::MIN))));
        let mut tx = self.backend.begin_read(Scope::Tenant(tenant)).await?;
        let oldest = tx.first::<GroupVault>(due().asc(GroupVault::due_since), false).await?;
        Ok(KeysDue {
            vaults: tx.count::<GroupVault>(due()).await?,
            since: oldest.and_then(|oldest| oldest.due_since),
        })
    }
}
