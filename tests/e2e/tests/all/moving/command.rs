//! The same by the command line: ways in, reports without values, files for one's own eyes.

use std::{
    fs,
    os::{fd::AsFd as _, unix::fs::PermissionsExt as _},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use ocmt::local::wait_every;
use ocmt_testkit::{
    TestNode,
    command::{Said, ocmt},
    programs,
};
use rustix::pty::OpenptFlags;
use serde_json::Value;

use super::*;
use crate::api_keys::keep;

/// Somebody who types: their vault's passphrase and their state are in files.
struct Typing {
    node: TestNode,
    state: String,
    passphrase: String,
    ada: Person,
}

impl Typing {
    async fn start() -> Self {
        let node = TestNode::start().await.unwrap();
        let ada = node.person("ada").await.unwrap();
        drop(vault(&ada).await);
        let state = keep(&node, &ada);
        let passphrase = node.folder().join("passphrase");
        fs::write(&passphrase, "tramway-Okapi-39-lantern\n").unwrap();
        Self { state, passphrase: passphrase.to_str().unwrap().to_owned(), node, ada }
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.node.folder().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> String {
        self.node.folder().join(name).to_str().unwrap().to_owned()
    }

    async fn vault(&self, arguments: &[&str]) -> Said {
        let mine = ["--passphrase-file", &self.passphrase, "--state-dir", &self.state, "--json"];
        ocmt(&[&["vault"], arguments, &mine].concat()).await.unwrap()
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let said = self.vault(arguments).await;
        assert_eq!(said.code, Some(0), "{}", said.err);
        serde_json::from_str(&said.out).unwrap()
    }
}

fn expected() -> Value {
    serde_json::from_slice(&fs::read(vector("expected.json")).unwrap()).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[tokio::test]
async fn a_vault_of_the_earlier_implementation_comes_in_by_every_way() {
    let ada = Typing::start().await;
    let all = expected();
    let one = &all["vaults"][1];
    let path = vector("vault-1.json");
    let import = ["import", path.to_str().unwrap()];
    let password = ada.file("password", format!("{}\n", text(&one["password"])));
    let phrase = ada.file("phrase", text(&one["recovery_phrase"]));
    let (key, record) =
        (ada.file("key", text(&one["backup_key"])), ada.file("record", one["backup"].to_string()));
    let social = ada.file("social", one["social"].to_string());
    let share = |at: usize| ada.file(&format!("share{at}"), text(&one["shares_3_of_5"][at]));
    let shares = [share(4), share(0), share(2)];
    let by_password = ["--password-file", &password];
    // said first, and nothing written
    let dry = ada.json(&[&import[..], &by_password, &["--dry-run"]].concat()).await;
    assert_eq!((dry["written"].as_u64(), dry["dry_run"].as_bool()), (Some(10), Some(true)));
    assert_eq!(ada.json(&["ls"]).await, serde_json::json!([]));
    let told = ada.json(&[&import[..], &by_password].concat()).await;
    assert_eq!(told["written"], 10);
    assert_eq!(told["entries"][0]["name"], "credentials/openai/key 0");
    for way in [
        &["--phrase-file", &phrase][..],
        &["--old-backup-key-file", &key, "--backup-record", &record],
        &["--shares", &social],
        &["--shares", &shares[0], &shares[1], &shares[2]],
    ] {
        let again = ada.json(&[&import[..], way].concat()).await;
        assert_eq!(again["written"], 0, "the same content: {way:?}");
        assert!(again["entries"].as_array().unwrap().iter().all(|one| one["what"] == "already_there"));
    }
    let values: Vec<&str> =
        one["content"]["credentials"].as_array().unwrap().iter().map(|one| text(&one["apiKey"])).collect();
    let out = ada.path("value");
    ada.json(&["get", "credentials/openai/key 0", "--out", &out]).await;
    assert_eq!(fs::read_to_string(&out).unwrap(), values[0]);
    for said in [dry.to_string(), told.to_string(), ada.json(&["ls"]).await.to_string()] {
        assert!(values.iter().all(|value| !said.contains(value)), "no value is shown");
    }
    // fields by their keys
    let keys = ada.file("keys", all["keys"].to_string());
    let fields = serde_json::json!({ "greeting": all["fields"][0]["v0"], "long": all["fields"][3]["v1"] });
    let fields = ada.file("fields", fields.to_string());
    let told = ada.json(&["import", &fields, "--field-keys", &keys]).await;
    assert_eq!((&told["written"], &told["entries"][1]["bytes"]), (&2.into(), &5000.into()));
}

#[tokio::test]
async fn a_file_that_does_not_open_is_refused_with_one_error_and_nothing_is_imported() {
    let ada = Typing::start().await;
    let all = expected();
    let good = fs::read_to_string(vector("vault-0.json")).unwrap();
    let password = ada.file("password", text(&all["vaults"][0]["password"]));
    let wrong = ada.file("wrong", "not the password");
    let bad_sum = good.replacen("\"sIHk2", "\"tIHk2", 1);
    let mut said = Vec::new();
    for (content, key) in [
        (good.as_str(), &wrong),
        (&bad_sum, &password),
        (&good[..good.len() - 1], &password),
        (&good.replace("\"version\": 1,", "\"version\": 2,"), &password),
        (&good.replace("\"memory\": 65536", "\"memory\": 4000000000"), &password),
        (&good.replace("\"version\": 1,", "\"version\": 1, \"version\": 1,"), &password),
        ("OCMT and nothing of an export", &password),
        ("", &password),
    ] {
        let file = ada.file("vault.json", content);
        let refused = ada.vault(&["import", &file, "--password-file", key]).await;
        assert_eq!(refused.code, Some(1), "{}{}", refused.out, refused.err);
        said.push(refused.err);
    }
    let pipe = ada.vault(&["import", "/dev/null", "--password-file", &password]).await;
    assert!(pipe.code == Some(2) && pipe.err.contains("is no file"), "{}", pipe.err);
    said.dedup();
    assert!(said.len() == 1 && said[0].contains("nothing was imported"), "{said:?}");
    assert_eq!(ada.json(&["ls"]).await, serde_json::json!([]));
}

#[tokio::test]
async fn an_export_is_for_ones_own_eyes_and_overwrites_nothing_unasked() {
    let ada = Typing::start().await;
    let value = ada.file("value", "the value of it");
    ada.json(&["put", "a name", "--value-file", &value]).await;
    let (to, short) = (ada.path("mine.ocmt"), ada.file("short", "only eleven"));
    let long = ada.file("long", PASSPHRASE);
    let refused = ada.vault(&["export", "--to", &to, "--new-passphrase-file", &short]).await;
    assert!(refused.code == Some(2) && !Path::new(&to).exists(), "{}", refused.err);
    let export = ["export", "--to", &to, "--new-passphrase-file", &long];
    assert_eq!(ada.json(&export).await["entries"], 1);
    let first = fs::read(&to).unwrap();
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    let refused = ada.vault(&export).await;
    assert!(refused.code == Some(2) && refused.err.contains("--overwrite"), "{}", refused.err);
    assert!(fs::read(&to).unwrap() == first);
    ada.json(&[&export[..], &["--overwrite"]].concat()).await;
    assert!(fs::read(&to).unwrap() != first, "another salt");
    let left: Vec<_> = fs::read_dir(ada.node.folder()).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_str().unwrap().starts_with(".tmp")), "{left:?}");
    // back into the vault after it was lost
    ada.json(&["rm", "a name"]).await;
    let told = ada.json(&["import", &to, "--password-file", &long]).await;
    assert_eq!((&told["written"], &told["entries"][0]["name"]), (&1.into(), &"a name".into()));
    assert_eq!(
        again(&ada.ada, &ada.ada.device).await.get("a name").await.unwrap().value.as_slice(),
        b"the value of it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_stopped_leaves_nothing_behind() {
    let ada = Typing::start().await;
    let value = ada.file("value", "the value of it");
    ada.json(&["put", "a name", "--value-file", &value]).await;
    let (folder, long) = (ada.path("exports"), ada.file("long", PASSPHRASE));
    fs::create_dir(&folder).unwrap();
    let to = format!("{folder}/mine.ocmt");
    let arguments = ["vault", "export", "--to", &to, "--new-passphrase-file", &long];
    let mine = ["--passphrase-file", &ada.passphrase, "--state-dir", &ada.state];
    let mut command = Command::new(programs::ocmt().unwrap());
    command.args(arguments).args(mine).env_clear().stderr(Stdio::null());
    let files = || fs::read_dir(&folder).unwrap().count();
    for _ in 0..20 {
        let mut export = command.spawn().unwrap();
        // looked for often: the file is there for as long as the passphrase is stretched, and nothing tells of it
        let begun = async || (files() > 0).then_some(());
        wait_every(Duration::from_millis(1), Duration::from_secs(60), begun)
            .await
            .expect("it is not being written");
        let pid = rustix::process::Pid::from_child(&export);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let ended = export.wait().unwrap();
        if ended.success() {
            // it came to its end while this test waited for a turn of the processor
            fs::remove_file(&to).unwrap();
            continue;
        }
        assert_eq!((ended.code(), files()), (Some(1), 0));
        return;
    }
    panic!("none was stopped before its end");
}

/// The answer of somebody at a terminal.
pub(crate) fn at_a_terminal(arguments: &[&str], answer: &str) -> std::process::ExitStatus {
    let ours = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    rustix::pty::grantpt(&ours).unwrap();
    rustix::pty::unlockpt(&ours).unwrap();
    let name = rustix::pty::ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    let theirs = || Stdio::from(fs::OpenOptions::new().read(true).write(true).open(&name).unwrap());
    rustix::io::write(ours.as_fd(), answer.as_bytes()).unwrap();
    let mut command = Command::new(programs::ocmt().unwrap());
    command.args(arguments).env_clear().stdin(theirs()).stderr(theirs()).stdout(Stdio::null());
    command.status().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_is_written_in_clear_only_at_a_terminal_and_after_a_yes() {
    let ada = Typing::start().await;
    let value = ada.file("value", "the value of it");
    ada.json(&["put", "a name", "--value-file", &value]).await;
    let to = ada.path("clear.json");
    let export = ["export", "--to", &to, "--in-clear"];
    let refused = ada.vault(&export).await;
    assert!(refused.code == Some(2) && refused.err.contains("only at a terminal"), "{}", refused.err);
    let mine = ["--passphrase-file", &ada.passphrase, "--state-dir", &ada.state];
    let typed = [&["vault"], &export[..], &mine].concat();
    assert_eq!(at_a_terminal(&typed, "no\n").code(), Some(1));
    assert!(!Path::new(&to).exists());
    assert_eq!(at_a_terminal(&typed, "yes\n").code(), Some(0));
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    let clear: Value = serde_json::from_slice(&fs::read(&to).unwrap()).unwrap();
    assert_eq!((&clear[0]["name"], &clear[0]["value"]), (&"a name".into(), &"the value of it".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_are_told_of_before_they_come_in_and_written_in_clear_at_a_terminal() {
    let ada = Typing::start().await;
    let mut hers = again(&ada.ada, &ada.ada.device).await;
    let id = hers.open_conversation(None).await.unwrap().id;
    let mut writer = hers.write_conversation(id).await.unwrap();
    writer.push(b"what was said", false).unwrap();
    writer.push(&[0xff, 0], true).unwrap();
    writer.flush().await.unwrap();
    hers.note_conversation(id, writer.stored(), true).await.unwrap();
    let (to, long) = (ada.path("mine.ocmt"), ada.file("long", PASSPHRASE));
    let export = ["export", "--to", &to, "--new-passphrase-file", &long];
    let told = ada.json(&export).await;
    assert_eq!(
        (&told["entries"], &told["conversations"], &told["records"]),
        (&0.into(), &1.into(), &2.into())
    );
    let import = ["import", &to, "--password-file", &long];
    let dry = ada.json(&[&import[..], &["--dry-run"]].concat()).await;
    let one = &dry["conversations"][0];
    assert_eq!(
        (&dry["records_written"], &one["records"], &one["what"]),
        (&2.into(), &2.into(), &"new".into())
    );
    assert_eq!((&one["exported_as"], &one["finished"]), (&id.to_string().into(), &true.into()));
    assert_eq!(ada.ada.client.conversations().await.unwrap().len(), 1, "nothing was written");
    let left = ada.json(&[&import[..], &["--without-conversations"]].concat()).await;
    assert_eq!(
        (&left["records_written"], &left["conversations"][0]["what"]),
        (&0.into(), &"left_out".into())
    );
    let said = ada.vault(&import).await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    let imported = ada.ada.client.conversations().await.unwrap();
    assert!(imported.len() == 2 && imported.iter().any(|new| one["conversation"] == new.id.to_string()));
    let again = ada.json(&import).await;
    assert_eq!((&again["records_written"], &again["conversations"][0]["there"]), (&0.into(), &2.into()));
    // a program of a later day made it
    let mut later = fs::read(&to).unwrap();
    later[5] = 3;
    let later = ada.file("later.ocmt", later);
    let refused = ada.vault(&["import", &later, "--password-file", &long]).await;
    assert!(refused.code == Some(1) && refused.err.contains("by a later version"), "{}", refused.err);
    let clear = ada.path("clear.json");
    let mine = ["--passphrase-file", &ada.passphrase, "--state-dir", &ada.state];
    let typed = [&["vault", "export", "--to", &clear, "--in-clear"][..], &mine[..]].concat();
    assert_eq!(at_a_terminal(&typed, "yes\n").code(), Some(0));
    let clear: Vec<Value> = serde_json::from_slice(&fs::read(&clear).unwrap()).unwrap();
    let said: Vec<&Value> = clear.iter().filter(|one| one["conversation"] == id.to_string()).collect();
    assert_eq!((clear.len(), said.len()), (6, 3), "two conversations of two records");
    assert_eq!((&said[0]["first_sequence"], &said[1]["text"]), (&1.into(), &"what was said".into()));
    assert_eq!((&said[2]["base64"], &said[2]["final"]), (&"/wA=".into(), &true.into()));
}
