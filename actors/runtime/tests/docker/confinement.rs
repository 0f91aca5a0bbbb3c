//! What an operator adds to the profile: fewer system calls, another runtime.

use bollard::models::HostConfig;
use ocmt_runtime::{
    ContainerSpec, Mode, Runtime as _, RuntimeError,
    docker::{
        DockerConfig, DockerRuntime,
        confinement::{Confinement, Seccomp},
        drift,
    },
};
use ocmt_types::{ContainerId, Id as _, IdGen as _, RandomIds};

use crate::{
    config,
    conformance::{ask, on, secret},
    docker, docker_with, engine,
    profile::client,
};

/// A second name for the runtime that every Docker has.
const OTHER: &str = "io.containerd.runc.v2";
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
    let named = Confinement { oci_runtime: Some(OTHER.to_owned()), ..strict() };
    let docker = docker_with(|config| config.confinement = named).await;
    let (runtime, own) = (docker.runtime, docker.config.clone());
    on(docker.bench, async |bench| {
        let spec = bench.spec();
        let (container, address) = bench.started(&spec, &secret(1)).await;
        assert_eq!(ask(address, "ping").await, "pong");
        let inspect = client().inspect_container(&container.to_string(), None).await.unwrap();
        assert_eq!(inspect.host_config.unwrap().runtime.as_deref(), Some(OTHER));
        assert_eq!(runtime.audit(&container).await.unwrap(), []);
        assert_eq!(bench.runtime.drift(&spec).await.unwrap(), Vec::<String>::new());

        let usual =
            DockerRuntime::open(engine(), DockerConfig { confinement: strict(), ..own }).await.unwrap();
        let told = usual.audit(&container).await.unwrap();
        assert!(matches!(&told[..], [one] if one.item == "Runtime" && one.found == OTHER), "{told:?}");
        assert_eq!(usual.drift(&spec).await.unwrap(), Vec::<String>::new(), "a setting stops nobody");
        let next = ContainerSpec { container: ContainerId::from_bytes(RandomIds.random16()), ..spec };
        let next = usual.create(&next).await.unwrap();
        let told = runtime.audit(&next).await.unwrap();
        assert!(
            matches!(&told[..], [one] if one.item == "Runtime" && one.expected.contains(OTHER)),
            "{told:?}"
        );
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
