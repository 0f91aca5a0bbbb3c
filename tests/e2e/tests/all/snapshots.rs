//! `ocmt snapshot`: as a person types it, with the cell itself at the other end; under Docker and without.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use ocmt::config::RuntimeKind;
use ocmt_client::{container::Spec, snapshot::State, vault::Vault};
use ocmt_crypto::vault::RotationMode;
use ocmt_testkit::{
    Person, TestNode,
    command::{Said, ocmt},
};
use ocmt_types::{ContainerId, SnapshotId};
use serde_json::Value;

use crate::{api_keys::keep, dead_man};

const PASSPHRASE: &str = "tramway-Okapi-39-lantern";
const CANARY: &str = "canary of a volume 7d1f";
const NETWORKS: &str = "10.217.64.0/20";

/// Somebody with a vault and a container that does not run.
struct Desk {
    node: TestNode,
    ada: Person,
    vault: Vault,
    container: ContainerId,
    volume: PathBuf,
    store: PathBuf,
}

impl Desk {
    async fn set(image: Option<String>) -> Self {
        let store = tempfile::TempDir::with_prefix("ocmt-snapshots.").unwrap().keep();
        let at = format!("file://{}", store.display());
        let docker = image.is_some();
        let node = TestNode::start_with(|config| {
            config.snapshots.store = at;
            if let Some(image) = image {
                config.containers.runtime = RuntimeKind::Docker;
                config.containers.docker_host = dead_man::engine();
                config.containers.image = image;
                config.containers.network_range = NETWORKS.to_owned();
                // a file system of its own: taken and put back as the folder is that a volume otherwise is
                config.containers.volume_mib = 16;
            }
        })
        .await
        .unwrap();
        let ada = node.person("ada").await.unwrap();
        let vault = ada.vault(PASSPHRASE).await.unwrap();
        let argv =
            if docker { vec!["/workload".to_owned()] } else { vec!["/bin/sleep".into(), "600".into()] };
        let made = ada.client.create_container(&Spec { argv, ..Spec::default() }, true).await.unwrap();
        ada.client.stop_container(made.id, Some(Duration::ZERO)).await.unwrap();
        let user = ada.client.identity().unwrap();
        let volumes = node.folder().join("data/volumes");
        let volume = volumes.join(user.tenant.to_string()).join(user.user.to_string());
        fs::write(volume.join("file"), CANARY).unwrap();
        if docker {
            std::os::unix::fs::chown(volume.join("file"), Some(1000), Some(1000)).unwrap();
        }
        Self { node, ada, vault, container: made.id, volume, store }
    }

    fn file(&self) -> String {
        fs::read_to_string(self.volume.join("file")).unwrap()
    }

    fn change(&self, text: &str) {
        // a mode of its own and its owner stay
        fs::write(self.volume.join("file"), text).unwrap();
    }

    fn object(&self, snapshot: SnapshotId) -> PathBuf {
        let user = self.ada.client.identity().unwrap();
        self.store.join(user.tenant.to_string()).join(snapshot.to_string())
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // of a volume with a size; it outlives the node
        let _ = std::process::Command::new("umount").arg(&self.volume).stderr(Stdio::null()).status();
        let _ = fs::remove_dir_all(&self.store);
    }
}

/// Taken, looked through, tampered with, put back.
async fn round(mut desk: Desk) {
    let taken = desk.vault.take_snapshot(desk.container, false).await.unwrap();
    assert_eq!((taken.state, taken.verified, taken.generation), (State::Taken, true, 1));
    let object = desk.object(taken.id);
    let good = fs::read(&object).unwrap();
    assert!(!has(&good, CANARY.as_bytes()), "the store sees what is in the volume");
    desk.vault.verify_snapshot(desk.container, taken.id, false).await.unwrap();

    desk.change("changed");
    let other = desk.vault.take_snapshot(desk.container, false).await.unwrap();
    let another = fs::read(desk.object(other.id)).unwrap();
    let mut bent = good.clone();
    *bent.last_mut().unwrap() ^= 1;
    for (what, wrong) in [("a bit", bent), ("cut off", good[..good.len() / 2].to_vec()), ("another", another)]
    {
        fs::write(&object, wrong).unwrap();
        assert!(desk.vault.verify_snapshot(desk.container, taken.id, false).await.is_err(), "{what}");
        assert!(desk.vault.restore_snapshot(desk.container, taken.id, false).await.is_err(), "{what}");
        assert_eq!(desk.file(), "changed", "{what}");
    }
    fs::write(&object, &good).unwrap();
    let generation = desk.vault.restore_snapshot(desk.container, taken.id, false).await.unwrap();
    assert_eq!((generation, desk.file().as_str()), (2, CANARY));
    let beside = fs::read_dir(desk.volume.parent().unwrap()).unwrap().count();
    assert_eq!(beside, 1, "the volume before is left");

    let (woken, _) = desk.ada.client.wake_container(desk.container).await.unwrap();
    assert_eq!(woken.generation, 2);
    let running = desk.vault.take_snapshot(desk.container, false).await.unwrap_err();
    assert_eq!(running.reason().as_deref(), Some("CONTAINER_RUNNING"));
    // a vault whose keys were changed opens what was taken before
    desk.ada.client.stop_container(desk.container, Some(Duration::ZERO)).await.unwrap();
    desk.vault.rotate(RotationMode::Rekey, &[], Vec::new(), "a leaver").await.unwrap();
    desk.vault.verify_snapshot(desk.container, taken.id, false).await.unwrap();
    let later = desk.vault.take_snapshot(desk.container, false).await.unwrap();
    desk.vault.restore_snapshot(desk.container, later.id, false).await.unwrap();
    assert_eq!(desk.file(), CANARY);
    let log = fs::read(desk.node.folder().join("node.log")).unwrap();
    assert!(!has(&log, b"canary of a volume"));
    desk.ada.client.remove_container(desk.container, false).await.unwrap();
}

fn has(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_is_taken_looked_through_and_put_back_by_the_cell_itself() {
    round(Desk::set(None).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_docker_too() {
    let image = dead_man::image().await;
    round(Desk::set(Some(image)).await).await;
}

fn json(said: &Said) -> Value {
    assert_eq!(said.code, Some(0), "{}", said.err);
    serde_json::from_str(&said.out).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_typed() {
    let desk = Desk::set(None).await;
    let state = keep(&desk.node, &desk.ada);
    let passphrase = desk.node.folder().join("vault.txt");
    fs::write(&passphrase, PASSPHRASE).unwrap();
    let says = async |words: &[&str]| {
        ocmt(&[&["snapshot"], words, &["--state-dir", &state, "--json"]].concat()).await.unwrap()
    };
    let opened = ["--passphrase-file", path(&passphrase)];
    let taken = json(&says(&[["create"].as_slice(), &opened].concat()).await);
    let id = taken["id"].as_str().unwrap();
    assert!(taken.get("wrapped_key").is_none());
    let listed = json(&says(&["ls"]).await);
    assert_eq!(listed[0]["id"].as_str(), Some(id));
    json(&says(&[["verify", id].as_slice(), &opened].concat()).await);
    desk.change("changed");
    let restored = json(&says(&[["restore", id].as_slice(), &opened].concat()).await);
    assert_eq!((restored["generation"].as_u64(), desk.file().as_str()), (Some(2), CANARY));
    json(&says(&["rm", id]).await);
    assert_eq!(json(&says(&["ls"]).await).as_array().map(Vec::len), Some(0));
    let gone = says(&[["restore", id].as_slice(), &opened].concat()).await;
    assert!(gone.code != Some(0) && gone.err.contains("no snapshot"), "{}", gone.err);
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
