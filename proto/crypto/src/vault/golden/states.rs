//! Vectors of a whole vault: as it was made, and after a rotation that re-keyed it.

use std::collections::BTreeMap;

use ocmt_types::{ContainerId, ConversationId, Digest32, NodeId, Timestamp};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{FixedRng, array, bytes, hex, scope, stored};
use crate::{
    backup_key::BackupKey,
    entry::{Attributes, Entry, EntryName},
    kdf::{Cost, Passphrase},
    manifest::Anchor,
    object::{VaultObject, keyring_id},
    seal::SealSecretKey,
    slot::{KeySlot, NewSlot, RecoveryKey, SlotSecret},
    vault::{LockedVault, Rollback, RotationMode, UnlockedVault, create},
};

struct Secrets {
    passphrase: Passphrase,
    backup: BackupKey,
    answer: Zeroizing<Vec<u8>>,
    recovery: RecoveryKey,
    member: SealSecretKey,
}

impl Secrets {
    fn fixed() -> Self {
        let rng = &mut FixedRng::new("secrets");
        Self {
            passphrase: Passphrase::new("correct horse battery staple").unwrap(),
            backup: BackupKey::generate(rng),
            answer: Zeroizing::new(vec![0x77; 20]),
            recovery: RecoveryKey::generate(rng),
            member: SealSecretKey::generate(rng),
        }
    }

    fn new_slots(&self) -> [NewSlot<'_>; 5] {
        [
            NewSlot::Passphrase(&self.passphrase, Cost::LEAST),
            NewSlot::Backup(&self.backup, Cost::LEAST),
            NewSlot::Hardware([0x55; 32], &self.answer, Cost::LEAST),
            NewSlot::Recovery(&self.recovery),
            NewSlot::Member(self.member.public()),
        ]
    }

    fn all(&self, vault: &UnlockedVault) -> [SlotSecret<'_>; 5] {
        [
            SlotSecret::Passphrase(&self.passphrase),
            SlotSecret::Backup(&self.backup),
            SlotSecret::Hardware(&self.answer),
            SlotSecret::Recovery(&self.recovery),
            SlotSecret::Member(&self.member, vault.keyring.vault_signing.verify_key()),
        ]
    }
}

pub(super) fn vault() -> Value {
    let (rng, secrets) = (&mut FixedRng::new("vault"), Secrets::fixed());
    let (mut vault, upload) = create(scope(), &secrets.new_slots(), rng).unwrap();
    let mut edit = vault.edit();
    for (name, value) in [("API_KEY", "first value"), ("caf\u{e9}", "second value")] {
        edit.put(&entry(name, value), rng).unwrap();
    }
    edit.create_conversation_key(crate::random_id(rng), rng).unwrap();
    edit.create_volume_key(crate::random_id(rng), rng).unwrap();
    edit.pin_host(crate::random_id::<ContainerId>(rng), crate::random_id::<NodeId>(rng));
    let conversation: ConversationId = crate::random_id(rng);
    edit.anchor(Anchor { conversation, records: 3, last_tag: [9; 16] });
    let change = edit.finish().unwrap();
    let all = upload.objects.iter().chain(&change.objects);
    let mut objects: BTreeMap<Digest32, VaultObject> =
        all.map(|object| (object.object_id, object.clone())).collect();
    let manifest = change.manifest.clone();
    vault.apply(change).unwrap();
    let made = state(&vault, &secrets, &objects, &manifest, &[]);

    let mut rotation = vault.begin_rotation(RotationMode::Rekey, &[], &[], rng).unwrap();
    objects = objects.iter().map(|(id, object)| (*id, rotation.convert(object, rng).unwrap())).collect();
    let succession = rotation.start().succession.clone();
    let completed = rotation.finish().unwrap();
    let manifest = completed.manifest.clone();
    vault.complete(completed).unwrap();
    let rotated = state(&vault, &secrets, &objects, &manifest, &[succession]);
    json!({
        "secrets": {
            "passphrase": "correct horse battery staple",
            "backup": hex(secrets.backup.expose()),
            "hardware_answer": hex(&*secrets.answer),
            "recovery": hex(secrets.recovery.expose()),
            "member": hex(secrets.member.expose()),
        },
        "made": made,
        "rotated": rotated,
    })
}

fn entry(name: &str, value: &str) -> Entry {
    let attributes = Attributes {
        written_at: Timestamp(1_800_000_000_000),
        expires_at: Some(Timestamp(1_900_000_000_000)),
        remind_at: None,
    };
    Entry {
        name: EntryName::new(name).unwrap(),
        value: Zeroizing::new(value.as_bytes().to_vec()),
        attributes,
    }
}

fn state(
    vault: &UnlockedVault,
    secrets: &Secrets,
    objects: &BTreeMap<Digest32, VaultObject>,
    manifest: &[u8],
    successions: &[Vec<u8>],
) -> Value {
    let slot = |slot: &KeySlot| {
        let secret = secrets.all(vault).into_iter().find(|secret| secret.kind() == slot.kind()).unwrap();
        let half = slot.open_half(&scope(), &secret).unwrap();
        json!({
            "kind": slot.kind() as u8, "slot": hex(slot.to_bytes()), "private": hex(half.secret.expose()),
            "pinned": hex(half.pinned.0), "lock_key": half.lock_key.map(|key| hex(*key)),
        })
    };
    let object = |object: &VaultObject| {
        json!({
            "id": hex(object.object_id.0), "version": object.version, "object": hex(object.to_bytes()),
            "data_key": hex(vault.data_key(object).unwrap().expose()), "plaintext": hex(&*vault.open(object).unwrap()),
        })
    };
    let keyring = &vault.keyring;
    json!({
        "vault_key": hex(vault.vk.expose()), "epoch": vault.epoch(), "counter": vault.manifest().counter,
        "verify_key": hex(keyring.vault_signing.verify_key().0), "root": hex(vault.manifest().root.0),
        "name_key": hex(*keyring.name_key), "slots": vault.slots().iter().map(slot).collect::<Value>(),
        "successions": successions.iter().map(hex).collect::<Value>(), "manifest": hex(manifest),
        "objects": objects.values().map(object).collect::<Value>(),
    })
}

/// From the file alone, as another implementation would.
#[test]
fn both_states_open_with_every_secret() {
    let all = &stored()["vault"];
    let secrets = Secrets::fixed();
    assert_eq!(hex(secrets.recovery.expose()), all["secrets"]["recovery"]);
    let pinned = crate::sign::VerifyKey(array(&all["made"]["verify_key"]));
    for state in [&all["made"], &all["rotated"]] {
        let list = |name: &str| state[name].as_array().unwrap().clone();
        let objects: Vec<VaultObject> = list("objects")
            .iter()
            .map(|one| VaultObject::from_bytes(&bytes(&one["object"])).unwrap())
            .collect();
        let slots: Vec<Vec<u8>> = list("slots").iter().map(|one| bytes(&one["slot"])).collect();
        let successions: Vec<Vec<u8>> = list("successions").iter().map(bytes).collect();
        let leaves = objects.iter().map(VaultObject::leaf).collect();
        let keyring = objects.iter().find(|object| object.object_id == keyring_id()).unwrap().clone();
        let manifest = bytes(&state["manifest"]);
        let locked = LockedVault::parse(scope(), &slots, &successions, &manifest, leaves, keyring).unwrap();
        for secret in [
            SlotSecret::Passphrase(&secrets.passphrase),
            SlotSecret::Backup(&secrets.backup),
            SlotSecret::Hardware(&secrets.answer),
            SlotSecret::Recovery(&secrets.recovery),
            SlotSecret::Member(&secrets.member, pinned),
        ] {
            let opened = locked.open(&secret, None, Rollback::Refuse).unwrap();
            assert_eq!(hex(opened.vk.expose()), state["vault_key"]);
            let entries = objects.iter().filter_map(|object| opened.open_entry(object).ok());
            let mut found: Vec<(String, String)> = entries
                .map(|entry| {
                    (entry.name.expose().to_owned(), String::from_utf8(entry.value.to_vec()).unwrap())
                })
                .collect();
            found.sort();
            let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            assert_eq!(found, [pair("API_KEY", "first value"), pair("caf\u{e9}", "second value")]);
        }
    }
}
