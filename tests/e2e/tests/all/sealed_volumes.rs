//! A sealed volume on a real Docker engine: what a workload wrote is there after a lock and after a kill, its host has none of it in clear,
//! and an older one is not passed off. It shares the node of [`crate::starved`].

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use ocmt_client::{
    cell::UnlockedCell,
    container::{Spec, State, VolumeFault},
    oauth::Gifts,
    vault::Vault,
};
use ocmt_crypto::vault::RotationMode;
use ocmt_runtime::{Runtime as _, docker::DockerRuntime};
use ocmt_testkit::{Person, TestNode, docker};
use ocmt_types::ContainerId;

use crate::starved::exec;

const LEASE: Duration = Duration::from_secs(900);
const CANARY: &str = "canary of a sealed volume";

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() { &mut open } else { &mut found }.push(entry.path());
        }
    }
    found
}

fn sealed(volumes: &Path) -> PathBuf {
    files(volumes).into_iter().find(|file| file.ends_with("volume.sealed")).expect("no sealed volume")
}

/// The highest serial that Bob's device has sent for this volume, and the one that was answered last.
fn serials(node: &TestNode, id: ContainerId) -> (u64, u64) {
    let text = fs::read(node.folder().join("devices/bob/state.json")).unwrap();
    let kept: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let of = |kind: &str| kept[kind][id.to_string()].as_u64().unwrap_or(0);
    (of("volumes_tried"), of("volumes"))
}

async fn says(person: &Person, cell: &UnlockedCell, words: &[&str]) -> String {
    let argv = [&[docker::WORKLOAD], words].concat().into_iter().map(str::to_owned).collect();
    let (said, code) = exec(person, cell, argv).await;
    assert_eq!(code, 0, "{words:?}: {said}");
    said
}

/// With a person of its own on this node.
pub(crate) async fn keeps_what_was_written_and_shows_its_host_none_of_it(
    node: &TestNode,
    engine: &DockerRuntime,
) {
    let bob = node.person("bob").await.unwrap();
    let mut vault = bob.vault("violin ledger umbrella quartz").await.unwrap();
    let spec = Spec { memory_bytes: Some(64 << 20), sealed_volume_bytes: Some(8 << 20), ..Spec::default() };
    let id = bob.client.create_container(&spec, true).await.unwrap().id;
    assert_eq!(bob.client.container(id).await.unwrap().sealed_volume_bytes, 8 << 20);
    let refused = vault.take_snapshot(id, false).await.unwrap_err();
    assert!(refused.to_string().contains("sealed volume"), "{refused}");

    let cell = vault.unlock_container(id, &[], LEASE, false).await.unwrap();
    let seen = engine.list().await.unwrap();
    let container = seen.iter().find(|seen| seen.container.container == id).unwrap().container;
    let drifts = engine.audit(&container).await.unwrap();
    assert!(!drifts.iter().any(|drift| ["Tmpfs", "Mounts"].contains(&drift.item)), "{drifts:?}");
    says(&bob, &cell, &["write", "/volume/notes", CANARY]).await;
    bob.client.lock_container(id).await.unwrap();
    let volumes = node.folder().join("data/volumes");
    for file in files(&volumes) {
        let content = fs::read(&file).unwrap();
        assert!(!content.windows(6).any(|part| part == b"canary" || part == b"/notes"), "{}", file.display());
    }
    let old = fs::read(sealed(&volumes)).unwrap();

    let cell = vault.unlock_container(id, &[], LEASE, false).await.unwrap();
    assert_eq!(says(&bob, &cell, &["read", "/volume/notes"]).await, CANARY);
    // what was written since the last sealing is lost, and no more
    says(&bob, &cell, &["write", "/volume/later", "not sealed yet"]).await;
    engine.kill(&container).await.unwrap();
    let ended = ocmt::local::wait_for(Duration::from_secs(60), async || {
        bob.client.container(id).await.ok().filter(|seen| seen.state != State::Running)
    });
    assert!(ended.await.is_some(), "nobody noticed its end");
    let cell = vault.unlock_container(id, &[], LEASE, false).await.unwrap();
    assert_eq!(says(&bob, &cell, &["read", "/volume/notes"]).await, CANARY);
    // full is full: its program is told, and all that is in it is sealed and opened again
    let fill = ["fill", "/volume/large", "9"].map(str::to_owned);
    let (said, code) = exec(&bob, &cell, [&[docker::WORKLOAD.to_owned()], &fill[..]].concat()).await;
    assert_eq!(code, 2, "{said}");
    bob.client.stop_container(id, None).await.unwrap();
    assert!(fs::metadata(sealed(&volumes)).unwrap().len() > 7 << 20);
    let cell = vault.unlock_container(id, &[], LEASE, false).await.unwrap();
    assert_eq!(says(&bob, &cell, &["read", "/volume/notes"]).await, CANARY);
    bob.client.stop_container(id, None).await.unwrap();

    // the host puts back what it had before
    let file = sealed(&volumes);
    fs::write(&file, old).unwrap();
    let refused = vault.unlock_container(id, &[], LEASE, false).await.err().unwrap();
    assert_eq!(refused.reason().as_deref(), Some("VOLUME_OLDER"), "{refused}");
    let (sent, answered) = serials(node, id);
    assert!(sent > answered, "what was sent is remembered whatever came of it: {sent}, {answered}");
    fs::remove_file(&file).unwrap();
    let refused = vault.unlock_container(id, &[], LEASE, false).await.err().unwrap();
    assert_eq!(refused.reason().as_deref(), Some("VOLUME_MISSING"), "{refused}");
    let gifts = Gifts { accept_older_volume: true, ..Gifts::default() };
    let cell = vault.unlock_with(id, gifts, LEASE, false).await.unwrap();
    says(&bob, &cell, &["write", "/volume/notes", "anew"]).await;
    // new keys of the vault reach it with its next unlock, and that is told
    for (mode, told) in [(RotationMode::Rewrap, vec![]), (RotationMode::Rekey, vec![id])] {
        assert_eq!(vault.not_renewed(mode).await.unwrap().volumes, told);
    }
    tells_what_it_could_not_seal(&bob, &mut vault, id, &file).await;
}

/// Whoever looks is told, until it is sealed again.
async fn tells_what_it_could_not_seal(bob: &Person, vault: &mut Vault, id: ContainerId, file: &Path) {
    let in_the_way = file.with_file_name("volume.sealed.new");
    let made = ocmt::local::wait_for(Duration::from_secs(60), async || {
        fs::create_dir_all(in_the_way.join("of it")).ok()
    });
    made.await.expect("a sealing has its file there all the time");
    let refused = bob.client.lock_container(id).await.unwrap_err();
    assert_eq!(refused.reason().as_deref(), Some("VOLUME_NOT_SEALED"), "{refused}");
    let unsealed = bob.client.container(id).await.unwrap().unsealed.expect("its user is told");
    assert!(unsealed.lost && unsealed.why == VolumeFault::File && unsealed.since.is_some(), "{unsealed:?}");
    fs::remove_dir_all(&in_the_way).unwrap();
    vault.unlock_container(id, &[], LEASE, false).await.unwrap();
    assert_eq!(bob.client.container(id).await.unwrap().unsealed, None);
}
