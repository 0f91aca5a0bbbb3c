//! Docker for the demo: an engine that answers, or a private one of its own; an image made offline.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use bytes::Bytes;
use ocmt_client::container::Container;
use ocmt_runtime::{
    ContainerRef, Egress, ImageRef, Limits, Mode, Runtime as _,
    docker::{
        DockerConfig, DockerRuntime, Engine,
        confinement::Confinement,
        guard::HostGuard,
        import::{ImageFile, ImageName, layer},
    },
};
use ocmt_types::NodeId;

use super::private_docker::PrivateDocker;
use crate::{
    canary::Place,
    config::{Config, RuntimeKind},
    programs,
};

/// Where the workload is in the image, from the root.
pub(super) const WORKLOAD: &str = "ocmt-demo-workload";
const CELL: &str = "ocmt-cell";
/// Networks of the demo's containers: not those of a node that may run beside it.
const NETWORKS: &str = "10.214.0.0/16";
const REPOSITORY: &str = "ocmt-demo";

/// The engine and what the demo put into it.
pub(super) struct Docker {
    host: String,
    engine: Arc<Engine>,
    private: Option<PrivateDocker>,
    image: ImageRef,
    version: String,
}

impl Docker {
    /// The machine's engine if it answers, else one of the demo's own below `folder`; with the image.
    pub(super) async fn open(folder: &Path) -> anyhow::Result<Self> {
        let mut config = Config::default();
        let (host, private) = match super::engine::pick(&mut config).await {
            RuntimeKind::Docker => (config.containers.docker_host, None),
            RuntimeKind::Process => {
                let private = PrivateDocker::start(&folder.join("docker")).await?;
                (private.host().to_owned(), Some(private))
            }
        };
        let engine = Arc::new(Engine::at(&host)?);
        match prepare(&engine, folder).await {
            Ok((image, version)) => Ok(Self { host, engine, private, image, version }),
            Err(error) => {
                if let Some(private) = private {
                    private.stop().await?;
                }
                Err(error)
            }
        }
    }

    pub(super) fn describe(&self) -> String {
        let whose = if self.private.is_some() {
            "a private engine, started for this"
        } else {
            "the engine of this machine"
        };
        format!("{} ({whose}), image {}", self.version, self.image)
    }

    pub(super) fn configure(&self, config: &mut Config) {
        config.containers.runtime = RuntimeKind::Docker;
        config.containers.docker_host.clone_from(&self.host);
        config.containers.image = self.image.to_string();
        config.containers.network_range = NETWORKS.to_owned();
    }

    pub(super) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// What the engine calls a container.
    pub(super) fn name_of(&self, container: &Container) -> String {
        let generation = i64::try_from(container.generation).unwrap_or(i64::MAX);
        ContainerRef { container: container.id, generation }.to_string()
    }

    /// What the engine keeps of a container, to be searched.
    pub(super) async fn places(&self, container: &Container) -> anyhow::Result<Vec<Place>> {
        let docker = self.engine.docker()?;
        let name = self.name_of(container);
        let inspect = docker.inspect_container(&name, None).await.context("docker inspect")?;
        let network = docker.inspect_network(&name, None).await.context("docker network inspect")?;
        let info = self.engine.info().await?;
        let mut places = vec![
            Place::Text("docker inspect".to_owned(), serde_json::to_vec(&inspect)?),
            Place::Text("docker network inspect".to_owned(), serde_json::to_vec(&network)?),
        ];
        // configuration and output of the container; of a private engine there is nothing else
        let root = info.docker_root_dir.unwrap_or_default();
        let kept = Path::new(&root).join("containers");
        let own = inspect.id.map(|id| kept.join(id)).filter(|own| own.is_dir());
        places.extend(own.map(Place::Tree));
        Ok(places)
    }

    /// What the demo's containers last said, for when something goes wrong. Only a private engine's: in
    /// another's folder there may be containers of others.
    pub(super) fn last_words(&self, folder: &Path) -> Vec<String> {
        let kept = folder.join("docker/data/containers");
        let folders = std::fs::read_dir(kept).into_iter().flatten().filter_map(Result::ok);
        let files =
            folders.filter_map(|one| std::fs::read_dir(one.path()).ok()).flatten().filter_map(Result::ok);
        let logs = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "log"));
        let text: String = logs.filter_map(|log| std::fs::read_to_string(log.path()).ok()).collect();
        text.lines().map(str::to_owned).collect()
    }

    /// Removes all that the demo put into the engine, and the engine if it is the demo's own.
    pub(super) async fn clear_away(self, folder: &Path) -> anyhow::Result<()> {
        let emptied = self.empty(folder).await;
        if let Some(private) = self.private {
            private.stop().await?;
        }
        emptied
    }

    /// All of it is tried, whatever fails on the way; the first failure is told.
    async fn empty(&self, folder: &Path) -> anyhow::Result<()> {
        let containers = self.remove_containers(&folder.join("node/data")).await.context("the containers");
        // it outlives a node on purpose, and this node does not come back
        let guard = HostGuard::new(NETWORKS.parse()?).remove().await;
        let image = self.engine.remove_image(&self.image).await.context("the image");
        containers.and(guard.map_err(anyhow::Error::msg).context("the firewall rules")).and(image)
    }

    async fn remove_containers(&self, data: &Path) -> anyhow::Result<()> {
        // a node that never came up has made none
        let Ok(node) = std::fs::read_to_string(data.join("pki/node.id")) else { return Ok(()) };
        let node: NodeId = node.trim().parse().context("the node's id")?;
        let config = DockerConfig {
            mode: Mode::Demo,
            node,
            data_dir: data.join("volumes"),
            networks: NETWORKS.parse()?,
            images: Vec::new(),
            ceiling: Limits { memory_bytes: 64 << 20, pids: 16, cpu_shares: 2 },
            egress: Egress::Off,
            resolvers: Vec::new(),
            confinement: Confinement::default(),
        };
        let runtime = DockerRuntime::open(Engine::at(&self.host)?, config).await?;
        for seen in runtime.list().await? {
            runtime.remove(&seen.container).await?;
        }
        Ok(())
    }
}

/// The image out of the two static programs, and the engine's version.
async fn prepare(engine: &Engine, folder: &Path) -> anyhow::Result<(ImageRef, String)> {
    let version = engine.info().await?.server_version.unwrap_or_default();
    let files = [CELL, WORKLOAD]
        .map(|name| programs::for_image(name).map(|from| ImageFile { from, to: name.into(), mode: 0o755 }));
    let files = files.into_iter().collect::<Result<Vec<_>, _>>()?;
    let tar = layer(&files).context("cannot read the programs for the image")?;
    let tag = folder.file_name().and_then(|name| name.to_str()).unwrap_or("latest").to_lowercase();
    let entrypoint = format!("/{CELL}");
    let name = ImageName { repository: REPOSITORY, tag: &tag, entrypoint: &[&entrypoint] };
    let image = engine
        .import_image(futures_util::stream::iter([Ok(Bytes::from(tar))]), &name)
        .await
        .context("cannot make the image")?;
    Ok((image, version))
}
