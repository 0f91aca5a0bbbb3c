//! What operators are told at a channel of theirs, and a node's key that is rotated under its heads of audits.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use ocmt::{config::OperatorAlerts, local::wait_for};
use ocmt_client::audit::Trust;
use ocmt_crypto::audit::checkpoint::NoteKey;
use ocmt_testkit::{TestNode, command::ocmt, http, receiver::Receiver};
use ocmt_types::{Clock as _, SystemClock};
use serde_json::Value;

/// A channel of Slack's kind at the receiver, as a table of the configuration, and the receiver's authority.
fn channel(folder: &tempfile::TempDir, receiver: &Receiver) -> (OperatorAlerts, PathBuf) {
    let (url, ca) = (folder.path().join("ops.url"), folder.path().join("receiver.pem"));
    fs::write(&url, format!("{}/ops/xyzzy", receiver.url)).unwrap();
    fs::set_permissions(&url, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&ca, &receiver.ca_pem).unwrap();
    let table = format!("name = \"ops\"\nkind = \"slack\"\ntarget_file = {:?}", url.to_str().unwrap());
    (toml::from_str(&table).unwrap(), ca)
}

async fn says(words: &[&str]) -> Value {
    let said = ocmt(words).await.unwrap();
    assert_eq!(said.code, Some(0), "{}", said.err);
    serde_json::from_str(&said.out).unwrap()
}

/// A change that was planned: tokens of the key before are good until they end.
async fn tokens_outlive_their_key(node: &TestNode) {
    let target = node.target().unwrap();
    let second = async || {
        let answer = http::get(&target, "/.well-known/ocmt-gateway-keys", &[]).await.ok()?;
        serde_json::from_str::<Value>(&answer.body).ok()?["keys"][1]["exp"].as_i64()
    };
    let until = wait_for(Duration::from_secs(60), second).await.expect("the key before is gone");
    let left = until - SystemClock.now().millis() / 1000;
    assert!((3_000..=3_660).contains(&left), "{left} s");
}

/// Its heads go on under the next key, for who knows the authority and for who knows the first key alone, and operators hear of it.
#[tokio::test]
async fn a_nodes_key_is_rotated_under_its_heads_and_operators_are_told() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await.unwrap());
    let (ops, ca) = channel(&folder, &receiver);
    let node = TestNode::start_with(|config| {
        config.alerts.ca_file = ca;
        config.alerts.operators = vec![ops];
    });
    let node = node.await.unwrap();
    let config = node.folder().join("ocmt.toml").to_str().unwrap().to_owned();
    let tried = says(&["security", "test-alerts", "--config", &config, "--json"]).await;
    assert_eq!((&tried[0]["channel"], tried[0].get("failed")), (&Value::from("ops"), None), "{tried}");
    let post = receiver.post(|post| post.text.contains("alert.test")).await.unwrap();
    assert_eq!(post.path, "/ops/xyzzy");

    let ada = node.person("ada").await.unwrap();
    let (kept, before) = ada.client.audit_checkpoint().await.unwrap();
    let data = node.folder().join("data").to_str().unwrap().to_owned();
    let key = |word: &'static str| {
        let data = data.clone();
        async move { says(&["cluster", "node-key", word, "--data-dir", &data, "--json"]).await }
    };
    let first = key("show").await;
    assert_eq!((&first["earlier"], &first["next"]), (&Value::from(0), &Value::Null), "{first}");
    let asked = key("rotate").await;
    assert_eq!(asked, key("rotate").await, "asked twice it is one key");
    let (well, left) = node.stop().await.unwrap();
    assert!(well);
    // the sealing key too: a node alone has its database to itself while it runs
    let due = says(&["cluster", "sealing-key", "rotate", "--config", &config, "--json"]).await;
    assert_eq!(due["generation"], 2, "{due}");
    let again = ocmt(&["cluster", "sealing-key", "rotate", "--config", &config]).await.unwrap();
    assert!(again.code != Some(0) && again.err.contains("not in use everywhere"), "{}", again.err);
    let node = TestNode::start_again(left, |_| {}).await.unwrap();
    tokens_outlive_their_key(&node).await;
    let second = key("show").await;
    assert_eq!((&second["key"], &second["earlier"]), (&asked["next"], &Value::from(1)), "{second}");

    let told = receiver.post(|post| post.text.contains("node.key")).await.unwrap();
    assert!(told.text.contains("in cluster") && told.text.contains("[warning]"), "{told:?}");
    receiver.post(|post| post.text.contains("cluster.sealing_rotate")).await.unwrap();
    let bob = node.person("bob").await.unwrap();
    let (later, after) = bob.client.audit_checkpoint().await.unwrap();
    let known = NoteKey::parse(first["key"].as_str().unwrap()).unwrap();
    for trust in [bob.client.audit_trust(), Trust { ca: None, keys: vec![known] }] {
        assert_eq!((kept.prove(&trust).unwrap(), later.prove(&trust).unwrap()), (before, after));
    }
    let stranger = Trust { ca: None, keys: vec![NoteKey::parse(second["key"].as_str().unwrap()).unwrap()] };
    assert!(kept.prove(&stranger).is_err(), "a later key says nothing of earlier ones");
    // whether one is due the node looks now and then
    let made = async || {
        let keys = fs::read_to_string(node.folder().join("data/pki/sealing.keys")).ok()?;
        keys.lines().any(|line| line.starts_with("2 ")).then_some(())
    };
    wait_for(Duration::from_secs(60), made).await.expect("the next sealing key was not made");
    let log = fs::read_to_string(node.folder().join("node.log")).unwrap();
    assert!(!log.contains("xyzzy"), "where a channel leads is in no log");
}
