//! Unlocking: what opens a vault, and what whoever writes the database cannot make a client believe.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use ocmt_crypto::{
    CryptoError,
    backup_key::BackupKey,
    codec::{Reader, Writer},
    kdf::{Cost, Passphrase},
    manifest::Manifest,
    object::VaultObject,
    seal::{self, SealSecretKey},
    sign::{Purpose, SigningKey},
    slot::{KeySlot, NewSlot, RecoveryKey, SlotKind, SlotSecret},
    succession::Succession,
    vault::{self, LockedVault, ProofOf, Rollback},
};
use ocmt_types::{Digest32, Id as _, VaultId};
use support::{Database, fresh, refused, scope};
use zeroize::Zeroizing;

#[test]
fn every_kind_of_slot_opens_the_vault_with_its_own_secret() {
    let rng = &mut rand::rng();
    let (passphrase, wrong) =
        (Passphrase::new("correct horse").unwrap(), Passphrase::new("correct house").unwrap());
    let (backup, recovery) = (BackupKey::generate(rng), RecoveryKey::generate(rng));
    let (member, answer) = (SealSecretKey::generate(rng), Zeroizing::new(vec![5; 20]));
    let slots = [
        NewSlot::Passphrase(&passphrase, Cost::LEAST),
        NewSlot::Backup(&backup, Cost::LEAST),
        NewSlot::Hardware([9; 32], &answer, Cost::LEAST),
        NewSlot::Recovery(&recovery),
        NewSlot::Member(member.public()),
    ];
    let (vault, upload) = vault::create(scope(), &slots, rng).unwrap();
    let verify_key = upload.verify_key;
    let database = Database::of(scope(), upload);
    let locked = database.show().unwrap();
    let hardware = locked.slots().iter().find(|slot| slot.kind() == SlotKind::Hardware).unwrap();
    assert_eq!(hardware.challenge(), Some(&[9; 32]));
    for secret in [
        SlotSecret::Passphrase(&passphrase),
        SlotSecret::Backup(&backup),
        SlotSecret::Hardware(&answer),
        SlotSecret::Recovery(&recovery),
        SlotSecret::Member(&member, verify_key),
    ] {
        let opened = locked.open(&secret, Some(&vault.seen()), Rollback::Refuse).unwrap();
        assert_eq!(opened.seen(), vault.seen());
        let proof = opened.prove(ProofOf::Unlock, Digest32([1; 32]));
        proof.verify(&scope(), &verify_key).unwrap();
    }
    for secret in [
        SlotSecret::Passphrase(&wrong),
        SlotSecret::Backup(&BackupKey::generate(rng)),
        SlotSecret::Hardware(&Zeroizing::new(vec![6; 20])),
        SlotSecret::Recovery(&RecoveryKey::generate(rng)),
        SlotSecret::Member(&SealSecretKey::generate(rng), verify_key),
        // a member whose own vault holds another key of this vault is told of it
        SlotSecret::Member(&member, SigningKey::generate(rng).verify_key()),
    ] {
        assert_eq!(refused(locked.open(&secret, None, Rollback::Refuse)), CryptoError::Refused);
    }
}

#[test]
fn v8_a_wrong_secret_damage_and_another_vault_look_alike() {
    let (database, _, key) = fresh();
    let wrong = database.open(&RecoveryKey::generate(&mut rand::rng()));
    let mut damaged = database.clone();
    damaged.slots[0][120] ^= 1;
    let elsewhere = Database {
        scope: ocmt_crypto::datakey::VaultScope { vault: VaultId::from_bytes([3; 16]), ..scope() },
        ..database
    };
    for result in [wrong, damaged.open(&key), elsewhere.open(&key)] {
        assert_eq!(refused(result), CryptoError::Refused);
    }
}

#[test]
fn a_vault_key_sealed_by_the_database_writer_is_not_used() {
    let (database, _, key) = fresh();
    let slot = KeySlot::from_bytes(&database.slots[0]).unwrap();
    let rng = &mut rand::rng();
    // all the attacker knows is public: the slot's public key and the format
    let mut info = Writer::new();
    info.fixed(b"OCMT slot vault key v1\0");
    scope().write(&mut info);
    info.id(slot.id()).u8(slot.kind() as u8);
    let sealed = seal::seal(&slot.public(), info.as_bytes(), &1u32.to_be_bytes(), &[0x66; 32], rng).unwrap();
    let mut forged = database.slots[0].clone();
    let at = forged.len() - 64 - sealed.len();
    forged[at..at + sealed.len()].copy_from_slice(&sealed);
    let with_old_signature = Database { slots: vec![forged.clone()], ..database.clone() };
    assert_eq!(refused(with_old_signature.open(&key)), CryptoError::Refused);

    // and signs everything with a key of their own
    let thief = SigningKey::generate(rng);
    let mut message = Writer::new();
    scope().write(&mut message);
    message.fixed(&forged[..forged.len() - 64]);
    let signature = thief.sign(Purpose::new("key slot"), message.as_bytes());
    let end = forged.len() - 64;
    forged[end..].copy_from_slice(&signature.0);
    KeySlot::from_bytes(&forged).unwrap().verify(&scope(), &thief.verify_key()).unwrap();
    let honest = honest_manifest(&database, &key);
    let manifest = honest.sign(&scope(), &thief).unwrap();
    let forged = Database { slots: vec![forged], manifest, ..database.clone() };
    assert_eq!(refused(forged.open(&key)), CryptoError::Refused);
    // a succession from the vault's key to theirs they cannot sign
    let real = database.open(&key).unwrap().seen().verify_key;
    let mut claimed = Succession::sign(&scope(), 2, &thief, thief.verify_key()).to_bytes();
    claimed[10..42].copy_from_slice(real.as_bytes());
    let forged = Database { successions: vec![claimed], ..forged };
    assert_eq!(refused(forged.open(&key)), CryptoError::Refused);
}

fn honest_manifest(database: &Database, key: &RecoveryKey) -> Manifest {
    database.open(key).unwrap().manifest().clone()
}

#[test]
fn slots_swapped_added_or_left_out_are_refused() {
    let rng = &mut rand::rng();
    let (first, second) = (RecoveryKey::generate(rng), RecoveryKey::generate(rng));
    let slots = [NewSlot::Recovery(&first), NewSlot::Recovery(&second)];
    let (_, upload) = vault::create(scope(), &slots, rng).unwrap();
    let database = Database::of(scope(), upload);
    database.open(&first).unwrap();
    let (_, foreign) = vault::create(scope(), &slots, rng).unwrap();
    let (a, b) = (database.slots[0].clone(), database.slots[1].clone());
    for slots in [
        vec![a.clone()],
        vec![b.clone()],
        vec![a.clone(), b.clone(), foreign.slots[0].clone()],
        vec![a.clone(), foreign.slots[1].clone()],
        vec![a.clone(), a.clone()],
        vec![a.clone(), b.clone(), b.clone()],
        foreign.slots.clone(),
    ] {
        let other = Database { slots, ..database.clone() };
        assert_eq!(refused(other.open(&first)), CryptoError::Refused);
    }
    assert!(Database { slots: vec![b, a], ..database }.open(&second).is_ok());
}

#[test]
fn omitted_replaced_and_added_objects_are_refused() {
    let (mut database, mut vault, key) = fresh();
    database.put(&mut vault, &[("one", "1"), ("two", "2")]);
    let yesterday = database.clone();
    database.put(&mut vault, &[("one", "changed")]);
    let id = database.object(&vault, "one").object_id;
    let mut omitted = database.clone();
    omitted.objects.remove(&id);
    let mut replaced = database.clone();
    replaced.objects.insert(id, yesterday.objects[&id].clone());
    let mut added = database.clone();
    let ghost = VaultObject { object_id: Digest32([7; 32]), ..database.object(&vault, "two") };
    added.objects.insert(ghost.object_id, ghost);
    for other in [omitted, replaced, added] {
        assert_eq!(refused(other.open(&key)), CryptoError::Refused);
    }
    // leaves that lie are found at the object
    let locked = LockedVault::parse(
        scope(),
        &database.slots,
        &database.successions,
        &database.manifest,
        database.leaves(),
        database.objects[&ocmt_crypto::object::keyring_id()].clone(),
    );
    let opened = locked.unwrap().open(&SlotSecret::Recovery(&key), None, Rollback::Refuse).unwrap();
    assert!(opened.open_entry(&yesterday.object(&opened, "one")).is_err());
    assert!(opened.data_key(&yesterday.object(&opened, "one")).is_err());
    let mut renamed = database.object(&opened, "one");
    renamed.object_id = database.object(&opened, "two").object_id;
    assert!(opened.open_entry(&renamed).is_err());
}

#[test]
fn v5_a_rolled_back_vault_is_refused_until_its_user_accepts() {
    let (mut database, mut vault, key) = fresh();
    database.put(&mut vault, &[("one", "1")]);
    let yesterday = database.clone();
    database.put(&mut vault, &[("one", "2")]);
    let seen = vault.seen();
    assert_eq!(seen.counter, 3);
    assert!(database.open_seen(&key, Some(&seen)).is_ok());
    let rolled_back = CryptoError::RolledBack { shown: 2, seen: 3 };
    assert_eq!(refused(yesterday.open_seen(&key, Some(&seen))), rolled_back);
    let secret = SlotSecret::Recovery(&key);
    let mut accepted = yesterday.show().unwrap().open(&secret, Some(&seen), Rollback::Accept).unwrap();
    assert_eq!(yesterday.value(&accepted, "one"), b"1");
    // the next change is above everything seen, so that other devices take it
    let mut restored = yesterday;
    restored.put(&mut accepted, &[("one", "3")]);
    assert_eq!(accepted.seen().counter, 4);
    assert!(restored.open_seen(&key, Some(&seen)).is_ok());
}

#[test]
fn a_fork_with_the_same_counter_is_refused() {
    let (mut database, mut vault, key) = fresh();
    let mut fork = database.clone();
    let mut forked = fork.open(&key).unwrap();
    database.put(&mut vault, &[("one", "ours")]);
    fork.put(&mut forked, &[("one", "theirs")]);
    assert_eq!(forked.seen().counter, vault.seen().counter);
    assert_eq!(
        refused(fork.open_seen(&key, Some(&vault.seen()))),
        CryptoError::RolledBack { shown: 2, seen: 2 }
    );
}

#[test]
fn another_device_finds_a_change_made_from_an_old_state() {
    let (mut database, mut ours, key) = fresh();
    let mut theirs = database.open(&key).unwrap();
    let late = {
        let mut edit = theirs.edit();
        edit.put(&support::entry("one", b"theirs"), &mut rand::rng()).unwrap();
        edit.finish().unwrap()
    };
    database.put(&mut ours, &[("one", "ours")]);
    // the node refuses it: its counter is taken, which the signed manifest says
    let shown = Manifest::open(&late.manifest, &scope(), &ours.seen().verify_key).unwrap();
    assert_eq!(shown.counter, ours.manifest().counter);
    assert!(!shown.proves(&database.leaves()));
    assert!(theirs.apply(late).is_ok() && ours.seen() != theirs.seen());
}

#[test]
fn a_slot_is_parsed_without_believing_its_lengths() {
    let (database, ..) = fresh();
    let good = &database.slots[0];
    for at in 0..good.len().saturating_sub(4) {
        let mut bad = good.clone();
        bad[at..at + 4].copy_from_slice(&[0xff; 4]);
        let slot = KeySlot::from_bytes(&bad);
        assert!(slot.is_err() || slot.unwrap().to_bytes() == bad);
    }
    assert!(Reader::new(&[0xff; 4]).var(10).is_err());
}
