//! Erasing a tenant's rows, and the record of it that stays with the cluster.

use ocmt_types::TenantId;

use super::{
    cluster::ClusterStore,
    operator::{Confirmation, OperatorStore, consume, retried},
    trail::{ClusterAct, Trail},
};
use crate::{
    FencedTx, StoreError,
    backend::Scope,
    kernel::{row::Row as _, statement::Action},
    migrate::APPEND_ONLY,
    tables::{self, AuditHead, AuditRetention, DeletedTenant, Deletion, Tenant},
};

impl FencedTx {
    /// Deletes every row of the tenant, but for its audit, which nobody may take from, its own row and that of its
    /// deletion, which go last ([`FencedTx::forget_tenant`]); how many rows went. What the directories of the
    /// cluster say of the tenant goes with each user.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Full`].
    pub async fn erase_rows(&mut self) -> Result<u64, StoreError> {
        // what was pruned of the audit is a part of it
        let of_audit = [AuditHead::table().name, AuditRetention::table().name];
        let kept = [of_audit[0], of_audit[1], Tenant::table().name, Deletion::table().name];
        let mut erased = 0;
        for table in tables::all() {
            if table.of_tenant && !kept.contains(&table.name) && !APPEND_ONLY.contains(&table.name) {
                let own = vec![self.own()];
                erased += self.run(table, Action::Delete(own)).await?.affected;
            }
        }
        Ok(erased)
    }

    /// Deletes the last rows of a tenant that was erased and is recorded ([`OperatorStore::record_deletion`]).
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Full`].
    pub async fn forget_tenant(&mut self) -> Result<(), StoreError> {
        self.erase_rows().await?;
        self.delete::<Tenant>(()).await?;
        self.delete::<Deletion>(()).await.map(drop)
    }
}

impl OperatorStore {
    /// Uses up a confirmation, and records the act that it was for; `false` if it is not good for that.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`].
    pub async fn confirmed(&self, confirmation: &Confirmation, act: &ClusterAct) -> Result<bool, StoreError> {
        retried!(async {
            let mut tx = self.backend.begin(Scope::Cluster).await?;
            let trail = Trail::open(&mut tx).await?;
            if !consume(&mut tx, confirmation, act.at).await? {
                return Ok(false);
            }
            trail.append(&mut tx, act).await?;
            tx.commit().await?;
            Ok(true)
        })
    }

    /// Records that a tenant was erased, once: `false`, and nothing written, if it is recorded already.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`].
    pub async fn record_deletion(
        &self,
        deleted: &DeletedTenant,
        act: &ClusterAct,
    ) -> Result<bool, StoreError> {
        retried!(async {
            let mut tx = self.backend.begin(Scope::Cluster).await?;
            let trail = Trail::open(&mut tx).await?;
            if !tx.insert(deleted).await? {
                return Ok(false);
            }
            trail.append(&mut tx, act).await?;
            tx.commit().await?;
            Ok(true)
        })
    }
}

impl ClusterStore {
    /// What is left of a tenant that was deleted; none if it was not, or has a row yet. A record is an order to erase what
    /// no database can bring back, so whoever can only write records gives none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn deleted_tenant(&self, tenant: TenantId) -> Result<Option<DeletedTenant>, StoreError> {
        let mut tx = self.begin_read().await?;
        if tx.first(Tenant::tenant_id.eq(tenant), false).await?.is_some() {
            return Ok(None);
        }
        tx.first(DeletedTenant::tenant.eq(tenant), false).await
    }
}
