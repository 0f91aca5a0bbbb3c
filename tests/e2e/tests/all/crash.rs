//! A node that is killed, and one that is asked to stop.

use std::sync::Arc;

use ocmt_client::vault::Key;
use ocmt_crypto::{kdf::Passphrase, vault::Rollback};
use ocmt_testkit::TestNode;
use tokio::sync::Mutex;

const PASSPHRASE: &str = "a passphrase that outlives crashes";

#[tokio::test]
async fn what_was_acknowledged_before_a_kill_is_there_after_it() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = ada.vault(PASSPHRASE).await.unwrap();
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let written = acknowledged.clone();
    let writer = async move {
        for n in 0.. {
            let name = format!("entry {n}");
            if vault.put(&name, name.as_bytes()).await.is_err() {
                return;
            }
            written.lock().await.push(name);
        }
    };
    let killer = async {
        let enough = async || (acknowledged.lock().await.len() >= 25).then_some(());
        ocmt::local::wait_for(std::time::Duration::from_secs(60), enough)
            .await
            .expect("the writer is too slow");
        // in the middle of the load
        node.crash_and_restart().await.unwrap()
    };
    let ((), node) = tokio::join!(writer, killer);
    let client = node.local().client().await.unwrap();
    let client = client.signed_in(ada.client.credential().unwrap().clone(), ada.client.identity().unwrap());
    let key = Key::Passphrase(Passphrase::new(PASSPHRASE).unwrap());
    let vault = client.unlock_vault(None, key, &ada.device, Rollback::Refuse).await.unwrap();
    let acknowledged = acknowledged.lock().await;
    assert!(acknowledged.len() >= 25);
    let listed = vault.list().await.unwrap();
    println!("{} acknowledged, {} there", acknowledged.len(), listed.len());
    for name in &*acknowledged {
        assert_eq!(vault.get(name).await.unwrap().value.as_slice(), name.as_bytes());
    }
    // at most the one whose answer was cut off
    assert!(listed.len() <= acknowledged.len() + 1);
}

#[tokio::test]
async fn a_node_that_is_asked_to_stop_exits_0_and_takes_its_cells_along() {
    let (node, id) = with_a_cell().await;
    let (well, folder) = node.stop().await.unwrap();
    assert!(well, "{}", std::fs::read_to_string(folder.path().join("node.log")).unwrap());
    assert_eq!(cells_of(&id), 0, "a cell outlived its node");
}

#[tokio::test]
async fn a_cell_outlives_its_killed_node_until_the_test_is_done_with_it() {
    let (node, id) = with_a_cell().await;
    let node = node.crash_and_restart().await.unwrap();
    assert_ne!(cells_of(&id), 0, "nothing outlived the node");
    drop(node);
    assert_eq!(cells_of(&id), 0, "a test left a cell");
}

/// A node with a running container, and its id.
async fn with_a_cell() -> (TestNode, String) {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let spec = ocmt_client::container::Spec {
        argv: vec!["/bin/sleep".to_owned(), "600".to_owned()],
        ..Default::default()
    };
    let container = ada.client.create_container(&spec, true).await.unwrap();
    (node, container.id.to_string())
}

/// How many processes have that container's id in their command line.
fn cells_of(id: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = processes.filter_map(|one| std::fs::read_to_string(one.path().join("cmdline")).ok());
    lines.filter(|line| line.contains(id)).count()
}
