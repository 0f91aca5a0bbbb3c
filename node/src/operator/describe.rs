//! Nodes and placements as operators see them.

use std::collections::BTreeMap;

use ocmt_cluster::preferred;
use ocmt_crypto::sealing::SealingKey;
use ocmt_proto::v1 as pb;
use ocmt_store::{
    Rewrap, StoreError,
    tables::{JoinedNode, Node, NodeState, TenantOwner},
};
use ocmt_types::NodeId;

use super::{OperatorRpc, Parts};

/// Bytes of a MiB.
const MIB: u64 = 1 << 20;

/// Every node that was let in and not removed, by its id: the life it has now, else the last it had.
pub(super) async fn nodes(parts: &Parts) -> Result<(BTreeMap<NodeId, pb::Node>, i64), StoreError> {
    let seen = parts.store.cluster().observe().await?;
    let reserved = parts.store.cluster().reserved_memory().await?;
    let version = seen.cluster.map_or(0, |cluster| cluster.view_version);
    let dead = parts.store.operators().dead_nodes().await?.into_iter().map(|node| (node, 0));
    let mut nodes = BTreeMap::new();
    for (node, renewals) in dead.chain(seen.nodes) {
        let memory = reserved.get(&node.node_id).copied().unwrap_or(0);
        nodes.insert(node.node_id, describe(parts, &node, renewals, memory).await?);
    }
    for joined in parts.store.operators().joined_nodes().await? {
        nodes.entry(joined.node_id).or_insert_with(|| never_started(joined));
    }
    Ok((nodes, version))
}

/// How far the latest generation of the sealing key is, as this node sees it.
pub(super) async fn sealing(parts: &Parts) -> Result<pb::SealingState, StoreError> {
    let held = parts.pki.sealing().now();
    let latest = parts.store.operators().latest_generation().await?;
    let generation = latest.as_ref().and_then(|latest| u32::try_from(latest.generation).ok());
    let generation = generation.max(held.latest()).unwrap_or(1);
    let alone_since = latest.as_ref().and_then(|latest| latest.alone_since);
    let mut state = pb::SealingState {
        generation,
        alone_since: alone_since.map(crate::rpc::convert::time),
        ..pb::SealingState::default()
    };
    if latest.is_none() || alone_since.is_some() {
        return Ok(state);
    }
    let lowest = held.generations().next().map_or(1, SealingKey::generation);
    let what = Rewrap { lowest, latest: generation };
    let seen = parts.store.operators().rewrapping(what).await?;
    state.left_to_rewrap = u64::try_from(seen.left).unwrap_or(0);
    state.waiting_for_node_ids = seen.behind.iter().take(1000).map(ToString::to_string).collect();
    Ok(state)
}

impl OperatorRpc {
    /// One node; none if there is no such node, or it was removed.
    pub(super) async fn node(&self, id: NodeId) -> Result<Option<pb::Node>, StoreError> {
        Ok(nodes(&self.parts).await?.0.remove(&id))
    }

    /// The life that a node has now.
    pub(super) async fn living(&self, id: NodeId) -> Result<Option<Node>, StoreError> {
        let living = self.parts.store.cluster().living_nodes().await?;
        Ok(living.into_iter().find(|node| node.node_id == id))
    }
}

async fn describe(
    parts: &Parts,
    node: &Node,
    renewals: i64,
    reserved_mib: i64,
) -> Result<pb::Node, StoreError> {
    let count = |n: i64| u32::try_from(n).unwrap_or(0);
    let bytes = |mib: i64| u64::try_from(mib).unwrap_or(0) * MIB;
    // what a dead life owned is not owned by anybody: the next call claims it
    let owned =
        if node.state == NodeState::Dead { 0 } else { parts.store.operators().count_owned(node).await? };
    let own = parts.pki.identity();
    let expires = (node.node_id == own.id()).then(|| own.lifetime()).flatten();
    Ok(pb::Node {
        node_id: node.node_id.to_string(),
        incarnation: node.incarnation.0.to_vec().into(),
        state: state(node.state).into(),
        address: node.addr.clone(),
        version: node.version.clone(),
        owned_tenants: count(owned),
        containers: count(parts.store.cluster().count_hosted(node.node_id).await?),
        memory_capacity_bytes: bytes(node.memory_mib),
        memory_reserved_bytes: bytes(reserved_mib),
        lease_renewals: u64::try_from(renewals).unwrap_or(0),
        certificate_expires_at: expires.map(|life| crate::rpc::convert::time(life.until)),
    })
}

/// A node that was let in and has not come yet: it holds a certificate, so it is to be seen and removed.
fn never_started(node: JoinedNode) -> pb::Node {
    pb::Node {
        node_id: node.node_id.to_string(),
        state: pb::NodeState::Joining.into(),
        address: node.addr,
        ..pb::Node::default()
    }
}

fn state(state: NodeState) -> pb::NodeState {
    match state {
        NodeState::Joining => pb::NodeState::Joining,
        NodeState::Live => pb::NodeState::Live,
        NodeState::Draining => pb::NodeState::Draining,
        NodeState::Dead => pb::NodeState::Dead,
    }
}

/// Where a tenant is, and would go.
pub(super) fn placement(owner: &TenantOwner, living: &[Node]) -> pb::Placement {
    let serving = living.iter().filter(|node| node.state == NodeState::Live);
    let preferred = preferred(owner.tenant_id, serving.map(|node| (node.node_id, node.capacity)));
    let held = living.iter().any(|node| Some(node.incarnation) == owner.incarnation);
    let text = |id: Option<NodeId>| id.map(|id| id.to_string()).unwrap_or_default();
    pb::Placement {
        tenant_id: owner.tenant_id.to_string(),
        owner_node_id: text(owner.node_id.filter(|_| held)),
        owner_incarnation: owner
            .incarnation
            .filter(|_| held)
            .map(|life| life.0.to_vec().into())
            .unwrap_or_default(),
        epoch: u64::try_from(owner.epoch.0).unwrap_or(0),
        preferred_node_id: text(preferred),
        host_node_ids: Vec::new(),
    }
}
