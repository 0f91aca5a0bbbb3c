//! What a container does by itself, as a person sees it: schedules, its changes as they come, and the agent that unlocks it.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Stdio, time::Duration};

use ocmt_client::{
    container::{Spec, State},
    vault::Vault,
};
use ocmt_testkit::{
    Person, TestNode,
    command::{Said, ocmt},
    programs,
};
use ocmt_types::ContainerId;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::api_keys::keep;

const PASSPHRASE: &str = "tramway-Okapi-39-lantern";
const PATIENCE: Duration = Duration::from_secs(60);

/// Somebody with a vault and a container that does not run, at their own desk.
struct Desk {
    node: TestNode,
    ada: Person,
    vault: Vault,
    container: ContainerId,
    state: String,
}

impl Desk {
    async fn set() -> Self {
        let node = TestNode::start().await.unwrap();
        let ada = node.person("ada").await.unwrap();
        let mut vault = ada.vault(PASSPHRASE).await.unwrap();
        vault.put("api-key", b"hunter2").await.unwrap();
        let spec = Spec { argv: vec!["/bin/sleep".to_owned(), "600".to_owned()], ..Spec::default() };
        let container = ada.client.create_container(&spec, false).await.unwrap().id;
        let state = keep(&node, &ada);
        fs::write(node.folder().join("vault.txt"), PASSPHRASE).unwrap();
        Self { node, ada, vault, container, state }
    }

    fn at(&self, name: &str) -> String {
        self.node.folder().join(name).to_str().unwrap().to_owned()
    }

    async fn says(&self, words: &[&str]) -> Said {
        ocmt(&[words, &["--state-dir", &self.state, "--json"]].concat()).await.unwrap()
    }

    /// A command that goes on, and its lines.
    fn goes_on(&self, words: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
        let mut child = Command::new(programs::ocmt().unwrap())
            .args(words)
            .args(["--state-dir", &self.state, "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        (child, lines)
    }

    fn rules(&self, at_most: u32) -> String {
        let rules = format!(
            "[[rule]]\ncontainer = \"{}\"\nmap = [\"KEY=api-key\"]\nlease = \"60s\"\ncauses = [\"call\"]\nat_most = {at_most}\nper = \"1h\"\n",
            self.container
        );
        fs::write(self.at("rules.toml"), rules).unwrap();
        self.at("rules.toml")
    }

    async fn sleeps_and_wakes(&self) {
        self.ada.client.stop_container(self.container, Some(Duration::ZERO)).await.unwrap();
        self.ada.client.wake_container(self.container).await.unwrap();
    }
}

impl Desk {
    /// What the agent says to the first wake that it sees: wakes before it watches are nobody's.
    async fn answer(&self, lines: &mut Lines<BufReader<ChildStdout>>) -> Value {
        loop {
            self.sleeps_and_wakes().await;
            if let Ok(answer) = tokio::time::timeout(Duration::from_secs(20), line(lines)).await {
                return answer;
            }
        }
    }
}

async fn line(lines: &mut Lines<BufReader<ChildStdout>>) -> Value {
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("no line in time");
    serde_json::from_str(&line.unwrap().expect("the command has ended")).unwrap()
}

fn json(said: &Said) -> Value {
    assert_eq!(said.code, Some(0), "{}", said.err);
    serde_json::from_str(&said.out).unwrap()
}

#[tokio::test]
async fn a_schedule_is_made_changed_listed_explained_and_deleted() {
    let desk = Desk::set().await;
    let made = json(&desk.says(&["schedule", "put", "30 7 * * 1-5", "--time-zone", "Europe/Berlin"]).await);
    let id = made["id"].as_str().unwrap();
    assert!(made["next_at"].is_number() && made["time_zone"] == "Europe/Berlin", "{made}");
    let explained = json(&desk.says(&["container", "explain"]).await);
    assert_eq!(explained["next_wake_at"], made["next_at"]);
    let off = json(&desk.says(&["schedule", "put", "0 3 * * *", "--schedule", id, "--off"]).await);
    assert!(off["id"] == id && off["next_at"].is_null(), "{off}");
    let listed = json(&desk.says(&["schedule", "ls"]).await);
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["cron"]), (1, &"0 3 * * *".into()));
    for wrong in [vec!["* * * * *"], vec!["0 0 31 2 *"], vec!["0 3 * * *", "--time-zone", "Mars/Olympus"]] {
        let said = desk.says(&[vec!["schedule", "put"], wrong.clone()].concat()).await;
        assert_eq!(said.code, Some(3), "{wrong:?}: {}", said.err);
    }
    assert_eq!(desk.says(&["schedule", "rm", id]).await.code, Some(0));
    assert_eq!(json(&desk.says(&["schedule", "ls"]).await), Value::Array(Vec::new()));
    what_cannot_be_is_told_in_time(&desk).await;
    what_was_made_and_did_not_start_is_named(&desk).await;
}

/// In the words of the command, and before anybody is asked for a passphrase.
async fn what_cannot_be_is_told_in_time(desk: &Desk) {
    let snapshots: [&[&str]; 3] =
        [&["create"], &["schedule", "set", "0 3 * * *"], &["verify", "00000000-0000-0000-0000-000000000001"]];
    for words in snapshots {
        let said = desk.says(&[&["snapshot"], words].concat()).await;
        assert!(said.code == Some(3) && said.err.contains("keeps no snapshots"), "{words:?}: {}", said.err);
    }
    let sealed = desk.says(&["container", "create", "--sealed-volume"]).await;
    assert!(sealed.code == Some(3) && sealed.err.contains("--sealed-volume needs Docker"), "{}", sealed.err);
}

async fn what_was_made_and_did_not_start_is_named(desk: &Desk) {
    let bob = desk.node.person("bob").await.unwrap();
    let state = keep(&desk.node, &bob);
    // so that no volume can be made for them
    let tenant = bob.client.identity().unwrap().tenant.to_string();
    fs::write(desk.node.folder().join("data/volumes").join(tenant), "").unwrap();
    let create = async || ocmt(&["container", "create", "--state-dir", &state]).await.unwrap();
    let said = create().await;
    let id = bob.client.container_or_only(None).await.unwrap();
    let start = format!("the container {id} was made, but did not start: `ocmt container start {id}`");
    assert!(said.code == Some(3) && said.err.contains(&start), "{}", said.err);
    let again = create().await;
    assert!(again.code == Some(3) && !again.err.contains("was made"), "{}", again.err);
}

#[tokio::test]
async fn changes_are_told_as_they_come_and_from_where_one_was() {
    let desk = Desk::set().await;
    let client = &desk.ada.client;
    let mut watch = client.watch_containers(Some(desk.container), "").await.unwrap();
    let (_child, mut lines) = desk.goes_on(&["container", "watch"]);
    // the command is known to watch once it tells of something
    let told = async {
        loop {
            client.hold_container(desk.container, "a mark").await.unwrap();
            client.release_container(desk.container, "a mark").await.unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await; // why: the pause between two marks
        }
    };
    let first = tokio::select! {
        first = line(&mut lines) => first,
        () = told => unreachable!(),
    };
    // it may have been cut off between the two
    let _ = client.release_container(desk.container, "a mark").await;
    assert_eq!(first["id"], desk.container.to_string());
    assert_eq!(watch.next().await.unwrap().id, desk.container);
    client.start_container(desk.container).await.unwrap();
    let running = loop {
        let line = line(&mut lines).await;
        if line["state"] == "running" {
            break line;
        }
    };
    assert_eq!(running["container"]["locked"], true);
    let token = running["resume_token"].as_str().unwrap();
    client.pause_container(desk.container).await.unwrap();
    let mut again = client.watch_containers(None, token).await.unwrap();
    assert_eq!(again.next().await.unwrap().state, State::Pausing);
    let nonsense = client.watch_containers(None, "nonsense").await.err().unwrap();
    assert_eq!(nonsense.reason().as_deref(), Some("INVALID_ARGUMENT"));
}

#[tokio::test]
async fn the_agent_unlocks_what_its_rules_name_as_often_as_they_say_and_a_restart_changes_nothing() {
    let mut desk = Desk::set().await;
    let (rules, secret) = (desk.rules(2), desk.at("vault.txt"));
    let words = ["unlock-agent", "--rules", &rules, "--passphrase-file", &secret];
    fs::set_permissions(&rules, fs::Permissions::from_mode(0o666)).unwrap();
    let said = desk.says(&words).await;
    assert!(said.code == Some(1) && said.err.contains("writable by nobody else"), "{}", said.err);
    fs::set_permissions(&rules, fs::Permissions::from_mode(0o600)).unwrap();
    // whoever answers first as the host of a container is not believed unattended
    let (mut agent, mut lines) = desk.goes_on(&words);
    let unknown = desk.answer(&mut lines).await;
    assert!(
        unknown["answer"] == "not answered" && unknown["why"].as_str().unwrap().contains("by hand"),
        "{unknown}"
    );
    agent.kill().await.unwrap();
    let (map, container) = ([("KEY", "api-key").into()], desk.container);
    desk.vault.unlock_container(container, &map, Duration::from_secs(60), false).await.unwrap();
    // what is written anew is what the next answer hands over
    desk.vault.put("api-key", b"hunter3").await.unwrap();
    let mut answers = Vec::new();
    for round in 0..3 {
        let (mut agent, mut lines) = desk.goes_on(&words);
        let answer = desk.answer(&mut lines).await;
        assert_eq!(
            (&answer["container"], &answer["cause"]),
            (&desk.container.to_string().into(), &"call".into())
        );
        let unlocked = !desk.ada.client.container(desk.container).await.unwrap().locked;
        assert_eq!(unlocked, answer["answer"] == "unlocked", "round {round}: {answer}");
        answers.push(answer["answer"].as_str().unwrap().to_owned());
        agent.kill().await.unwrap();
    }
    assert_eq!(answers, ["unlocked", "unlocked", "not answered"]);
}
