//! A rotation that is cut off: by the death of the client at each of its steps, and by that of the node. The vault is
//! then what it was or what it is to be, whole, and the next rotation goes through.

use std::{collections::BTreeMap, path::Path, process::Stdio, time::Duration};

use ocmt::local::wait_every;
use ocmt_client::{
    ClientError,
    state::LocalState,
    vault::{Key, Vault},
};
use ocmt_crypto::{
    kdf::Passphrase,
    vault::{Rollback, RotationMode},
};
use ocmt_proto::v1 as pb;
use ocmt_testkit::{Person, TestNode, line::Line, programs};
use tokio::{process::Command, task::JoinSet};

use crate::api_keys::keep_at;

const OLD: &str = "violin ledger umbrella quartz";
const NEW: &str = "tramway okapi lantern 39";
/// So many that a rotation has batches to be cut off in between.
const ENTRIES: usize = 150;
const PATIENCE: Duration = Duration::from_secs(60);

/// How far a rotation has come, as the node shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Begun,
    Staged,
    Finished,
}

fn values() -> BTreeMap<String, Vec<u8>> {
    (0..ENTRIES).map(|n| (format!("entry {n:03}"), vec![u8::try_from(n).unwrap(); 2048])).collect()
}

async fn filled(ada: &Person) -> Vault {
    let mut vault = ada.vault(OLD).await.unwrap();
    for (name, value) in values() {
        vault.put(&name, &value).await.unwrap();
    }
    vault
}

async fn shown(client: &ocmt_client::Client) -> Result<pb::GetVaultResponse, tonic::Status> {
    client.vaults().get_vault(pb::GetVaultRequest::default()).await.map(tonic::Response::into_inner)
}

/// Where the rotation from `epoch` is; none if it has not begun.
async fn step(client: &ocmt_client::Client, epoch: u32) -> Option<Step> {
    let vault = shown(client).await.ok()?;
    match vault.rotation {
        Some(rotation) if rotation.staged_count > 1 => Some(Step::Staged),
        Some(_) => Some(Step::Begun),
        None => (vault.vault?.key_epoch > epoch).then_some(Step::Finished),
    }
}

async fn reached(client: &ocmt_client::Client, epoch: u32, least: Step) -> Step {
    let there = async || step(client, epoch).await.filter(|step| *step >= least);
    wait_every(Duration::from_millis(2), PATIENCE, there).await.expect("the rotation does not come so far")
}

async fn opened(
    client: &ocmt_client::Client,
    device: &LocalState,
    passphrase: &str,
) -> Result<Vault, ClientError> {
    let key = Key::Passphrase(Passphrase::new(passphrase).unwrap());
    client.unlock_vault(None, key, device, Rollback::Refuse).await
}

/// The vault opens by exactly one of the two passphrases, and holds all it held.
async fn whole(client: &ocmt_client::Client, device: &LocalState) -> (Vault, bool) {
    let (old, new) = (opened(client, device, OLD).await, opened(client, device, NEW).await);
    let changed = new.is_ok();
    assert!(old.is_ok() != changed, "{:?} {:?}", old.err(), new.err());
    let vault = old.or(new).unwrap();
    let listed = vault.list().await.unwrap();
    assert_eq!(listed.len(), ENTRIES);
    for name in ["entry 000", "entry 075", "entry 149"] {
        assert_eq!(vault.get(name).await.unwrap().value.as_slice(), values()[name]);
    }
    (vault, changed)
}

/// A line over which a rotation takes seconds, and somebody's session at its end: a client is met in the middle of its work also
/// where whoever looks has to wait for a turn on a busy machine. Of a rewrap there is less to send.
async fn slowly(node: &TestNode, person: &Person, rewrap: bool) -> (Line, String) {
    let server = node.target().unwrap().authority().unwrap().to_string();
    let pause = Duration::from_millis(if rewrap { 200 } else { 20 });
    let line = Line::slow(server, pause).await.unwrap();
    let state = keep_at(node, person, "slow", format!("https://{}", line.address()));
    (line, state)
}

async fn killed_at(least: Step) {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let epoch = filled(&ada).await.keys().epoch();
    let (line, state) = slowly(&node, &ada, false).await;
    let at = |name: &str| node.folder().join(name);
    std::fs::write(at("old"), OLD).unwrap();
    std::fs::write(at("new"), NEW).unwrap();
    let mut client = Command::new(programs::ocmt().unwrap())
        .args(["vault", "passphrase", "--state-dir", &state, "--passphrase-file"])
        .arg(at("old"))
        .arg("--new-passphrase-file")
        .arg(at("new"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    reached(&ada.client, epoch, least).await;
    client.kill().await.unwrap();
    line.cut();
    let (mut vault, changed) = whole(&ada.client, &ada.device).await;
    // what was under way at the node may have come to its end after the kill, and only then
    assert!(changed || least < Step::Finished);
    assert!(!changed || least > Step::Begun, "it was killed before anything was staged");
    // a write waits for nobody who is dead: the next rotation takes its place and goes through
    vault.rotate(RotationMode::Rekey, &[], Vec::new(), "after the kill").await.unwrap();
    vault.put("after", b"it").await.unwrap();
    vault.delete("after").await.unwrap();
    assert!(shown(&ada.client).await.unwrap().rotation.is_none());
    assert_eq!(whole(&ada.client, &ada.device).await.1, changed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_killed_right_after_a_rotation_began_leaves_the_vault_as_it_was() {
    killed_at(Step::Begun).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_killed_while_it_stages_leaves_the_vault_as_it_was() {
    killed_at(Step::Staged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_killed_at_the_end_of_a_rotation_leaves_the_new_vault() {
    killed_at(Step::Finished).await;
}

/// `ocmt vault rotate` with `more`, killed when some of it is staged: the device, and where the rotation leads to.
async fn cut_off(node: &TestNode, ada: &Person, more: &[&str]) -> (LocalState, bytes::Bytes) {
    let epoch = filled(ada).await.keys().epoch();
    let (line, state) = slowly(node, ada, !more.is_empty()).await;
    let passphrase = node.folder().join("old");
    std::fs::write(&passphrase, OLD).unwrap();
    let mut client = Command::new(programs::ocmt().unwrap())
        .args(["vault", "rotate", "--state-dir", &state, "--passphrase-file"])
        .arg(&passphrase)
        .args(more)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    reached(&ada.client, epoch, Step::Staged).await;
    client.kill().await.unwrap();
    line.cut();
    let rotation =
        shown(&ada.client).await.unwrap().rotation.expect("it came to its end before it was killed");
    assert!(rotation.staged_count > 1 && rotation.remaining_count > 0);
    (LocalState::open(Path::new(&state)).unwrap(), rotation.new_verify_key)
}

async fn gone_on_with(mode: RotationMode, more: &[&str]) {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let (device, leads_to) = cut_off(&node, &ada, more).await;
    let mut vault = opened(&ada.client, &device, OLD).await.unwrap();
    vault.rotate(mode, &[], Vec::new(), "gone on with").await.unwrap();
    let now = vault.keys().keyring().vault_signing.verify_key();
    assert_eq!(now.0.as_slice(), &leads_to[..], "it was begun anew");
    assert!(shown(&ada.client).await.unwrap().rotation.is_none());
    assert!(!whole(&ada.client, &ada.device).await.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rekeying_that_was_cut_off_is_gone_on_with_by_the_device_that_began_it() {
    gone_on_with(RotationMode::Rekey, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewrap_that_was_cut_off_is_gone_on_with_by_the_device_that_began_it() {
    gone_on_with(RotationMode::Rewrap, &["--rewrap"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_another_device_began_or_that_did_something_else_is_begun_anew() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let (device, leads_to) = cut_off(&node, &ada, &[]).await;
    let mut own = opened(&ada.client, &device, OLD).await.unwrap();
    let mut other = opened(&ada.client, &ada.device, OLD).await.unwrap();
    // whoever began it knows where it leads: another device may be there to shut that one out
    other.rotate(RotationMode::Rekey, &[], Vec::new(), "another device").await.unwrap();
    let now = other.keys().keyring().vault_signing.verify_key();
    assert_ne!(now.0.as_slice(), &leads_to[..]);
    assert!(own.rotate(RotationMode::Rekey, &[], Vec::new(), "from a state of before").await.is_err());
    assert!(!whole(&ada.client, &ada.device).await.1);
}

async fn node_killed_at(least: Step) {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = filled(&ada).await;
    let epoch = vault.keys().epoch();
    let watcher = ada.client.clone();
    let mut rotating = JoinSet::new();
    rotating.spawn(async move {
        let ended = vault.rotate(RotationMode::Rekey, &[], Vec::new(), "until the node dies").await;
        ended.is_ok()
    });
    reached(&watcher, epoch, least).await;
    let node = node.crash_and_restart().await.unwrap();
    // its client gives up, or had its answer before
    rotating.shutdown().await;
    let client = node.local().client().await.unwrap();
    let client = client.signed_in(ada.client.credential().unwrap().clone(), ada.client.identity().unwrap());
    let (mut vault, _) = whole(&client, &ada.device).await;
    assert!((epoch..=epoch + 1).contains(&vault.keys().epoch()));
    assert!(vault.keys().epoch() > epoch || least < Step::Finished);
    vault.rotate(RotationMode::Rekey, &[], Vec::new(), "after the restart").await.unwrap();
    whole(&client, &ada.device).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_killed_right_after_a_rotation_began_has_the_vault_as_it_was() {
    node_killed_at(Step::Begun).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_killed_while_a_client_stages_has_the_vault_whole() {
    node_killed_at(Step::Staged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_killed_right_after_a_rotation_has_the_new_vault() {
    node_killed_at(Step::Finished).await;
}
