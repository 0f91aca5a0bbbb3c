//! Which node owns which tenant, and what is due across tenants. Which nodes there are: [`super::nodes`].
//!
//! A claim is the only way to an ownership. A node may take a tenant if nobody owns it, or if the owning
//! *incarnation* is dead, which is final; every claim raises the epoch, so that whatever the owner before
//! still has in flight is refused. The same incarnation may claim again: its actor was restarted, and the
//! old actor's stragglers are to be fenced like anybody else's.

use ocmt_types::{Epoch, Incarnation, NodeId, Ownership, TenantId, Timestamp};

use super::look::Looks;
use crate::{
    Filter, StoreError,
    backend::{Backend, Scope, Tx},
    tables::{Node, NodeState, Outbox, TenantOwner, Timer},
};

/// Tenants that are given up in one transaction.
const RELEASED_AT_ONCE: u32 = 200;

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Claim {
    /// The tenant is the claimer's, under a new epoch.
    Taken(Ownership),
    /// A living incarnation owns it.
    Owned {
        /// Which node.
        node_id: NodeId,
        /// Which life of it.
        incarnation: Incarnation,
        /// Under which epoch.
        epoch: Epoch,
    },
    /// There is no such tenant.
    NoTenant,
}

/// In whose name a claim is made, and whether that node makes it itself: its restarted actor fences the one
/// before, but nobody else fences a living owner.
#[derive(Clone, Copy)]
struct Claimer {
    node_id: NodeId,
    incarnation: Incarnation,
    itself: bool,
}

/// One look at a tenant's owner, and what it came to.
enum Attempt {
    Ended(Claim),
    /// The owner is dead, and may have left open in the database what the claim would wait for.
    Behind(Incarnation),
}

/// The area of the cluster. Cheap to clone.
#[derive(Clone)]
pub struct ClusterStore {
    pub(super) backend: Backend,
    pub(super) looks: Looks,
}

impl ClusterStore {
    pub(crate) fn new(backend: Backend, looks: Looks) -> Self {
        Self { backend, looks }
    }

    pub(super) async fn begin_read(&self) -> Result<Tx, StoreError> {
        self.backend.begin_read(Scope::Cluster).await
    }

    /// Who owns a tenant; none if it does not exist. For what a stranger names: [`ClusterStore::look`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn owner(&self, tenant: TenantId) -> Result<Option<TenantOwner>, StoreError> {
        self.backend.begin_read(Scope::Cluster).await?.first(TenantOwner::tenant_id.eq(tenant), false).await
    }

    /// Claims a tenant for an incarnation that is live.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the claimer itself is not live; [`StoreError::Conflict`] if a parallel claim
    /// won; [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`].
    pub async fn claim(
        &self,
        tenant: TenantId,
        node_id: NodeId,
        incarnation: Incarnation,
    ) -> Result<Claim, StoreError> {
        self.take(tenant, Claimer { node_id, incarnation, itself: true }).await
    }

    async fn take(&self, tenant: TenantId, claimer: Claimer) -> Result<Claim, StoreError> {
        let unended = |dead| self.backend.may_have_sessions(dead);
        let dead = match self.attempt(tenant, claimer, unended).await? {
            Attempt::Ended(claim) => return Ok(claim),
            Attempt::Behind(dead) => dead,
        };
        // whoever buried it may have died before it got to this; outside of any transaction, since who waits
        // for a second connection while holding one can wait for others that do the same
        self.backend.end_sessions_of(dead).await;
        match self.attempt(tenant, claimer, |_| false).await? {
            Attempt::Ended(claim) => Ok(claim),
            Attempt::Behind(_) => Err(StoreError::Conflict),
        }
    }

    async fn attempt(
        &self,
        tenant: TenantId,
        claimer: Claimer,
        unended: impl Fn(Incarnation) -> bool,
    ) -> Result<Attempt, StoreError> {
        let Claimer { node_id, incarnation, itself } = claimer;
        let mut tx = self.backend.begin(Scope::Cluster).await?;
        check_live(&mut tx, node_id, incarnation).await?;
        let Some(owner) = tx.first::<TenantOwner>(TenantOwner::tenant_id.eq(tenant), false).await? else {
            return Ok(Attempt::Ended(Claim::NoTenant));
        };
        if let (Some(owner_node), Some(owner_incarnation)) = (owner.node_id, owner.incarnation)
            && !(itself && owner_incarnation == incarnation)
        {
            if !is_dead(&mut tx, owner_incarnation).await? {
                return Ok(Attempt::Ended(Claim::Owned {
                    node_id: owner_node,
                    incarnation: owner_incarnation,
                    epoch: owner.epoch,
                }));
            }
            if unended(owner_incarnation) {
                return Ok(Attempt::Behind(owner_incarnation));
            }
        }
        let epoch = Epoch(owner.epoch.0 + 1);
        let claimed =
            TenantOwner { tenant_id: tenant, node_id: Some(node_id), incarnation: Some(incarnation), epoch };
        let unchanged =
            TenantOwner::epoch.eq(owner.epoch).and(TenantOwner::incarnation.eq(owner.incarnation));
        if !tx.update_if(&claimed, unchanged).await? {
            return Err(StoreError::Conflict);
        }
        tx.commit().await?;
        tracing::debug!(%tenant, epoch = epoch.0, "claimed tenant");
        Ok(Attempt::Ended(Claim::Taken(Ownership { tenant, incarnation, epoch })))
    }

    /// Claims a tenant for another node, which keeps the epoch that it may have it under already.
    ///
    /// # Errors
    /// As [`ClusterStore::claim`].
    pub async fn claim_for(&self, node: &Node, tenant: TenantId) -> Result<Claim, StoreError> {
        self.take(tenant, Claimer { node_id: node.node_id, incarnation: node.incarnation, itself: false })
            .await
    }

    /// Gives a tenant up, so that any node may claim it; `false` if the ownership is not the current one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`].
    pub async fn release(&self, ownership: Ownership) -> Result<bool, StoreError> {
        let mut tx = self.backend.begin(Scope::Cluster).await?;
        let free = TenantOwner {
            tenant_id: ownership.tenant,
            node_id: None,
            incarnation: None,
            epoch: ownership.epoch,
        };
        let current = TenantOwner::incarnation
            .eq(Some(ownership.incarnation))
            .and(TenantOwner::epoch.eq(ownership.epoch));
        let done = tx.update_if(&free, current).await?;
        tx.commit().await?;
        Ok(done)
    }

    /// Gives up everything that an incarnation owns, so that any node may claim it; how many tenants that were.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`]: repeat.
    pub async fn release_all(&self, incarnation: Incarnation) -> Result<u64, StoreError> {
        let mut released = 0;
        loop {
            let mut tx = self.backend.begin(Scope::Cluster).await?;
            let owned = TenantOwner::incarnation.eq(Some(incarnation)).limit(RELEASED_AT_ONCE);
            let owned = tx.find::<TenantOwner>(owned, false).await?;
            if owned.is_empty() {
                return Ok(released);
            }
            for owner in owned {
                let current =
                    TenantOwner::incarnation.eq(owner.incarnation).and(TenantOwner::epoch.eq(owner.epoch));
                let free = TenantOwner { node_id: None, incarnation: None, ..owner };
                released += u64::from(tx.update_if(&free, current).await?);
            }
            tx.commit().await?;
        }
    }

    /// Timers of all tenants that are due at `now`, the longest due first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn due_timers(&self, now: Timestamp, limit: u32) -> Result<Vec<Timer>, StoreError> {
        self.backend
            .begin_read(Scope::Cluster)
            .await?
            .find(Timer::due_at.le(now).asc(Timer::due_at).limit(limit), false)
            .await
    }

    /// Tenants with timers that are due at `now`, in the order of their ids and behind `after`, at most
    /// `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn tenants_with_timers(
        &self,
        now: Timestamp,
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<TenantId>, StoreError> {
        let mut due = Timer::due_at.le(now);
        if let Some(after) = after {
            due = due.and(Timer::tenant_id.gt(after));
        }
        self.backend.begin_read(Scope::Cluster).await?.tenants_of(due, limit).await
    }

    /// When the next timer of any tenant is due; none if there is none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let first = self
            .backend
            .begin_read(Scope::Cluster)
            .await?
            .first::<Timer>(Filter::all().asc(Timer::due_at), false)
            .await?;
        Ok(first.map(|timer| timer.due_at))
    }

    /// Tenants with messages to deliver at `now`, in the order of their ids and behind `after`, at most
    /// `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn tenants_with_mail(
        &self,
        now: Timestamp,
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<TenantId>, StoreError> {
        let mut due = Outbox::next_attempt_at.le(now);
        if let Some(after) = after {
            due = due.and(Outbox::tenant_id.gt(after));
        }
        self.backend.begin_read(Scope::Cluster).await?.tenants_of(due, limit).await
    }
}

/// Refuses unless this life of this node is live. The row is not held: with hundreds of claims under way the
/// node's own heartbeat, which writes that row, would wait behind them for its lease. It costs nothing: a claim
/// that commits after its node was buried leaves a tenant whose owner is dead, which anybody may follow.
pub(super) async fn check_live(
    tx: &mut Tx,
    node_id: NodeId,
    incarnation: Incarnation,
) -> Result<(), StoreError> {
    let live =
        Node::incarnation.eq(incarnation).and(Node::node_id.eq(node_id)).and(Node::state.eq(NodeState::Live));
    tx.first::<Node>(live, false).await?.map(drop).ok_or(StoreError::Fenced)
}

/// Whether an incarnation is dead. One that is not known is not.
async fn is_dead(tx: &mut Tx, incarnation: Incarnation) -> Result<bool, StoreError> {
    let dead = Node::incarnation.eq(incarnation).and(Node::state.eq(NodeState::Dead));
    Ok(tx.first::<Node>(dead, false).await?.is_some())
}
