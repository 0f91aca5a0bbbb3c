//! Holds a running container against what it was made of: changed by hand, or put in its place by somebody, it is another
//! one than its user asked for.
//!
//! Only what a setting of the node, of Docker, or of the image cannot change by itself: whoever is found here is stopped.
//! What Docker keeps otherwise on some machines (swap without accounting, its default runtime, variables of an
//! image, a data folder that moved, a filter or runtime that the node no longer asks for) is the business of [`super::drift`], which tells and stops nobody.

use bollard::models::{ContainerInspectResponse, HostConfig};

use super::{
    DockerRuntime,
    confinement::Confinement,
    drift::{self, Bounds},
    engine::fault_of,
    network,
    profile::Drift,
};
use crate::{ContainerSpec, Egress, Labels, RuntimeError};

/// Of the profile, what nobody but a hand changes.
const BY_HAND: [&str; 24] = [
    "User",
    "CapDrop",
    "CapAdd",
    "GroupAdd",
    "SecurityOpt",
    "Privileged",
    "ReadonlyRootfs",
    "Memory",
    "PidMode",
    "UTSMode",
    "UsernsMode",
    "Devices",
    "DeviceRequests",
    "DeviceCgroupRules",
    "Sysctls",
    "PortBindings",
    "PublishAllPorts",
    "Links",
    "VolumesFrom",
    "Binds",
    "RestartPolicy",
    "Name",
    "NetworkMode",
    "Networks",
];

impl DockerRuntime {
    /// Each thing of the container and its network that is not as `spec` and the profile have it, for people.
    pub(super) async fn compare(&self, spec: &ContainerSpec) -> Result<Vec<String>, RuntimeError> {
        let container = spec.container_ref();
        let (docker, name) = (self.engine.docker()?, container.to_string());
        let fault = fault_of(&container, "compare");
        let inspect = docker.inspect_container(&name, None).await.map_err(&fault)?;
        let most = if self.config.egress == Egress::Direct { Egress::Direct } else { Egress::Proxied };
        // its own spec is the bound, and not what the node allows today
        let bounds = Bounds {
            data_dir: self.config.data_dir.clone(),
            ceiling: spec.limits,
            egress: most,
            confinement: Confinement::default(),
        };
        let by_hand = |drift: &Drift| BY_HAND.contains(&drift.item);
        let mut drifts: Vec<Drift> = drift::check(&inspect, &bounds).into_iter().filter(by_hand).collect();
        let memory_is_known = drifts.iter().any(|drift| drift.item == "Memory");
        let others = limits(spec, inspect.host_config.as_ref());
        drifts.extend(others.filter(|drift| drift.item != "Memory" || !memory_is_known));
        drifts.extend(self.identity(spec, &inspect));
        let network = docker.inspect_network(&name, None).await.map_err(&fault)?;
        drifts.extend(network::check(&network, most));
        let said = |drift: Drift| format!("{} is {:?}, not {:?}", drift.item, drift.found, drift.expected);
        Ok(drifts.into_iter().map(said).collect())
    }

    /// Whose it says that it is, and of which image it is made.
    fn identity(&self, spec: &ContainerSpec, inspect: &ContainerInspectResponse) -> Vec<Drift> {
        let config = inspect.config.clone().unwrap_or_default();
        let mut drifts = Vec::new();
        let mut want = |item, expected: String, found: String| {
            if expected != found {
                drifts.push(Drift { item, expected, found });
            }
        };
        let said = |labels: Labels| {
            format!("{} of user {} of tenant {}", labels.container_ref(), labels.user, labels.tenant)
        };
        let labels = Labels::from_map(config.labels.as_ref().unwrap_or(&Default::default()));
        let found = labels.map_or_else(|error| error.to_string(), said);
        want("Labels", said(spec.labels(self.config.node)), found);
        if spec.image.is_digest() {
            want("Image", spec.image.to_string(), config.image.unwrap_or_default());
        }
        drifts
    }
}

/// Limits that are not the container's own. Of a kernel without the bound Docker keeps none.
fn limits<'a>(spec: &ContainerSpec, host: Option<&'a HostConfig>) -> impl Iterator<Item = Drift> + 'a {
    let limits = spec.limits;
    let all = host.into_iter().flat_map(move |host| {
        [
            ("Memory", limits.memory_bytes, host.memory),
            ("PidsLimit", limits.pids, host.pids_limit),
            ("CpuShares", limits.cpu_shares, host.cpu_shares),
        ]
    });
    all.filter(|(_, expected, found)| found.is_some_and(|found| found != 0 && found != *expected)).map(
        |(item, expected, found)| Drift {
            item,
            expected: expected.to_string(),
            found: found.unwrap_or_default().to_string(),
        },
    )
}
