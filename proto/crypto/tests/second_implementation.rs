//! A second implementation, in Python from the documents alone (`tests/reference`), opens what this crate seals and
//! seals what it opens. It fails without its interpreter and libraries: `tests/scripts/install.sh` brings them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::{Command, Stdio};

use ocmt_crypto::{
    datakey::DataKey,
    entry::{Entry, EntryName},
    export::{About, CHUNK_HEAD_LEN, ChunkHead, Exported, ExportedConversation, HEADER_LEN, Opener, Sealer},
    kdf::{Cost, Passphrase},
    object::{VaultObject, keyring_id},
    slot::{NewSlot, RecoveryKey, SlotSecret},
    transcript::{ConversationPlace, TranscriptReader, TranscriptWriter},
    vault::{self, LockedVault, Rollback, RotationMode, UnlockedVault},
};
use ocmt_types::{ContainerId, ConversationId, Id as _, Timestamp};
use serde_json::{Value, json};

mod implementations;
mod nodes;
mod support;
use implementations::{answer, entry, fed, folder, hex, hexes, list, scope, unhex};
use support::Database;

/// The first interpreter that has the libraries: the one of the path, else the one of the system.
fn interpreter() -> &'static str {
    let has = |python: &&str| {
        let check = "import sys; sys.path.insert(0, sys.argv[1]); import primitives; primitives.argon2id(b'', 19456, 2, 1, bytes(16))";
        let mut command = Command::new(python);
        command.args(["-B", "-c", check]).arg(folder("tests/reference")).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let found = ["python3", "/usr/bin/python3"].into_iter().find(has);
    found.expect("no python3 with `cryptography` and Argon2id: tests/scripts/install.sh test")
}

fn python(arguments: &[&str], given: &Value) -> Value {
    let mut command = Command::new(interpreter());
    answer(&fed(command.arg("-B").arg(folder("tests/reference/main.py")).args(arguments), given))
}

fn place() -> ConversationPlace {
    ConversationPlace { tenant: scope().tenant, conversation: ConversationId::from_bytes([0x33; 16]) }
}

fn place_hex() -> String {
    hex([place().tenant.into_bytes(), place().conversation.into_bytes()].concat())
}

/// In the order of their names.
fn entries() -> Vec<Entry> {
    vec![
        entry("API_KEY", b"a value", [Some(1_900_000_000_000), None]),
        entry("large", &[0xa5; 65_536], [None, Some(-1)]),
        entry("\u{5bc6}\u{7801} \u{e9}", &[0, 0xff], [Some(0), Some(i64::MAX)]),
    ]
}

fn told(version: u64, entry: &Entry) -> Value {
    json!({
        "name": entry.name.expose(),
        "version": version,
        "written_at": entry.attributes.written_at.0,
        "expires_at": entry.attributes.expires_at.map(|at| at.0),
        "remind_at": entry.attributes.remind_at.map(|at| at.0),
        "value": hex(&entry.value),
    })
}

const PASSPHRASE: &str = "de\u{301}chiffre\u{301} ailleurs";

/// A conversation of before, what was said in it from its first record that is left, and whether it was finished.
fn talks() -> Vec<(ExportedConversation, Vec<Vec<u8>>, bool)> {
    let talk = |id, first_sequence| ExportedConversation {
        id: ConversationId::from_bytes([id; 16]),
        container: (id == 1).then(|| ContainerId::from_bytes([9; 16])),
        first_sequence,
        created_at: (id == 1).then_some(Timestamp(-1)),
        updated_at: (id == 2).then_some(Timestamp(i64::MAX)),
    };
    vec![
        (talk(1, 1), vec!["caf\u{e9}".into(), Vec::new(), vec![0xff; 262_144]], true),
        (talk(2, 1_048_575), vec![vec![0], vec![1]], false),
        (talk(3, 1), Vec::new(), false),
    ]
}

fn export(entries: &[Entry]) -> Vec<u8> {
    let rng = &mut rand::rng();
    let about = About { tenant: scope().tenant, vault: scope().vault, at: Timestamp(5), counter: 6 };
    let passphrase = Passphrase::new(PASSPHRASE).unwrap();
    let begun = Sealer::begin_with_conversations(&about, &passphrase, Cost::LEAST, rng);
    let (mut sealer, mut file) = begun.unwrap();
    // more than one chunk of them
    for (at, entry) in entries.iter().cycle().take(60).enumerate() {
        let name = EntryName::new(&format!("{:02} {}", at, entry.name.expose())).unwrap();
        let entry = Entry { name, value: entry.value.clone(), attributes: entry.attributes };
        file.extend(sealer.entry(at as u64 + 1, &entry, rng).unwrap().unwrap_or_default());
    }
    for (talk, said, finished) in talks() {
        file.extend(sealer.conversation(&talk, rng).unwrap().unwrap_or_default());
        for (at, text) in said.iter().enumerate() {
            let last = finished && at + 1 == said.len();
            file.extend(sealer.said(text, last, rng).unwrap().unwrap_or_default());
        }
    }
    file.extend(sealer.finish(rng).unwrap());
    file
}

/// The entries and the conversations of an export, as Python tells them.
fn read_export(file: &[u8], passphrase: &str) -> (Vec<Value>, Vec<Value>) {
    let (header, mut left) = file.split_first_chunk::<HEADER_LEN>().unwrap();
    let mut opener = Opener::begin(header, &Passphrase::new(passphrase).unwrap()).unwrap();
    let (mut entries, mut talks) = (Vec::new(), Vec::new());
    while !opener.is_over() {
        let (head, rest) = left.split_first_chunk::<CHUNK_HEAD_LEN>().unwrap();
        let head = ChunkHead::parse(head).unwrap();
        for one in opener.chunk(head, &rest[..head.length]).unwrap() {
            match one {
                Exported::Entry(one) => entries.push(told(one.version, &one.entry)),
                Exported::Conversation(talk) => talks.push((talk, Vec::new(), false)),
                Exported::Said(one) => {
                    let talk = talks.last_mut().unwrap();
                    talk.1.push(one.text.to_vec());
                    talk.2 = one.last;
                }
            }
        }
        left = &rest[head.length..];
    }
    assert!(left.is_empty());
    (entries, talks.iter().map(spoken).collect())
}

fn told_talks() -> Vec<Value> {
    talks().iter().map(spoken).collect()
}

fn spoken((talk, said, finished): &(ExportedConversation, Vec<Vec<u8>>, bool)) -> Value {
    json!({
        "id": hex(talk.id.as_bytes()),
        "container": talk.container.map(|id| hex(id.as_bytes())),
        "first_sequence": talk.first_sequence,
        "created_at": talk.created_at.map(|at| at.0),
        "updated_at": talk.updated_at.map(|at| at.0),
        "said": hexes(said),
        "finished": finished,
    })
}

/// A vault that was rotated once, with three slots and a conversation's key beside its entries.
fn rotated(passphrase: &Passphrase, recovery: &RecoveryKey) -> (Database, UnlockedVault) {
    let rng = &mut rand::rng();
    let slots = [NewSlot::Passphrase(passphrase, Cost::LEAST), NewSlot::Recovery(recovery)];
    let (mut open, upload) = vault::create(scope(), &slots, rng).unwrap();
    let mut database = Database::of(scope(), upload);
    let mut edit = open.edit();
    for entry in entries() {
        edit.put(&entry, rng).unwrap();
    }
    edit.create_conversation_key(place().conversation, rng).unwrap();
    let change = edit.finish().unwrap();
    database.commit(&mut open, change);
    let mut rotation = open.begin_rotation(RotationMode::Rekey, &[], &[], rng).unwrap();
    let start = rotation.start().clone();
    let mut staged = std::collections::BTreeMap::from([(keyring_id(), start.keyring.clone())]);
    for id in rotation.left() {
        staged.insert(id, rotation.convert(&database.objects[&id], rng).unwrap());
    }
    let completed = rotation.finish().unwrap();
    database.switch(&mut open, &start, staged, completed);
    (database, open)
}

#[test]
fn python_opens_what_rust_sealed() {
    let (rng, passphrase) = (&mut rand::rng(), Passphrase::new(PASSPHRASE).unwrap());
    let recovery = RecoveryKey::generate(rng);
    let (database, _) = rotated(&passphrase, &recovery);
    let key = DataKey::generate(rng);
    let mut writer = TranscriptWriter::begin(place(), 3, key.duplicate());
    let said = [b"first".to_vec(), Vec::new(), vec![7; 262_144]];
    let records: Vec<_> =
        said.iter().enumerate().map(|(at, text)| writer.append(text, at == 2, rng).unwrap()).collect();
    let export = export(&entries());
    let given = json!({
        "tenant": scope().tenant,
        "vault": scope().vault,
        "secrets": { "passphrase": PASSPHRASE, "recovery": hex(recovery.expose()) },
        "slots": hexes(&database.slots),
        "successions": hexes(&database.successions),
        "manifest": hex(&database.manifest),
        "objects": hexes(database.objects.values().map(VaultObject::to_bytes)),
        "transcript": { "place": place_hex(), "keys": { "3": hex(key.expose()) }, "records": hexes(&records) },
        "export": { "file": hex(&export), "passphrase": PASSPHRASE },
    });
    let answer = python(&["open"], &given);
    let expected: Vec<Value> = entries().iter().map(|entry| told(2, entry)).collect();
    assert_eq!(answer["vault"]["entries"], Value::Array(expected));
    assert_eq!((&answer["vault"]["epoch"], &answer["vault"]["slots"]), (&json!(2), &json!(2)));
    assert_eq!(answer["said"], json!(hexes(&said)));
    assert_eq!(answer["finished"], json!(true));
    let (read, spoken) = read_export(&export, PASSPHRASE);
    assert_eq!((answer["export"]["entries"].as_array().unwrap(), read.len()), (&read, 60));
    assert!(answer["export"]["conversations"] == json!(spoken) && spoken == told_talks());
    assert_eq!((&answer["export"]["at"], &answer["export"]["counter"]), (&json!(5), &json!(6)));
    // and nothing that was changed: the last byte of a body, of a record, of an export
    for (path, cut) in [("objects", 1), ("records", 2), ("export", 3)] {
        let mut damaged = given.clone();
        let place = match cut {
            1 => damaged.pointer_mut("/objects/1"),
            2 => damaged.pointer_mut("/transcript/records/1"),
            _ => damaged.pointer_mut("/export/file"),
        };
        let place = place.unwrap();
        let mut bytes = unhex(place);
        *bytes.last_mut().unwrap() ^= 1;
        *place = hex(&bytes).into();
        assert!(std::panic::catch_unwind(|| python(&["open"], &damaged)).is_err(), "{path}");
    }
}

#[test]
fn rust_opens_what_python_sealed() {
    let (rng, passphrase) = (&mut rand::rng(), Passphrase::new(PASSPHRASE).unwrap());
    let (recovery, key) = (RecoveryKey::generate(rng), DataKey::generate(rng));
    let said = [b"one".to_vec(), vec![9; 1000], Vec::new()];
    let given = json!({
        "tenant": scope().tenant,
        "vault": scope().vault,
        "secrets": { "passphrase": PASSPHRASE, "recovery": hex(recovery.expose()) },
        "entries": entries().iter().map(|entry| told(4, entry)).collect::<Vec<_>>(),
        "transcript": { "place": place_hex(), "epoch": 2, "key": hex(key.expose()), "said": hexes(&said) },
        "export": { "passphrase": PASSPHRASE, "conversations": told_talks() },
        "at": 5,
        "counter": 6,
    });
    let sealed = python(&["seal"], &given);
    let objects: Vec<VaultObject> =
        list(&sealed["objects"]).iter().map(|bytes| VaultObject::from_bytes(bytes).unwrap()).collect();
    let keyring = objects.iter().find(|object| object.object_id == keyring_id()).unwrap();
    let leaves = || objects.iter().map(VaultObject::leaf).collect();
    for secret in [SlotSecret::Passphrase(&passphrase), SlotSecret::Recovery(&recovery)] {
        let (slots, manifest) = (list(&sealed["slots"]), unhex(&sealed["manifest"]));
        let locked = LockedVault::parse(scope(), &slots, &[], &manifest, leaves(), keyring.clone()).unwrap();
        let open = locked.open(&secret, None, Rollback::Refuse).unwrap();
        let mut read: Vec<Value> = objects
            .iter()
            .filter(|object| object.object_id != keyring_id())
            .map(|object| told(object.version, &open.open_entry(object).unwrap()))
            .collect();
        read.sort_by_key(|one| one["name"].as_str().unwrap().to_owned());
        assert_eq!(json!(read), given["entries"]);
    }
    let mut reader = TranscriptReader::new(place(), [(2, key)]);
    let read: Vec<_> =
        list(&sealed["records"]).iter().map(|record| reader.next(record).unwrap().to_vec()).collect();
    assert!(read == said && reader.is_finished());
    for (file, spoken) in [("export", told_talks()), ("export_of_entries", Vec::new())] {
        let read = read_export(&unhex(&sealed[file]), PASSPHRASE);
        assert!(json!(read.0) == given["entries"] && read.1 == spoken, "{file}");
    }
}

#[test]
fn python_opens_the_published_vectors() {
    let vectors = folder("proto/crypto/tests/vectors/ocmt");
    let answer = python(&["vectors", vectors.to_str().unwrap()], &Value::Null);
    assert_eq!(
        answer,
        json!({ "vaults": [["API_KEY", "café"], ["API_KEY", "café"]], "said": 3, "exported": 3, "spoken": 3, "parts": 5, "beside": 11 })
    );
}

#[test]
fn what_stands_beside_vaults_is_opened_both_ways_and_the_published_ones_for_ever() {
    let stored = std::fs::read(folder("proto/crypto/tests/vectors/ocmt/nodes.json")).unwrap();
    nodes::check(&serde_json::from_slice(&stored).unwrap());
    nodes::check(&python(&["seal-nodes"], &Value::Null));
    let made = nodes::make();
    nodes::check(&made);
    assert_eq!(python(&["open-nodes"], &made), json!(10));
    // and nothing that was changed
    for part in [
        "/snapshot/chunks/0",
        "/scheduled/schedule",
        "/scheduled/order",
        "/scheduled/sealed_key",
        "/scheduled/taken",
        "/policy/voucher",
        "/sealing/backup",
        "/grant/grant",
        "/proofs/step_up",
    ] {
        let mut damaged = made.clone();
        let place = damaged.pointer_mut(part).unwrap();
        let mut bytes = unhex(place);
        *bytes.last_mut().unwrap() ^= 1;
        *place = hex(&bytes).into();
        assert!(std::panic::catch_unwind(|| python(&["open-nodes"], &damaged)).is_err(), "{part}");
    }
}
