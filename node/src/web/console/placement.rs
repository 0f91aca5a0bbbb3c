//! Which node owns which tenant, and which would.

use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use ocmt_proto::v1::{self as pb, cluster_service_server::ClusterService as _};
use serde::Deserialize;

use super::{
    super::answer::html,
    Console, MOST,
    at::At,
    view::{OnePlacement, Placements},
};

#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    after: String,
    /// Of this node alone.
    #[serde(default)]
    node: String,
}

/// One page of it.
pub(super) async fn list(
    State(console): State<Console>,
    Query(Wanted { after, node }): Query<Wanted>,
    who: At,
) -> Response {
    let asked = pb::DescribePlacementRequest {
        tenant_id: String::new(),
        node_id: node.clone(),
        page_size: MOST,
        page_token: after,
    };
    match console.rpc.describe_placement(who.call(asked)).await {
        Ok(answer) => {
            let answer = answer.into_inner();
            let row = |one: pb::Placement| OnePlacement {
                // a tenant that nobody owns is where it would be
                at_home: one.owner_node_id.is_empty() || one.owner_node_id == one.preferred_node_id,
                tenant: one.tenant_id,
                owner: one.owner_node_id,
                preferred: one.preferred_node_id,
                epoch: one.epoch,
            };
            let placements = answer.placements.into_iter().map(row).collect();
            let page = Placements { frame: who.frame(), placements, node, next: answer.next_page_token };
            html(StatusCode::OK, &page, [])
        }
        Err(status) => who.refused(&status),
    }
}
