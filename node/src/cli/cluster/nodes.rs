//! Inviting nodes, seeing them, and moving work between them.

use std::time::Duration;

use ocmt_client::pages::Pages;
use ocmt_proto::v1 as pb;
use ocmt_types::{Clock as _, NodeId, SystemClock, TenantId};

use super::{
    At,
    connect::{Operator, key, refused},
    seen::{NODE_HEAD, NodeSeen, PlacementSeen, time},
};
use crate::cli::{
    args::OperatorArg,
    output::{note, waiting},
    show,
};

/// How often a drain is looked at.
const LOOK: Duration = Duration::from_millis(500);

pub(super) async fn invite(
    at: &At,
    operator: &OperatorArg,
    lifetime: Duration,
    names: Vec<String>,
) -> anyhow::Result<()> {
    let mut cluster = Operator::connect(at, operator).await?.cluster();
    let lifetime = prost_types::Duration {
        seconds: i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(lifetime.subsec_nanos()).unwrap_or(0),
    };
    let request = pb::CreateJoinTokenRequest { lifetime: Some(lifetime), names, idempotency_key: key() };
    let answer = cluster.create_join_token(request).await.map_err(refused)?.into_inner();
    let expires = time(answer.expires_at);
    at.out.value(&serde_json::json!({ "token": answer.token, "expires_at": expires }), || {
        answer.token.clone()
    })?;
    if !at.out.json {
        note(&format!("Good for one node until {}; it is not shown again.", show::when(expires)));
    }
    Ok(())
}

async fn all(operator: &Operator) -> anyhow::Result<Vec<NodeSeen>> {
    let (mut nodes, mut page_token) = (Vec::new(), String::new());
    let mut pages = Pages::default();
    loop {
        let request = pb::ListNodesRequest { page_size: 100, page_token };
        let page = operator.cluster().list_nodes(request).await.map_err(refused)?.into_inner();
        nodes.extend(page.nodes.into_iter().map(NodeSeen::from));
        pages.turn(&page.next_page_token)?;
        if page.next_page_token.is_empty() {
            return Ok(nodes);
        }
        page_token = page.next_page_token;
    }
}

pub(super) async fn list(at: &At, operator: &OperatorArg) -> anyhow::Result<()> {
    let nodes = all(&Operator::connect(at, operator).await?).await?;
    at.out.list(&nodes, &NODE_HEAD, NodeSeen::row)
}

pub(super) async fn placement(
    at: &At,
    operator: &OperatorArg,
    tenant: Option<TenantId>,
    node: Option<NodeId>,
) -> anyhow::Result<()> {
    let mut cluster = Operator::connect(at, operator).await?.cluster();
    let (mut seen, mut page_token) = (Vec::new(), String::new());
    let mut pages = Pages::default();
    loop {
        let request = pb::DescribePlacementRequest {
            tenant_id: tenant.map(|id| id.to_string()).unwrap_or_default(),
            node_id: node.map(|id| id.to_string()).unwrap_or_default(),
            page_size: 500,
            page_token,
        };
        let page = cluster.describe_placement(request).await.map_err(refused)?.into_inner();
        seen.extend(page.placements.into_iter().map(PlacementSeen::from));
        pages.turn(&page.next_page_token)?;
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
    }
    at.out.list(&seen, &["TENANT", "OWNER", "EPOCH", "PREFERRED"], PlacementSeen::row)
}

/// Begins a drain, and waits `patience` for its end; not at all without one.
pub(super) async fn drain(
    at: &At,
    operator: &OperatorArg,
    node: NodeId,
    patience: Option<Duration>,
) -> anyhow::Result<()> {
    let connection = Operator::connect(at, operator).await?;
    let request = pb::DrainNodeRequest { node_id: node.to_string(), idempotency_key: key() };
    let answer = connection.cluster().drain_node(request).await.map_err(refused)?.into_inner();
    let Some(patience) = patience else {
        return at.out.done(&format!("node {node} is being drained; `ocmt cluster nodes` shows how it goes"));
    };
    let (begun, mut left) = (SystemClock.boottime(), answer.node.map_or(0, |node| node.owned_tenants));
    let progress = waiting(&format!("{left} tenants to go"));
    while left > 0 {
        if SystemClock.boottime().saturating_sub(begun) >= patience {
            anyhow::bail!("node {node} still owns {left} tenants; it goes on being drained");
        }
        tokio::time::sleep(LOOK).await;
        let nodes = all(&connection).await?;
        let seen = nodes.iter().find(|seen| seen.node == node.to_string());
        left = seen.map_or(0, |seen| seen.tenants);
        progress.tell(&format!("{left} tenants to go"));
    }
    drop(progress);
    at.out.done(&format!("node {node} owns no tenant; its containers run on"))
}

pub(super) async fn resume(at: &At, operator: &OperatorArg, node: NodeId) -> anyhow::Result<()> {
    let mut cluster = Operator::connect(at, operator).await?.cluster();
    let request = pb::ResumeNodeRequest { node_id: node.to_string(), idempotency_key: key() };
    cluster.resume_node(request).await.map_err(refused)?;
    at.out.done(&format!("node {node} takes tenants again"))
}

pub(super) async fn move_to(
    at: &At,
    operator: &OperatorArg,
    tenant: TenantId,
    node: NodeId,
) -> anyhow::Result<()> {
    let mut cluster = Operator::connect(at, operator).await?.cluster();
    let request = pb::MoveTenantRequest {
        tenant_id: tenant.to_string(),
        node_id: node.to_string(),
        idempotency_key: key(),
    };
    let answer = cluster.move_tenant(request).await.map_err(refused)?.into_inner();
    let placement = PlacementSeen::from(answer.placement.unwrap_or_default());
    at.out.value(&placement, || format!("tenant {tenant} is on node {node}, epoch {}", placement.epoch))
}
