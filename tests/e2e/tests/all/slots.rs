//! The ways to open a vault, by the command line: a backup key, a hardware token, a new passphrase for a
//! lost one, and taking each away again.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use ocmt_client::tenant::PolicyChange;
use ocmt_crypto::{kdf::Cost, slot::KeySlot, vault::Rollback};
use ocmt_proto::v1 as pb;
use ocmt_testkit::{
    Person, TestNode,
    command::{Said, ocmt_in},
};
use serde_json::Value;

use crate::api_keys::keep;

const FIRST: &str = "violin ledger umbrella quartz";
const SECOND: &str = "tramway okapi lantern 39";
const TOKEN: &str = env!("CARGO_BIN_EXE_ocmt-soft-token");

/// A person with files of what opens their vault.
struct Desk {
    node: TestNode,
    ada: Person,
    state: String,
}

impl Desk {
    async fn new() -> Self {
        let node = TestNode::start().await.unwrap();
        let ada = node.person("ada").await.unwrap();
        let state = keep(&node, &ada);
        let desk = Self { node, ada, state };
        desk.write("first", FIRST);
        desk.write("second", SECOND);
        desk.write("hmac", "0b1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e");
        desk
    }

    fn at(&self, name: &str) -> String {
        self.node.folder().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.at(name), text).unwrap();
    }

    /// `ocmt` with these words, the token's command in its environment.
    async fn ocmt(&self, words: &str) -> Said {
        self.ocmt_with(words, &format!("'{TOKEN}' '{}'", self.at("hmac"))).await
    }

    async fn ocmt_with(&self, words: &str, token: &str) -> Said {
        let words: Vec<String> = words
            .split(' ')
            .map(|word| word.strip_prefix('@').map_or_else(|| word.to_owned(), |file| self.at(file)))
            .collect();
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        words.extend(["--state-dir", &self.state]);
        ocmt_in(&[("OCMT_HARDWARE_COMMAND", token)], &words).await.unwrap()
    }

    async fn done(&self, words: &str) -> Said {
        let said = self.ocmt(words).await;
        assert_eq!(said.code, Some(0), "{words}: {}", said.err);
        said
    }

    async fn refused(&self, words: &str, why: &str) {
        let said = self.ocmt(words).await;
        assert!(said.code != Some(0) && said.err.contains(why), "{words}: {}{}", said.out, said.err);
    }

    /// Kinds of slots, each with its id.
    async fn slots(&self, key: &str) -> Vec<(String, String)> {
        let said = self.done(&format!("vault slots ls --json {key}")).await;
        let lines: Value = serde_json::from_str(&said.out).unwrap();
        let text = |line: &Value, field: &str| line[field].as_str().unwrap().to_owned();
        let lines = lines.as_array().unwrap().iter();
        let mut slots: Vec<_> = lines.map(|it| (text(it, "opened_by"), text(it, "slot"))).collect();
        slots.sort();
        slots
    }

    async fn kinds(&self, key: &str) -> Vec<String> {
        self.slots(key).await.into_iter().map(|(kind, _)| kind).collect()
    }
}

const BY_FIRST: &str = "--passphrase-file @first";
const BY_SECOND: &str = "--passphrase-file @second";

#[tokio::test]
async fn who_lost_the_passphrase_sets_a_new_one_with_the_backup_key() {
    let desk = Desk::new().await;
    desk.done("vault create --new-passphrase-file @first").await;
    desk.write("value", "what is kept");
    desk.done(&format!("vault put note --value-file @value {BY_FIRST}")).await;
    // nothing secret goes to a pipe
    desk.refused(&format!("vault backup-key {BY_FIRST}"), "with --out FILE").await;
    desk.done(&format!("vault backup-key --out @backup {BY_FIRST}")).await;
    let text = fs::read_to_string(desk.at("backup")).unwrap();
    assert_eq!(fs::metadata(desk.at("backup")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(text.trim().split('-').count(), 14);
    assert_eq!(desk.kinds(BY_FIRST).await, ["backup key", "passphrase"]);
    // as it may have been typed in from paper
    desk.write("by-hand", &text.to_lowercase().replace('-', " ").replace('o', "0"));
    desk.refused("vault get note --out @back --passphrase-file @second", "the passphrase is wrong").await;
    desk.done("vault get note --out @back --backup-key-file @by-hand").await;
    assert_eq!(fs::read_to_string(desk.at("back")).unwrap(), "what is kept");
    let slip = text.replacen(&text[..4], if text.starts_with("AAAA") { "BBBB" } else { "AAAA" }, 1);
    desk.write("slip", &slip);
    desk.refused("vault ls --backup-key-file @slip", "mistyped").await;

    desk.done("vault passphrase --backup-key-file @by-hand --new-passphrase-file @second").await;
    desk.refused(&format!("vault ls {BY_FIRST}"), "the passphrase is wrong").await;
    desk.done(&format!("vault ls {BY_SECOND}")).await;
    // the key is kept: it was not what was lost
    desk.done("vault ls --backup-key-file @backup").await;

    // a file that is there is left alone, and so is the vault
    desk.refused(&format!("vault backup-key --out @backup {BY_SECOND}"), "cannot write").await;
    desk.done(&format!("vault backup-key --out @backup2 {BY_SECOND}")).await;
    desk.refused("vault ls --backup-key-file @backup", "not the backup key").await;
    desk.done("vault backup-key --keep-old --out @backup3 --backup-key-file @backup2").await;
    desk.done("vault ls --backup-key-file @backup2").await;
    desk.done("vault get note --backup-key-file @backup3").await;
}

#[tokio::test]
async fn a_printed_recovery_kit_opens_the_vault_by_the_key_on_it() {
    let desk = Desk::new().await;
    desk.done("vault create --new-passphrase-file @first").await;
    desk.done(&format!("vault backup-key --kit @kit.html {BY_FIRST}")).await;
    let page = fs::read_to_string(desk.at("kit.html")).unwrap();
    assert_eq!(fs::metadata(desk.at("kit.html")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(page.contains(&desk.ada.email) && page.contains("ocmt vault passphrase --backup-key"), "{page}");
    let key = page.split_once("<p class=\"key\">").unwrap().1.split_once("</p>").unwrap().0;
    desk.write("from-paper", key);
    desk.done("vault ls --backup-key-file @from-paper").await;
    desk.refused(&format!("vault backup-key --kit @kit.html {BY_FIRST}"), "cannot write").await;
    desk.done("vault ls --backup-key-file @from-paper").await;
}

#[tokio::test]
async fn a_hardware_token_opens_the_vault_until_it_is_taken_away() {
    let desk = Desk::new().await;
    desk.done("vault create --new-passphrase-file @first").await;
    desk.write("value", "what is kept");
    desk.done(&format!("vault put note --value-file @value {BY_FIRST}")).await;
    desk.refused("vault ls --hardware", "no hardware token opens this vault").await;
    desk.done(&format!("vault slots add hardware {BY_FIRST}")).await;
    desk.done("vault ls --hardware").await;
    // another token, and the same one with other arguments
    desk.write("hmac2", "ffffffffffffffffffffffffffffffffffffffff");
    let other = format!("{TOKEN} {}", desk.at("hmac2"));
    let said = desk.ocmt_with("vault ls --hardware", &other).await;
    assert!(said.code == Some(1) && said.err.contains("not the hardware token"), "{}", said.err);
    // a second one beside it: each opens
    let said = desk.ocmt_with(&format!("vault slots add hardware {BY_FIRST}"), &other).await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(desk.ocmt_with("vault ls --hardware", &other).await.code, Some(0));
    desk.done("vault ls --hardware").await;
    assert_eq!(desk.kinds("--hardware").await, ["hardware token", "hardware token", "passphrase"]);

    let slots = desk.slots(BY_FIRST).await;
    let before = desk.ada.client.unlock_vault(None, key(FIRST), &desk.ada.device, Rollback::Refuse).await;
    let epoch = before.unwrap().keys().epoch();
    for (_, id) in slots.iter().filter(|(kind, _)| kind == "hardware token") {
        desk.done(&format!("vault slots rm {} {BY_FIRST}", &id[..13])).await;
    }
    desk.refused("vault ls --hardware", "no hardware token opens this vault").await;
    // what is taken away opens nothing that is read now: new keys and a new version of each secret, each time
    let after = desk.ada.client.unlock_vault(None, key(FIRST), &desk.ada.device, Rollback::Refuse).await;
    let after = after.unwrap();
    assert_eq!(after.keys().epoch(), epoch + 2);
    assert_eq!(after.list().await.unwrap()[0].version, 3);
    let last = &desk.slots(BY_FIRST).await[0].1;
    desk.refused(&format!("vault slots rm {last} {BY_FIRST}"), "stays").await;
    desk.refused(&format!("vault slots rm none {BY_FIRST}"), "way to open the vault").await;
    desk.done(&format!("vault ls {BY_FIRST}")).await;
}

fn key(passphrase: &str) -> ocmt_client::vault::Key {
    ocmt_client::vault::Key::Passphrase(ocmt_crypto::kdf::Passphrase::new(passphrase).unwrap())
}

#[tokio::test]
async fn a_program_that_is_no_token_adds_nothing() {
    let desk = Desk::new().await;
    desk.done("vault create --new-passphrase-file @first").await;
    let add = format!("vault slots add hardware {BY_FIRST}");
    for (mode, why) in [
        ("echo", "gave the challenge back"),
        ("fail", "exit status: 3"),
        ("flood", "far more than an answer"),
        ("fickle", "differently each time"),
    ] {
        let said = desk.ocmt_with(&add, &format!("'{TOKEN}' '{}' {mode}", desk.at("hmac"))).await;
        assert!(said.code == Some(2) && said.err.contains(why), "{mode}: {}", said.err);
    }
    for (command, why) in [
        ("/nonexistent/ykman otp", "is not there"),
        ("''", "is not there"),
        ("'", "a quote in it has no end"),
    ] {
        let said = desk.ocmt_with(&add, command).await;
        assert!(said.code == Some(2) && said.err.contains(why), "{command}: {}", said.err);
    }
    assert_eq!(desk.kinds(BY_FIRST).await, ["passphrase"]);
    // no shell: what one would work on arrives as it is
    let odd = format!("'{TOKEN}' '{}' arguments '$(id)' '*' 'a b' \\;", desk.at("hmac"));
    let said = desk.ocmt_with(&add, &odd).await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    let asked = fs::read_to_string(desk.at("hmac.arguments")).unwrap();
    let asked: Vec<&str> = asked.lines().collect();
    assert_eq!(asked[1..asked.len() - 1], ["arguments", "$(id)", "*", "a b", ";"]);
    assert_eq!(asked.last().unwrap().len(), 64);
}

#[tokio::test]
async fn a_token_that_nobody_touches_is_given_up_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hmac");
    fs::write(&file, "00".repeat(20)).unwrap();
    let token = ocmt_client::hardware::Token::parse(&format!("'{TOKEN}' '{}' hang", file.display())).unwrap();
    let token = token.with_patience(std::time::Duration::from_millis(500));
    let answer = tokio::time::timeout(std::time::Duration::from_secs(60), token.answer(&[7; 32])).await;
    assert!(answer.unwrap().unwrap_err().to_string().contains("no answer within"));
}

#[tokio::test]
async fn a_weak_passphrase_is_refused_before_anything_is_sent() {
    let desk = Desk::new().await;
    for (weak, why) in [
        ("short", "12 are the least"),
        ("passwordpassword", "tries"),
        ("ada@e2e.example", "everybody knows"),
        ("correct horse battery staple", "everybody knows"),
    ] {
        desk.write("weak", weak);
        desk.refused("vault create --new-passphrase-file @weak", why).await;
    }
    desk.refused("vault ls --passphrase-file @first", "you have no vault yet").await;
    desk.done("vault create --new-passphrase-file @first").await;
    for (weak, why) in [("qwertyuiop12", "stolen elsewhere"), ("qwertyuiopasdfgh", "tries")] {
        desk.write("weak", weak);
        desk.refused(&format!("vault passphrase --new-passphrase-file @weak {BY_FIRST}"), why).await;
    }
    desk.done(&format!("vault ls {BY_FIRST}")).await;
}

#[tokio::test]
async fn whoever_guesses_is_told_how_long_to_wait() {
    let desk = Desk::new().await;
    desk.done("vault create --new-passphrase-file @first").await;
    let mut refused = None;
    for _ in 0..5 {
        // short waits a client sits out by itself
        for _ in 0..4 {
            desk.refused(&format!("vault ls {BY_SECOND}"), "the passphrase is wrong").await;
        }
        let said = desk.ocmt(&format!("vault ls {BY_FIRST}")).await;
        if said.code != Some(0) {
            refused = Some(said);
            break;
        }
        // this machine took so long that the rest of the wait was a short one: the count begins anew
    }
    let said = refused.expect("every wait is sat out");
    assert_eq!(said.code, Some(3), "{}", said.err);
    let wait = said.err.split("can be made in ").nth(1).and_then(|rest| rest.split(' ').next());
    let wait: u64 = wait.unwrap_or_else(|| panic!("{}", said.err)).parse().unwrap();
    assert!((5..=8).contains(&wait), "{}", said.err);
    // the owner's own unlock, when it can be made, ends the count for everybody
    let opens = async || {
        let said = desk.ocmt(&format!("vault ls {BY_FIRST}")).await;
        (said.code == Some(0)).then_some(())
    };
    let opened = ocmt::local::wait_every(Duration::from_millis(500), Duration::from_secs(90), opens).await;
    opened.expect("it never opens again");
    for _ in 0..3 {
        desk.done(&format!("vault ls {BY_FIRST}")).await;
    }
}

#[tokio::test]
async fn a_slot_of_smaller_costs_is_brought_up_at_its_next_use() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let made = ada.vault(FIRST).await.unwrap();
    assert_eq!(made.keys().slots()[0].cost(), Some(Cost::LEAST));
    let counter = made.keys().manifest().counter;
    for _ in 0..2 {
        let open = ada.client.unlock_vault(None, key(FIRST), &ada.device, Rollback::Refuse).await.unwrap();
        assert_eq!(open.keys().slots()[0].cost(), Some(Cost::DEFAULT));
        assert_eq!(open.keys().manifest().counter, counter);
    }
    let stored = ada.client.vaults().get_key_slots(pb::GetKeySlotsRequest::default()).await.unwrap();
    let stored = KeySlot::from_bytes(&stored.into_inner().slots[0].slot).unwrap();
    assert_eq!((stored.cost(), stored.id()), (Some(Cost::DEFAULT), made.keys().slots()[0].id()));
}

#[tokio::test]
async fn a_slot_is_brought_up_to_what_the_tenant_asks_for_and_stays_there() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    ada.vault(FIRST).await.unwrap();
    let cost = async || {
        let open = ada.client.unlock_vault(None, key(FIRST), &ada.device, Rollback::Refuse).await.unwrap();
        (open.keys().slots()[0].cost().unwrap().parts(), open.cost().parts())
    };
    let ask = async |memory: u32, passes: u32| {
        let change = PolicyChange {
            argon2_memory_mib: Some(memory),
            argon2_passes: Some(passes),
            ..PolicyChange::default()
        };
        ada.client.change_policy(&change).await.map(drop)
    };
    ask(65, 4).await.unwrap();
    assert_eq!(cost().await, ((65 * 1024, 4, 4), (65 * 1024, 4, 4)));
    // less is asked for again: what is there stays
    ask(64, 3).await.unwrap();
    assert_eq!(cost().await, ((65 * 1024, 4, 4), Cost::DEFAULT.parts()));
    for (memory, passes) in [(63, 3), (513, 3), (64, 2), (64, 7)] {
        let refused = ask(memory, passes).await.unwrap_err();
        assert_eq!(refused.code(), Some(tonic::Code::InvalidArgument), "{memory} {passes}");
    }
}

#[tokio::test]
async fn a_backup_key_is_waited_for_by_its_device_until_the_owner_refuses_it() {
    let desk = Desk::new().await;
    desk.done("vault create --new-passphrase-file @first").await;
    desk.write("value", "what is kept");
    desk.done(&format!("vault put note --value-file @value {BY_FIRST}")).await;
    desk.done(&format!("vault backup-key --out @backup {BY_FIRST}")).await;
    let said = desk.done("tenant policy --backup-key-delay 2s --hardware-delay 2s").await;
    assert!(said.out.contains("a backup key is waited for"), "{}", said.out);
    let nobody = desk.done("vault slots asked").await;
    assert!(nobody.out.contains("nobody has asked"), "{}", nobody.out);
    desk.refused("vault slots refuse", "nobody has asked").await;
    let get = "vault get note --out @back --backup-key-file @backup";
    desk.refused(get, "the owner is told").await;
    let asked = desk.done("vault slots asked").await;
    assert!(asked.out.contains("backup key") && asked.out.contains("can be collected from"), "{}", asked.out);
    // who has the passphrase waits for nothing, and changes the vault with all its slots
    assert_eq!(desk.kinds(BY_FIRST).await, ["backup key", "passphrase"]);
    desk.done(&format!("vault rotate --reason why {BY_FIRST}")).await;
    assert_eq!(desk.kinds(BY_FIRST).await, ["backup key", "passphrase"]);
    tokio::time::sleep(Duration::from_millis(2_100)).await; // why: the shortest delay there is, and a little more
    desk.done(get).await;
    assert_eq!(fs::read_to_string(desk.at("back")).unwrap(), "what is kept");
    let refused = desk.done("vault slots refuse").await;
    assert!(refused.err.contains("was handed out already"), "{}", refused.err);
    desk.refused("vault get note --out @again --backup-key-file @backup", "the owner has refused it").await;
    assert_eq!(desk.kinds(BY_FIRST).await, ["backup key", "passphrase"], "the owner goes on");
}
