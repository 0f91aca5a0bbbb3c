//! Entries by the command line and the Rust client: compare-and-swap, times, many at once, history, watching.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use ocmt_client::{
    ClientError,
    tenant::PolicyChange,
    vault::{Changed, PutOptions},
};
use ocmt_testkit::{
    Person, TestNode,
    command::{Said, ocmt},
    pace,
};
use ocmt_types::{Clock as _, SystemClock};
use serde_json::Value;

use crate::api_keys::keep;

const PASSPHRASE: &str = "violin ledger umbrella quartz";

/// What a person types with.
struct Typed {
    state: String,
    passphrase: String,
    folder: std::path::PathBuf,
}

impl Typed {
    /// The person's session and passphrase, where the command line finds them.
    fn of(node: &TestNode, person: &Person) -> Self {
        let passphrase = node.folder().join("passphrase");
        fs::write(&passphrase, PASSPHRASE).unwrap();
        let passphrase = passphrase.to_str().unwrap().to_owned();
        Self { state: keep(node, person), passphrase, folder: node.folder().to_owned() }
    }

    async fn vault(&self, arguments: &[&str]) -> Said {
        let more = ["--state-dir", &self.state, "--passphrase-file", &self.passphrase];
        ocmt(&[&["vault"], arguments, &more].concat()).await.unwrap()
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let said = self.vault(&[arguments, &["--json"]].concat()).await;
        assert_eq!(said.code, Some(0), "{}", said.err);
        serde_json::from_str(&said.out).unwrap()
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn an_entry_is_written_over_the_version_that_was_meant_and_what_is_due_is_named() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    ada.vault(PASSPHRASE).await.unwrap();
    let typed = Typed::of(&node, &ada);
    let value = typed.file("value", "first");
    let put = ["put", "key", "--value-file", &value];
    let absent = [&put[..], &["--if-version", "0"]].concat();
    assert_eq!(typed.vault(&absent).await.code, Some(0));
    let again = typed.vault(&absent).await;
    assert_ne!(again.code, Some(0));
    assert!(
        again.err.contains("is at version 1, and should be absent: nothing was written"),
        "{}",
        again.err
    );
    let over = [&put[..], &["--if-version", "1", "--expires", "2020-01-31", "--remind", "90d"]].concat();
    assert_eq!(typed.vault(&over).await.code, Some(0));
    assert_ne!(typed.vault(&over).await.code, Some(0));
    typed.vault(&["put", "later", "--value-file", &value, "--expires", "30d"]).await;
    let listed = typed.vault(&["ls"]).await;
    assert!(listed.out.contains("2020-01-31 00:00 UTC"), "{}", listed.out);
    assert!(listed.err.contains("key has expired") && !listed.err.contains("later"), "{}", listed.err);
    let listed = typed.json(&["ls"]).await;
    let due: Vec<(&str, bool)> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["name"].as_str().unwrap(), entry["due"].as_bool().unwrap()))
        .collect();
    assert_eq!(due, [("key", true), ("later", false)]);
}

#[tokio::test]
async fn many_secrets_go_in_by_a_file_and_a_bad_file_writes_nothing() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    ada.vault(PASSPHRASE).await.unwrap();
    let typed = Typed::of(&node, &ada);
    let lines: String = (0..60).map(|n| format!("KEY_{n}='value {n} $X'\n")).collect();
    let env = typed.file("many.env", &lines);
    assert_eq!(typed.vault(&["put", "--from-file", &env]).await.code, Some(0));
    let json = typed.file("more.json", r#"{"bytes":{"base64":"/wA="},"KEY_0":"over it"}"#);
    assert_eq!(typed.vault(&["put", "--from-file", &json]).await.code, Some(0));
    for (name, text) in [("bad.env", "A=1\nno value\n"), ("bad.json", r#"{"A":1}"#), ("name.env", "A\tB=1\n")]
    {
        let bad = typed.file(name, text);
        let said = typed.vault(&["put", "--from-file", &bad]).await;
        assert_ne!(said.code, Some(0), "{name}");
    }
    let listed = typed.json(&["ls"]).await;
    assert_eq!(listed.as_array().unwrap().len(), 61);
    for (name, wanted) in [("KEY_0", "over it"), ("KEY_59", "value 59 $X")] {
        let said = typed.vault(&["get", name, "--out", "-"]).await;
        assert_eq!(said.out, wanted, "{name}");
    }
    let out = typed.folder.join("bytes");
    let said = typed.vault(&["get", "bytes", "--out", out.to_str().unwrap()]).await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read(&out).unwrap(), [255, 0]);
}

#[tokio::test]
async fn earlier_versions_are_listed_and_read_while_the_tenant_keeps_them() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = ada.vault(PASSPHRASE).await.unwrap();
    vault.put("key", b"lost").await.unwrap();
    vault.put("key", b"kept 2").await.unwrap();
    let keep = PolicyChange { kept_versions: Some(2), ..PolicyChange::default() };
    ada.client.change_policy(&keep).await.unwrap();
    vault.put("key", b"kept 3").await.unwrap();
    vault.put("key", b"now").await.unwrap();
    let typed = Typed::of(&node, &ada);
    let listed = typed.json(&["history", "key"]).await;
    let versions: Vec<u64> =
        listed.as_array().unwrap().iter().map(|one| one["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, [4, 3, 2]);
    let said = typed.vault(&["get", "key", "--version", "2", "--out", "-"]).await;
    assert_eq!(said.out, "kept 2");
    let gone = typed.vault(&["get", "key", "--version", "1", "--out", "-"]).await;
    assert!(gone.code != Some(0) && gone.err.contains("version 1 of `key` is not kept"), "{}", gone.err);
}

#[tokio::test]
async fn a_device_sees_what_another_writes_and_nothing_after_its_session_has_ended() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = ada.vault(PASSPHRASE).await.unwrap();
    let mut watch = ada.client.watch_vault(vault.id(), "").await.unwrap();
    vault.put("a", b"1").await.unwrap();
    let first = watch.next().await.unwrap();
    assert_eq!((first.changed, first.object.unwrap().version, first.counter), (Changed::Written, 1, 2));
    vault.put_with("a", b"2", &PutOptions { if_version: Some(1), ..PutOptions::default() }).await.unwrap();
    vault.delete("a").await.unwrap();
    assert_eq!(watch.next().await.unwrap().object.unwrap().version, 2);
    assert_eq!(watch.next().await.unwrap().changed, Changed::Deleted);
    // another program goes on behind the first event
    let mut other = ada.client.watch_vault(vault.id(), &first.resume_token).await.unwrap();
    assert_eq!(other.next().await.unwrap().object.unwrap().version, 2);
    let bad = ada.client.watch_vault(vault.id(), "1.0").await.err().unwrap();
    assert!(matches!(bad, ClientError::Refused(_)) && bad.code() == Some(tonic::Code::InvalidArgument));
    ada.client.sign_out().await.unwrap();
    let began = SystemClock.boottime();
    let ended = async {
        let ended = tokio::time::timeout(Duration::from_secs(60), watch.next()).await;
        (ended, SystemClock.boottime().saturating_sub(began))
    };
    let ((ended, took), machine) = pace::beside(ended).await.unwrap();
    let ended = ended.expect("it goes on after its session").unwrap_err();
    assert!(took < Duration::from_secs(1) + machine, "{took:?}, {machine:?} of it the machine's");
    assert_eq!(ended.code(), Some(tonic::Code::Unauthenticated));
}
