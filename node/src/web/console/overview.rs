//! The cluster at a glance, and what of it somebody should look at.

use axum::{extract::State, http::StatusCode, response::Response};
use ocmt_proto::v1 as pb;

use super::{
    super::{answer::html, frame::Frame},
    Console,
    at::At,
    nodes::{all, memory},
    view::Overview,
};

/// All of it.
pub(super) async fn show(State(console): State<Console>, who: At) -> Response {
    let (nodes, last) = match all(&console, &who).await {
        Ok(found) => found,
        Err(status) => return who.refused(&status),
    };
    let (frame, sealing) = (who.frame(), last.sealing.unwrap_or_default());
    let serving = nodes.iter().filter(|node| node.state() == pb::NodeState::Live).count();
    let sum = |of: fn(&pb::Node) -> u64| nodes.iter().map(of).sum::<u64>();
    let page = Overview {
        frame,
        operator: &who.operator.name,
        serving: format!("{serving} / {}", nodes.len()),
        tenants: sum(|node| node.owned_tenants.into()),
        containers: sum(|node| node.containers.into()),
        memory: memory(sum(|node| node.memory_reserved_bytes), sum(|node| node.memory_capacity_bytes)),
        view: last.view_version,
        sealing: sealing.generation.to_string(),
        notes: notes(&frame, &nodes, &sealing),
    };
    html(StatusCode::OK, &page, [])
}

fn notes(frame: &Frame, nodes: &[pb::Node], sealing: &pb::SealingState) -> Vec<String> {
    let count = |state: pb::NodeState| {
        Some(nodes.iter().filter(|node| node.state() == state).count()).filter(|some| *some > 0)
    };
    let mut notes = Vec::new();
    if let Some(dead) = count(pb::NodeState::Dead) {
        notes.push(frame.put("console.dead", dead));
    }
    if let Some(draining) = count(pb::NodeState::Draining) {
        notes.push(frame.put("console.draining", draining));
    }
    if sealing.left_to_rewrap > 0 {
        notes.push(frame.put("console.rewrap", sealing.left_to_rewrap));
    }
    if !sealing.waiting_for_node_ids.is_empty() {
        notes.push(frame.put("console.sealing_waits", sealing.waiting_for_node_ids.len()));
    }
    notes
}
