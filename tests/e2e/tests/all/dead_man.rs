//! A node that has lost its database for long, with a container on a real Docker engine.

use std::{fs, path::Path, time::Duration};

use ocmt::config::{HumanDuration, RuntimeKind};
use ocmt_runtime::{
    ContainerRef, Egress, Limits, Mode, Runtime as _, State,
    docker::{DockerConfig, DockerRuntime, Engine, confinement::Confinement},
};
use ocmt_store::testing::TestDatabase;
use ocmt_testkit::{TestNode, command, line::Line, ports, programs};

/// Not those of other tests.
const NETWORKS: &str = "10.231.0.0/16";
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) fn engine() -> String {
    std::env::var("OCMT_TEST_DOCKER").expect("OCMT_TEST_DOCKER names no engine: tests/scripts/engines.sh")
}

/// An image of the cell and something to run in it.
pub(crate) async fn image() -> String {
    let cell = programs::of_the_cell("ocmt-cell").unwrap();
    let workload = programs::of_the_cell("ocmt-demo-workload").unwrap();
    let add = format!("{}=/workload", workload.display());
    let name = "ocmt-e2e-dead-man:latest";
    let build = ["image", "build", "--name", name, "--docker-host", &engine(), "--cell"].map(str::to_owned);
    let build = [&build[..], &[cell.display().to_string(), "--add".to_owned(), add]].concat();
    let said = command::ocmt(&build.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(said.code, Some(0), "{}", said.err);
    said.out.trim().to_owned()
}

/// The engine's own word of the node's containers.
async fn looked_at(folder: &Path) -> DockerRuntime {
    let node = fs::read_to_string(folder.join("data/pki/node.id")).unwrap();
    let config = DockerConfig {
        mode: Mode::Demo,
        node: node.trim().parse().unwrap(),
        data_dir: folder.join("data/volumes"),
        networks: NETWORKS.parse().unwrap(),
        images: Vec::new(),
        ceiling: Limits::default(),
        egress: Egress::Off,
        resolvers: Vec::new(),
        confinement: Confinement::default(),
    };
    DockerRuntime::open(Engine::at(&engine()).unwrap(), config).await.unwrap()
}

async fn comes_to(docker: &DockerRuntime, container: &ContainerRef, wanted: State) -> bool {
    let look = async || {
        let seen = docker.inspect(container).await.ok()?;
        (seen.state == wanted).then_some(())
    };
    ocmt::local::wait_for(PATIENCE, look).await.is_some()
}

#[tokio::test]
async fn a_node_that_cannot_rejoin_pauses_what_it_runs_and_wakes_it_when_it_is_back() {
    let database = TestDatabase::migrated().await.unwrap();
    let url = database.url();
    let (login, place) = url.rsplit_once('@').unwrap();
    let (server, name) = place.split_once('/').unwrap();
    let line = Line::to(server.to_owned()).await.unwrap();
    let image = image().await;
    let port = ports::unused().unwrap();
    let node = TestNode::start_on(&format!("{login}@{}/{name}?sslmode=disable", line.address()), |config| {
        // each life of it listens anew, and the next is to be found where the first was
        config.listen.client.set_port(port);
        config.containers.runtime = RuntimeKind::Docker;
        config.containers.docker_host = engine();
        config.containers.image = image;
        config.containers.network_range = NETWORKS.to_owned();
        config.cluster.dead_man = HumanDuration::seconds(5);
    })
    .await
    .unwrap();
    let docker = looked_at(node.folder()).await;
    let ada = node.person("ada").await.unwrap();
    let spec = ocmt_client::container::Spec { argv: vec!["/workload".to_owned()], ..Default::default() };
    let made = ada.client.create_container(&spec, true).await.unwrap();
    let generation = i64::try_from(made.generation).unwrap();
    let container = ContainerRef { container: made.id, generation };
    assert!(comes_to(&docker, &container, State::Running).await);

    line.cut();
    assert!(comes_to(&docker, &container, State::Paused).await, "it goes on without its node's lease");

    line.mend();
    let woken = async || {
        let client = node.local().client().await.ok()?;
        let client = client.signed_in(ada.client.credential()?.clone(), ada.client.identity().ok()?);
        client.wake_container(made.id).await.ok()
    };
    let woken = ocmt::local::wait_for(PATIENCE, woken).await;
    let log = fs::read_to_string(node.folder().join("node.log")).unwrap();
    assert!(woken.is_some(), "the node is not back:\n{log}");
    assert!(comes_to(&docker, &container, State::Running).await);
    docker.remove(&container).await.unwrap();
}
