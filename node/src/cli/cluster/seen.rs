//! Nodes, placements and operators as people and programs read them.

use ocmt_proto::v1 as pb;
use ocmt_types::Timestamp;
use serde::Serialize;

use crate::cli::show;

/// A node.
#[derive(Serialize)]
pub(super) struct NodeSeen {
    pub(super) node: String,
    pub(super) state: String,
    pub(super) address: String,
    pub(super) version: String,
    pub(super) tenants: u32,
    pub(super) containers: u32,
    pub(super) memory_bytes: u64,
    pub(super) memory_reserved_bytes: u64,
    pub(super) renewals: u64,
    pub(super) incarnation: String,
}

impl From<pb::Node> for NodeSeen {
    fn from(node: pb::Node) -> Self {
        Self {
            state: node.state().as_str_name().trim_start_matches("NODE_STATE_").to_lowercase(),
            node: node.node_id,
            address: node.address,
            version: node.version,
            tenants: node.owned_tenants,
            containers: node.containers,
            memory_bytes: node.memory_capacity_bytes,
            memory_reserved_bytes: node.memory_reserved_bytes,
            renewals: node.lease_renewals,
            incarnation: data_encoding::HEXLOWER.encode(&node.incarnation),
        }
    }
}

pub(super) const NODE_HEAD: [&str; 7] =
    ["NODE", "STATE", "ADDRESS", "VERSION", "TENANTS", "CONTAINERS", "MEMORY"];

impl NodeSeen {
    /// For people: one that has no life yet is not on its way, and a dead one may have been stopped.
    pub(super) fn shown_state(&self) -> &str {
        match self.state.as_str() {
            "joining" if self.incarnation.is_empty() => "never started",
            "dead" => "stopped or dead",
            other => other,
        }
    }

    pub(super) fn row(&self) -> Vec<String> {
        let gib = |bytes: u64| format!("{}.{}", bytes >> 30, (bytes >> 20) % 1024 * 10 / 1024);
        vec![
            self.node.clone(),
            self.shown_state().to_owned(),
            self.address.clone(),
            self.version.clone(),
            self.tenants.to_string(),
            self.containers.to_string(),
            format!("{} of {} GiB", gib(self.memory_reserved_bytes), gib(self.memory_bytes)),
        ]
    }
}

/// Where a tenant is.
#[derive(Serialize)]
pub(super) struct PlacementSeen {
    pub(super) tenant: String,
    pub(super) owner: Option<String>,
    pub(super) epoch: u64,
    pub(super) preferred: Option<String>,
}

impl From<pb::Placement> for PlacementSeen {
    fn from(placement: pb::Placement) -> Self {
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        Self {
            tenant: placement.tenant_id,
            owner: some(placement.owner_node_id),
            epoch: placement.epoch,
            preferred: some(placement.preferred_node_id),
        }
    }
}

impl PlacementSeen {
    pub(super) fn row(&self) -> Vec<String> {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        vec![self.tenant.clone(), or_dash(&self.owner), self.epoch.to_string(), or_dash(&self.preferred)]
    }
}

/// The cluster's sealing key.
#[derive(Serialize)]
pub(super) struct SealingSeen {
    pub(super) generation: u32,
    pub(super) left_to_rewrap: u64,
    pub(super) waiting_for: Vec<String>,
    pub(super) alone_since: Option<Timestamp>,
}

impl From<pb::SealingState> for SealingSeen {
    fn from(state: pb::SealingState) -> Self {
        Self {
            generation: state.generation,
            left_to_rewrap: state.left_to_rewrap,
            waiting_for: state.waiting_for_node_ids,
            alone_since: time(state.alone_since),
        }
    }
}

impl SealingSeen {
    pub(super) fn text(&self) -> String {
        let generation = self.generation;
        match self.alone_since {
            Some(since) => format!("generation {generation}, alone since {}", show::when(Some(since))),
            None if generation == 1 => "generation 1".to_owned(),
            None => format!(
                "generation {generation}; {} under an earlier one, {} behind",
                show::count(usize::try_from(self.left_to_rewrap).unwrap_or(usize::MAX), "secret"),
                show::count(self.waiting_for.len(), "node"),
            ),
        }
    }
}

/// An operator.
#[derive(Serialize)]
pub(super) struct OperatorSeen {
    pub(super) operator: String,
    pub(super) name: String,
    pub(super) fingerprint: String,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) revoked: bool,
}

impl From<pb::Operator> for OperatorSeen {
    fn from(operator: pb::Operator) -> Self {
        Self {
            operator: operator.operator_id,
            name: operator.name,
            fingerprint: data_encoding::HEXLOWER.encode(&operator.certificate_fingerprint),
            expires_at: time(operator.expires_at),
            revoked: operator.revoked,
        }
    }
}

/// A time of an answer.
pub(super) fn time(at: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    at.map(|at| Timestamp(at.seconds.saturating_mul(1000).saturating_add(i64::from(at.nanos / 1_000_000))))
}
