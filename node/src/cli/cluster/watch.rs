//! The cluster as a whole, and its changes as they come.

use ocmt_proto::v1::{self as pb, watch_cluster_response::Change};

use super::{
    At,
    connect::{Operator, refused},
    seen::{NodeSeen, PlacementSeen, SealingSeen},
};
use crate::cli::{args::OperatorArg, output::print, show};

/// How the cluster stands.
pub(super) async fn status(at: &At, operator: &OperatorArg) -> anyhow::Result<()> {
    let mut cluster = Operator::connect(at, operator).await?.cluster();
    let request = pb::ListNodesRequest { page_size: 100, page_token: String::new() };
    let answer = cluster.list_nodes(request).await.map_err(refused)?.into_inner();
    let sealing = SealingSeen::from(answer.sealing.unwrap_or_default());
    let nodes: Vec<_> = answer.nodes.into_iter().map(NodeSeen::from).collect();
    let live = nodes.iter().filter(|node| node.state == "live").count();
    let shown = serde_json::json!({
        "view_version": answer.view_version,
        "nodes": nodes.len(),
        "live": live,
        "sealing": sealing,
    });
    at.out.value(&shown, || {
        show::facts(&[
            ("view", answer.view_version.to_string()),
            ("nodes", format!("{live} of {} live", nodes.len())),
            ("sealing key", sealing.text()),
        ])
    })
}

/// Prints events until the node ends or the stream does.
pub(super) async fn watch(at: &At, operator: &OperatorArg, resume_token: String) -> anyhow::Result<()> {
    let mut cluster = Operator::connect(at, operator).await?.cluster();
    let request = pb::WatchClusterRequest { resume_token };
    let mut events = cluster.watch_cluster(request).await.map_err(refused)?.into_inner();
    while let Some(event) = events.message().await.map_err(refused)? {
        let (view, token) = (event.view_version, event.resume_token);
        let (name, value, text) = match event.change {
            Some(Change::Node(node)) => {
                let seen = NodeSeen::from(node);
                let text = format!(
                    "node {} ({}) is {}, owns {} tenants, hosts {} containers",
                    seen.node, seen.address, seen.state, seen.tenants, seen.containers
                );
                ("node", serde_json::to_value(seen)?, text)
            }
            Some(Change::Placement(placement)) => {
                let seen = PlacementSeen::from(placement);
                let owner = seen.owner.as_ref().map_or("nobody".to_owned(), |node| format!("node {node}"));
                let text = format!("tenant {} is owned by {owner}, epoch {}", seen.tenant, seen.epoch);
                ("placement", serde_json::to_value(seen)?, text)
            }
            None => continue,
        };
        if at.out.json {
            let event = serde_json::json!({ "view_version": view, name: value, "resume_token": token });
            print(&serde_json::to_string(&event)?)?;
        } else {
            print(&format!("view {view}: {text}"))?;
        }
    }
    Ok(())
}
