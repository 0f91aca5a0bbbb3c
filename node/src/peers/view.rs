//! Stands in until the cluster's own types have landed.
#![allow(missing_docs)]
use std::collections::{BTreeMap, BTreeSet};

use ocmt_types::{Incarnation, NodeId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub node_id: NodeId,
    pub incarnation: Incarnation,
    pub addr: String,
    pub endpoint: String,
}

#[derive(Debug, Clone, Default)]
pub struct View {
    pub version: i64,
    pub nodes: BTreeMap<NodeId, Peer>,
    pub revoked: BTreeSet<NodeId>,
}
