//! The process engine: the conformance suite, and what it does at the edges of the node's own life.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod conformance;

use std::{path::Path, sync::Arc, time::Duration};

use conformance::{Bench, GRACE, SOON, ask, on, secret, stand_in};
use futures_util::FutureExt as _;
use ocmt_runtime::{
    ContainerSpec, Isolation, Mode, Runtime as _, RuntimeError, State,
    process::{ProcessConfig, ProcessRuntime, end_left},
};
use ocmt_types::{Id as _, IdGen as _, NodeId, RandomIds, SystemClock};

fn config(folder: &Path, node: NodeId) -> ProcessConfig {
    ProcessConfig {
        mode: Mode::Dev,
        node,
        cell: stand_in(),
        state_dir: folder.join("state"),
        data_dir: folder.join("data"),
        start_within: Duration::from_secs(60),
        clock: Arc::new(SystemClock),
    }
}

async fn bench_in(folder: &Path, node: NodeId) -> Bench {
    let runtime = Arc::new(ProcessRuntime::open(config(folder, node)).await.unwrap());
    let talker = Arc::clone(&runtime);
    Bench {
        runtime,
        node,
        image: format!("sha256:{}", "0".repeat(64)).parse().unwrap(),
        real: true,
        end: Box::new(move |container, code| {
            let runtime = Arc::clone(&talker);
            async move {
                let address = runtime.inspect(&container).await.unwrap().address.unwrap();
                ask(address, &format!("exit {code}")).await;
            }
            .boxed()
        }),
        close: Box::new(|| async {}.boxed()),
    }
}

fn node() -> NodeId {
    NodeId::from_bytes(RandomIds.random16())
}

async fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench_in(folder.path(), node()).await;
    Bench { close: Box::new(move || async move { drop(folder) }.boxed()), ..bench }
}

conformance!(bench().await);

fn family(bench: &Bench) -> ContainerSpec {
    ContainerSpec { argv: vec!["family".to_owned()], ..bench.spec() }
}

/// The states of this cell's processes, by its volume as their working folder.
fn states_under(volume: &Path) -> Vec<char> {
    let volume = std::fs::canonicalize(volume).unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let ours = processes.filter(|path| std::fs::read_link(path.join("cwd")).is_ok_and(|cwd| cwd == volume));
    let state = |path: std::path::PathBuf| {
        std::fs::read_to_string(path.join("stat")).ok()?.rsplit_once(") ")?.1.chars().next()
    };
    ours.filter_map(state).filter(|state| !"ZX".contains(*state)).collect()
}

#[tokio::test]
async fn production_is_refused_and_dev_is_told_that_nothing_is_isolated() {
    let folder = tempfile::tempdir().unwrap();
    let production = ProcessConfig { mode: Mode::Production, ..config(folder.path(), node()) };
    assert!(
        matches!(ProcessRuntime::open(production).await, Err(RuntimeError::Refused(why)) if why.contains("isolates nothing"))
    );
    let runtime = ProcessRuntime::open(config(folder.path(), node())).await.unwrap();
    assert_eq!(runtime.isolation(), Isolation::None);
    assert!(runtime.warnings()[0].contains("isolates nothing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_and_kill_reach_all_descendants_in_whatever_group() {
    let folder = tempfile::tempdir().unwrap();
    on(bench_in(folder.path(), node()).await, async |bench| {
        let spec = family(bench);
        let (container, address) = bench.started(&spec, &secret(1)).await;
        assert_eq!(ask(address, "ping").await, "pong");
        let volume = folder.path().join("data").join(spec.tenant.to_string()).join(spec.user.to_string());
        assert_eq!(states_under(&volume).len(), 3);
        bench.runtime.pause(&container).await.unwrap();
        assert_eq!(states_under(&volume), ['T', 'T', 'T']);
        bench.runtime.unpause(&container).await.unwrap();
        assert!(!states_under(&volume).contains(&'T'));
        bench.runtime.stop(&container, GRACE).await.unwrap();
        assert!(states_under(&volume).is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_is_empty_but_for_two_paths_and_the_folder_is_the_volume() {
    on(bench().await, async |bench| {
        let spec = bench.spec();
        let (_, address) = bench.started(&spec, &secret(1)).await;
        assert_eq!(ask(address, "env").await, "PATH TMPDIR");
        assert!(ask(address, "cwd").await.contains(&spec.user.to_string()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_cell_leaves_goes_with_the_next_start_and_with_the_container() {
    let folder = tempfile::tempdir().unwrap();
    on(bench_in(folder.path(), node()).await, async |bench| {
        let (container, address) = bench.started(&bench.spec(), &secret(1)).await;
        let temporary = folder.path().join("state").join(format!("{container}.tmp"));
        let left = temporary.join("left");
        assert_eq!(ask(address, &format!("write {}", left.display())).await, "Ok(())");
        bench.runtime.kill(&container).await.unwrap();
        assert!(left.exists(), "nobody clears up after a cell that was killed");
        bench.runtime.start(&container, &secret(2)).await.unwrap();
        assert!(temporary.is_dir() && !left.exists());
        bench.runtime.remove(&container).await.unwrap();
        assert!(!temporary.exists());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cell_that_ends_or_says_nothing_fails_the_start_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    // longer than what dies at once takes to say why on a busy machine
    let hasty = ProcessConfig { start_within: Duration::from_secs(5), ..config(folder.path(), node()) };
    let runtime = ProcessRuntime::open(hasty).await.unwrap();
    on(Bench { runtime: Arc::new(runtime), ..bench().await }, async |bench| {
        for (argv, words) in [("dies", "no such workload"), ("silent", "did not say where")] {
            let spec = ContainerSpec { argv: vec![argv.to_owned()], ..bench.spec() };
            let container = bench.runtime.create(&spec).await.unwrap();
            let error = bench.runtime.start(&container, &secret(1)).await.unwrap_err();
            assert!(
                matches!(&error, RuntimeError::StartFailed { why, .. } if why.contains(words)),
                "{error}"
            );
            assert_eq!(bench.state(&container).await, State::Stopped);
        }
    })
    .await;
}

/// A node's life: a Tokio runtime that ends without ending its children.
fn life<T: Send + 'static>(folder: &Path, node: NodeId, body: impl AsyncFnOnce(&Bench) -> T) -> T {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let answer = tokio.block_on(async { body(&bench_in(folder, node).await).await });
    tokio.shutdown_background();
    answer
}

#[test]
fn a_restarted_node_adopts_the_cell_that_lives_and_clears_up_after_the_one_that_does_not() {
    let (folder, node) = (tempfile::tempdir().unwrap(), node());
    let (lives, address, orphaned) = life(folder.path(), node, async |bench| {
        let (lives, address) = bench.started(&bench.spec(), &secret(1)).await;
        let (orphaned, _) = bench.started(&bench.spec(), &secret(2)).await;
        bench.runtime.pause(&lives).await.unwrap();
        (lives, address, orphaned)
    });
    // while no node is there, one of the cells is killed
    let record = std::fs::read_to_string(folder.path().join(format!("state/{orphaned}.json"))).unwrap();
    let pid = record.split_once("\"pid\":").unwrap().1.split_once(',').unwrap().0.parse().unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    while std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z")) {
        std::thread::yield_now();
    }

    life(folder.path(), node, async |bench| {
        assert_eq!(bench.state(&orphaned).await, State::Stopped);
        let found = bench.runtime.inspect(&lives).await.unwrap();
        assert_eq!((found.state, found.address), (State::Paused, Some(address)));
        bench.runtime.unpause(&lives).await.unwrap();
        assert_eq!(ask(address, "ping").await, "pong");
        // an adopted cell's end is seen too
        ask(address, "exit 3").await;
        assert_eq!(bench.wait_for(&lives, State::Stopped).await.exit.unwrap().code, None);
        bench.runtime.start(&lives, &secret(3)).await.unwrap();
        bench.runtime.remove(&lives).await.unwrap();
        bench.runtime.remove(&orphaned).await.unwrap();
    });
    assert_eq!(std::fs::read_dir(folder.path().join("state")).unwrap().count(), 0);
}

#[test]
fn another_process_under_the_recorded_id_is_left_alone() {
    let (folder, node) = (tempfile::tempdir().unwrap(), node());
    let container = life(folder.path(), node, async |bench| {
        let (container, _) = bench.started(&bench.spec(), &secret(1)).await;
        bench.runtime.kill(&container).await.unwrap();
        container
    });
    let mut bystander = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let place = folder.path().join(format!("state/{container}.json"));
    let mut record: serde_json::Value = serde_json::from_slice(&std::fs::read(&place).unwrap()).unwrap();
    record["run"]["leader"]["pid"] = bystander.id().into();
    record["ended"] = false.into();
    std::fs::write(&place, record.to_string()).unwrap();
    end_left(&folder.path().join("state"));
    life(folder.path(), node, async |bench| {
        assert_eq!(bench.state(&container).await, State::Stopped);
        bench.runtime.remove(&container).await.unwrap();
    });
    assert!(bystander.try_wait().unwrap().is_none(), "a process that is not ours was killed");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[test]
fn what_a_node_left_ends_for_whoever_takes_its_folder_away() {
    let (folder, node) = (tempfile::tempdir().unwrap(), node());
    let state = folder.path().join("state");
    end_left(&state);
    assert!(!state.exists());
    let (container, tenant, user) = life(folder.path(), node, async |bench| {
        let spec = family(bench);
        let (container, address) = bench.started(&spec, &secret(1)).await;
        assert_eq!(ask(address, "ping").await, "pong");
        (container, spec.tenant, spec.user)
    });
    let volume = folder.path().join("data").join(tenant.to_string()).join(user.to_string());
    assert_eq!(states_under(&volume).len(), 3);
    end_left(&state);
    assert!(states_under(&volume).is_empty());
    life(folder.path(), node, async |bench| {
        assert_eq!(bench.state(&container).await, State::Stopped);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn shutting_down_ends_every_cell() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = Arc::new(ProcessRuntime::open(config(folder.path(), node())).await.unwrap());
    on(Bench { runtime: Arc::<ProcessRuntime>::clone(&runtime), ..bench().await }, async |bench| {
        let (running, _) = bench.started(&bench.spec(), &secret(1)).await;
        let (paused, _) = bench.started(&family(bench), &secret(2)).await;
        bench.runtime.pause(&paused).await.unwrap();
        tokio::time::timeout(SOON, runtime.shut_down(GRACE)).await.unwrap();
        assert_eq!(
            (bench.state(&running).await, bench.state(&paused).await),
            (State::Stopped, State::Stopped)
        );
    })
    .await;
}
