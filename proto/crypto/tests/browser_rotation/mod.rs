//! Rotations in the browser: whole, cut off, and gone on with by the other side.

use std::collections::BTreeMap;

use ocmt_crypto::{
    backup_key::BackupKey,
    kdf::Cost,
    object::VaultObject,
    sign::VerifyKey,
    slot::{KeySlot, NewSlot, RecoveryKey, SlotKind, SlotSecret},
    vault::{self, Rotation, RotationMode, RotationStart, UnlockedVault},
};
use ocmt_types::{ContainerId, Digest32, Id as _};
use serde_json::{Value, json};

use super::{
    browser,
    implementations::{hex, hexes, list, scope, unhex},
    run,
    support::{Database, entry, name},
};

const MODES: [RotationMode; 2] = [RotationMode::Rewrap, RotationMode::Rekey];
const VALUES: [(&str, &str); 3] = [("one", "1"), ("three", "3"), ("two", "2")];

/// A vault with three entries and the key of a volume. The recovery keys open it without an Argon2id; the backup key's slot a
/// node keeps back.
struct Made {
    database: Database,
    ours: RecoveryKey,
    theirs: RecoveryKey,
    backup: BackupKey,
    volume: Digest32,
}

impl Made {
    fn new() -> Self {
        let rng = &mut rand::rng();
        let (ours, theirs) = (RecoveryKey::generate(rng), RecoveryKey::generate(rng));
        let backup = BackupKey::generate(rng);
        let slots =
            [NewSlot::Recovery(&ours), NewSlot::Recovery(&theirs), NewSlot::Backup(&backup, Cost::LEAST)];
        let (mut vault, upload) = vault::create(scope(), &slots, rng).unwrap();
        let mut database = Database::of(scope(), upload);
        let mut edit = vault.edit();
        for (name, value) in VALUES {
            edit.put(&entry(name, value.as_bytes()), rng).unwrap();
        }
        let volume = edit.create_volume_key(ContainerId::from_bytes([6; 16]), rng).unwrap();
        let change = edit.finish().unwrap();
        database.commit(&mut vault, change);
        Self { database, ours, theirs, backup, volume }
    }

    fn open(&self) -> UnlockedVault {
        self.database.open(&self.ours).unwrap()
    }

    /// As a browser is shown it that opens it by this key.
    fn shown(&self, key: &RecoveryKey, mode: RotationMode) -> Value {
        let database = &self.database;
        let kept_back =
            |slot: &&Vec<u8>| KeySlot::from_bytes(slot).is_ok_and(|slot| slot.kind() == SlotKind::Backup);
        json!({
            "tenant": scope().tenant,
            "vault": scope().vault,
            "secrets": [{ "recovery": hex(key.expose()) }],
            "slots": hexes(&database.slots),
            "withheld": hexes(database.slots.iter().filter(kept_back)),
            "successions": hexes(&database.successions),
            "manifest": hex(&database.manifest),
            "objects": hexes(database.objects.values().map(VaultObject::to_bytes)),
            "mode": if mode == RotationMode::Rekey { "rekey" } else { "rewrap" },
        })
    }

    /// What a node has after it switched to what the browser finished, with what was staged before.
    fn switch(&mut self, told: &Value, before: impl IntoIterator<Item = VaultObject>) {
        let start = start_of(&told["start"]);
        let staged = before.into_iter().chain(staged_of(told)).chain([start.keyring]);
        let staged: BTreeMap<_, _> = staged.map(|object| (object.object_id, object)).collect();
        assert_eq!(staged.len(), self.database.objects.len());
        self.database.successions.push(start.succession);
        self.database.slots = start.slots;
        self.database.manifest = unhex(&told["manifest"]);
        self.database.objects = staged;
    }

    /// The vault is whole under new keys: by each way to open it, and what a rotation of this mode leaves and changes.
    fn is_whole(&self, before: &Database, mode: RotationMode) {
        let was = before.open(&self.ours).unwrap();
        let now = self.database.open_seen(&self.ours, Some(&was.seen())).unwrap();
        assert_eq!((now.epoch(), now.manifest().counter), (was.epoch() + 1, was.manifest().counter + 1));
        for (name, value) in VALUES {
            assert_eq!(self.database.value(&now, name), value.as_bytes());
            let (old, new) = (before.object(&was, name), self.database.object(&now, name));
            assert_eq!(old.body == new.body, mode == RotationMode::Rewrap);
            assert_eq!(new.version, old.version + u64::from(mode == RotationMode::Rekey));
        }
        let old = was.key_versions(&before.objects[&self.volume]).unwrap();
        let new = now.key_versions(&self.database.objects[&self.volume]).unwrap();
        let had = new.earlier.iter().map(|(version, key)| (*version, *key.expose()));
        let expected = match mode {
            RotationMode::Rewrap => Vec::new(),
            RotationMode::Rekey => vec![(old.current.0, *old.current.1.expose())],
        };
        assert_eq!(had.collect::<Vec<_>>(), expected);
        let (old, new) = (was.keyring(), now.keyring());
        assert_eq!(old.channel.public() == new.channel.public(), mode == RotationMode::Rewrap);
        assert_eq!(old.inbox.public() == new.inbox.public(), mode == RotationMode::Rewrap);
        assert_eq!(old.identity_signing.verify_key(), new.identity_signing.verify_key());
        assert_eq!(old.identity_seal.public(), new.identity_seal.public());
        assert_eq!(was.entry_id(&name("one")), now.entry_id(&name("one")));
        for secret in [SlotSecret::Recovery(&self.theirs), SlotSecret::Backup(&self.backup)] {
            self.database.show().unwrap().open(&secret, Some(&was.seen()), vault::Rollback::Refuse).unwrap();
        }
    }
}

fn start_of(told: &Value) -> RotationStart {
    RotationStart {
        epoch: u32::try_from(told["epoch"].as_u64().unwrap()).unwrap(),
        verify_key: VerifyKey::try_from(unhex(&told["verify_key"]).as_slice()).unwrap(),
        succession: unhex(&told["succession"]),
        slots: list(&told["slots"]),
        keyring: VaultObject::from_bytes(&unhex(&told["keyring"])).unwrap(),
    }
}

fn told_of(start: &RotationStart) -> Value {
    json!({
        "epoch": start.epoch,
        "verify_key": hex(start.verify_key.0),
        "succession": hex(&start.succession),
        "slots": hexes(&start.slots),
        "keyring": hex(start.keyring.to_bytes()),
    })
}

fn staged_of(told: &Value) -> Vec<VaultObject> {
    list(&told["staged"]).iter().map(|bytes| VaultObject::from_bytes(bytes).unwrap()).collect()
}

fn with(mut given: Value, more: Value) -> Value {
    if let (Value::Object(given), Value::Object(more)) = (&mut given, more) {
        given.extend(more);
    }
    given
}

fn refused(given: &Value) {
    let output = run("main.js", &["rotate"], given);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("Refused: refused"), "{told}");
}

/// Converts `most` of what is left.
fn converted(rotation: &mut Rotation<'_>, database: &Database, most: usize) -> Vec<VaultObject> {
    let left = rotation.left().into_iter().take(most).collect::<Vec<_>>();
    left.iter().map(|id| rotation.convert(&database.objects[id], &mut rand::rng()).unwrap()).collect()
}

#[test]
fn rust_opens_what_the_browser_rotated() {
    for mode in MODES {
        let mut made = Made::new();
        let before = made.database.clone();
        let told = browser(&["rotate"], &made.shown(&made.ours, mode));
        made.switch(&told, []);
        made.is_whole(&before, mode);
        assert_eq!((&told["epochs"], &told["up_to_date"]), (&json!([1, 2]), &json!(true)));
        let entries = VALUES.map(|(name, value)| json!([name, hex(value)]));
        assert_eq!(told["entries"], json!(entries));
        // the slot in use leads in through the new key at once
        let secret = SlotSecret::Recovery(&made.ours);
        assert!(made.open().renew_slot(&secret, Cost::LEAST, &mut rand::rng()).unwrap().is_none());
    }
}

#[test]
fn rust_goes_on_with_what_the_browser_began() {
    for mode in MODES {
        let mut made = Made::new();
        let before = made.database.clone();
        let told = browser(&["rotate"], &with(made.shown(&made.ours, mode), json!({ "most": 2 })));
        assert_eq!(told["unfinished"], true);
        let (start, staged) = (start_of(&told["start"]), staged_of(&told));
        assert_eq!(staged.len(), 2);
        let mut vault = made.open();
        let mut rotation = vault.resume_rotation(mode, start.clone(), None).unwrap();
        staged.iter().for_each(|object| rotation.adopt(object).unwrap());
        let rest = converted(&mut rotation, &made.database, usize::MAX);
        assert_eq!(rest.len(), 2);
        let completed = rotation.finish().unwrap();
        let all = staged.into_iter().chain(rest).chain([start.keyring.clone()]);
        let all = all.map(|object| (object.object_id, object)).collect();
        made.database.switch(&mut vault, &start, all, completed);
        made.is_whole(&before, mode);
    }
}

#[test]
fn the_browser_goes_on_with_what_rust_began_and_believes_no_forger() {
    for mode in MODES {
        let mut made = Made::new();
        let before = made.database.clone();
        let (start, staged) = {
            let vault = made.open();
            let mut rotation = vault.begin_rotation(mode, &[], &[], &mut rand::rng()).unwrap();
            let staged = converted(&mut rotation, &made.database, 2);
            (rotation.start().clone(), staged)
        };
        let given = made.shown(&made.ours, mode);
        let other_mode = if mode == RotationMode::Rekey { "rewrap" } else { "rekey" };
        refused(&with(given.clone(), json!({ "start": told_of(&start), "mode": other_mode })));
        for damaged in ["/succession", "/slots/0", "/keyring", "/verify_key"] {
            let mut start = told_of(&start);
            let place = start.pointer_mut(damaged).unwrap();
            let mut bytes = unhex(place);
            *bytes.last_mut().unwrap() ^= 1;
            *place = hex(&bytes).into();
            refused(&with(given.clone(), json!({ "start": start })));
        }
        let fewer = RotationStart { slots: start.slots[1..].to_vec(), ..start.clone() };
        refused(&with(given.clone(), json!({ "start": told_of(&fewer) })));
        // what is damaged of the staged objects is converted again
        let mut damaged = staged[1].clone();
        *damaged.wrapped_key.last_mut().unwrap() ^= 1;
        let shown = [staged[0].clone(), damaged];
        let more =
            json!({ "start": told_of(&start), "staged": hexes(shown.iter().map(VaultObject::to_bytes)) });
        let told = browser(&["rotate"], &with(given, more));
        assert_eq!((&told["adopted"], staged_of(&told).len()), (&json!(1), 3));
        made.switch(&told, [staged[0].clone()]);
        assert_eq!(told["start"]["verify_key"], hex(start.verify_key.0));
        made.is_whole(&before, mode);
    }
}

/// Else whoever had the key of before could lead a new browser to a branch of their own.
#[test]
fn a_slot_that_is_used_in_the_browser_takes_the_present_key_in() {
    let mut made = Made::new();
    let told = browser(&["rotate"], &made.shown(&made.ours, RotationMode::Rekey));
    made.switch(&told, []);
    let again = with(made.shown(&made.theirs, RotationMode::Rekey), json!({ "most": 0 }));
    let slot = KeySlot::from_bytes(&unhex(&browser(&["rotate"], &again)["renewed"])).unwrap();
    slot.verify(&scope(), &made.open().seen().verify_key).unwrap();
    // no succession is needed from it any more
    made.database.successions.clear();
    assert!(made.database.open(&made.theirs).is_err());
    made.database.slots.retain(|other| KeySlot::from_bytes(other).unwrap().id() != slot.id());
    made.database.slots.push(slot.to_bytes());
    assert!(made.database.open(&made.theirs).is_ok());
}

/// Cut off before each of its calls, and with the answer to the last one lost: the page that comes back goes on as soon as there
/// is something to go on with, and the vault has new keys once.
#[test]
fn a_page_that_was_cut_off_goes_on_where_it_was() {
    let told = browser(&["rotating"], &Value::Null);
    for (mode, done) in [("rekey", "rekeyed"), ("rewrap", "rewrapped")] {
        let again = |own: bool, on: bool| json!({ "said": ["offline", done], "own": own, "on": on, "epoch": 2, "entries": 50 });
        let lost = json!({ "said": ["offline"], "own": false, "on": false, "epoch": 2, "entries": 50 });
        let on = again(true, true);
        let expected = [again(false, false), again(true, false), on.clone(), on.clone(), on, lost];
        assert_eq!(told[mode], json!(expected), "{mode}");
    }
}
