//! The pages' own cryptography (`node/web/js/core`) is held to this crate: it opens the published vectors, what this
//! crate seals today, and seals what this crate opens. Run by Node through `tests/web/main.js`; the vectors once more in
//! Chromium, under the policy of the node's edge, through `tests/web/chromium.js`. Fails without Node, Chromium and its
//! driver (`tests/scripts/install.sh` brings them).
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    process::{Command, Output},
    time::Duration,
};

use ocmt_crypto::{
    ceremony::{
        Ceremony, Collection, Purpose, ReleaseStatement, StopStatement, Verdict, check_override, collect,
    },
    entry::Entry,
    guardian::{Dealt, Delays, DrillChallenge, GuardianKeys, GuardianSet, Plan, Seat, deal},
    kdf::{Cost, Passphrase},
    object::{VaultObject, keyring_id},
    seal::SealSecretKey,
    sign::{Signature, SigningKey, VerifyKey},
    slot::{NewSlot, RecoveryKey, SlotSecret},
    vault::{self, LockedVault, Proof, ProofOf, Rollback, RotationMode},
    words,
};
use ocmt_types::{Digest32, GuardianSetId, GuardianshipId, Id as _, NodeId, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

mod browser_rotation;
mod implementations;
mod support;
use implementations::{answer, entry, fed, folder, hex, hexes, list, scope, unhex};
use support::Database;

const PASSPHRASE: &str = "de\u{301}chiffre\u{301} ailleurs";
const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn run(script: &str, arguments: &[&str], given: &Value) -> Output {
    fed(Command::new("node").arg(folder("tests/web").join(script)).args(arguments), given)
}

fn browser(arguments: &[&str], given: &Value) -> Value {
    answer(&run("main.js", arguments, given))
}

/// Refused as damaged, and for no other reason.
fn refused(given: &Value) {
    let output = run("main.js", &["open"], given);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("Refused: refused"), "{told}");
}

/// In the order of their names.
fn entries() -> Vec<Entry> {
    vec![
        entry("\u{feff}API_KEY", b"a value", [Some(1_900_000_000_000), None]),
        entry("large", &[0xa5; 65_536], [None, Some(-1)]),
        entry("\u{5bc6}\u{7801} \u{e9}", &[0, 0xff], [Some(0), Some(i64::MAX)]),
    ]
}

fn told(version: u64, entry: &Entry) -> Value {
    let time = |at: Option<Timestamp>| at.map(|at| at.0.to_string());
    json!({
        "name": entry.name.expose(),
        "version": version.to_string(),
        "written_at": entry.attributes.written_at.0.to_string(),
        "expires_at": time(entry.attributes.expires_at),
        "remind_at": time(entry.attributes.remind_at),
        "value": hex(&entry.value),
    })
}

fn by_name(mut all: Vec<Value>) -> Vec<Value> {
    all.sort_by_key(|one| one["name"].as_str().unwrap().to_owned());
    all
}

/// A vault of a passphrase and a recovery key that was rotated once, as the browser is given it.
fn rotated(recovery: &RecoveryKey) -> Value {
    let rng = &mut rand::rng();
    let passphrase = Passphrase::new(PASSPHRASE).unwrap();
    let slots = [NewSlot::Passphrase(&passphrase, Cost::LEAST), NewSlot::Recovery(recovery)];
    let (mut open, upload) = vault::create(scope(), &slots, rng).unwrap();
    let mut database = Database::of(scope(), upload);
    let mut edit = open.edit();
    for entry in entries() {
        edit.put(&entry, rng).unwrap();
    }
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
    let entries = database.objects.keys().filter(|id| **id != keyring_id());
    json!({
        "tenant": scope().tenant,
        "vault": scope().vault,
        "secrets": [{ "passphrase": PASSPHRASE }, { "recovery": hex(recovery.expose()) }],
        "slots": hexes(&database.slots),
        "successions": hexes(&database.successions),
        "manifest": hex(&database.manifest),
        "objects": hexes(database.objects.values().map(VaultObject::to_bytes)),
        "entries": entries.map(|id| hex(id.0)).collect::<Vec<_>>(),
    })
}

fn all_ran(answer: &Value) {
    assert_eq!(answer["golden"], json!(["pieces", "vaults", "recovery", "channels", "strictness", "audit"]));
    let ran = json!({ "aes_gcm": 66, "x25519": 518, "ed25519": 151, "hkdf": 83, "hpke": 2, "argon2": 8 });
    assert_eq!(answer["published"], ran);
}

#[test]
fn the_published_vectors_pass_in_node() {
    let vectors = folder("proto/crypto/tests/vectors");
    let answer = browser(&["vectors", vectors.to_str().unwrap()], &Value::Null);
    all_ran(&answer);
    let words: Vec<_> = include_str!("../src/words/english.txt").lines().collect();
    assert_eq!(answer["words"], json!(words));
}

#[test]
fn the_published_vectors_pass_in_chromium_and_only_the_worker_compiles() {
    let vectors = folder("proto/crypto/tests/vectors");
    let answer = answer(&run("chromium.js", &[vectors.to_str().unwrap()], &Value::Null));
    all_ran(&answer);
    assert_eq!((&answer["compiles"], &answer["stopped"]), (&json!(false), &json!(true)));
    assert_eq!(answer["blocked"], json!(true));
    assert_eq!(answer["complaints"], json!([]));
}

/// A proxy's page and half an answer are no forgery, and a repeat after a lost answer is the same call.
#[test]
fn pages_take_no_answer_for_another_and_repeat_what_they_sent() {
    let told = browser(&["calls"], &Value::Null);
    assert_eq!((&told["taken"], &told["refused"]), (&json!("taken"), &json!("Declined")));
    for none in ["proxy", "called_so", "cut"] {
        assert_eq!(told[none], json!("Unreachable"), "{none}");
    }
    assert_eq!(told["made"], json!({ "first": "Unreachable", "sent": 2, "same": true }));
    let once = json!({ "end": "written", "applied": 1, "sent": 2, "same": true });
    let twice = json!({ "end": "Unreachable", "applied": 0, "sent": 2, "same": true });
    assert_eq!(told["committed"], json!({ "once": once, "twice": twice }));
    assert_eq!(told["changing"], json!("changing"));
    assert_eq!(told["words"], json!({ "unknown": null, "same": true, "other": false, "own": true }));
}

/// What a program prints at the terminal page is text on a bounded screen, and answers nothing.
#[test]
fn a_terminal_shows_what_programs_print_as_text() {
    let played = json!(["lines", "moves", "hostile", "bounds", "looks", "keys"]);
    assert_eq!(browser(&["screens"], &Value::Null), played);
}

/// A cell that this plays has everything once, however often its connections end; and what is over is not tried again.
#[test]
fn a_terminal_goes_on_over_another_connection_and_ends_with_the_session_the_lock_and_the_container() {
    assert_eq!(browser(&["lines"], &Value::Null), json!(["resumed", "over", "ended", "forged"]));
}

#[test]
fn the_browser_opens_what_rust_sealed() {
    let given = rotated(&RecoveryKey::generate(&mut rand::rng()));
    let answer = browser(&["open"], &given);
    let expected = by_name(entries().iter().map(|entry| told(2, entry)).collect());
    for opened in answer.as_array().unwrap() {
        assert_eq!(by_name(opened["entries"].as_array().unwrap().clone()), expected);
        assert_eq!((&opened["epoch"], &opened["counter"]), (&json!(2), &json!("3")));
    }
    assert_eq!(answer.as_array().unwrap().len(), 2);
    for damaged in ["/objects/1", "/manifest", "/slots/0", "/successions/0"] {
        let mut other = given.clone();
        let place = other.pointer_mut(damaged).unwrap();
        let mut bytes = unhex(place);
        *bytes.last_mut().unwrap() ^= 1;
        *place = hex(&bytes).into();
        refused(&other);
    }
}

#[test]
fn rust_opens_what_the_browser_sealed() {
    let recovery = RecoveryKey::generate(&mut rand::rng());
    let given = json!({ "vault": {
        "tenant": scope().tenant,
        "vault": scope().vault,
        "secrets": [{ "passphrase": PASSPHRASE }, { "recovery": hex(recovery.expose()) }],
        "entries": entries().iter().map(|entry| told(1, entry)).collect::<Vec<_>>(),
        "challenge": hex([9; 32]),
    }});
    let sealed = &browser(&["seal"], &given)["vault"];
    let objects: Vec<_> =
        list(&sealed["objects"]).iter().map(|bytes| VaultObject::from_bytes(bytes).unwrap()).collect();
    let keyring = objects.iter().find(|object| object.object_id == keyring_id()).unwrap();
    let leaves = || objects.iter().map(VaultObject::leaf).collect();
    let passphrase = Passphrase::new(PASSPHRASE).unwrap();
    for secret in [SlotSecret::Passphrase(&passphrase), SlotSecret::Recovery(&recovery)] {
        let (slots, manifest) = (list(&sealed["slots"]), unhex(&sealed["manifest"]));
        let locked = LockedVault::parse(scope(), &slots, &[], &manifest, leaves(), keyring.clone()).unwrap();
        let open = locked.open(&secret, None, Rollback::Refuse).unwrap();
        let entries = objects.iter().filter(|object| object.object_id != keyring_id());
        let read = entries.map(|object| told(object.version, &open.open_entry(object).unwrap())).collect();
        let expected = given["vault"]["entries"].as_array().unwrap().clone();
        assert_eq!(by_name(read), by_name(expected));
        assert_eq!(hex(open.seen().verify_key.0), sealed["verify_key"]);
    }
    let proof = Proof {
        of: ProofOf::Unlock,
        challenge: Digest32([9; 32]),
        signature: Signature::try_from(unhex(&sealed["proof"]).as_slice()).unwrap(),
    };
    let key = VerifyKey::try_from(unhex(&sealed["verify_key"]).as_slice()).unwrap();
    proof.verify(&scope(), &key).unwrap();
}

struct Person {
    signing: SigningKey,
    sealing: SealSecretKey,
}

impl Person {
    fn new() -> Self {
        let rng = &mut rand::rng();
        Self { signing: SigningKey::generate(rng), sealing: SealSecretKey::generate(rng) }
    }

    fn keys(&self) -> GuardianKeys {
        GuardianKeys { identity: self.signing.verify_key(), sealing: self.sealing.public() }
    }
}

fn dealt(owner: &Person, guardians: &[Person]) -> Dealt {
    let seats = (1..).zip(guardians).map(|(n, guardian)| Seat {
        guardianship: GuardianshipId::from_bytes([n; 16]),
        keys: guardian.keys(),
        units: if n == 1 { 2 } else { 1 },
    });
    let plan = Plan {
        id: GuardianSetId::from_bytes([7; 16]),
        scope: scope(),
        owner_sealing: owner.sealing.public(),
        threshold: 3,
        delays: Delays::DEFAULT,
        seats: seats.collect(),
        dealt_at: NOW,
        dev: false,
    };
    deal(&plan, &owner.signing, &mut rand::rng()).unwrap()
}

/// A request for recovery of what was dealt, and the keys behind it.
struct Request {
    ceremony: Ceremony,
    overriding: Ceremony,
    challenge: DrillChallenge,
    release: SealSecretKey,
    requester: SealSecretKey,
}

impl Request {
    fn of(set: &GuardianSet) -> Self {
        let rng = &mut rand::rng();
        let (release, requester) = (SealSecretKey::generate(rng), SealSecretKey::generate(rng));
        let ceremony = Ceremony {
            nonce: [3; 32],
            scope: scope(),
            set: set.id(),
            set_hash: set.hash(),
            requester: requester.public(),
            purpose: Purpose::Recovery,
            opened_at: NOW,
            delay_ms: set.delays().lock_ms,
            expires_at: NOW + Duration::from_secs(7 * 24 * 3600),
            overrides: None,
        };
        let overriding = Ceremony { nonce: [4; 32], overrides: Some(ceremony.hash()), ..ceremony };
        let expires = NOW + Duration::from_secs(60);
        let challenge = DrillChallenge { set: set.id(), nonce: [7; 32], expires };
        Self { ceremony, overriding, challenge, release, requester }
    }

    /// What the guardians' browsers are shown.
    fn shown(&self, owner: &Person, guardians: &[Person], dealt: &Dealt) -> Value {
        let (node, host) = (NodeId::from_bytes([5; 16]), SigningKey::generate(&mut rand::rng()));
        let stated = ReleaseStatement::sign(self.ceremony.hash(), self.release.public(), node, &host);
        let guardians = guardians.iter().zip(&dealt.units).map(|(person, units)| {
            json!({
                "identity": hex(*person.signing.expose()),
                "sealing": hex(person.sealing.expose()),
                "sealed": hex(&units.sealed),
            })
        });
        json!({ "guard": {
            "now": NOW.0.to_string(),
            "set": hex(&dealt.signed_set),
            "owner": hex(owner.signing.verify_key().0),
            "ceremony": hex(self.ceremony.encode()),
            "overriding": hex(self.overriding.hash().0),
            "node": hex(node.as_bytes()),
            "node_key": hex(host.verify_key().0),
            "release": hex(stated),
            "challenge": hex(self.challenge.encode()),
            "guardians": guardians.collect::<Vec<_>>(),
        }})
    }

    /// Whether these approvals give the key that was dealt.
    fn gives(&self, approvals: &[Vec<u8>], dealt: &Dealt) -> bool {
        let (release, requester) = (&self.release, &self.requester);
        let given = Collection { ceremony: &self.ceremony, set: &dealt.set, release, requester };
        let got = collect(&given, approvals, |key| Ok(*key.expose())).unwrap();
        assert!(got.bad.is_empty());
        got.outcome.is_ok_and(|key| key == *dealt.recovery_key.expose())
    }
}

#[test]
fn rust_collects_what_guardians_approved_in_the_browser() {
    let (owner, guardians) = (Person::new(), [Person::new(), Person::new(), Person::new()]);
    let dealt = dealt(&owner, &guardians);
    let (set, request) = (&dealt.set, Request::of(&dealt.set));
    let hash = request.ceremony.hash();
    let answer = &browser(&["seal"], &request.shown(&owner, &guardians, &dealt))["guard"];

    assert_eq!(answer["words"], json!(words::for_ceremony(&hash).unwrap()));
    let owner_words = words::for_identity(&set.owner().identity, &set.owner().sealing).unwrap();
    assert_eq!(answer["owner_words"], json!(owner_words));
    let said = answer["guardians"].as_array().unwrap();
    let approvals: Vec<_> = said.iter().map(|guardian| unhex(&guardian["approval"])).collect();
    // three of four units, of which the first guardian holds two
    assert!(request.gives(&approvals, &dealt) && request.gives(&approvals[..2], &dealt));
    assert!(!request.gives(&approvals[1..], &dealt));
    for (person, said) in guardians.iter().zip(said) {
        for (name, verdict) in [("deny", Verdict::Deny), ("lock", Verdict::Lock), ("doubt", Verdict::Doubt)] {
            let statement = unhex(&said["stops"][name]);
            let (stop, by) = StopStatement::verify_guardian(&statement, &hash, set).unwrap();
            assert_eq!((stop.verdict(), stop.said_at()), (verdict, NOW));
            assert_eq!(by.keys, person.keys());
        }
        let own = set.guardian(&person.keys().identity).unwrap().units.clone();
        let answered = list(&said["drill"]);
        let answered =
            answered.iter().map(|answer| set.check_drill(&request.challenge, answer, NOW).unwrap());
        assert!(answered.eq(own));
    }
    let agreed: Vec<_> = said.iter().map(|guardian| unhex(&guardian["stops"]["override"])).collect();
    check_override(&request.overriding, set, &agreed).unwrap();
}

/// What is served from `node/web/vendor` is what its README names, byte for byte.
#[test]
fn vendored_files_are_the_ones_that_are_named() {
    let vendor = folder("node/web/vendor");
    let readme = std::fs::read_to_string(vendor.join("README.md")).unwrap();
    let mut named = 0;
    for (file, digest) in readme.lines().filter_map(|line| {
        let cells: Vec<_> = line.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        (cells.len() > 3 && cells[1].ends_with(".js")).then(|| (cells[1].to_owned(), cells[2].to_owned()))
    }) {
        assert_eq!(hex(Sha256::digest(std::fs::read(vendor.join(&file)).unwrap())), digest, "{file}");
        named += 1;
    }
    let mut there = 0;
    for package in std::fs::read_dir(&vendor).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir())
    {
        for file in std::fs::read_dir(package.unwrap().path()).unwrap() {
            there += usize::from(file.unwrap().path().extension().is_some_and(|extension| extension == "js"));
        }
    }
    assert_eq!((named, there), (2, 2));
}
