//! What a container's program says in conversations, through its cell and a real node to the user's device.

use std::time::Duration;

use ocmt::{canary, local::wait_for};
use ocmt_client::{
    ClientError,
    container::Spec,
    conversation::Start,
    oauth::Gifts,
    vault::{Vault, Worth},
};
use ocmt_crypto::vault::RotationMode;
use ocmt_testkit::{Person, TestNode, command::ocmt};
use ocmt_types::{ContainerId, ConversationId};
use tonic::Code;

use crate::api_keys::keep;

const PASSPHRASE: &str = "violin ledger umbrella quartz";
const MARK: &str = "canary 62c0d7a9 of a conversation";
const LEASE: Duration = Duration::from_secs(600);
const PATIENCE: Duration = Duration::from_secs(120);

/// A container whose program does this at each start. `$FOLDER` is a place of its own.
async fn program(node: &TestNode, person: &Person, script: &str) -> ContainerId {
    let file = node.folder().join("program");
    let folder = node.folder().display().to_string();
    let script = format!("{}\nexec sleep 600\n", script.replace("$FOLDER", &folder));
    std::fs::write(&file, script).unwrap();
    let argv = ["/usr/bin/env", "sh", file.to_str().unwrap()].map(str::to_owned).to_vec();
    person.client.create_container(&Spec { argv, ..Spec::default() }, true).await.unwrap().id
}

async fn unlock(vault: &mut Vault, container: ContainerId, gifts: Gifts<'_>) -> Result<(), ClientError> {
    let mapping = [("SECRET", "secret").into()];
    vault.unlock_with(container, Gifts { mapping: &mapping, ..gifts }, LEASE, false).await.map(drop)
}

async fn with_secret(person: &Person) -> Vault {
    let mut vault = person.vault(PASSPHRASE).await.unwrap();
    vault.put("secret", MARK.as_bytes()).await.unwrap();
    vault
}

async fn heard(vault: &Vault, id: ConversationId) -> Vec<String> {
    let mut reading = vault.read_conversation(id, Start::First, false).await.unwrap();
    let mut texts = Vec::new();
    while let Some(record) = reading.next().await.unwrap() {
        texts.push(String::from_utf8(record.text.to_vec()).unwrap());
    }
    texts
}

/// Waits until the node has so many records of the only conversation.
async fn has(person: &Person, records: u64) -> ConversationId {
    wait_for(PATIENCE, async || {
        let all = person.client.conversations().await.unwrap();
        all.into_iter().find(|one| one.records >= records).map(|one| one.id)
    })
    .await
    .expect("the records did not come")
}

async fn is_locked(person: &Person, container: ContainerId) {
    let locked = async || person.client.container(container).await.unwrap().locked.then_some(());
    wait_for(PATIENCE, locked).await.expect("the cell is not locked");
}

fn found(node: &TestNode) -> Vec<String> {
    let marks = canary::Marks::new([("what was said", MARK.as_bytes())]).unwrap();
    let places = [
        canary::Place::Tree(node.folder().join("data")),
        canary::Place::Tree(node.folder().join("node.log")),
        canary::Place::Process(node.local().pid().unwrap()),
    ];
    let report = canary::search(&marks, &places).unwrap();
    report.findings.iter().map(|finding| format!("{finding:?}")).collect()
}

/// Begins a conversation if there is none, and says something in it.
const SAYS: &str = "[ -s $FOLDER/talk ] || \"$OCMT_CELL\" conversation begin > $FOLDER/talk
for n in 1 2; do printf '%s %s' \"$SECRET\" $n | \"$OCMT_CELL\" conversation say $(cat $FOLDER/talk); done";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_says_is_its_users_to_read_and_to_go_on_with_and_nobody_elses() {
    let node = TestNode::start_with(|config| config.telemetry.filter = "debug".to_owned()).await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = with_secret(&ada).await;
    let container = program(&node, &ada, SAYS).await;
    unlock(&mut vault, container, Gifts { new_conversations: true, ..Gifts::default() }).await.unwrap();
    let id = has(&ada, 2).await;
    // its key came to the vault's inbox, and is filed by the user's device
    let items = vault.inbox().await.unwrap();
    let [item] = &items[..] else { panic!("{} items", items.len()) };
    assert_eq!((item.worth, item.conversation, item.container), (Worth::Fileable, Some(id), Some(container)));
    assert_eq!(vault.file_conversations().await.unwrap().len(), 1);
    assert!(vault.inbox().await.unwrap().is_empty());
    assert_eq!(heard(&vault, id).await, [format!("{MARK} 1"), format!("{MARK} 2")]);
    assert_eq!(vault.conversations().await.unwrap()[0].container, Some(container));
    assert_eq!(vault.keys().manifest().anchors[0].records, 2, "and a cut end is found out from here on");
    assert_eq!(found(&node), [""; 0]);

    // the user goes on, and after a re-keying the program does
    let mut writer = vault.write_conversation(id).await.unwrap();
    writer.push(b"and what else?", false).unwrap();
    writer.flush().await.unwrap();
    vault.note_conversation(id, writer.stored(), false).await.unwrap();
    vault.rotate(RotationMode::Rekey, &[], Vec::new(), "a test").await.unwrap();
    is_locked(&ada, container).await;
    unlock(&mut vault, container, Gifts { conversations: &[id], ..Gifts::default() }).await.unwrap();
    has(&ada, 5).await;
    let all = heard(&vault, id).await;
    assert_eq!(all[2..], ["and what else?".to_owned(), format!("{MARK} 1"), format!("{MARK} 2")]);
    // and once more under the key of today
    ada.client.lock_container(container).await.unwrap();
    is_locked(&ada, container).await;
    unlock(&mut vault, container, Gifts { conversations: &[id], ..Gifts::default() }).await.unwrap();
    has(&ada, 7).await;
    assert_eq!(heard(&vault, id).await.len(), 7);
    assert_eq!(found(&node), [""; 0]);
}

/// Of a key under which there is nothing to read nobody can tell whether it is one of this conversation's.
#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_a_conversation_in_which_nothing_was_said_is_not_filed() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = with_secret(&ada).await;
    let script = "id=$(\"$OCMT_CELL\" conversation begin)
until [ -e $FOLDER/go ]; do sleep 1; done
printf said | \"$OCMT_CELL\" conversation say $id";
    let container = program(&node, &ada, script).await;
    unlock(&mut vault, container, Gifts { new_conversations: true, ..Gifts::default() }).await.unwrap();
    let id = has(&ada, 0).await;
    for _ in 0..2 {
        assert!(vault.file_conversations().await.unwrap().is_empty());
        let items = vault.inbox().await.unwrap();
        assert_eq!(items.iter().map(|item| item.conversation).collect::<Vec<_>>(), [Some(id)], "it waits");
    }
    std::fs::write(node.folder().join("go"), "").unwrap();
    has(&ada, 1).await;
    assert_eq!(vault.file_conversations().await.unwrap().len(), 1);
    assert_eq!(heard(&vault, id).await, ["said"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_and_its_user_write_at_the_same_time_and_nothing_is_lost_or_said_twice() {
    const EACH: usize = 25;
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = with_secret(&ada).await;
    let script = "id=$(cat $FOLDER/id)
for n in $(seq 25); do until echo \"program $n\" | \"$OCMT_CELL\" conversation say $id; do :; done; done";
    let container = program(&node, &ada, script).await;
    let id = vault.open_conversation(Some(container)).await.unwrap().id;
    std::fs::write(node.folder().join("id"), id.to_string()).unwrap();
    unlock(&mut vault, container, Gifts { conversations: &[id], ..Gifts::default() }).await.unwrap();
    let mut n = 0;
    while n < EACH {
        let mut writer = vault.write_conversation(id).await.unwrap();
        writer.push(format!("user {}\n", n + 1).as_bytes(), false).unwrap();
        match writer.flush().await {
            Ok(_) => n += 1,
            Err(error) => assert_eq!(error.code(), Some(Code::Aborted), "{error}"),
        }
    }
    has(&ada, 2 * EACH as u64).await;
    let all = heard(&vault, id).await;
    for who in ["program", "user"] {
        let theirs: Vec<&String> = all.iter().filter(|text| text.starts_with(who)).collect();
        let expected: Vec<String> = (1..=EACH).map(|n| format!("{who} {n}\n")).collect();
        assert_eq!(theirs, expected.iter().collect::<Vec<_>>());
    }
    assert_eq!(all.len(), 2 * EACH);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_unlock_allows_is_not_said_and_what_was_begun_is_found_by_the_command_line() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = with_secret(&ada).await;
    let container = program(
        &node,
        &ada,
        &format!("{SAYS}\n[ -s $FOLDER/why ] || \"$OCMT_CELL\" conversation begin 2> $FOLDER/why"),
    )
    .await;
    // a conversation that is not with the container is not handed over
    let alone = vault.open_conversation(None).await.unwrap().id;
    let gifts = Gifts { conversations: &[alone], ..Gifts::default() };
    assert!(matches!(unlock(&mut vault, container, gifts).await, Err(ClientError::Usage(_))));
    unlock(&mut vault, container, Gifts::default()).await.unwrap();
    let why = wait_for(PATIENCE, async || {
        std::fs::read_to_string(node.folder().join("why")).ok().filter(|text| text.ends_with('\n'))
    });
    let why = why.await.expect("no word of the program");
    assert!(why.contains("--new-conversations"), "{why}");
    assert_eq!(ada.client.conversations().await.unwrap().len(), 1);

    ada.client.lock_container(container).await.unwrap();
    is_locked(&ada, container).await;
    unlock(&mut vault, container, Gifts { new_conversations: true, ..Gifts::default() }).await.unwrap();
    let id = has(&ada, 2).await;
    let secret = node.folder().join("vault.txt");
    std::fs::write(&secret, PASSPHRASE).unwrap();
    let (state, secret) = (keep(&node, &ada), secret.display().to_string());
    let theirs = ["--passphrase-file", &secret, "--state-dir", &state];
    let read = ocmt(&[&["conversation", "read", &id.to_string()], &theirs[..]].concat()).await.unwrap();
    assert_eq!((read.code, read.out), (Some(0), format!("{MARK} 1\n{MARK} 2\n")), "{}", read.err);
    assert!(read.err.contains("1 conversation that your containers began"), "{}", read.err);
    // deleted by its owner, it is gone with its key
    let mut vault = {
        let key = ocmt_client::vault::Key::Passphrase(ocmt_crypto::kdf::Passphrase::new(PASSPHRASE).unwrap());
        ada.client.unlock_vault(None, key, &ada.device, ocmt_crypto::vault::Rollback::Refuse).await.unwrap()
    };
    vault.delete_conversation(id).await.unwrap();
    assert_eq!(ada.client.conversations().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_killed_in_between_loses_nothing_that_was_acknowledged_and_has_nothing_twice() {
    const RECORDS: usize = 60;
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = with_secret(&ada).await;
    // it says each once, and goes on whatever became of it
    let script = "id=$(\"$OCMT_CELL\" conversation begin)
for n in $(seq 60); do echo $n | \"$OCMT_CELL\" conversation say $id && echo $n >> $FOLDER/acknowledged; done
echo done >> $FOLDER/over";
    let container = program(&node, &ada, script).await;
    unlock(&mut vault, container, Gifts { new_conversations: true, ..Gifts::default() }).await.unwrap();
    has(&ada, 10).await;
    let node = node.crash_and_restart().await.unwrap();
    let client = node.local().client().await.unwrap();
    let client = client.signed_in(ada.client.credential().unwrap().clone(), ada.client.identity().unwrap());
    let over = node.folder().join("over");
    let over = wait_for(2 * PATIENCE, async || over.exists().then_some(()));
    over.await.expect("the program does not come to its end");
    let key = ocmt_client::vault::Key::Passphrase(ocmt_crypto::kdf::Passphrase::new(PASSPHRASE).unwrap());
    let rollback = ocmt_crypto::vault::Rollback::Refuse;
    let mut vault = client.unlock_vault(None, key, &ada.device, rollback).await.unwrap();
    let filed = vault.file_conversations().await.unwrap();
    let all = heard(&vault, filed[0].conversation.unwrap()).await;
    let said: Vec<usize> = all.iter().map(|text| text.trim().parse().unwrap()).collect();
    assert!(said.is_sorted_by(|a, b| a < b), "out of order, or twice: {said:?}");
    let acknowledged = std::fs::read_to_string(node.folder().join("acknowledged")).unwrap();
    let acknowledged: Vec<usize> = acknowledged.lines().map(|line| line.parse().unwrap()).collect();
    assert!(acknowledged.iter().all(|n| said.contains(n)), "{acknowledged:?} {said:?}");
    assert!(acknowledged.len() > 10 && said.len() <= RECORDS, "{acknowledged:?}");
}
