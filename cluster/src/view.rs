//! What a node knows of the cluster: a picture, taken about once a second, never changed.

use std::collections::{BTreeMap, BTreeSet};

use ocmt_store::{
    Observed,
    tables::{Node, NodeState},
};
use ocmt_types::{Incarnation, NodeId};

/// Another node, or this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Which node.
    pub node_id: NodeId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Where its peers reach it, `host:port`.
    pub addr: String,
    /// Where clients reach it, an `https` URL.
    pub endpoint: String,
    /// Where it is in its life.
    pub state: NodeState,
    /// Relative weight for placement.
    pub capacity: i64,
    /// Memory that it gives to containers, in MiB; 0 if it hosts none.
    pub memory_mib: i64,
    /// Of its program.
    pub version: String,
}

impl From<Node> for Peer {
    fn from(node: Node) -> Self {
        Self {
            node_id: node.node_id,
            incarnation: node.incarnation,
            addr: node.addr,
            endpoint: node.endpoint,
            state: node.state,
            capacity: node.capacity,
            memory_mib: node.memory_mib,
            version: node.version,
        }
    }
}

/// The cluster as it was observed last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// Of the membership: grows with each registration, death and accepted restore.
    pub version: i64,
    /// The nodes that are not dead, this one included.
    pub nodes: BTreeMap<NodeId, Peer>,
    /// Nodes whose certificates are not honoured.
    pub revoked: BTreeSet<NodeId>,
    /// Lives that this node declared dead, the last ones. A life is declared dead by one node alone.
    pub buried: BTreeMap<Incarnation, NodeId>,
}

impl View {
    /// The node, if it is not dead and this is its present life.
    pub fn living(&self, node_id: NodeId, incarnation: Incarnation) -> Option<&Peer> {
        self.nodes.get(&node_id).filter(|peer| peer.incarnation == incarnation)
    }
}

impl From<Observed> for View {
    fn from(observed: Observed) -> Self {
        let mut nodes: BTreeMap<NodeId, Peer> = BTreeMap::new();
        let mut lives = observed.nodes;
        // a node has one life that is not dead; should there be two, the younger is the one that answers
        lives.sort_by_key(|(node, _)| (node.registered_at, node.incarnation));
        for (node, _) in lives {
            nodes.insert(node.node_id, Peer::from(node));
        }
        Self {
            version: observed.cluster.map_or(0, |cluster| cluster.view_version),
            nodes,
            revoked: observed.revoked.nodes,
            buried: BTreeMap::new(),
        }
    }
}
