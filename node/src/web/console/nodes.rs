//! Nodes: where they stand, their leases, and what they carry.

use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
    response::Response,
};
use ocmt_proto::v1::{self as pb, cluster_service_server::ClusterService as _};
use ocmt_types::Timestamp;
use serde::Deserialize;
use tonic::Status;

use super::{
    super::{answer::html, assets::Script, frame::Frame, view::at},
    Console, MOST,
    at::At,
    view::{Node, Nodes, OneNode, Said},
};

/// Most nodes that are looked through, as many as a cluster may have.
const PAGES: usize = 10;
const MIB: u64 = 1 << 20;

#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    pub(super) after: String,
}

/// One page of them.
pub(super) async fn list(
    State(console): State<Console>,
    Query(Wanted { after }): Query<Wanted>,
    who: At,
) -> Response {
    let asked = pb::ListNodesRequest { page_size: MOST, page_token: after };
    match console.rpc.list_nodes(who.call(asked)).await {
        Ok(answer) => {
            let (frame, answer) = (who.frame().running(Script::Console), answer.into_inner());
            let nodes = answer.nodes.iter().map(|node| row(&frame, node)).collect();
            html(StatusCode::OK, &Nodes { frame, nodes, next: answer.next_page_token }, [])
        }
        Err(status) => who.refused(&status),
    }
}

/// One of them.
pub(super) async fn show(State(console): State<Console>, Path(id): Path<String>, who: At) -> Response {
    match find(&console, &who, &id).await {
        Ok(node) => {
            let frame = who.frame().running(Script::Console);
            html(StatusCode::OK, &Node { frame, one: row(&frame, &node) }, [])
        }
        Err(status) => who.refused(&status),
    }
}

/// All of them, with the last answer's state of the cluster.
pub(super) async fn all(
    console: &Console,
    who: &At,
) -> Result<(Vec<pb::Node>, pb::ListNodesResponse), Status> {
    let (mut all, mut last) = (Vec::new(), pb::ListNodesResponse::default());
    for _ in 0..PAGES {
        let asked = pb::ListNodesRequest { page_size: 100, page_token: last.next_page_token };
        last = console.rpc.list_nodes(who.call(asked)).await?.into_inner();
        all.append(&mut last.nodes);
        if last.next_page_token.is_empty() {
            break;
        }
    }
    Ok((all, last))
}

/// The node of this id, as it stands in an address.
pub(super) async fn find(console: &Console, who: &At, id: &str) -> Result<pb::Node, Status> {
    let (nodes, _) = all(console, who).await?;
    nodes
        .into_iter()
        .find(|node| node.node_id == id)
        .ok_or_else(|| Status::not_found("there is no such node"))
}

pub(super) fn row(frame: &Frame, node: &pb::Node) -> OneNode {
    let ends = node.certificate_expires_at.map(|ends| at(Timestamp(ends.seconds.saturating_mul(1000))));
    OneNode {
        said: said(frame, node),
        address: node.address.clone(),
        version: node.version.clone(),
        renewals: node.lease_renewals,
        certificate: ends.unwrap_or_default(),
        can_drain: node.state() == pb::NodeState::Live,
        can_resume: node.state() == pb::NodeState::Draining,
    }
}

/// What of it changes.
pub(super) fn said(frame: &Frame, node: &pb::Node) -> Said {
    let state = match node.state() {
        pb::NodeState::Joining => frame.say("node.is_joining"),
        pb::NodeState::Live => frame.say("node.is_live"),
        pb::NodeState::Draining => frame.say("node.is_draining"),
        pb::NodeState::Dead => frame.say("node.is_dead"),
        pb::NodeState::Unspecified => frame.say("node.is_unknown"),
    };
    Said {
        id: node.node_id.clone(),
        state: state.to_owned(),
        tenants: node.owned_tenants,
        containers: node.containers,
        memory: memory(node.memory_reserved_bytes, node.memory_capacity_bytes),
    }
}

pub(super) fn memory(reserved: u64, capacity: u64) -> String {
    format!("{} / {} MiB", reserved / MIB, capacity / MIB)
}
