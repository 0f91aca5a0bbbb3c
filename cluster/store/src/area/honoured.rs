//! Whom a database honours, and which nodes are connected to it: what an operator has to see before a restore is
//! accepted.

use std::collections::BTreeSet;

use ocmt_types::{NodeId, Timestamp};

use super::{
    joins::joined,
    revoked::{Revocations, revocations},
};
use crate::{
    Filter, MAX_LIMIT, Store, StoreError,
    backend::{Scope, Tx},
    tables::{Node, Operator},
};

/// Whom a database honours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Honoured {
    /// Nodes that were let in or have ever run.
    pub nodes: BTreeSet<NodeId>,
    /// Operators whose certificates have not ended.
    pub operators: Vec<Operator>,
}

impl Store {
    /// Whom the database honours at `now`, but for `revoked`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn honoured(&self, revoked: &Revocations, now: Timestamp) -> Result<Honoured, StoreError> {
        let mut tx = self.backend().begin_read(Scope::Cluster).await?;
        let mut gone = revocations(&mut tx).await?;
        gone.extend(revoked);
        let mut nodes = known_nodes(&mut tx).await?;
        nodes.retain(|node| !gone.nodes.contains(node));
        let mut operators = all_operators(&mut tx).await?;
        operators.retain(|known| known.expires_at > now && !gone.operators.contains(&known.operator_id));
        Ok(Honoured { nodes, operators })
    }

    /// Refuses if a node is connected to the database.
    ///
    /// # Errors
    /// [`StoreError::NodesRun`], [`StoreError::Unavailable`].
    pub async fn check_no_node_runs(&self) -> Result<(), StoreError> {
        no_node_runs(&mut self.backend().begin_read(Scope::Cluster).await?).await
    }
}

/// Refuses if a node is connected to the database, and names it.
pub(super) async fn no_node_runs(tx: &mut Tx) -> Result<(), StoreError> {
    let connected = tx.connected_nodes().await?;
    if connected.is_empty() {
        return Ok(());
    }
    let known: Vec<String> = known_nodes(tx).await?.iter().map(ToString::to_string).collect();
    let whole =
        |beginning: String| known.iter().find(|id| id.starts_with(&beginning)).cloned().unwrap_or(beginning);
    let run = if connected.len() == 1 { "node" } else { "nodes" };
    let names: Vec<String> = connected.into_iter().map(whole).collect();
    Err(StoreError::NodesRun(format!("{run} {}", names.join(", "))))
}

/// Every node that was let in or has ever run.
pub(super) async fn known_nodes(tx: &mut Tx) -> Result<BTreeSet<NodeId>, StoreError> {
    let mut known: BTreeSet<NodeId> = joined(tx).await?.into_iter().map(|node| node.node_id).collect();
    let mut last = None;
    loop {
        let behind = last.map_or_else(Filter::all, |last| Node::incarnation.gt(last));
        let page = tx.find::<Node>(behind.limit(MAX_LIMIT), false).await?;
        let Some(end) = page.last() else { return Ok(known) };
        last = Some(end.incarnation);
        known.extend(page.into_iter().map(|node| node.node_id));
    }
}

async fn all_operators(tx: &mut Tx) -> Result<Vec<Operator>, StoreError> {
    let mut all: Vec<Operator> = Vec::new();
    loop {
        let behind = all.last().map_or_else(Filter::all, |last| Operator::operator_id.gt(last.operator_id));
        let page = tx.find::<Operator>(behind.limit(MAX_LIMIT), false).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}
