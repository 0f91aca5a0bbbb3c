//! Nodes that do not come back: revoked, or dead and forgotten. And who owns what, for operators to see.

use std::collections::BTreeMap;

use ocmt_types::{Incarnation, NodeId, TenantId};

use super::{
    joins::has_joined,
    nodes::{ALIVE, bury, raise_view},
    operator::{Confirmation, OperatorStore, consume, retried},
    revoked::revoked_nodes,
    sealing::make_generation,
    trail::{ClusterAct, Trail},
};
use crate::{
    Filter, StoreError,
    backend::{Scope, Tx},
    tables::{Node, NodeState, RevokedNode, TenantOwner},
};

/// What became of the removal of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Removal {
    /// Its certificates are honoured no more. The generation of the sealing key to make, and to hand to the
    /// nodes that stay.
    Done {
        /// Of the sealing key.
        generation: i64,
    },
    /// It was removed before, or there never was such a node.
    Unknown,
    /// A life of it is not dead, and only a dead node was to be removed.
    Alive,
    /// The confirmation is not good for this.
    Unconfirmed,
}

impl OperatorStore {
    /// Honours a node's certificates no more, ends every life of it and raises the view's version. With
    /// `only_dead` a node that lives stays. A node that was let in and never started is removed like any
    /// other. A new generation of the sealing key is due, to be made by `made_by`.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`].
    pub async fn remove_node(
        &self,
        node: NodeId,
        only_dead: bool,
        confirmation: &Confirmation,
        made_by: NodeId,
        act: &ClusterAct,
    ) -> Result<Removal, StoreError> {
        let (removal, dead) = self.removed(node, only_dead, confirmation, made_by, act).await?;
        // what those lives have in flight is not waited for
        for incarnation in dead {
            self.backend.end_sessions_of(incarnation).await;
        }
        Ok(removal)
    }

    /// The same, and the lives that it ended.
    async fn removed(
        &self,
        node: NodeId,
        only_dead: bool,
        confirmation: &Confirmation,
        made_by: NodeId,
        act: &ClusterAct,
    ) -> Result<(Removal, Vec<Incarnation>), StoreError> {
        let nothing = |removal| Ok((removal, Vec::new()));
        retried!(async {
            let mut tx = self.backend.begin(Scope::Cluster).await?;
            let trail = Trail::open(&mut tx).await?;
            if !consume(&mut tx, confirmation, act.at).await? {
                return nothing(Removal::Unconfirmed);
            }
            let started = tx.first::<Node>(Node::node_id.eq(node), false).await?.is_some();
            if !started && !has_joined(&mut tx, node).await? {
                return nothing(Removal::Unknown);
            }
            let lives = lives(&mut tx, node).await?;
            if only_dead && !lives.is_empty() {
                return nothing(Removal::Alive);
            }
            if !tx.insert(&RevokedNode { node_id: node, revoked_at: act.at }).await? {
                return nothing(Removal::Unknown);
            }
            let dead = lives.iter().map(|life| life.incarnation).collect();
            for life in lives {
                bury(&mut tx, life, None).await?;
            }
            raise_view(&mut tx).await?;
            let generation = make_generation(&mut tx, made_by, 1, act.at).await?;
            trail.append(&mut tx, act).await?;
            tx.commit().await?;
            tracing::warn!(%node, "removed node");
            Ok((Removal::Done { generation }, dead))
        })
    }

    /// The last life of each node that has none now, but for removed ones.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn dead_nodes(&self) -> Result<Vec<Node>, StoreError> {
        let mut tx = self.backend.begin_read(Scope::Cluster).await?;
        let newest_first = Node::state.eq(NodeState::Dead).desc(Node::registered_at);
        let mut last = BTreeMap::new();
        for node in tx.find::<Node>(newest_first, false).await? {
            last.entry(node.node_id).or_insert(node);
        }
        for state in ALIVE {
            for node in tx.find::<Node>(Node::state.eq(state), false).await? {
                last.remove(&node.node_id);
            }
        }
        for removed in revoked_nodes(&mut tx).await? {
            last.remove(&removed);
        }
        Ok(last.into_values().collect())
    }

    /// How many tenants this life of a node owns.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn count_owned(&self, node: &Node) -> Result<i64, StoreError> {
        let owned = TenantOwner::incarnation.eq(Some(node.incarnation));
        self.backend.begin_read(Scope::Cluster).await?.count(owned).await
    }

    /// Tenants behind `after` in the order of their ids, at most `limit`; those of one node, if named.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn placements(
        &self,
        of: Option<NodeId>,
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<TenantOwner>, StoreError> {
        let mut rows = Filter::all();
        if let Some(node) = of {
            rows = rows.and(TenantOwner::node_id.eq(Some(node)));
        }
        if let Some(after) = after {
            rows = rows.and(TenantOwner::tenant_id.gt(after));
        }
        self.backend.begin_read(Scope::Cluster).await?.find(rows.limit(limit), false).await
    }
}

pub(super) async fn lives(tx: &mut Tx, node: NodeId) -> Result<Vec<Node>, StoreError> {
    let mut lives = Vec::new();
    for state in ALIVE {
        lives.extend(tx.find::<Node>(Node::node_id.eq(node).and(Node::state.eq(state)), false).await?);
    }
    Ok(lives)
}
