//! A look at a node's containers from beside the node, which changes nothing: for the security audit.

use std::collections::HashMap;

use bollard::query_parameters::ListContainersOptionsBuilder;
use ocmt_types::NodeId;

use super::{
    Engine,
    drift::{self, Bounds},
    engine::{fault, shortcomings},
    guard::{GuardState, HostGuard},
    network::{self, NetworkRange},
    profile::Drift,
};
use crate::{Egress, Labels, RuntimeError};

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// What keeps the engine from holding the profile, in words.
    pub engine: Vec<String>,
    /// Containers that run or are paused, by name, each with what is not as the profile has it.
    pub containers: Vec<(String, Vec<Drift>)>,
}

/// Holds what of this node runs in the engine against the profile.
///
/// # Errors
/// The engine does not answer.
pub async fn look(
    engine: &Engine,
    node: NodeId,
    bounds: &Bounds,
    range: NetworkRange,
) -> Result<Seen, RuntimeError> {
    let mut seen =
        Seen { engine: shortcomings(&engine.info().await?, &bounds.confinement), containers: Vec::new() };
    let docker = engine.docker()?;
    let label = HashMap::from([("label", vec![format!("{}={node}", Labels::NODE)])]);
    let running = ListContainersOptionsBuilder::new().filters(&label).build();
    let all = docker.list_containers(Some(running)).await.map_err(|error| fault(&error))?;
    for id in all.into_iter().filter_map(|summary| summary.id) {
        let inspect = match docker.inspect_container(&id, None).await.map_err(|error| fault(&error)) {
            Ok(inspect) => inspect,
            // gone between the list and the look
            Err(RuntimeError::Engine { status: 404, .. }) => continue,
            Err(error) => return Err(error),
        };
        let name = inspect.name.clone().unwrap_or(id).trim_start_matches('/').to_owned();
        let mut drifts = drift::check(&inspect, bounds);
        // a container's network has the container's name
        match docker.inspect_network(&name, None).await.map_err(|error| fault(&error)) {
            Ok(network) => drifts.extend(network::check(&network, bounds.egress)),
            Err(RuntimeError::Engine { status: 404, .. }) => drifts.push(Drift {
                item: "network",
                expected: "one of its own".to_owned(),
                found: "none".to_owned(),
            }),
            Err(error) => return Err(error),
        }
        seen.containers.push((name, drifts));
    }
    if !seen.containers.is_empty() {
        let guard = HostGuard::new(range);
        guard.open_doors(bounds.egress == Egress::Proxied);
        if let GuardState::Missing(why) = guard.state().await {
            seen.engine.push(format!("host ports are not guarded from containers: {why}"));
        }
    }
    seen.containers.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(seen)
}
