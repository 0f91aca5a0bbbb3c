//! Which nodes there are: registration, the lease counter, what an observer sees, and death.
//!
//! Death is an event, final for an incarnation, and the lease row is where it is decided: a renewal and a
//! death both compare-and-set that row, so one of them comes first. A death that comes second finds another
//! counter and does nothing; a renewal that comes second finds the lease ended and says so.

use ocmt_types::{ClusterId, Incarnation, Timestamp};

use super::{
    cluster::ClusterStore,
    revoked::{Revocations, revocations},
};
use crate::{
    Filter, StoreError,
    backend::{Scope, Tx},
    kernel::row::Row as _,
    tables::{Cluster, Node, NodeLease, NodeState},
};

const RESTORED: &str =
    "the database was put back to an older state: stop all nodes, then run `ocmt store accept-restore`";

/// The states of a node that is not dead.
pub(super) const ALIVE: [NodeState; 3] = [NodeState::Joining, NodeState::Live, NodeState::Draining];

/// What an observer sees of the cluster in one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Which life of the database answered: another after a restart or a failover. For equality only.
    pub life: String,
    /// The cluster; none if the database is new.
    pub cluster: Option<Cluster>,
    /// The incarnations that are not dead, each with its lease counter, by incarnation.
    pub nodes: Vec<(Node, i64)>,
    /// Nodes and operators whose certificates are not honoured.
    pub revoked: Revocations,
}

impl ClusterStore {
    /// The cluster's row; made with `fresh` as its id if the database is new.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Full`].
    pub async fn cluster(&self, fresh: ClusterId, now: Timestamp) -> Result<Cluster, StoreError> {
        let mut tx = self.backend.begin(Scope::Cluster).await?;
        if let Some(cluster) = tx.first::<Cluster>(Filter::all(), false).await? {
            return Ok(cluster);
        }
        // nodes that start together on a new database: the first makes the row, the others find it
        tx.serialise("cluster").await?;
        if let Some(cluster) = tx.first::<Cluster>(Filter::all(), false).await? {
            return Ok(cluster);
        }
        let cluster = Cluster { cluster_id: fresh, view_version: 1, created_at: now, restored_at: None };
        tx.insert(&cluster).await?;
        tx.commit().await?;
        Ok(cluster)
    }

    /// Registers an incarnation, marks every earlier one of the same node dead, and raises the view's
    /// version. Only for whoever holds that node's data folder lock: the lock is what proves that the earlier
    /// ones are gone.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if the database was restored and nobody has accepted that;
    /// [`StoreError::AlreadyExists`] if the incarnation is known; [`StoreError::Conflict`] if the view
    /// changed meanwhile; [`StoreError::Unavailable`].
    pub async fn register(&self, node: &Node) -> Result<(), StoreError> {
        let mut tx = self.backend.begin(Scope::Cluster).await?;
        if tx
            .first::<Cluster>(Filter::all(), false)
            .await?
            .is_some_and(|cluster| cluster.restored_at.is_some())
        {
            return Err(StoreError::Schema(RESTORED.to_owned()));
        }
        let mut dead = Vec::new();
        for state in ALIVE {
            let earlier = Node::node_id.eq(node.node_id).and(Node::state.eq(state));
            for earlier in tx.find::<Node>(earlier, false).await? {
                let incarnation = earlier.incarnation;
                if incarnation != node.incarnation && bury(&mut tx, earlier, None).await? {
                    dead.push(incarnation);
                }
            }
        }
        let lease = NodeLease { incarnation: node.incarnation, renewals: 0, ended: false };
        if !tx.insert(node).await? || !tx.insert(&lease).await? {
            return Err(StoreError::AlreadyExists { table: Node::table().name });
        }
        raise_view(&mut tx).await?;
        tx.commit().await?;
        for incarnation in dead {
            self.backend.end_sessions_of(incarnation).await;
        }
        Ok(())
    }

    /// Moves a node to another state if it is in `from`; `false` if it is not. Death is [`ClusterStore::mark_dead`].
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for `to` dead, [`StoreError::Unavailable`].
    pub async fn set_state(
        &self,
        incarnation: Incarnation,
        from: NodeState,
        to: NodeState,
    ) -> Result<bool, StoreError> {
        if to == NodeState::Dead || from == NodeState::Dead {
            return Err(StoreError::Invalid {
                table: Node::table().name,
                what: "death is a call of its own, and final",
            });
        }
        let mut tx = self.backend.begin(Scope::Cluster).await?;
        let Some(node) = tx.first::<Node>(Node::incarnation.eq(incarnation), false).await? else {
            return Ok(false);
        };
        let done = tx.update_if(&Node { state: to, ..node }, Node::state.eq(from)).await?;
        tx.commit().await?;
        Ok(done)
    }

    /// Renews the lease of an incarnation and returns its counter; none if the incarnation is dead or not
    /// known, which is final: it must stop at once.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`].
    pub async fn renew(&self, incarnation: Incarnation) -> Result<Option<i64>, StoreError> {
        let mut tx = self.backend.begin(Scope::Cluster).await?;
        let Some(lease) = lease_of(&mut tx, incarnation).await? else {
            return Ok(None);
        };
        let (seen, renewals) = (lease.renewals, lease.renewals + 1);
        if !tx.update_if(&NodeLease { renewals, ..lease }, still(seen)).await? {
            // only a death comes between
            return Err(StoreError::Conflict);
        }
        tx.commit().await?;
        Ok(Some(renewals))
    }

    /// The cluster, its living nodes with their counters, and who is revoked, in one snapshot.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn observe(&self) -> Result<Observed, StoreError> {
        let mut tx = self.backend.begin_read(Scope::Cluster).await?;
        let life = tx.life().await?;
        let cluster = tx.first::<Cluster>(Filter::all(), false).await?;
        let leases = tx.find::<NodeLease>(NodeLease::ended.eq(false), false).await?;
        let mut nodes = Vec::with_capacity(leases.len());
        for state in ALIVE {
            for node in tx.find::<Node>(Node::state.eq(state), false).await? {
                let lease = leases.iter().find(|lease| lease.incarnation == node.incarnation);
                let renewals = lease.map_or(0, |lease| lease.renewals);
                nodes.push((node, renewals));
            }
        }
        nodes.sort_by_key(|(node, _)| node.incarnation);
        let revoked = revocations(&mut tx).await?;
        Ok(Observed { life, cluster, nodes, revoked })
    }

    /// The lease counter of an incarnation, dead or alive; none if it is not known.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn renewals(&self, incarnation: Incarnation) -> Result<Option<i64>, StoreError> {
        let mut tx = self.backend.begin_read(Scope::Cluster).await?;
        let lease = tx.first::<NodeLease>(NodeLease::incarnation.eq(incarnation), false).await?;
        Ok(lease.map(|lease| lease.renewals))
    }

    /// Declares an incarnation dead whose counter still stands at `seen`, on behalf of `by`, and raises the
    /// view's version. `false` if it renewed, is dead or not known, or if `by` is itself dead: a dead node's
    /// late word counts for nothing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`].
    pub async fn declare_dead(
        &self,
        by: Incarnation,
        incarnation: Incarnation,
        seen: i64,
    ) -> Result<bool, StoreError> {
        let mut tx = self.backend.begin(Scope::Cluster).await?;
        if lease_of(&mut tx, by).await?.is_none() {
            return Ok(false);
        }
        self.end(tx, incarnation, Some(seen)).await
    }

    /// Marks an incarnation dead that is known to be gone (its own word, or its operator's), and raises the
    /// view's version; `false` if it is not known or was dead.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`].
    pub async fn mark_dead(&self, incarnation: Incarnation) -> Result<bool, StoreError> {
        let tx = self.backend.begin(Scope::Cluster).await?;
        self.end(tx, incarnation, None).await
    }

    async fn end(&self, mut tx: Tx, incarnation: Incarnation, seen: Option<i64>) -> Result<bool, StoreError> {
        let Some(node) = tx.first::<Node>(Node::incarnation.eq(incarnation), false).await? else {
            return Ok(false);
        };
        if !bury(&mut tx, node, seen).await? {
            return Ok(false);
        }
        raise_view(&mut tx).await?;
        tx.commit().await?;
        tracing::info!(%incarnation, "declared incarnation dead");
        self.backend.end_sessions_of(incarnation).await;
        Ok(true)
    }

    /// Every incarnation that is not dead.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn living_nodes(&self) -> Result<Vec<Node>, StoreError> {
        let mut tx = self.backend.begin_read(Scope::Cluster).await?;
        let mut living = Vec::new();
        for state in ALIVE {
            living.extend(tx.find::<Node>(Node::state.eq(state), false).await?);
        }
        Ok(living)
    }
}

/// The lease of an incarnation that is not dead.
async fn lease_of(tx: &mut Tx, incarnation: Incarnation) -> Result<Option<NodeLease>, StoreError> {
    let held = NodeLease::incarnation.eq(incarnation).and(NodeLease::ended.eq(false));
    tx.first::<NodeLease>(held, false).await
}

/// The lease is held, and nobody touched it since its counter was `seen`.
fn still(seen: i64) -> Filter<NodeLease> {
    NodeLease::renewals.eq(seen).and(NodeLease::ended.eq(false))
}

/// Marks a node dead, if its counter is `seen` where one is given; `false` if it was dead or renewed.
pub(super) async fn bury(tx: &mut Tx, node: Node, seen: Option<i64>) -> Result<bool, StoreError> {
    let (state, incarnation) = (node.state, node.incarnation);
    let Some(lease) = lease_of(tx, incarnation).await? else {
        return Ok(false);
    };
    let renewals = lease.renewals;
    if state == NodeState::Dead || seen.is_some_and(|seen| seen != renewals) {
        return Ok(false);
    }
    // the lease first: from here on no renewal comes between
    let ended = tx.update_if(&NodeLease { ended: true, ..lease }, still(renewals)).await?;
    if !ended || !tx.update_if(&Node { state: NodeState::Dead, ..node }, Node::state.eq(state)).await? {
        return Err(StoreError::Conflict);
    }
    Ok(true)
}

pub(super) async fn raise_view(tx: &mut Tx) -> Result<(), StoreError> {
    let Some(cluster) = tx.first::<Cluster>(Filter::all(), true).await? else {
        return Ok(());
    };
    let seen = cluster.view_version;
    let raised = Cluster { view_version: seen + 1, ..cluster };
    if tx.update_if(&raised, Cluster::view_version.eq(seen)).await? {
        Ok(())
    } else {
        Err(StoreError::Conflict)
    }
}
