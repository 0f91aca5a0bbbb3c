//! The cluster as a whole, and its changes as they come.

use ocmt_client::ClientError;
use ocmt_proto::v1::{self as pb, watch_cluster_response::Change};

use super::{
    At,
    connect::{Operator, refused},
    seen::{NodeSeen, PlacementSeen, SealingSeen},
};
use crate::cli::{
    args::OperatorArg,
    output::{note, print},
    show,
};

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

/// Prints events until the node refuses to go on, or is away; then how to go on at another one.
pub(super) async fn watch(at: &At, operator: &OperatorArg, mut token: String) -> anyhow::Result<()> {
    let mut cluster = Operator::connect(at, operator).await?.cluster();
    let request = pb::WatchClusterRequest { resume_token: token.clone() };
    let events = cluster.watch_cluster(request).await.map_err(refused)?.into_inner();
    let ended =
        follow(at, events, &mut token).await.err().and_then(|error| match error.downcast::<ClientError>() {
            // a node that stops breaks the stream, or has closed its database; one that refuses gives its reason
            Ok(error @ ClientError::Refused(_)) if error.reason().is_none() || error.is_retryable() => None,
            Ok(error) => Some(error.into()),
            Err(other) => Some(other),
        });
    if !token.is_empty() {
        note(&format!(
            "Go on where this ended, at this or another node: ocmt cluster watch --resume {token}"
        ));
    }
    let why = "the node ended the connection".to_owned();
    Err(ended.unwrap_or_else(|| ClientError::Connect { endpoint: at.endpoint.clone(), why }.into()))
}

/// Prints events; `token` is that of the last one.
async fn follow(
    at: &At,
    mut events: tonic::Streaming<pb::WatchClusterResponse>,
    token: &mut String,
) -> anyhow::Result<()> {
    while let Some(event) = events.message().await.map_err(refused)? {
        let view = event.view_version;
        if !event.resume_token.is_empty() {
            token.clone_from(&event.resume_token);
        }
        let (name, value, text) = match event.change {
            Some(Change::Node(node)) => {
                let seen = NodeSeen::from(node);
                let text = format!(
                    "node {} ({}) is {}, owns {} tenants, hosts {} containers",
                    seen.node,
                    seen.address,
                    seen.shown_state(),
                    seen.tenants,
                    seen.containers
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
            let event =
                serde_json::json!({ "view_version": view, name: value, "resume_token": event.resume_token });
            print(&serde_json::to_string(&event)?)?;
        } else {
            print(&format!("view {view}: {text}"))?;
        }
    }
    Ok(())
}
