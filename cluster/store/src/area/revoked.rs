//! Who is honoured no more: nodes and operators.
//!
//! The rows are in the database, and a database can be put back to a state that does not have them. So each node
//! keeps in its own data folder whom it has seen revoked, and what a database has forgotten of that is written
//! into it again: when a restore is accepted, and when a node that remembers comes in.

use std::collections::BTreeSet;

use ocmt_crypto::audit::{Actor, Outcome};
use ocmt_types::{Digest32, Incarnation, NodeId, OperatorId, RequestId, Timestamp};

use super::{
    cluster::ClusterStore,
    nodes::{bury, raise_view},
    operator::retried,
    removal::lives,
    sealing::make_generation,
    trail::{ClusterAct, Trail},
};
use crate::{
    Filter, MAX_LIMIT, StoreError,
    backend::{Scope, Tx},
    tables::{Operator, RevokedNode},
};

/// What the audit calls a revocation that the database had forgotten.
const ACTION: &str = "cluster.revoke_again";
/// What an operator is called of whom nothing is known but that it was revoked.
const FORGOTTEN: &str = "revoked, and not in the backup";

/// Nodes and operators whose certificates are not honoured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocations {
    /// Nodes.
    pub nodes: BTreeSet<NodeId>,
    /// Operators.
    pub operators: BTreeSet<OperatorId>,
}

impl Revocations {
    /// Whether there is nobody in it.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.operators.is_empty()
    }

    /// How many there are in it.
    pub fn len(&self) -> usize {
        self.nodes.len() + self.operators.len()
    }

    /// Those that are not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self {
            nodes: self.nodes.difference(&other.nodes).copied().collect(),
            operators: self.operators.difference(&other.operators).copied().collect(),
        }
    }

    /// With those of `other`.
    pub fn extend(&mut self, other: &Self) {
        self.nodes.extend(&other.nodes);
        self.operators.extend(&other.operators);
    }
}

impl ClusterStore {
    /// Everybody whose certificates are not honoured.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn revocations(&self) -> Result<Revocations, StoreError> {
        revocations(&mut self.backend.begin_read(Scope::Cluster).await?).await
    }

    /// Writes revocations that the database has forgotten into it again, on the word of node `by`, which has seen
    /// them. Lives of those nodes end, and a generation of the sealing key is due that they do not know, made by
    /// `by`. Returns how many were not there.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`].
    pub async fn revoke_again(
        &self,
        by: NodeId,
        forgotten: &Revocations,
        request: RequestId,
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        let (written, dead) = retried!(async {
            let mut tx = self.backend.begin(Scope::Cluster).await?;
            let act = Again { at, request, actor: Actor::Node(by) };
            let written = write(&mut tx, forgotten, &act).await?;
            if written.is_empty() {
                // another node that remembers was first
                return Ok((0, Vec::new()));
            }
            let mut dead = Vec::new();
            if !written.nodes.is_empty() {
                for node in &written.nodes {
                    for life in lives(&mut tx, *node).await? {
                        let incarnation: Incarnation = life.incarnation;
                        if bury(&mut tx, life, None).await? {
                            dead.push(incarnation);
                        }
                    }
                }
                raise_view(&mut tx).await?;
                make_generation(&mut tx, by, 1, at).await?;
            }
            tx.commit().await?;
            Ok::<_, StoreError>((written.len() as u64, dead))
        })?;
        for incarnation in dead {
            self.backend.end_sessions_of(incarnation).await;
        }
        if written > 0 {
            tracing::warn!(written, "the database had forgotten revocations that this node has seen");
        }
        Ok(written)
    }
}

/// By whom and when it is written down again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Again {
    pub(super) at: Timestamp,
    pub(super) request: RequestId,
    pub(super) actor: Actor,
}

/// Writes those that are not there, each with a record in the cluster's audit; returns them.
pub(super) async fn write(
    tx: &mut Tx,
    revoked: &Revocations,
    again: &Again,
) -> Result<Revocations, StoreError> {
    // the lock of the operators' acts before any row, as they take it
    Trail::open(tx).await?;
    let mut written = Revocations::default();
    for &node_id in &revoked.nodes {
        if tx.insert(&RevokedNode { node_id, revoked_at: again.at }).await? {
            written.nodes.insert(node_id);
        }
    }
    for &operator_id in &revoked.operators {
        if end_operator(tx, operator_id, again.at).await? {
            written.operators.insert(operator_id);
        }
    }
    let nodes = written.nodes.iter().map(|node| format!("node/{node}"));
    let operators = written.operators.iter().map(|operator| format!("operator/{operator}"));
    for object in nodes.chain(operators) {
        let trail = Trail::open(tx).await?;
        let act = ClusterAct {
            at: again.at,
            request: again.request,
            actor: again.actor,
            action: ACTION,
            object,
            outcome: Outcome::Allowed,
            details: Vec::new(),
            remember: None,
        };
        trail.append(tx, &act).await?;
    }
    Ok(written)
}

/// `false` if it was revoked.
async fn end_operator(tx: &mut Tx, operator_id: OperatorId, at: Timestamp) -> Result<bool, StoreError> {
    let known = tx.first::<Operator>(Operator::operator_id.eq(operator_id), false).await?;
    let Some(known) = known else {
        // a row of somebody the backup never knew: so that nothing lists that id as a new operator
        let fingerprint = Digest32([0; 32]);
        let ended = Operator {
            operator_id,
            name: FORGOTTEN.to_owned(),
            fingerprint,
            created_at: at,
            expires_at: at,
            revoked_at: Some(at),
        };
        return tx.insert(&ended).await;
    };
    if known.revoked_at.is_some() {
        return Ok(false);
    }
    let good = Operator::revoked_at.eq(None);
    if tx.update_if(&Operator { revoked_at: Some(at), ..known }, good).await? {
        Ok(true)
    } else {
        Err(StoreError::Conflict)
    }
}

pub(super) async fn revocations(tx: &mut Tx) -> Result<Revocations, StoreError> {
    Ok(Revocations { nodes: revoked_nodes(tx).await?, operators: revoked_operators(tx).await? })
}

/// Every node whose certificates are not honoured.
pub(super) async fn revoked_nodes(tx: &mut Tx) -> Result<BTreeSet<NodeId>, StoreError> {
    let mut all = BTreeSet::new();
    loop {
        let behind = all.last().map_or_else(Filter::all, |last| RevokedNode::node_id.gt(*last));
        let page = tx.find::<RevokedNode>(behind.limit(MAX_LIMIT), false).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page.into_iter().map(|row| row.node_id));
    }
}

/// Every operator whose certificate is not honoured.
async fn revoked_operators(tx: &mut Tx) -> Result<BTreeSet<OperatorId>, StoreError> {
    let mut all = BTreeSet::new();
    loop {
        let revoked = Operator::revoked_at.gt(Some(Timestamp(i64::MIN)));
        let behind = match all.last() {
            Some(last) => revoked.and(Operator::operator_id.gt(*last)),
            None => revoked,
        };
        let page = tx.find::<Operator>(behind.limit(MAX_LIMIT), false).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page.into_iter().map(|row| row.operator_id));
    }
}
