//! What every engine must do, written once and run on each (`conformance!` in the engines' test files).
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture};
use ocmt_runtime::{
    CellAddress, ContainerRef, ContainerSpec, Egress, Exit, ImageRef, Limits, Observed, Runtime,
    RuntimeError, RuntimeEvent, StartSecret, State,
};
use ocmt_types::{ContainerId, Epoch, Id as _, IdGen, NodeId, RandomIds, Secret};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::timeout,
};

/// How long anything may take before it counts as never.
pub const SOON: Duration = Duration::from_secs(90);
/// Short, because the stand-in as PID 1 hears no SIGTERM: the kernel drops what PID 1 does not handle.
pub const GRACE: Duration = Duration::from_secs(1);

type End = Box<dyn Fn(ContainerRef, i64) -> BoxFuture<'static, ()> + Send + Sync>;

/// An engine under test.
pub struct Bench {
    pub runtime: Arc<dyn Runtime>,
    pub node: NodeId,
    pub image: ImageRef,
    /// Whether cells are there to be talked to.
    pub real: bool,
    /// Ends a container from inside with this code.
    pub end: End,
    /// Takes down what the bench has put up.
    pub close: Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>,
}

impl Bench {
    /// A spec of a fresh tenant, user and container.
    pub fn spec(&self) -> ContainerSpec {
        let ids: &dyn IdGen = &RandomIds;
        ContainerSpec {
            tenant: ids.id(),
            user: ids.id(),
            container: ids.id(),
            generation: 1,
            epoch: Epoch(7),
            image: self.image.clone(),
            argv: vec!["plain".to_owned()],
            workload_port: None,
            start_locked: false,
            plain: false,
            limits: Limits::default(),
            egress: Egress::Off,
            sealed_volume_bytes: None,
        }
    }

    pub async fn state(&self, container: &ContainerRef) -> State {
        self.runtime.inspect(container).await.unwrap().state
    }

    pub async fn started(&self, spec: &ContainerSpec, secret: &StartSecret) -> (ContainerRef, CellAddress) {
        let container = self.runtime.create(spec).await.unwrap();
        let address = self.runtime.start(&container, secret).await.unwrap();
        (container, address)
    }

    pub async fn wait_for(&self, container: &ContainerRef, state: State) -> Observed {
        let reached = async {
            loop {
                let observed = self.runtime.inspect(container).await.unwrap();
                if observed.state == state {
                    return observed;
                }
                tokio::time::sleep(Duration::from_millis(20)).await; // why: the pause between two looks at a level, bounded by the timeout below
            }
        };
        timeout(SOON, reached).await.unwrap_or_else(|_| panic!("{container} did not become {state}"))
    }
}

/// Runs `body` and takes the bench down whatever comes of it.
pub async fn on<F: for<'b> AsyncFnOnce(&'b Bench)>(bench: Bench, body: F) {
    let outcome = std::panic::AssertUnwindSafe(body(&bench)).catch_unwind().await;
    for left in bench.runtime.list().await.unwrap_or_default() {
        let _ = bench.runtime.remove(&left.container).await;
    }
    (bench.close)().await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

pub fn secret(byte: u8) -> StartSecret {
    Secret::new(std::array::from_fn(|at| byte ^ u8::try_from(at).unwrap()))
}

pub fn hex(secret: &StartSecret) -> String {
    secret.expose().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A line to the stand-in and its answer. It may not listen yet: a refused connection is tried again.
pub async fn ask(address: CellAddress, line: &str) -> String {
    let talk = async {
        loop {
            let Ok(mut stream) = TcpStream::connect(address.0).await else {
                tokio::time::sleep(Duration::from_millis(20)).await; // why: the pause between two looks at a level, bounded by the timeout below
                continue;
            };
            stream.write_all(format!("{line}\n").as_bytes()).await.unwrap();
            let mut answer = String::new();
            BufReader::new(stream).read_line(&mut answer).await.unwrap_or_default();
            return answer.trim().to_owned();
        }
    };
    timeout(SOON, talk).await.unwrap_or_else(|_| panic!("{address} did not answer {line:?}"))
}

/// The static stand-in, compiled once by the `rustc` at hand.
pub fn stand_in() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stand_in/cell.rs");
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stand-in-cell");
    let age = |path: &Path| std::fs::metadata(path).and_then(|it| it.modified()).ok();
    if age(&binary) < age(&source) {
        // several tests may do this at once: each its own file, moved into place whole
        let fresh = binary.with_extension(std::process::id().to_string());
        let mut rustc = Command::new(option_env!("RUSTC").unwrap_or("rustc"));
        rustc
            .args(["--edition", "2024", "-O", "-C", "target-feature=+crt-static", "-C", "panic=abort", "-o"])
            .arg(&fresh)
            .arg(source);
        assert!(rustc.status().expect("rustc is on the path").success(), "the stand-in did not compile");
        std::fs::rename(fresh, &binary).unwrap();
    }
    binary
}

pub async fn a_container_lives_from_create_to_remove(bench: &Bench) {
    let (spec, secret) = (bench.spec(), secret(0x11));
    let container = bench.runtime.create(&spec).await.unwrap();
    let made = bench.runtime.inspect(&container).await.unwrap();
    assert_eq!((made.state, made.exit, made.address, made.started_at), (State::Created, None, None, None));
    assert_eq!(made.labels, spec.labels(bench.node));

    let address = bench.runtime.start(&container, &secret).await.unwrap();
    let running = bench.runtime.inspect(&container).await.unwrap();
    assert_eq!((running.state, running.address), (State::Running, Some(address)));
    assert!(running.started_at.is_some());
    if bench.real {
        assert_eq!(ask(address, "secret").await, hex(&secret), "exactly the secret, then end of file");
    }

    bench.runtime.stop(&container, GRACE).await.unwrap();
    let stopped = bench.runtime.inspect(&container).await.unwrap();
    assert_eq!((stopped.state, stopped.address), (State::Stopped, None));
    assert!(stopped.exit.is_some_and(|exit| !exit.oom));

    bench.runtime.remove(&container).await.unwrap();
    assert!(
        matches!(bench.runtime.inspect(&container).await, Err(RuntimeError::NotFound(gone)) if gone == container)
    );
}

pub async fn a_paused_cell_answers_only_after_unpause(bench: &Bench) {
    let (container, address) = bench.started(&bench.spec(), &secret(1)).await;
    if bench.real {
        assert_eq!(ask(address, "ping").await, "pong");
    }
    bench.runtime.pause(&container).await.unwrap();
    let paused = bench.runtime.inspect(&container).await.unwrap();
    assert_eq!((paused.state, paused.address), (State::Paused, Some(address)));
    let mut question = std::pin::pin!(ask(address, "ping"));
    if bench.real {
        let answer = timeout(Duration::from_millis(300), &mut question).await;
        assert!(answer.is_err(), "a frozen cell answered");
    }
    bench.runtime.unpause(&container).await.unwrap();
    // Docker 20.10 may call it paused again for a moment
    bench.wait_for(&container, State::Running).await;
    if bench.real {
        assert_eq!(question.await, "pong");
    }
}

pub async fn what_is_so_already_is_fine(bench: &Bench) {
    let (runtime, (container, _)) = (&bench.runtime, bench.started(&bench.spec(), &secret(2)).await);
    runtime.unpause(&container).await.unwrap();
    runtime.pause(&container).await.unwrap();
    runtime.pause(&container).await.unwrap();
    runtime.unpause(&container).await.unwrap();
    runtime.stop(&container, GRACE).await.unwrap();
    runtime.stop(&container, GRACE).await.unwrap();
    runtime.kill(&container).await.unwrap();
    runtime.remove(&container).await.unwrap();
    runtime.remove(&container).await.unwrap();
}

pub async fn what_makes_no_sense_is_a_conflict(bench: &Bench) {
    let (runtime, spec, secret) = (&bench.runtime, bench.spec(), secret(3));
    let conflict = |what: &str, done: Result<(), RuntimeError>| {
        assert!(matches!(done, Err(RuntimeError::Conflict { .. })), "{what}: {done:?}");
    };
    let container = runtime.create(&spec).await.unwrap();
    conflict("create twice", runtime.create(&spec).await.map(drop));
    conflict("pause what was never started", runtime.pause(&container).await);
    conflict("unpause what was never started", runtime.unpause(&container).await);
    runtime.stop(&container, GRACE).await.unwrap();
    runtime.kill(&container).await.unwrap();
    runtime.start(&container, &secret).await.unwrap();
    conflict("start what runs", runtime.start(&container, &secret).await.map(drop));
    runtime.pause(&container).await.unwrap();
    conflict("start what is paused", runtime.start(&container, &secret).await.map(drop));
    runtime.kill(&container).await.unwrap();
    conflict("pause what has ended", runtime.pause(&container).await);
    conflict("unpause what has ended", runtime.unpause(&container).await);
}

pub async fn an_unknown_container_is_not_found(bench: &Bench) {
    let (runtime, secret) = (&bench.runtime, secret(4));
    let nobody = ContainerRef { container: ContainerId::from_bytes(RandomIds.random16()), generation: 1 };
    let not_found = |what: &str, done: Result<(), RuntimeError>| {
        assert!(matches!(done, Err(RuntimeError::NotFound(who)) if who == nobody), "{what}: {done:?}");
    };
    not_found("start", runtime.start(&nobody, &secret).await.map(drop));
    not_found("pause", runtime.pause(&nobody).await);
    not_found("unpause", runtime.unpause(&nobody).await);
    not_found("stop", runtime.stop(&nobody, GRACE).await);
    not_found("kill", runtime.kill(&nobody).await);
    not_found("inspect", runtime.inspect(&nobody).await.map(drop));
    runtime.remove(&nobody).await.unwrap();
}

pub async fn a_paused_container_can_be_stopped(bench: &Bench) {
    let (container, _) = bench.started(&bench.spec(), &secret(5)).await;
    bench.runtime.pause(&container).await.unwrap();
    timeout(SOON, bench.runtime.stop(&container, GRACE)).await.expect("stopped in time").unwrap();
    assert_eq!(bench.state(&container).await, State::Stopped);
}

pub async fn a_stopped_container_starts_again_with_another_secret(bench: &Bench) {
    let (container, _) = bench.started(&bench.spec(), &secret(6)).await;
    bench.runtime.kill(&container).await.unwrap();
    let address = bench.runtime.start(&container, &secret(7)).await.unwrap();
    let again = bench.runtime.inspect(&container).await.unwrap();
    assert_eq!((again.state, again.exit), (State::Running, None));
    if bench.real {
        assert_eq!(ask(address, "secret").await, hex(&secret(7)));
    }
}

pub async fn a_running_container_can_be_removed(bench: &Bench) {
    let (container, address) = bench.started(&bench.spec(), &secret(8)).await;
    bench.runtime.remove(&container).await.unwrap();
    assert!(matches!(bench.runtime.inspect(&container).await, Err(RuntimeError::NotFound(_))));
    if bench.real {
        // something else may answer at an address that is nobody's: not as the cell does
        let answer = timeout(Duration::from_secs(1), ask(address, "ping")).await;
        assert_ne!(answer, Ok("pong".to_owned()), "it still listens");
    }
}

pub async fn the_list_is_what_there_is(bench: &Bench) {
    let specs = [bench.spec(), bench.spec(), bench.spec()];
    let mut made = Vec::new();
    for spec in &specs {
        made.push(bench.runtime.create(spec).await.unwrap());
    }
    bench.runtime.start(&made[1], &secret(9)).await.unwrap();
    bench.runtime.remove(&made[2]).await.unwrap();
    let mut expected: Vec<_> =
        specs[..2].iter().map(|spec| (spec.container_ref(), spec.labels(bench.node))).collect();
    expected.sort_by_key(|(container, _)| container.to_string());
    let listed = bench.runtime.list().await.unwrap();
    assert_eq!(listed.iter().map(|it| (it.container, it.labels)).collect::<Vec<_>>(), expected);
    assert_eq!(listed.iter().filter(|it| it.state == State::Running && it.address.is_some()).count(), 1);
}

pub async fn a_death_is_told_with_its_code(bench: &Bench) {
    let mut events = bench.runtime.events();
    assert_eq!(timeout(SOON, events.next()).await.unwrap(), Some(RuntimeEvent::Resync));
    let (container, _) = bench.started(&bench.spec(), &secret(10)).await;
    (bench.end)(container, 7).await;
    let told = timeout(SOON, events.next()).await.expect("a death is told");
    let exit = Exit { code: Some(7), oom: false };
    assert!(
        matches!(told, Some(RuntimeEvent::Died { container: who, exit: how, .. }) if who == container && how == exit),
        "{told:?}"
    );
    assert_eq!(bench.wait_for(&container, State::Stopped).await.exit, Some(exit));
}

pub async fn what_is_wider_than_the_profile_is_refused(bench: &Bench) {
    let spec = bench.spec();
    let limits = Limits::default();
    let wide = [
        ("no generation", ContainerSpec { generation: 0, ..spec.clone() }),
        ("too many arguments", ContainerSpec { argv: vec!["x".to_owned(); 65], ..spec.clone() }),
        ("NUL", ContainerSpec { argv: vec!["a\0b".to_owned()], ..spec.clone() }),
        ("the cell's port", ContainerSpec { workload_port: Some(7450), ..spec.clone() }),
        ("egress", ContainerSpec { egress: Egress::Direct, ..spec.clone() }),
        (
            "memory",
            ContainerSpec {
                limits: Limits { memory_bytes: limits.memory_bytes + 1, ..limits },
                ..spec.clone()
            },
        ),
        ("no memory limit", ContainerSpec { limits: Limits { memory_bytes: 0, ..limits }, ..spec.clone() }),
        ("pids", ContainerSpec { limits: Limits { pids: 257, ..limits }, ..spec.clone() }),
        ("no pids limit", ContainerSpec { limits: Limits { pids: -1, ..limits }, ..spec.clone() }),
        ("a sealed volume too large", ContainerSpec { sealed_volume_bytes: Some(65 << 20), ..spec.clone() }),
        (
            "more than half of the memory sealed",
            ContainerSpec {
                limits: Limits { memory_bytes: 32 << 20, ..limits },
                sealed_volume_bytes: Some(17 << 20),
                ..spec.clone()
            },
        ),
        ("shares", ContainerSpec { limits: Limits { cpu_shares: 513, ..limits }, ..spec.clone() }),
    ];
    for (what, spec) in wide {
        let done = bench.runtime.create(&spec).await;
        assert!(matches!(done, Err(RuntimeError::Refused(_))), "{what}: {done:?}");
    }
    assert!(bench.runtime.list().await.unwrap().is_empty());
}

pub async fn the_volume_outlives_the_container(bench: &Bench) {
    let spec = bench.spec();
    let (container, address) = bench.started(&spec, &secret(12)).await;
    if bench.real {
        assert_eq!(ask(address, "write kept").await, "Ok(())");
    }
    bench.runtime.remove(&container).await.unwrap();
    let next = ContainerSpec { generation: 2, ..spec };
    let (_, address) = bench.started(&next, &secret(13)).await;
    if bench.real {
        assert_eq!(ask(address, "read kept").await, "Ok(\"written\")");
    }
}

/// One test for each property above, on the bench that the expression makes.
#[macro_export]
macro_rules! conformance {
    ($bench:expr) => {
        $crate::conformance! { $bench =>
            a_container_lives_from_create_to_remove
            a_paused_cell_answers_only_after_unpause
            what_is_so_already_is_fine
            what_makes_no_sense_is_a_conflict
            an_unknown_container_is_not_found
            a_paused_container_can_be_stopped
            a_stopped_container_starts_again_with_another_secret
            a_running_container_can_be_removed
            the_list_is_what_there_is
            a_death_is_told_with_its_code
            what_is_wider_than_the_profile_is_refused
            the_volume_outlives_the_container
        }
    };
    ($bench:expr => $($property:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $property() {
            $crate::conformance::on($bench, async |bench| $crate::conformance::$property(bench).await).await;
        }
    )+};
}
