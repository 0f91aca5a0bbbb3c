//! What operators are told: conditions that nodes note in the cluster's own audit, and how far each channel has come in it.
//!
//! The audit is the queue. So nothing waits anywhere else, a storm is bounded by what is recorded of it, and a channel that takes
//! nothing for a while goes on where it was. One node has a channel at a time ([`OperatorStore::hold_channel`]): the number that
//! grows with each hold keeps whoever had it before from writing.

use ocmt_crypto::audit::{Actor, Outcome};
use ocmt_types::{NodeId, RequestId, TenantId, Timestamp};

use super::{
    operator::{OperatorStore, retried},
    trail::{ClusterAct, Trail, chain_of},
};
use crate::{
    Filter, StoreError,
    backend::Scope,
    tables::{AuditHead, AuditRow, OperatorChannel},
};

impl OperatorStore {
    /// Records a condition, unless it was recorded of the same object at or after `since`; whether it was recorded now. Of nodes
    /// that see it at once, one records it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`].
    pub async fn note(&self, act: &ClusterAct, since: Timestamp) -> Result<bool, StoreError> {
        // most are known: asked without holding up acts of operators
        if self.noted(act.action, &act.object).await?.is_some_and(|row| row.at >= since) {
            return Ok(false);
        }
        retried!(async {
            let mut tx = self.backend.begin(Scope::Cluster).await?;
            let trail = Trail::open(&mut tx).await?;
            let known = about(chain_of(&mut tx).await?, act.action, &act.object);
            let known = known.and(AuditRow::at.gt(Timestamp(since.0.saturating_sub(1))));
            if !tx.find::<AuditRow>(known.limit(1), false).await?.is_empty() {
                return Ok(false);
            }
            trail.append(&mut tx, act).await?;
            tx.commit().await?;
            Ok(true)
        })
    }

    /// The last record of the cluster's audit of this action upon this object.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn noted(&self, action: &str, object: &str) -> Result<Option<AuditRow>, StoreError> {
        let mut tx = self.backend.begin_read(Scope::Cluster).await?;
        let known = about(chain_of(&mut tx).await?, action, object);
        tx.first(known.desc(AuditRow::seq), false).await
    }

    /// The channel of this name. One that is new begins behind the last record that there is.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Unavailable`].
    pub async fn channel(&self, name: &str) -> Result<OperatorChannel, StoreError> {
        let own = || OperatorChannel::name.eq(name);
        let mut tx = self.backend.begin_read(Scope::Cluster).await?;
        if let Some(row) = tx.first(own(), false).await? {
            return Ok(row);
        }
        drop(tx);
        let mut tx = self.backend.begin(Scope::Cluster).await?;
        let chain = chain_of(&mut tx).await?;
        let head: Option<AuditHead> = tx.first(AuditHead::tenant_id.eq(chain), false).await?;
        let row = OperatorChannel {
            name: name.to_owned(),
            seq: head.map_or(0, |head| head.seq),
            told: String::new(),
            failed: 0,
            next_at: Timestamp(0),
            holder: None,
            held_until: Timestamp(0),
            fence: 0,
        };
        if tx.insert(&row).await? {
            tx.commit().await?;
            return Ok(row);
        }
        // another node was first
        tx.first(own(), false).await?.ok_or(StoreError::Conflict)
    }

    /// Takes the channel for `node` until `until`, as it was read; none if another has it or was first.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`].
    pub async fn hold_channel(
        &self,
        read: &OperatorChannel,
        node: NodeId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<OperatorChannel>, StoreError> {
        if read.holder.is_some() && read.held_until > now {
            return Ok(None);
        }
        let held = OperatorChannel {
            holder: Some(node),
            held_until: until,
            fence: read.fence.saturating_add(1),
            ..read.clone()
        };
        let mut tx = self.backend.begin(Scope::Cluster).await?;
        if !tx.update_if(&held, OperatorChannel::fence.eq(read.fence)).await? {
            return Ok(None);
        }
        tx.commit().await?;
        Ok(Some(held))
    }

    /// Writes down how far the channel has come; `false` if it was taken by another since.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`].
    pub async fn put_channel(&self, row: &OperatorChannel) -> Result<bool, StoreError> {
        let mut tx = self.backend.begin(Scope::Cluster).await?;
        let written = tx.update_if(row, OperatorChannel::fence.eq(row.fence)).await?;
        if written {
            tx.commit().await?;
        }
        Ok(written)
    }
}

fn about(chain: TenantId, action: &str, object: &str) -> Filter<AuditRow> {
    AuditRow::tenant_id.eq(chain).and(AuditRow::action.eq(action)).and(AuditRow::object.eq(object))
}

impl ClusterAct {
    /// What a node has seen, or has done by itself.
    pub fn of_node(
        node: NodeId,
        at: Timestamp,
        request: RequestId,
        action: &'static str,
        object: String,
        details: Vec<(String, String)>,
    ) -> Self {
        let (actor, outcome) = (Actor::Node(node), Outcome::Allowed);
        Self { at, request, actor, action, object, outcome, details, remember: None }
    }
}
