//! `ocmt snapshot`: as a person types it, with the cell itself at the other end; under Docker and without.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use ocmt::config::{Config, RuntimeKind};
use ocmt_client::{
    ClientError,
    container::Spec,
    snapshot::State,
    vault::{NotRenewed, Vault},
};
use ocmt_cluster_tests::wait::until;
use ocmt_crypto::vault::RotationMode;
use ocmt_store::testing::TestDatabase;
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
    /// Under Docker: of a cluster, which somebody may write to.
    database: Option<TestDatabase>,
}

impl Desk {
    async fn set(image: Option<String>) -> Self {
        let store = tempfile::TempDir::with_prefix("ocmt-snapshots.").unwrap().keep();
        let at = format!("file://{}", store.display());
        let docker = image.is_some();
        let database = if docker { Some(TestDatabase::migrated().await.unwrap()) } else { None };
        let change = |config: &mut Config| {
            config.snapshots.store = at;
            if let Some(image) = image {
                config.containers.runtime = RuntimeKind::Docker;
                config.containers.docker_host = dead_man::engine();
                config.containers.image = image;
                config.containers.network_range = NETWORKS.to_owned();
                // a file system of its own: taken and put back as the folder is that a volume otherwise is
                config.containers.volume_mib = 16;
            }
        };
        let node = match &database {
            Some(database) => TestNode::start_on(&database.url(), change).await.unwrap(),
            None => TestNode::start_with(change).await.unwrap(),
        };
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
        Self { node, ada, vault, container: made.id, volume, store, database }
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
    by_schedule(&mut desk).await;
    let log = fs::read(desk.node.folder().join("node.log")).unwrap();
    assert!(!has(&log, b"canary of a volume"));
    desk.ada.client.remove_container(desk.container, false).await.unwrap();
}

/// Taken by itself when the container stops, opened under the vault, and refused if its host did not sign it so.
async fn by_schedule(desk: &mut Desk) {
    let Some(database) = &desk.database else { return };
    let container = desk.container;
    let put = desk.vault.put_snapshot_schedule(container, "0 3 1 1 *", None, Some(3)).await.unwrap();
    assert!(put.next_at.is_some() && put.due_at.is_none() && put.rests.is_empty());
    // the time has come
    database.run("UPDATE snapshot_schedules SET due_at = 1").await.unwrap();
    desk.ada.client.wake_container(container).await.unwrap();
    desk.ada.client.stop_container(container, Some(Duration::ZERO)).await.unwrap();
    let mut found = None;
    // a cell of its own reads the volume meanwhile, and nobody is told of its end
    until("the schedule's snapshot is taken", Duration::from_secs(60), async || {
        let all = desk.ada.client.list_snapshots(container).await?;
        found = all.into_iter().find(|one| one.by_schedule && one.state == State::Taken);
        Ok(found.is_some())
    })
    .await
    .unwrap();
    let taken = found.unwrap();
    assert!(
        taken.verified && !taken.opened && !has(&fs::read(desk.object(taken.id)).unwrap(), CANARY.as_bytes())
    );
    desk.change("changed");
    let another = "set_byte(sealed_key, 60, get_byte(sealed_key, 60) # 1)";
    let unsigned = "set_byte(statement, 60, get_byte(statement, 60) # 1)";
    for (column, forged) in [("sealed_key", another), ("statement", unsigned)] {
        let change = format!("UPDATE snapshots SET {column} = {forged} WHERE schedule IS NOT NULL");
        database.run(&change).await.unwrap();
        let refused = desk.vault.restore_snapshot(container, taken.id, false).await.unwrap_err();
        assert!(matches!(refused, ClientError::Node(_)), "{column}: {refused}");
        assert_eq!(desk.file(), "changed", "{column}");
        database.run(&change).await.unwrap();
    }
    desk.vault.rotate(RotationMode::Rekey, &[], Vec::new(), "a leaver").await.unwrap();
    let own = desk.vault.identity_key();
    let renewed = desk.ada.client.snapshot_schedule(container, &own).await.unwrap().unwrap();
    assert_eq!((renewed.rests.as_str(), renewed.keep), ("", 3), "it was not signed anew");
    assert_eq!(desk.vault.not_renewed(RotationMode::Rekey).await.unwrap(), NotRenewed::default());
    // a recovery by guardians signs none anew, and says so before it ends the session
    let recovered = desk.vault.not_renewed_by_recovery().await.unwrap();
    assert!(recovered.schedules.len() == 1 && recovered.schedules[0].0 == container);
    // as where it could not be
    database.run("UPDATE snapshot_schedules SET vault_epoch = vault_epoch - 1").await.unwrap();
    let left = desk.vault.not_renewed(RotationMode::Rekey).await.unwrap();
    assert!(left.schedules.len() == 1 && left.schedules[0].0 == container && left.volumes.is_empty());
    desk.vault.restore_snapshot(container, taken.id, false).await.unwrap();
    assert_eq!(desk.file(), CANARY);
    desk.ada.client.delete_snapshot_schedule(container).await.unwrap();
    assert!(desk.ada.client.snapshot_schedule(container, &own).await.unwrap().is_none());
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
    let scheduled = [["schedule", "set", "0 3 * * *", "--keep", "2"].as_slice(), &opened].concat();
    assert_eq!(json(&says(&scheduled).await)["keep"].as_u64(), Some(2));
    // what is not said stays
    json(&says(&[["schedule", "set", "0 4 * * *"].as_slice(), &opened].concat()).await);
    let shown = json(&says(&["schedule", "show"]).await);
    assert_eq!((shown["cron"].as_str(), shown["rests"].as_str()), (Some("0 4 * * *"), Some("")));
    assert_eq!((shown["keep"].as_u64(), shown["time_zone"].as_str()), (Some(2), Some("UTC")));
    json(&says(&["schedule", "rm"]).await);
    assert!(json(&says(&["schedule", "show"]).await).is_null());
    json(&says(&["rm", id]).await);
    assert_eq!(json(&says(&["ls"]).await).as_array().map(Vec::len), Some(0));
    let gone = says(&[["restore", id].as_slice(), &opened].concat()).await;
    assert!(gone.code != Some(0) && gone.err.contains("no snapshot"), "{}", gone.err);
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
