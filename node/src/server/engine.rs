//! The engine for containers that the configuration names.

use std::{path::PathBuf, sync::Arc, time::Duration};

use ocmt_runtime::{
    Egress, ImageRef, Limits, Mode as RuntimeMode, Runtime, RuntimeError,
    docker::{
        DockerConfig, DockerRuntime, Engine,
        confinement::{Confinement, Seccomp},
        drift::Bounds,
    },
    process::{ProcessConfig, ProcessRuntime},
};
use ocmt_types::{Clock, NodeId};

use crate::config::{self, Config, Mode, RuntimeKind};

/// How long a cell of the `process` runtime may take to listen.
const CELL_START: Duration = Duration::from_secs(10);
/// How long cells of the `process` runtime have to end when the node does.
const CELL_STOP: Duration = Duration::from_secs(5);

/// The opened engine.
pub(super) struct Containers {
    /// As the actors see it.
    pub(super) runtime: Arc<dyn Runtime>,
    process: Option<Arc<ProcessRuntime>>,
}

impl Containers {
    /// Opens the configured engine. A Docker engine that does not answer is a warning: the rest works.
    pub(super) async fn open(
        config: &Config,
        node: NodeId,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RuntimeError> {
        let volumes = or_in_data(config, &config.containers.data_dir, "volumes");
        match config.containers.runtime {
            RuntimeKind::Docker => {
                let engine = Engine::at(&config.containers.docker_host)?;
                let docker = DockerRuntime::open(engine, docker(config, node, volumes)?).await?;
                let docker = match config.egress.outlet() {
                    Some(outlet) => docker.with_outlet(outlet),
                    None => docker,
                };
                Ok(Self { runtime: Arc::new(docker), process: None })
            }
            RuntimeKind::Process => {
                let process = Arc::new(ProcessRuntime::open(process(config, node, volumes, clock)?).await?);
                Ok(Self { runtime: process.clone(), process: Some(process) })
            }
        }
    }

    /// Child processes end with their node; Docker's containers go on and are adopted at the next start.
    pub(super) async fn shut_down(&self) {
        if let Some(process) = &self.process {
            process.shut_down(CELL_STOP).await;
        }
    }
}

fn docker(config: &Config, node: NodeId, data_dir: PathBuf) -> Result<DockerConfig, RuntimeError> {
    let refused = |what: &str, why: &dyn std::fmt::Display| RuntimeError::Refused(format!("{what}: {why}"));
    let mode = runtime_mode(config.node.mode);
    let images = match config.containers.image.as_str() {
        "" => Vec::new(),
        image => vec![ImageRef::parse(image, mode).map_err(|error| refused("containers.image", &error))?],
    };
    Ok(DockerConfig {
        mode,
        node,
        data_dir,
        networks: config
            .containers
            .network_range
            .parse()
            .map_err(|error| refused("containers.network_range", &error))?,
        images,
        ceiling: limits(config),
        egress: egress(config),
        resolvers: Vec::new(),
        confinement: confinement(config),
    })
}

fn process(
    config: &Config,
    node: NodeId,
    data_dir: PathBuf,
    clock: Arc<dyn Clock>,
) -> Result<ProcessConfig, RuntimeError> {
    let cell = if config.containers.cell.as_os_str().is_empty() {
        crate::programs::beside("ocmt-cell").map_err(|error| RuntimeError::Refused(error.to_string()))?
    } else {
        config.containers.cell.clone()
    };
    Ok(ProcessConfig {
        mode: runtime_mode(config.node.mode),
        node,
        cell,
        state_dir: config.node.data_dir.join("processes"),
        data_dir,
        start_within: CELL_START,
        clock,
    })
}

fn or_in_data(config: &Config, path: &std::path::Path, name: &str) -> PathBuf {
    if path.as_os_str().is_empty() { config.node.data_dir.join(name) } else { path.to_owned() }
}

/// What running containers of this node are held against, from beside it.
pub(crate) fn bounds(config: &Config) -> Bounds {
    let volumes = or_in_data(config, &config.containers.data_dir, "volumes");
    Bounds {
        // as the engine shows it: without links
        data_dir: volumes.canonicalize().unwrap_or(volumes),
        ceiling: limits(config),
        egress: egress(config),
        confinement: confinement(config),
    }
}

fn confinement(config: &Config) -> Confinement {
    let seccomp = match config.containers.seccomp {
        config::Seccomp::Default => Seccomp::Default,
        config::Seccomp::Strict => Seccomp::Strict,
    };
    let named = &config.containers.oci_runtime;
    let mib = u64::from(config.containers.volume_mib);
    Confinement {
        seccomp,
        oci_runtime: (!named.is_empty()).then(|| named.clone()),
        volume_bytes: (mib > 0).then_some(mib << 20),
    }
}

fn egress(config: &Config) -> Egress {
    if config.egress.open { Egress::Proxied } else { Egress::Off }
}

/// What containers of this node get.
pub(super) fn limits(config: &Config) -> Limits {
    Limits {
        memory_bytes: i64::from(config.containers.memory_mib) << 20,
        pids: i64::from(config.containers.pids),
        cpu_shares: i64::from(config.containers.cpu_shares),
    }
}

fn runtime_mode(mode: Mode) -> RuntimeMode {
    match mode {
        Mode::Production => RuntimeMode::Production,
        Mode::Dev => RuntimeMode::Dev,
        Mode::Demo => RuntimeMode::Demo,
    }
}
