//! The engine that is away, comes back, or is somebody else's; and a container out of memory.

use std::{path::PathBuf, sync::Arc};

use futures_util::StreamExt as _;
use ocmt_runtime::{
    ContainerSpec, Egress, Limits, Mode, Observed, Runtime as _, RuntimeError, RuntimeEvent, State,
    docker::{DockerConfig, DockerRuntime, Engine},
};
use tokio::{
    net::{UnixListener, UnixStream},
    task::JoinSet,
    time::timeout,
};

use crate::{
    config,
    conformance::{SOON, ask, on, secret},
    docker, docker_with, engine, url,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_not_there_is_a_warning_and_a_retryable_error() {
    let folder = tempfile::tempdir().unwrap();
    let image = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
    let nowhere = Engine::at(&format!("unix://{}/docker.sock", folder.path().display())).unwrap();
    let runtime = DockerRuntime::open(nowhere, config(folder.path(), &image)).await.unwrap();
    assert!(!runtime.warnings().is_empty());
    let error = runtime.list().await.unwrap_err();
    assert!(matches!(&error, RuntimeError::EngineDown(_)) && error.is_retryable(), "{error}");
    runtime.host_guard().remove().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn configurations_that_no_container_may_run_under_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let tag = ocmt_runtime::ImageRef::parse("ocmt/cell:latest", Mode::Dev).unwrap();
    let good = DockerConfig { images: Vec::new(), ..config(folder.path(), &tag) };
    let refused = [
        DockerConfig { images: vec![tag], ..good.clone() },
        DockerConfig {
            egress: Egress::Direct,
            resolvers: vec!["192.0.2.53".parse().unwrap()],
            ..good.clone()
        },
        DockerConfig { mode: Mode::Dev, egress: Egress::Direct, ..good.clone() },
        DockerConfig {
            mode: Mode::Dev,
            egress: Egress::Direct,
            resolvers: vec!["127.0.0.53".parse().unwrap()],
            ..good
        },
    ];
    for config in refused {
        let opened = DockerRuntime::open(engine(), config).await;
        assert!(matches!(opened, Err(RuntimeError::Refused(_))), "{opened:?}");
    }
    assert!(matches!(Engine::at("tcp://127.0.0.1:2375"), Err(RuntimeError::Refused(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_node_finds_its_running_containers_by_label() {
    let docker = docker().await;
    let config = docker.config;
    on(docker.bench, async |bench| {
        let spec = bench.spec();
        let (container, address) = bench.started(&spec, &secret(1)).await;
        let again = DockerRuntime::open(engine(), config).await.unwrap();
        let found = again.list().await.unwrap();
        assert!(matches!(&found[..], [Observed { state: State::Running, address: Some(at), .. }] if *at == address), "{found:?}");
        assert_eq!((found[0].container, found[0].labels), (container, spec.labels(bench.node)));
        again.pause(&container).await.unwrap();
        again.stop(&container, std::time::Duration::ZERO).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn running_out_of_memory_is_told_and_remembered() {
    let docker = docker().await;
    let mut events = docker.runtime.events();
    on(docker.bench, async |bench| {
        assert_eq!(events.next().await, Some(RuntimeEvent::Resync));
        let spec =
            ContainerSpec { limits: Limits { memory_bytes: 64 << 20, ..Limits::default() }, ..bench.spec() };
        let (container, address) = bench.started(&spec, &secret(1)).await;
        ask(address, "eat 256").await;
        let told = |event: Option<RuntimeEvent>| event.unwrap();
        let first = told(timeout(SOON, events.next()).await.unwrap());
        assert!(
            matches!(&first, RuntimeEvent::OutOfMemory { container: who, .. } if *who == container),
            "{first:?}"
        );
        let second = told(timeout(SOON, events.next()).await.unwrap());
        assert!(
            matches!(&second, RuntimeEvent::Died { exit, .. } if exit.oom && exit.code == Some(137)),
            "{second:?}"
        );
        assert!(bench.wait_for(&container, State::Stopped).await.exit.unwrap().oom);
    })
    .await;
}

/// A socket in front of the engine that can be cut.
struct Wire {
    socket: PathBuf,
    relays: JoinSet<()>,
}

impl Wire {
    fn lay(socket: PathBuf) -> Self {
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        let target = url().trim_start_matches("unix://").to_owned();
        let mut relays = JoinSet::new();
        relays.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let target = target.clone();
                connections.spawn(async move {
                    let mut far = UnixStream::connect(target).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Self { socket, relays }
    }

    async fn cut(mut self) -> PathBuf {
        self.relays.shutdown().await;
        std::fs::remove_file(&self.socket).unwrap();
        self.socket
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_while_the_engine_was_away_is_told_after_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let wire = Wire::lay(folder.path().join("docker.sock"));
    let socket = wire.socket.display().to_string();
    let docker = docker_with(|_| {}).await;
    let behind =
        Arc::new(DockerRuntime::open(Engine::at(&socket).unwrap(), docker.config.clone()).await.unwrap());
    on(docker.bench, async |bench| {
        let mut events = behind.events();
        assert_eq!(events.next().await, Some(RuntimeEvent::Resync));
        let (container, _) = bench.started(&bench.spec(), &secret(1)).await;
        // one death over the wire, so that there is a connection to be cut
        let (first, _) = bench.started(&bench.spec(), &secret(2)).await;
        bench.runtime.kill(&first).await.unwrap();
        assert!(
            matches!(events.next().await, Some(RuntimeEvent::Died { container, .. }) if container == first)
        );
        let socket = wire.cut().await;
        assert!(behind.list().await.is_err_and(|error| error.is_retryable()));
        bench.runtime.kill(&container).await.unwrap();
        let _wire = Wire::lay(socket);
        assert_eq!(timeout(SOON, events.next()).await.unwrap(), Some(RuntimeEvent::Resync));
        let told = timeout(SOON, events.next()).await.unwrap();
        assert!(
            matches!(&told, Some(RuntimeEvent::Died { container: who, .. }) if *who == container),
            "{told:?}"
        );
        assert_eq!(behind.list().await.unwrap().len(), 2);
    })
    .await;
}
