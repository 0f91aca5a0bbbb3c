//! What an operator adds to the profile: fewer system calls, another runtime.

use std::net::SocketAddr;

use bollard::models::HostConfig;
use ocmt_runtime::{
    ContainerSpec, Egress, Mode, Runtime as _, RuntimeError,
    docker::{
        DockerConfig, DockerRuntime,
        confinement::{Confinement, Seccomp},
        drift,
    },
};
use ocmt_types::{ContainerId, Id as _, IdGen as _, RandomIds};
use tokio::net::TcpListener;

use crate::{
    config,
    conformance::{self, Bench, ask, on, secret},
    docker, docker_with, engine,
    network::host_side,
    profile::{client, no_rights_and_no_writable_root, no_way_to_gain_rights},
};

/// Runtimes that `tests/scripts/docker-engine.sh` gives its engine beside `runc`: another program for this machine's kernel…
const CRUN: &str = "crun";
/// … and one with a kernel of its own.
const GVISOR: &str = "runsc";
/// `EPERM` and `ENOSYS`, as a filter answers.
const DENIED: &str = "Err(Some(1))";
const UNKNOWN: &str = "Err(Some(38))";

fn strict() -> Confinement {
    Confinement { seccomp: Seccomp::Strict, ..Confinement::default() }
}

/// Calls by number (x86-64) that Docker's profile of 20.10 lets through, and ours does not.
const NARROWED: [(&str, &str); 6] = [
    ("ptrace: attach to nobody", "syscall 101 16 0"),
    ("shmget: a segment of its own", "syscall 29 0 4096 896"),
    ("modify_ldt: read none", "syscall 154 0 0 0"),
    ("vmsplice: nothing", "syscall 278 1 0 0"),
    ("personality: PER_LINUX32", "syscall 135 8"),
    ("socket: AF_NETLINK, audit", "syscall 41 16 3 9"),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_strict_filter_denies_what_dockers_own_lets_through_and_a_cell_lives_under_it() {
    let docker = docker_with(|config| config.confinement = strict()).await;
    let (runtime, own) = (docker.runtime, docker.config.clone());
    on(docker.bench, async |bench| {
        let spec = bench.spec();
        let (container, address) = bench.started(&spec, &secret(1)).await;
        for (what, call) in NARROWED {
            assert_eq!(ask(address, call).await, DENIED, "{what}");
        }
        // the flags of clone3 are where no filter sees them: libraries go back to clone, whose flags are looked at
        assert_eq!(ask(address, "syscall 435 0 0").await, UNKNOWN);
        assert_eq!(ask(address, "syscall 56 268435456").await, DENIED, "clone: a user namespace");
        assert_eq!(ask(address, "syscall 272 268435456").await, DENIED, "unshare: a user namespace");
        for (what, call) in [("AF_INET", "syscall 41 2 1 0"), ("NETLINK_ROUTE", "syscall 41 16 3 0")] {
            assert_eq!(ask(address, call).await, "Ok(())", "{what}");
        }
        assert_eq!(ask(address, "write /volume/kept").await, "Ok(())");
        bench.runtime.pause(&container).await.unwrap();
        bench.runtime.unpause(&container).await.unwrap();
        assert_eq!(ask(address, "read /volume/kept").await, "Ok(\"written\")");

        assert_eq!(runtime.audit(&container).await.unwrap(), []);
        assert_eq!(bench.runtime.drift(&spec).await.unwrap(), Vec::<String>::new());
        // the node asks for less again: nobody is stopped for what was asked before, nor told of it
        let laxer = DockerConfig { confinement: Confinement::default(), ..own };
        let laxer = DockerRuntime::open(engine(), laxer).await.unwrap();
        assert_eq!(laxer.drift(&spec).await.unwrap(), Vec::<String>::new());
        assert_eq!(laxer.audit(&container).await.unwrap(), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_with_dockers_filter_is_told_of_and_goes_on_and_a_foreign_filter_is_held() {
    let docker = docker().await;
    let own = docker.config.clone();
    on(docker.bench, async |bench| {
        let spec = bench.spec();
        let (container, address) = bench.started(&spec, &secret(1)).await;
        for (what, call) in NARROWED {
            assert_ne!(
                ask(address, call).await,
                DENIED,
                "{what} is denied by Docker: the list shows nothing"
            );
        }
        let stricter = DockerConfig { confinement: strict(), ..own };
        let stricter = DockerRuntime::open(engine(), stricter).await.unwrap();
        let told = stricter.audit(&container).await.unwrap();
        assert!(matches!(&told[..], [one] if one.item == "Seccomp" && one.expected == "strict"), "{told:?}");
        assert_eq!(stricter.drift(&spec).await.unwrap(), Vec::<String>::new(), "a setting stops nobody");

        let inspect = client().inspect_container(&container.to_string(), None).await.unwrap();
        let with = |change: &dyn Fn(&mut HostConfig)| {
            let mut other = inspect.clone();
            change(other.host_config.as_mut().unwrap());
            drift::check(&other, &stricter.bounds()).into_iter().map(|drift| drift.item).collect::<Vec<_>>()
        };
        let opened = |host: &mut HostConfig| {
            let filter = "seccomp={\"defaultAction\":\"SCMP_ACT_ALLOW\"}".to_owned();
            host.security_opt.as_mut().unwrap().push(filter);
        };
        assert_eq!(with(&opened), ["SecurityOpt"], "which is among what nobody but a hand changes");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_run_under_the_runtime_that_is_named_and_others_are_told() {
    let named = Confinement { oci_runtime: Some(CRUN.to_owned()), ..strict() };
    let docker = docker_with(|config| config.confinement = named).await;
    let (runtime, own) = (docker.runtime, docker.config.clone());
    on(docker.bench, async |bench| {
        let spec = bench.spec();
        let (container, address) = bench.started(&spec, &secret(1)).await;
        no_way_to_gain_rights(address).await;
        assert_eq!(ask(address, NARROWED[0].1).await, DENIED, "the strict filter is not there");
        let inspect = client().inspect_container(&container.to_string(), None).await.unwrap();
        assert_eq!(inspect.host_config.unwrap().runtime.as_deref(), Some(CRUN));
        assert_eq!(runtime.audit(&container).await.unwrap(), []);
        assert_eq!(bench.runtime.drift(&spec).await.unwrap(), Vec::<String>::new());

        let usual =
            DockerRuntime::open(engine(), DockerConfig { confinement: strict(), ..own }).await.unwrap();
        let told = usual.audit(&container).await.unwrap();
        assert!(matches!(&told[..], [one] if one.item == "Runtime" && one.found == CRUN), "{told:?}");
        assert_eq!(usual.drift(&spec).await.unwrap(), Vec::<String>::new(), "a setting stops nobody");
        let next = ContainerSpec { container: ContainerId::from_bytes(RandomIds.random16()), ..spec };
        let next = usual.create(&next).await.unwrap();
        let told = runtime.audit(&next).await.unwrap();
        assert!(
            matches!(&told[..], [one] if one.item == "Runtime" && one.expected.contains(CRUN)),
            "{told:?}"
        );
    })
    .await;
}

/// The life of a container, and its end.
async fn lives(bench: &Bench) {
    conformance::a_container_lives_from_create_to_remove(bench).await;
    conformance::a_paused_cell_answers_only_after_unpause(bench).await;
    conformance::a_death_is_told_with_its_code(bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_lives_under_crun_as_under_runc() {
    let named = Confinement { oci_runtime: Some(CRUN.to_owned()), ..Confinement::default() };
    on(docker_with(|config| config.confinement = named).await.bench, lives).await;
}

/// gVisor says nothing of filters and privileges, for its kernel is its own: what they are there for is asked instead.
#[tokio::test(flavor = "multi_thread")]
async fn a_container_under_gvisor_has_a_kernel_of_its_own_and_the_same_walls() {
    let named = Confinement { oci_runtime: Some(GVISOR.to_owned()), ..Confinement::default() };
    let docker = docker_with(|config| config.confinement = named).await;
    let runtime = docker.runtime;
    on(docker.bench, async |bench| {
        let spec = bench.spec();
        let (container, address) = bench.started(&spec, &secret(1)).await;
        let inspect = client().inspect_container(&container.to_string(), None).await.unwrap();
        assert_eq!(inspect.host_config.unwrap().runtime.as_deref(), Some(GVISOR));
        let kernel = std::fs::read_to_string("/proc/version").unwrap();
        let inside = ask(address, "read /proc/version").await;
        assert!(inside.contains("Linux version") && !inside.contains(kernel.trim()), "{inside}");
        no_rights_and_no_writable_root(address).await;
        assert_eq!(runtime.audit(&container).await.unwrap(), []);
        assert_eq!(bench.runtime.drift(&spec).await.unwrap(), Vec::<String>::new());

        let (neighbour, other) = bench.started(&bench.spec(), &secret(2)).await;
        assert_eq!(ask(other, "ping").await, "pong");
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let host = SocketAddr::new(host_side(address), listener.local_addr().unwrap().port());
        for target in [other.0, host] {
            let answer = ask(address, &format!("connect {target}")).await;
            assert!(answer.starts_with("Err"), "{target}: {answer}");
        }
        for made in [container, neighbour] {
            bench.runtime.remove(&made).await.unwrap();
        }
        lives(bench).await;
    })
    .await;
}

/// What it may reach, it reaches, on the same network and at the same moment: else what it does not reach would show a network
/// that is broken, and no wall.
#[tokio::test(flavor = "multi_thread")]
async fn a_container_under_gvisor_reaches_its_own_door_and_nothing_else() {
    let named = Confinement { oci_runtime: Some(GVISOR.to_owned()), ..Confinement::default() };
    let docker = docker_with(|config| (config.confinement, config.egress) = (named, Egress::Proxied)).await;
    let runtime = docker.runtime;
    on(docker.bench, async |bench| {
        let spec = || ContainerSpec { egress: Egress::Proxied, ..bench.spec() };
        let (_, one) = bench.started(&spec(), &secret(1)).await;
        let (_, other) = bench.started(&spec(), &secret(2)).await;
        assert_eq!(ask(other, "ping").await, "pong", "the neighbour is there");
        let door = |cell| runtime.door(cell).unwrap().listen;
        let (own, neighbours) = (door(one), door(other));
        let listening = [
            TcpListener::bind(own).await.unwrap(),
            TcpListener::bind(neighbours).await.unwrap(),
            TcpListener::bind("0.0.0.0:0").await.unwrap(),
        ];
        let host = SocketAddr::new(host_side(one), listening[2].local_addr().unwrap().port());
        let reaches = async |target: SocketAddr| ask(one, &format!("connect {target}")).await;
        assert_eq!(reaches(own).await, "Ok(())", "its network is broken: what follows would show nothing");
        let outside = ["169.254.169.254:80", "192.0.2.1:443"].map(|target| target.parse().unwrap());
        for target in [other.0, neighbours, host].into_iter().chain(outside) {
            let answer = reaches(target).await;
            assert!(answer.starts_with("Err"), "{target}: {answer}");
        }
        assert_eq!(reaches(own).await, "Ok(())", "it was broken meanwhile");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_the_engine_does_not_have_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let image = ocmt_runtime::ImageRef::parse("ocmt/cell:latest", Mode::Dev).unwrap();
    let confinement = Confinement { oci_runtime: Some("kata-nowhere".to_owned()), ..Confinement::default() };
    let config = DockerConfig { images: Vec::new(), confinement, ..config(folder.path(), &image) };
    let refused = DockerRuntime::open(engine(), config).await;
    let Err(RuntimeError::Refused(why)) = refused else { panic!("{refused:?}") };
    for part in ["kata-nowhere", "containers.oci_runtime", "runc", "daemon.json"] {
        assert!(why.contains(part), "{part} is not in {why}");
    }
}
