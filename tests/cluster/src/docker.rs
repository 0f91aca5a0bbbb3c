//! A Docker engine that all nodes share, and its own word of their containers.
//!
//! The nodes stand on this machine then ([`crate::network::Ground::Machine`]): they dial cells on the bridges
//! of their containers.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use ocmt::config::{Config, RuntimeKind};
use ocmt_runtime::{
    Egress, ImageRef, Limits, Mode, Runtime as _,
    docker::{DockerConfig, DockerRuntime, Engine, confinement::Confinement},
};
use ocmt_testkit::{command, programs};

use crate::{cluster::Cluster, talk::Programs};

/// Not those of other tests.
const NETWORKS: &str = "10.232.0.0/16";
const IMAGE: &str = "ocmt-cluster-tests:latest";
/// Where the workload is in the image.
const WORKLOAD: &str = "/workload";

/// The engine, and the image that the containers are made of.
pub struct SharedEngine {
    host: String,
    image: String,
}

/// One life of a container, as the engine tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// On which node it is, by number.
    pub node: usize,
    /// The engine's own id: another making has another.
    pub id: String,
    /// `State.StartedAt`: another start has another.
    pub started_at: String,
    /// Whether it runs now, not paused.
    pub runs: bool,
}

impl SharedEngine {
    /// The engine that `OCMT_TEST_DOCKER` names, with an image of the cell and the demo workload.
    ///
    /// # Errors
    /// It is not named, or does not take the image.
    pub async fn open() -> anyhow::Result<Self> {
        let host = std::env::var("OCMT_TEST_DOCKER");
        let host = host.context("OCMT_TEST_DOCKER names no engine: tests/scripts/engines.sh")?;
        let cell = programs::of_the_cell("ocmt-cell")?.display().to_string();
        let add = format!("{}={WORKLOAD}", programs::of_the_cell("ocmt-demo-workload")?.display());
        let build =
            ["image", "build", "--name", IMAGE, "--docker-host", &host, "--cell", &cell, "--add", &add];
        let said = command::ocmt(&build).await?;
        ensure!(said.code == Some(0), "{}", said.err);
        Ok(Self { image: said.out.trim().to_owned(), host })
    }

    /// Has a node run containers there.
    pub fn configure(&self, config: &mut Config) {
        config.containers.runtime = RuntimeKind::Docker;
        config.containers.docker_host.clone_from(&self.host);
        config.containers.image.clone_from(&self.image);
        NETWORKS.clone_into(&mut config.containers.network_range);
    }

    /// What the image has in place of `sleep` and `cat`: there is no shell in it, nor anything else.
    pub fn programs() -> Programs {
        let words = |word: &str| vec![WORKLOAD.to_owned(), word.to_owned()];
        Programs { stays: words("serve"), repeats: words("repeat"), port: None }
    }

    /// All containers of the nodes, by name.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn lives(&self, cluster: &Cluster) -> anyhow::Result<BTreeMap<String, Life>> {
        let mut lives = BTreeMap::new();
        for node in 0..cluster.nodes.len() {
            let runtime = self.of_node(cluster, node).await?;
            for seen in runtime.list().await? {
                let name = seen.container.to_string();
                let inspect = runtime.engine().docker()?.inspect_container(&name, None).await?;
                let started_at = inspect.state.and_then(|state| state.started_at);
                let life = Life {
                    node,
                    id: inspect.id.context("a container without an id")?,
                    started_at: started_at.context("a container that was never started")?,
                    runs: seen.state == ocmt_runtime::State::Running,
                };
                lives.insert(name, life);
            }
        }
        Ok(lives)
    }

    /// Removes the containers of the nodes, which outlive them on purpose, and all else that came with them.
    ///
    /// # Errors
    /// The engine keeps something.
    pub async fn clear_away(self, cluster: &Cluster) -> anyhow::Result<()> {
        for node in 0..cluster.nodes.len() {
            let runtime = self.of_node(cluster, node).await?;
            for seen in runtime.list().await? {
                runtime.remove(&seen.container).await?;
            }
            runtime.host_guard().remove().await.map_err(anyhow::Error::msg)?;
        }
        let image = ImageRef::parse(&self.image, Mode::Demo)?;
        Ok(Engine::at(&self.host)?.remove_image(&image).await?)
    }

    /// The engine as this node sees it: its own containers alone.
    async fn of_node(&self, cluster: &Cluster, node: usize) -> anyhow::Result<DockerRuntime> {
        let data = cluster.nodes.get(node).context("there is no such node")?.folder().join("data");
        let id = std::fs::read_to_string(data.join("pki/node.id"))?;
        let config = DockerConfig {
            mode: Mode::Demo,
            node: id.trim().parse()?,
            data_dir: data.join("volumes"),
            networks: NETWORKS.parse()?,
            images: Vec::new(),
            ceiling: Limits::default(),
            egress: Egress::Off,
            resolvers: Vec::new(),
            confinement: Confinement::default(),
        };
        Ok(DockerRuntime::open(Engine::at(&self.host)?, config).await?)
    }
}
