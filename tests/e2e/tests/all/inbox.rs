//! What a container's program sends to its user's vault, through a real node, its cell and the user's device.

use std::time::Duration;

use ocmt::{canary, local::wait_for};
use ocmt_client::{
    container::Spec,
    vault::{Arrived, Vault, Worth},
};
use ocmt_crypto::vault::RotationMode;
use ocmt_proto::v1 as pb;
use ocmt_testkit::{Person, TestNode};
use ocmt_types::ContainerId;

const PASSPHRASE: &str = "violin ledger umbrella quartz";
const LEASE: Duration = Duration::from_secs(600);

/// A container whose program sends the variable SECRET and the number of the round under each of these names, one after
/// the other.
async fn sender(node: &TestNode, person: &Person, names: &[&str], rounds: usize) -> ContainerId {
    let mut script = String::from("for n in $(seq ROUNDS); do :; ");
    for name in names {
        script += &format!("printf '%s %s' \"$SECRET\" $n | \"$OCMT_CELL\" put {name}; ");
    }
    script += "done; exec sleep 600";
    let file = node.folder().join("sender");
    std::fs::write(&file, script.replace("ROUNDS", &rounds.to_string())).unwrap();
    let argv = ["/usr/bin/env", "sh", file.to_str().unwrap()].map(str::to_owned).to_vec();
    let spec = Spec { argv, ..Spec::default() };
    person.client.create_container(&spec, true).await.unwrap().id
}

async fn unlock(vault: &mut Vault, container: ContainerId, may_write: &[&str]) {
    let may_write: Vec<String> = may_write.iter().map(|name| (*name).to_owned()).collect();
    let mapping = [("SECRET", "secret").into()];
    vault.unlock_to_write(container, &mapping, &may_write, LEASE, false).await.unwrap();
}

async fn arrived(vault: &Vault, count: usize) -> Vec<Arrived> {
    wait_for(Duration::from_secs(60), async || {
        let items = vault.inbox().await.unwrap();
        (items.len() >= count).then_some(items)
    })
    .await
    .expect("the items did not come")
}

async fn with_secret(person: &Person, value: &str) -> Vault {
    let mut vault = person.vault(PASSPHRASE).await.unwrap();
    vault.put("secret", value.as_bytes()).await.unwrap();
    vault
}

#[tokio::test]
async fn what_a_program_sends_is_filed_under_the_names_it_may_write_and_seen_by_nobody_else() {
    const MARK: &str = "canary 3e7a90c1 of the inbox";
    let node = TestNode::start_with(|config| config.telemetry.filter = "debug".to_owned()).await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = with_secret(&ada, MARK).await;
    let container = sender(&node, &ada, &["token", "secret"], 1).await;
    unlock(&mut vault, container, &["token"]).await;
    let items = arrived(&vault, 1).await;
    assert_eq!((items[0].worth, items[0].name.as_deref()), (Worth::Fileable, Some("token")));
    assert_eq!((items[0].container, items[0].bytes), (Some(container), Some(MARK.len() + 2)));
    let listed =
        ada.client.vaults().get_vault(pb::GetVaultRequest { vault_id: String::new() }).await.unwrap();
    assert_eq!(listed.into_inner().vault.unwrap().inbox_count, 1);
    let filed = vault.file_inbox().await.unwrap();
    assert_eq!(filed.iter().map(|item| item.name.as_deref().unwrap()).collect::<Vec<_>>(), ["token"]);
    assert_eq!(vault.get("token").await.unwrap().value.as_slice(), format!("{MARK} 1").as_bytes());
    let secret = vault.list().await.unwrap().into_iter().find(|one| one.name == "secret").unwrap();
    assert_eq!(secret.version, 1, "what it may not write it did not write");
    assert!(vault.inbox().await.unwrap().is_empty());
    assert_eq!(vault.list().await.unwrap().len(), 2, "the ledger is no entry");

    let marks = canary::Marks::new([("the value", MARK.as_bytes())]).unwrap();
    let places = [
        canary::Place::Tree(node.folder().join("data")),
        canary::Place::Tree(node.folder().join("node.log")),
        canary::Place::Process(node.local().pid().unwrap()),
    ];
    let report = canary::search(&marks, &places).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

#[tokio::test]
async fn the_newest_of_a_name_is_kept_and_what_was_dropped_is_not_filed() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = with_secret(&ada, "value").await;
    let container = sender(&node, &ada, &["a", "b"], 3).await;
    unlock(&mut vault, container, &["a", "b"]).await;
    let items = arrived(&vault, 6).await;
    assert!(items.iter().all(|item| item.worth == Worth::Fileable));
    let first = items[0].item;
    assert_eq!(vault.drop_inbox(|item| item.item == first).await.unwrap().len(), 1);
    assert_eq!(vault.file_inbox().await.unwrap().len(), 5);
    let version = |listed: &[ocmt_client::vault::Listed], name: &str| {
        listed.iter().find(|one| one.name == name).unwrap().version
    };
    let listed = vault.list().await.unwrap();
    // one filing is one version of each name
    assert_eq!((version(&listed, "a"), version(&listed, "b")), (1, 1));
    assert_eq!(vault.get("a").await.unwrap().value.as_slice(), b"value 3");
    assert!(vault.inbox().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn items_wait_through_a_restart_of_the_node_and_a_rotation_files_them() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = with_secret(&ada, "value").await;
    let container = sender(&node, &ada, &["token"], 1).await;
    unlock(&mut vault, container, &["token"]).await;
    arrived(&vault, 1).await;
    let filed = vault.rotate(RotationMode::Rekey, &[], Vec::new(), "a test").await.unwrap();
    assert_eq!(filed.len(), 1);
    assert_eq!(vault.get("token").await.unwrap().value.as_slice(), b"value 1");

    // the next unlock, and a node that is killed while the items wait
    wait_for(Duration::from_secs(60), async || {
        ada.client.container(container).await.unwrap().locked.then_some(())
    })
    .await
    .expect("the rotation locks the cell");
    unlock(&mut vault, container, &["token"]).await;
    arrived(&vault, 1).await;
    let node = node.crash_and_restart().await.unwrap();
    let client = node.local().client().await.unwrap();
    let client = client.signed_in(ada.client.credential().unwrap().clone(), ada.client.identity().unwrap());
    let key = ocmt_client::vault::Key::Passphrase(ocmt_crypto::kdf::Passphrase::new(PASSPHRASE).unwrap());
    let rollback = ocmt_crypto::vault::Rollback::Refuse;
    let mut vault = client.unlock_vault(None, key, &ada.device, rollback).await.unwrap();
    assert_eq!(vault.file_inbox().await.unwrap().len(), 1);
    let listed = vault.list().await.unwrap();
    // written, re-keyed, written
    assert_eq!(listed.iter().find(|one| one.name == "token").unwrap().version, 3);
}
