//! Coming in: invitations, and who was let in by one.
//!
//! Whoever has joined holds a certificate, started or not; so it is written down in the transaction that
//! consumes the invitation, and an operator sees and removes it like any other.

use ocmt_types::{Digest32, NodeId, Timestamp};

use super::{
    cluster::ClusterStore,
    operator::{OperatorStore, retried},
    revoked::revoked_nodes,
    trail::{ClusterAct, Trail},
};
use crate::{
    Filter, MAX_LIMIT, StoreError,
    backend::{Scope, Tx},
    tables::{JoinToken, JoinedNode, Node},
};

impl OperatorStore {
    /// Keeps an invitation, and drops those that have expired.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`], [`StoreError::Conflict`], [`StoreError::Unavailable`].
    pub async fn put_join_token(&self, token: &JoinToken, act: &ClusterAct) -> Result<(), StoreError> {
        retried!(async {
            let mut tx = self.backend.begin(Scope::Cluster).await?;
            let trail = Trail::open(&mut tx).await?;
            tx.delete::<JoinToken>(JoinToken::expires_at.le(act.at)).await?;
            if !tx.insert(token).await? {
                return Err(StoreError::AlreadyExists { table: "join_tokens" });
            }
            trail.append(&mut tx, act).await?;
            tx.commit().await
        })
    }

    /// The invitation, if it is good, without consuming it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn join_token(
        &self,
        token_hash: Digest32,
        now: Timestamp,
    ) -> Result<Option<JoinToken>, StoreError> {
        self.backend.begin_read(Scope::Cluster).await?.first(invitation(token_hash, now), false).await
    }

    /// Consumes an invitation and lets the node in: of many callers exactly one gets it.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if the node is known; [`StoreError::Conflict`],
    /// [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`].
    pub async fn take_join_token(
        &self,
        token_hash: Digest32,
        node: &JoinedNode,
        act: &ClusterAct,
    ) -> Result<Option<JoinToken>, StoreError> {
        retried!(async {
            let mut tx = self.backend.begin(Scope::Cluster).await?;
            let trail = Trail::open(&mut tx).await?;
            let Some(taken) = tx.take(invitation(token_hash, act.at)).await?.pop() else {
                return Ok(None);
            };
            if !tx.insert(node).await? {
                return Err(StoreError::AlreadyExists { table: "joined_nodes" });
            }
            trail.append(&mut tx, act).await?;
            tx.commit().await?;
            Ok(Some(taken))
        })
    }

    /// What was written down of a node when it came in; none of the first one, which never joined.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn joined_node(&self, node: NodeId) -> Result<Option<JoinedNode>, StoreError> {
        self.backend.begin_read(Scope::Cluster).await?.first(JoinedNode::node_id.eq(node), false).await
    }

    /// Every node that was let in and not removed since, started or not.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn joined_nodes(&self) -> Result<Vec<JoinedNode>, StoreError> {
        let mut tx = self.backend.begin_read(Scope::Cluster).await?;
        let removed = revoked_nodes(&mut tx).await?;
        let mut all = joined(&mut tx).await?;
        all.retain(|node| !removed.contains(&node.node_id));
        Ok(all)
    }
}

impl ClusterStore {
    /// Whether a node belongs to this cluster: it was let in, it has served here before, or it is the first of a
    /// new cluster. One that shares nothing with the others but the database would own tenants whom nobody could
    /// reach: its authority is another.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn belongs(&self, node: NodeId) -> Result<bool, StoreError> {
        let mut tx = self.backend.begin_read(Scope::Cluster).await?;
        if has_joined(&mut tx, node).await? {
            return Ok(true);
        }
        if tx.first::<Node>(Node::node_id.eq(node), false).await?.is_some() {
            return Ok(true);
        }
        let others = tx.first::<Node>(Filter::all(), false).await?.is_some();
        Ok(!others && tx.first::<JoinedNode>(Filter::all(), false).await?.is_none())
    }
}

pub(super) async fn has_joined(tx: &mut Tx, node: NodeId) -> Result<bool, StoreError> {
    Ok(tx.first::<JoinedNode>(JoinedNode::node_id.eq(node), false).await?.is_some())
}

/// Everybody who was ever let in.
pub(super) async fn joined(tx: &mut Tx) -> Result<Vec<JoinedNode>, StoreError> {
    let mut all: Vec<JoinedNode> = Vec::new();
    loop {
        let behind = all.last().map_or_else(Filter::all, |last| JoinedNode::node_id.gt(last.node_id));
        let page = tx.find::<JoinedNode>(behind.limit(MAX_LIMIT), false).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

fn invitation(token_hash: Digest32, now: Timestamp) -> Filter<JoinToken> {
    JoinToken::token_hash.eq(token_hash).and(JoinToken::expires_at.gt(now))
}
