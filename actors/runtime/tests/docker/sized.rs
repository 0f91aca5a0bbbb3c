//! Volumes with a size: full when they are, kept over restarts of all kinds, gone when they are erased.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use ocmt_runtime::{
    ArchiveErrand, ContainerSpec, Runtime as _, RuntimeError,
    docker::{DockerRuntime, confinement::Confinement},
};
use ocmt_types::{ContainerId, Id as _, IdGen as _, RandomIds, UserId};

use crate::{
    Docker,
    conformance::{ask, on, secret},
    docker_with, engine,
};

const MIB: u64 = 1 << 20;

async fn docker(bytes: u64) -> Docker {
    let confinement = Confinement { volume_bytes: Some(bytes), ..Confinement::default() };
    docker_with(|config| config.confinement = confinement).await
}

fn volume(runtime: &Arc<DockerRuntime>, spec: &ContainerSpec) -> PathBuf {
    ocmt_runtime::volume::path(&runtime.bounds().data_dir, spec.tenant, spec.user)
}

fn mounts(path: &Path) -> usize {
    let path = path.display().to_string();
    std::fs::read_to_string("/proc/self/mountinfo")
        .unwrap()
        .lines()
        .filter(|line| line.contains(&path))
        .count()
}

/// As a machine that is started anew.
fn forget(path: &Path) {
    assert!(Command::new("umount").arg(path).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fills_a_volume_is_told_that_it_is_full_and_nobody_else_notices() {
    let docker = docker(16 * MIB).await;
    let runtime = docker.runtime;
    on(docker.bench, async |bench| {
        let spec = bench.spec();
        let other = ContainerSpec {
            user: UserId::from_bytes(RandomIds.random16()),
            container: ContainerId::from_bytes(RandomIds.random16()),
            ..spec.clone()
        };
        let (first, address) = bench.started(&spec, &secret(1)).await;
        let (second, elsewhere) = bench.started(&other, &secret(2)).await;
        assert_eq!(runtime.audit(&first).await.unwrap(), []);
        let full = ask(address, "fill /volume/all").await;
        assert!(full.ends_with("Some(StorageFull))"), "{full}");
        let mib: u64 = full.trim_start_matches('(').split(',').next().unwrap().parse().unwrap();
        assert!((8..16).contains(&mib), "{full}");
        assert_eq!(ask(elsewhere, "write /volume/kept").await, "Ok(())");
        let root_only = ask(address, "read /volume/lost+found").await;
        assert!(root_only.contains("NotFound"), "a snapshot would stop at it: {root_only}");

        // what it may fill was its own before it did, and the file that it is lies where no container reaches
        bench.runtime.stop(&first, std::time::Duration::ZERO).await.unwrap();
        let path = volume(&runtime, &spec);
        forget(&path);
        let below: Vec<_> = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
        let [image] = &below[..] else { panic!("{below:?}") };
        let (folder, file) = (std::fs::metadata(&path).unwrap(), std::fs::metadata(image).unwrap());
        assert_eq!(
            (folder.uid(), folder.mode() & 0o777, file.uid(), file.mode() & 0o777),
            (0, 0o700, 0, 0o600)
        );
        assert!(file.len() == 16 * MIB && file.blocks() * 512 >= 16 * MIB, "{file:?}");

        // whoever starts it past the node finds nothing it could write to; the node mounts it first
        let address = bench.runtime.start(&first, &secret(3)).await.unwrap();
        assert_eq!(mounts(&path), 1);
        assert_eq!(ask(address, "fill /volume/more").await, "(0, Some(StorageFull))", "not a MiB is left");
        let refused = runtime.erase_volume(spec.tenant, spec.user).await;
        assert!(matches!(refused, Err(RuntimeError::Conflict { .. })), "{refused:?}");
        for container in [first, second] {
            bench.runtime.remove(&container).await.unwrap();
        }
        runtime.erase_volume(spec.tenant, spec.user).await.unwrap();
        assert!(!path.exists() && mounts(&path) == 0);
        runtime.erase_volumes(spec.tenant).await.unwrap();
        assert_eq!(mounts(path.parent().unwrap()), 0);
        assert_eq!(runtime.tenants_with_volumes().await.unwrap(), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_volume_has_the_size_of_today_and_one_from_before_stays_what_it_was() {
    let docker = docker_with(|_| {}).await;
    let (plain, own) = (docker.runtime, docker.config.clone());
    on(docker.bench, async |bench| {
        let spec = bench.spec();
        let (container, address) = bench.started(&spec, &secret(1)).await;
        assert_eq!(ask(address, "write /volume/kept").await, "Ok(())");
        bench.runtime.remove(&container).await.unwrap();

        let confinement = Confinement { volume_bytes: Some(16 * MIB), ..Confinement::default() };
        let config = ocmt_runtime::docker::DockerConfig { confinement, ..own };
        let sized = Arc::new(DockerRuntime::open(engine(), config.clone()).await.unwrap());
        let path = volume(&sized, &spec);
        assert_eq!(mounts(path.ancestors().nth(2).unwrap()), 0, "the trial at its start has left something");
        let next = ContainerSpec { generation: 2, ..spec.clone() };
        let container = sized.create(&next).await.unwrap();
        assert_eq!(mounts(&path), 0, "made before there was a size: as it was");
        assert_eq!(std::fs::read(path.join("kept")).unwrap(), b"written");
        sized.remove(&container).await.unwrap();

        // the stand-in opens no snapshot: what a cell would write is written here
        let cell = sized.archive(&next, ArchiveErrand::Restore, &secret(2)).await.unwrap();
        let fresh = path.with_extension("restore");
        assert_eq!((mounts(&fresh), std::fs::read_dir(&fresh).unwrap().count()), (1, 0));
        std::fs::write(fresh.join("kept"), "restored").unwrap();
        cell.end.await;
        sized.swap_volume(spec.tenant, spec.user).await.unwrap();
        assert_eq!(std::fs::read(path.join("kept")).unwrap(), b"restored");
        // cut off before it was settled: the next start of the node does it
        drop(sized);
        let again = DockerRuntime::open(engine(), config).await.unwrap();
        assert!(!fresh.exists() && mounts(&fresh) == 0);
        let third = ContainerSpec { generation: 3, ..spec.clone() };
        let container = again.create(&third).await.unwrap();
        let address = again.start(&container, &secret(3)).await.unwrap();
        assert_eq!(ask(address, "read /volume/kept").await, "Ok(\"restored\")");
        assert!(ask(address, "fill /volume/all").await.ends_with("Some(StorageFull))"));
        again.remove(&container).await.unwrap();
        // a node that gives no size any more still has what has one
        forget(&path);
        let container = plain.create(&ContainerSpec { generation: 4, ..spec.clone() }).await.unwrap();
        assert_eq!(mounts(&path), 1);
        plain.remove(&container).await.unwrap();
        plain.erase_volumes(spec.tenant).await.unwrap();
        assert!(!path.exists());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_the_disk_has_no_room_for_is_none() {
    let docker = docker(16 * MIB).await;
    let config = docker.config.clone();
    on(docker.bench, async |bench| {
        let confinement = Confinement { volume_bytes: Some(1 << 43), ..Confinement::default() };
        let config = ocmt_runtime::docker::DockerConfig { confinement, ..config };
        let runtime = Arc::new(DockerRuntime::open(engine(), config).await.unwrap());
        let spec = bench.spec();
        let refused = runtime.create(&spec).await.unwrap_err();
        assert!(matches!(refused, RuntimeError::NoRoom(8_388_608)), "{refused}");
        assert!(!volume(&runtime, &spec).exists(), "what was begun is left");
    })
    .await;
}
