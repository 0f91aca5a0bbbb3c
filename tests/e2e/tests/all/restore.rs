//! Accepting that the database was put back: while no node runs, at whatever version it shows, and without honouring
//! again whom it has forgotten to be revoked.

use std::{fs, path::Path, time::Duration};

use ocmt_store::{
    Revocations, Store,
    testing::{TestDatabase, mark_removed},
};
use ocmt_testkit::{
    TestNode,
    command::{Said, ocmt_with},
};

const ACCEPT: [&str; 3] = ["store", "accept-restore", "--yes"];

fn done(said: &Said) {
    assert_eq!(said.code, Some(0), "{}", said.err);
}

fn failed(said: &Said, why: &str) {
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains(why), "{}", said.err);
}

/// Waits until the node has written down whom it saw revoked.
async fn remembered(folder: &Path, revoked: &Revocations) {
    let node = revoked.nodes.first().unwrap().to_string();
    let file = folder.join("data/revoked.json");
    // the node looks at its database once in a while, and nothing tells when it has
    let named = async || fs::read_to_string(&file).is_ok_and(|text| text.contains(&node)).then_some(());
    let named = ocmt::local::wait_for(Duration::from_secs(90), named).await;
    named.unwrap_or_else(|| panic!("{} does not name {node}", file.display()));
}

#[tokio::test]
async fn a_restore_is_not_accepted_under_a_node_that_runs() {
    let database = TestDatabase::migrated().await.unwrap();
    let node = TestNode::start_on(&database.url(), |_| {}).await.unwrap();
    let config = node.folder().join("ocmt.toml");
    database.run("UPDATE cluster SET restored_at = 1").await.unwrap();
    let store = database.open().await.unwrap();
    let living = store.cluster().living_nodes().await.unwrap();
    let refused = ocmt_with(&ACCEPT, &config).await.unwrap();
    failed(&refused, &format!("in use by node {}: stop every node first", living[0].node_id));
    assert!(store.cluster().observe().await.unwrap().cluster.unwrap().restored_at.is_some());
    let (well, folder) = node.stop().await.unwrap();
    assert!(well);
    done(&ocmt_with(&ACCEPT, &config).await.unwrap());
    TestNode::start_again(folder, |_| {}).await.unwrap();
}

#[tokio::test]
async fn a_database_that_went_back_within_one_version_is_accepted() {
    let database = TestDatabase::migrated().await.unwrap();
    let node = TestNode::start_on(&database.url(), |_| {}).await.unwrap();
    let (well, folder) = node.stop().await.unwrap();
    let config = folder.path().join("ocmt.toml");
    assert!(well);
    // the death of the node's life, which it did not see any more, is undone, and so are its renewals
    database.run("UPDATE cluster SET view_version = view_version - 1").await.unwrap();
    database.run("UPDATE leases SET renewals = -1").await.unwrap();
    failed(
        &ocmt_with(&["node"], &config).await.unwrap(),
        "the database went back in time: the renewal counter",
    );
    done(&ocmt_with(&ACCEPT, &config).await.unwrap());
    failed(&ocmt_with(&ACCEPT, &config).await.unwrap(), "nothing to accept");
    TestNode::start_again(folder, |_| {}).await.unwrap();
}

#[tokio::test]
async fn a_backup_that_honours_a_stolen_key_is_accepted_without_it() {
    let database = TestDatabase::migrated().await.unwrap();
    let node = TestNode::start_on(&database.url(), |_| {}).await.unwrap();
    let config = node.folder().join("ocmt.toml");
    let store = database.open().await.unwrap();
    mark_removed(&store, 1).await.unwrap();
    let revoked = store.cluster().revocations().await.unwrap();
    remembered(node.folder(), &revoked).await;
    let (well, folder) = node.stop().await.unwrap();
    assert!(well);
    // as the backup of the day before has it
    database.run("DELETE FROM revoked_nodes").await.unwrap();
    database.run("UPDATE cluster SET restored_at = 1").await.unwrap();
    let said = ocmt_with(&ACCEPT, &config).await.unwrap();
    done(&said);
    assert!(said.err.contains("1 node or operator revoked"), "{}", said.err);
    assert_eq!(store.cluster().revocations().await.unwrap(), revoked);

    // accepted on a machine that remembers nothing: a node that does says it when it comes
    database.run("DELETE FROM revoked_nodes").await.unwrap();
    TestNode::start_again(folder, |_| {}).await.unwrap();
    assert_eq!(store.cluster().revocations().await.unwrap(), revoked);
}

#[tokio::test]
async fn what_no_disk_remembers_is_named_by_the_operator() {
    let database = TestDatabase::migrated().await.unwrap();
    let node = TestNode::start_on(&database.url(), |_| {}).await.unwrap();
    let (well, folder) = node.stop().await.unwrap();
    let config = folder.path().join("ocmt.toml");
    assert!(well);
    database.run("UPDATE cluster SET restored_at = 1").await.unwrap();
    let stolen = "0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11";
    let said = ocmt_with(&[&ACCEPT[..], &["--revoke-node", stolen]].concat(), &config).await.unwrap();
    done(&said);
    assert!(said.err.contains(&format!("  node {stolen}")), "{}", said.err);
    let revoked = database.open().await.unwrap().cluster().revocations().await.unwrap();
    assert_eq!(revoked.nodes, [stolen.parse().unwrap()].into());
}

#[tokio::test]
async fn a_node_without_peers_remembers_too() {
    let node = TestNode::start().await.unwrap();
    let (_, folder) = node.stop().await.unwrap();
    let (config, db) = (folder.path().join("ocmt.toml"), folder.path().join("data/db"));
    let dump = folder.path().join("ocmt.dump").display().to_string();
    done(&ocmt_with(&["backup", "--to", &dump], &config).await.unwrap());
    let store = Store::sqlite(&db).await.unwrap();
    mark_removed(&store, 1).await.unwrap();
    let revoked = store.cluster().revocations().await.unwrap();
    store.close().await;
    drop(store);
    let node = TestNode::start_again(folder, |_| {}).await.unwrap();
    remembered(node.folder(), &revoked).await;
    let (_, folder) = node.stop().await.unwrap();
    fs::remove_dir_all(&db).unwrap();
    done(&ocmt_with(&["restore", "--from", &dump], &config).await.unwrap());
    done(&ocmt_with(&ACCEPT, &config).await.unwrap());
    let store = Store::sqlite(&db).await.unwrap();
    assert_eq!(store.cluster().revocations().await.unwrap(), revoked);
    drop(folder);
}
