//! A node whose containers are a real Docker engine's.

use std::path::Path;

use anyhow::{Context as _, ensure};
use ocmt::config::{Config, RuntimeKind};
use ocmt_runtime::{
    Egress, Limits, Mode,
    docker::{DockerConfig, DockerRuntime, Engine, confinement::Confinement},
};

use crate::{command, programs};

/// Where the demo's workload is in [`image`]: beside the cell, there is nothing else in it.
pub const WORKLOAD: &str = "/workload";

/// The engine for tests.
///
/// # Errors
/// `OCMT_TEST_DOCKER` names none.
pub fn engine() -> anyhow::Result<String> {
    std::env::var("OCMT_TEST_DOCKER").context("OCMT_TEST_DOCKER names no engine: tests/scripts/engines.sh")
}

/// An image of the cell and the demo's workload.
///
/// # Errors
/// It is not built.
pub async fn image(name: &str) -> anyhow::Result<String> {
    let (host, cell) = (engine()?, programs::of_the_cell("ocmt-cell")?.display().to_string());
    let add = format!("{}={WORKLOAD}", programs::of_the_cell("ocmt-demo-workload")?.display());
    let build = ["image", "build", "--name", name, "--docker-host", &host, "--cell", &cell, "--add", &add];
    let said = command::ocmt(&build).await?;
    ensure!(said.code == Some(0), "{}", said.err);
    Ok(said.out.trim().to_owned())
}

/// Has a node run containers of `image` there, on `networks`: not those of other tests.
///
/// # Errors
/// There is no engine.
pub fn configure(config: &mut Config, image: &str, networks: &str) -> anyhow::Result<()> {
    config.containers.runtime = RuntimeKind::Docker;
    config.containers.docker_host = engine()?;
    image.clone_into(&mut config.containers.image);
    networks.clone_into(&mut config.containers.network_range);
    Ok(())
}

/// The engine's own word of the containers of the node in `folder`.
///
/// # Errors
/// The engine does not answer.
pub async fn of_node(folder: &Path, networks: &str) -> anyhow::Result<DockerRuntime> {
    let node = std::fs::read_to_string(folder.join("data/pki/node.id"))?;
    let config = DockerConfig {
        mode: Mode::Demo,
        node: node.trim().parse()?,
        data_dir: folder.join("data/volumes"),
        networks: networks.parse()?,
        images: Vec::new(),
        ceiling: Limits::default(),
        egress: Egress::Off,
        resolvers: Vec::new(),
        confinement: Confinement::default(),
    };
    Ok(DockerRuntime::open(Engine::at(&engine()?)?, config).await?)
}

/// Removes what the node left there: its containers outlive it on purpose.
///
/// # Errors
/// The engine keeps something.
pub async fn clear(docker: &DockerRuntime) -> anyhow::Result<()> {
    use ocmt_runtime::Runtime as _;
    for seen in docker.list().await? {
        docker.remove(&seen.container).await?;
    }
    docker.host_guard().remove().await.map_err(anyhow::Error::msg)
}
