//! Rotation: at any point resumable, old keys useless after it, slots kept without their secrets.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeMap;

use ocmt_crypto::{
    CryptoError,
    kdf::{Cost, Passphrase},
    manifest::Manifest,
    object::{VaultObject, open_body},
    slot::{KeySlot, NewSlot, RecoveryKey, SlotKind, SlotSecret},
    vault::{self, Rollback, Rotation, RotationMode, UnlockedVault},
};
use ocmt_types::{ConversationId, Digest32, Id as _, UnlockId};
use support::{Database, fresh, refused, scope};

type Staged = BTreeMap<Digest32, VaultObject>;

fn convert_all(rotation: &mut Rotation<'_>, database: &Database) -> Staged {
    let rng = &mut rand::rng();
    database.objects.iter().map(|(id, object)| (*id, rotation.convert(object, rng).unwrap())).collect()
}

fn rotate(database: &mut Database, vault: &mut UnlockedVault, mode: RotationMode) {
    let mut rotation = vault.begin_rotation(mode, &[], &[], &mut rand::rng()).unwrap();
    let (staged, start) = (convert_all(&mut rotation, database), rotation.start().clone());
    let completed = rotation.finish().unwrap();
    database.switch(vault, &start, staged, completed);
}

#[test]
fn rewrapping_keeps_bodies_and_rekeying_replaces_them() {
    let (mut database, mut vault, key) = fresh();
    database.put(&mut vault, &[("one", "1"), ("two", "2")]);
    let before = database.object(&vault, "one");
    let granted = vault.data_key(&before).unwrap();
    rotate(&mut database, &mut vault, RotationMode::Rewrap);
    let rewrapped = database.object(&vault, "one");
    assert!(rewrapped.body == before.body && rewrapped.wrapped_key != before.wrapped_key);
    assert!(
        open_body(&granted, &rewrapped.place(scope()), &rewrapped.body).is_ok(),
        "rewrapping revokes nothing"
    );
    rotate(&mut database, &mut vault, RotationMode::Rekey);
    let rekeyed = database.object(&vault, "one");
    assert_eq!((rekeyed.version, vault.epoch()), (2, 3));
    assert!(open_body(&granted, &rekeyed.place(scope()), &rekeyed.body).is_err());
    let opened = database.open_seen(&key, Some(&vault.seen())).unwrap();
    assert_eq!(
        (database.value(&opened, "one"), database.value(&opened, "two")),
        (b"1".to_vec(), b"2".to_vec())
    );
    database.put(&mut vault, &[("one", "after")]);
    assert_eq!(database.value(&vault, "one"), b"after");
}

#[test]
fn a_rotation_needs_no_secret_of_the_other_slots() {
    let rng = &mut rand::rng();
    let (ours, theirs) = (RecoveryKey::generate(rng), RecoveryKey::generate(rng));
    let slots = [NewSlot::Recovery(&ours), NewSlot::Recovery(&theirs)];
    let (_, upload) = vault::create(scope(), &slots, rng).unwrap();
    let mut database = Database::of(scope(), upload);
    let mut vault = database.open(&ours).unwrap();
    for _ in 0..3 {
        rotate(&mut database, &mut vault, RotationMode::Rewrap);
    }
    let mut other = database.open(&theirs).unwrap();
    // the slot in use takes the new verify key in at once, another at its next use
    assert!(vault.renew_slot(&SlotSecret::Recovery(&ours), Cost::LEAST, rng).unwrap().is_none());
    let secret = SlotSecret::Recovery(&theirs);
    let refreshed = other.renew_slot(&secret, Cost::LEAST, rng).unwrap().unwrap().slot().clone();
    refreshed.verify(&scope(), &vault.seen().verify_key).unwrap();
    let id = refreshed.id();
    database.slots.retain(|slot| KeySlot::from_bytes(slot).unwrap().id() != id);
    database.slots.push(refreshed.to_bytes());
    database.successions.clear();
    assert!(database.open(&theirs).unwrap().renew_slot(&secret, Cost::LEAST, rng).unwrap().is_none());
    assert!(database.open(&ours).is_ok());
    other = database.open(&theirs).unwrap();
    rotate(&mut database, &mut other, RotationMode::Rekey);
    assert!(database.open(&ours).is_ok() && database.open(&theirs).is_ok());
}

#[test]
fn a_rotation_goes_on_wherever_it_was_cut() {
    for mode in [RotationMode::Rewrap, RotationMode::Rekey] {
        for cut in 0..=4 {
            let (mut database, mut vault, key) = fresh();
            database.put(&mut vault, &[("one", "1"), ("two", "2"), ("three", "3")]);
            let (mut staged, start) = (Staged::new(), {
                let rotation = database.open(&key).unwrap();
                let mut rotation = rotation.begin_rotation(mode, &[], &[], &mut rand::rng()).unwrap();
                let mut staged = Staged::new();
                for object in database.objects.values().take(cut) {
                    let converted = rotation.convert(object, &mut rand::rng()).unwrap();
                    staged.insert(object.object_id, converted);
                }
                (staged, rotation.start().clone())
            });
            staged.extend(start.0);
            let start = start.1;
            // the process is killed; another run has only the passphrase and what the node holds
            let mut vault = database.open(&key).unwrap();
            let mut rotation = vault.resume_rotation(mode, start.clone(), None).unwrap();
            staged.values().for_each(|object| rotation.adopt(object).unwrap());
            for id in rotation.left() {
                staged.insert(id, rotation.convert(&database.objects[&id], &mut rand::rng()).unwrap());
            }
            staged.insert(start.keyring.object_id, start.keyring.clone());
            let completed = rotation.finish().unwrap();
            database.switch(&mut vault, &start, staged, completed);
            let opened = database.open_seen(&key, Some(&vault.seen())).unwrap();
            assert_eq!(database.value(&opened, "three"), b"3");
        }
    }
}

#[test]
fn a_rotation_is_not_finished_with_objects_left_or_believed_from_a_forger() {
    let (mut database, mut vault, key) = fresh();
    database.put(&mut vault, &[("one", "1"), ("two", "2")]);
    let (vault, rng) = (database.open(&key).unwrap(), &mut rand::rng());
    let mut rotation = vault.begin_rotation(RotationMode::Rekey, &[], &[], rng).unwrap();
    let start = rotation.start().clone();
    let one = rotation.convert(&database.object(&vault, "one"), rng).unwrap();
    assert_eq!(rotation.left().len(), 1);
    assert_eq!(refused(rotation.finish()), CryptoError::RotationIncomplete { left: 1 });

    let mut resumed = vault.resume_rotation(RotationMode::Rekey, start.clone(), None).unwrap();
    let two = database.object(&vault, "two");
    for forged in [
        two.clone(),
        VaultObject { version: 2, ..two.clone() },
        VaultObject { object_id: two.object_id, ..one.clone() },
        VaultObject { version: 3, ..one.clone() },
        VaultObject { object_id: Digest32([8; 32]), ..one.clone() },
    ] {
        assert_eq!(resumed.adopt(&forged), Err(CryptoError::Refused));
    }
    resumed.adopt(&one).unwrap();
    let (_, other, _) = fresh();
    assert_eq!(
        refused(other.resume_rotation(RotationMode::Rekey, start.clone(), None)),
        CryptoError::Refused
    );
    for at in 0..start.succession.len() {
        let mut forged = start.clone();
        forged.succession[at] ^= 1;
        assert!(vault.resume_rotation(RotationMode::Rekey, forged, None).is_err());
    }
    // well made for a rotation of the other kind: nothing is taken for rewrapped that has another body
    assert_eq!(refused(vault.resume_rotation(RotationMode::Rewrap, start, None)), CryptoError::Refused);
    let rewrap = vault.begin_rotation(RotationMode::Rewrap, &[], &[], rng).unwrap().start().clone();
    let mut other_mode = vault.resume_rotation(RotationMode::Rewrap, rewrap.clone(), None).unwrap();
    assert_eq!(other_mode.adopt(&one), Err(CryptoError::Refused));
    assert_eq!(
        refused(vault.resume_rotation(RotationMode::Rekey, rewrap, None)),
        CryptoError::Refused,
        "what only rewraps passes for no re-keying"
    );
    assert!(database.open(&key).is_ok(), "nothing of the vault has changed yet");
}

#[test]
fn who_is_shut_out_by_a_rotation_opens_nothing_that_follows() {
    let rng = &mut rand::rng();
    let (ours, theirs) = (RecoveryKey::generate(rng), RecoveryKey::generate(rng));
    let slots = [NewSlot::Recovery(&ours), NewSlot::Recovery(&theirs)];
    let (_, upload) = vault::create(scope(), &slots, rng).unwrap();
    let mut database = Database::of(scope(), upload);
    let thief = database.open(&theirs).unwrap();
    let mut vault = database.open(&ours).unwrap();
    let gone = thief.opened_through().unwrap();
    let mut rotation = vault.begin_rotation(RotationMode::Rekey, &[gone], &[], rng).unwrap();
    let (staged, start) = (convert_all(&mut rotation, &database), rotation.start().clone());
    // neither the old vault key nor the old slot opens what the rotation uploads
    assert!(thief.resume_rotation(RotationMode::Rekey, start.clone(), None).is_err());
    let secret = SlotSecret::Recovery(&theirs);
    assert!(thief.resume_rotation(RotationMode::Rekey, start.clone(), Some(&secret)).is_err());
    let completed = rotation.finish().unwrap();
    database.switch(&mut vault, &start, staged, completed);
    database.put(&mut vault, &[("one", "after")]);
    assert_eq!(refused(database.open(&theirs)), CryptoError::Refused);
    assert!(thief.open_entry(&database.object(&vault, "one")).is_err());
    // what they sign with the old key is not believed: neither a manifest, nor a branch of the chain
    let forged = thief.edit().finish().unwrap().manifest;
    assert!(Manifest::open(&forged, &scope(), &vault.seen().verify_key).is_err());
    let branch = thief.begin_rotation(RotationMode::Rewrap, &[], &[], rng).unwrap().start().clone();
    let forked = Database { successions: vec![branch.succession], slots: branch.slots, ..database.clone() };
    assert!(forked.open_seen(&ours, Some(&vault.seen())).is_err());
}

#[test]
fn writes_under_an_old_key_epoch_are_refused() {
    let (mut database, mut vault, key) = fresh();
    database.put(&mut vault, &[("one", "1")]);
    let stale = database.open(&key).unwrap();
    rotate(&mut database, &mut vault, RotationMode::Rekey);
    let mut edit = stale.edit();
    edit.put(&support::entry("one", b"late"), &mut rand::rng()).unwrap();
    let late = edit.finish().unwrap();
    // by the node, from the envelope's header and the manifest's signature
    assert_eq!((late.objects[0].key_epoch(), vault.epoch()), (Ok(1), 2));
    assert!(Manifest::open(&late.manifest, &scope(), &vault.seen().verify_key).is_err());
    // by a client, should a node let it in
    let mut forged = database.clone();
    forged.objects.insert(late.objects[0].object_id, late.objects[0].clone());
    assert_eq!(refused(forged.open(&key)), CryptoError::Refused);
}

#[test]
fn after_a_recovery_only_the_new_passphrase_opens() {
    let rng = &mut rand::rng();
    let (lost, new) = (Passphrase::new("forgotten").unwrap(), Passphrase::new("remembered").unwrap());
    let recovery = RecoveryKey::generate(rng);
    let slots = [NewSlot::Passphrase(&lost, Cost::LEAST), NewSlot::Recovery(&recovery)];
    let (_, upload) = vault::create(scope(), &slots, rng).unwrap();
    let mut database = Database::of(scope(), upload);
    let mut vault = database.open(&recovery).unwrap();
    database.put(&mut vault, &[("one", "1")]);
    let all: Vec<_> = vault.slots().iter().map(KeySlot::id).collect();
    let added = [NewSlot::Passphrase(&new, Cost::LEAST)];
    assert_eq!(refused(vault.begin_rotation(RotationMode::Rekey, &all, &[], rng)), CryptoError::LastSlot);
    let start = vault.begin_rotation(RotationMode::Rekey, &all, &added, rng).unwrap().start().clone();
    // killed here: the recovery slot does not open the new key, the new passphrase does
    assert!(vault.resume_rotation(RotationMode::Rekey, start.clone(), None).is_err());
    let secret = SlotSecret::Passphrase(&new);
    let mut rotation = vault.resume_rotation(RotationMode::Rekey, start.clone(), Some(&secret)).unwrap();
    let staged = convert_all(&mut rotation, &database);
    let completed = rotation.finish().unwrap();
    database.switch(&mut vault, &start, staged, completed);
    assert_eq!(vault.opened_through(), None);
    let locked = database.show().unwrap();
    for old in [SlotSecret::Passphrase(&lost), SlotSecret::Recovery(&recovery)] {
        assert_eq!(refused(locked.open(&old, None, Rollback::Refuse)), CryptoError::Refused);
    }
    let opened = locked.open(&secret, Some(&vault.seen()), Rollback::Refuse).unwrap();
    assert_eq!(database.value(&opened, "one"), b"1");
    assert!(opened.slots().iter().all(|slot| slot.kind() == SlotKind::Passphrase));
}

#[test]
fn conversations_go_on_under_new_keys_and_keep_the_old_for_reading() {
    let (mut database, mut vault, _) = fresh();
    let mut edit = vault.edit();
    let id = edit.create_conversation_key(ConversationId::from_bytes([1; 16]), &mut rand::rng()).unwrap();
    let change = edit.finish().unwrap();
    database.commit(&mut vault, change);
    let first = vault.key_versions(&database.objects[&id]).unwrap().current.1;
    rotate(&mut database, &mut vault, RotationMode::Rewrap);
    assert!(vault.key_versions(&database.objects[&id]).unwrap().current.1.expose() == first.expose());
    rotate(&mut database, &mut vault, RotationMode::Rekey);
    rotate(&mut database, &mut vault, RotationMode::Rekey);
    let keys = vault.key_versions(&database.objects[&id]).unwrap();
    let versions: Vec<u64> = keys.earlier.iter().map(|(version, _)| *version).collect();
    assert_eq!((keys.current.0, versions), (3, vec![1, 2]));
    assert!(keys.earlier[0].1.expose() == first.expose() && keys.current.1.expose() != first.expose());
}

#[test]
fn rekeying_makes_fresh_keys_of_channels_and_inbox_and_rewrapping_keeps_them() {
    let (mut database, mut vault, key) = fresh();
    let unlock = UnlockId::from_bytes([3; 16]);
    let keys = |vault: &UnlockedVault| {
        let keyring = vault.keyring();
        let mac = keyring.inbox_mac_key(unlock).to_vec();
        [keyring.channel.public().0.to_vec(), keyring.inbox.public().0.to_vec(), mac]
    };
    let lasting = |vault: &UnlockedVault| {
        let keyring = vault.keyring();
        (
            keyring.identity_signing.verify_key(),
            keyring.identity_seal.public(),
            vault.entry_id(&support::name("one")),
        )
    };
    let (before, stay) = (keys(&vault), lasting(&vault));
    rotate(&mut database, &mut vault, RotationMode::Rewrap);
    assert_eq!((keys(&vault), lasting(&vault)), (before.clone(), stay));
    rotate(&mut database, &mut vault, RotationMode::Rekey);
    let (after, again) = (keys(&vault), keys(&database.open(&key).unwrap()));
    assert!(
        before.iter().zip(&after).all(|(old, new)| old != new),
        "a thief of the keyring has one that still holds"
    );
    assert_eq!((after, lasting(&vault)), (again, stay));
}
