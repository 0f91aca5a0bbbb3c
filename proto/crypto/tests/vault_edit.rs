//! Changes of a vault: entries, keys, slots, hosts, and their bounds.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use ocmt_crypto::{
    CryptoError,
    datakey::ObjectPlace,
    entry::{Entry, MAX_VALUE},
    kdf::{Cost, Passphrase},
    manifest::{Anchor, MAX_ENTRIES, Manifest},
    object::{VaultObject, conversation_key_id, keyring_id, open_body},
    slot::{NewSlot, RecoveryKey, SlotSecret},
    vault::{self, Rollback},
};
use ocmt_types::{ContainerId, ConversationId, Id as _, NodeId};
use support::{Database, entry, fresh, name, refused, scope};

#[test]
fn entries_are_written_changed_and_deleted() {
    let (mut database, mut vault, key) = fresh();
    database.put(&mut vault, &[("API_KEY", "first"), ("OTHER", "value")]);
    database.put(&mut vault, &[("API_KEY", "second")]);
    assert_eq!(database.object(&vault, "API_KEY").version, 2);
    let mut edit = vault.edit();
    edit.delete(&name("OTHER")).unwrap();
    assert_eq!(edit.delete(&name("OTHER")), Err(CryptoError::NotFound("object")));
    assert_eq!(edit.delete_object(keyring_id()), Err(CryptoError::NotFound("object")));
    let change = edit.finish().unwrap();
    database.commit(&mut vault, change);
    let opened = database.open_seen(&key, Some(&vault.seen())).unwrap();
    assert_eq!(database.value(&opened, "API_KEY"), b"second");
    assert_eq!(opened.leaves().len(), 2);
}

#[test]
fn names_and_values_do_not_show_in_what_is_stored() {
    let (mut database, mut vault, _) = fresh();
    database.put(&mut vault, &[("CANARY_NAME", "canary value")]);
    let stored: Vec<u8> = database.objects.values().flat_map(VaultObject::to_bytes).collect();
    for mark in [b"CANARY_NAME".as_slice(), b"canary value"] {
        assert!(!stored.windows(mark.len()).any(|window| window == mark));
    }
    let (_, other, _) = fresh();
    assert_ne!(vault.entry_id(&name("CANARY_NAME")), other.entry_id(&name("CANARY_NAME")));
}

#[test]
fn a_new_version_has_a_new_data_key_that_old_grants_do_not_open() {
    let (mut database, mut vault, _) = fresh();
    database.put(&mut vault, &[("one", "old")]);
    let old = database.object(&vault, "one");
    let granted = vault.data_key(&old).unwrap();
    let place = |version| ObjectPlace { scope: scope(), object: old.object_id, version };
    let plaintext = open_body(&granted, &place(1), &old.body).unwrap();
    assert_eq!(Entry::decode(&plaintext).unwrap().value.as_slice(), b"old");
    database.put(&mut vault, &[("one", "new")]);
    let new = database.object(&vault, "one");
    for version in [1, 2] {
        assert!(open_body(&granted, &place(version), &new.body).is_err());
    }
}

#[test]
fn values_entries_and_slots_are_bounded_with_clear_errors() {
    let (mut database, mut vault, _) = fresh();
    let rng = &mut rand::rng();
    let mut edit = vault.edit();
    edit.put(&entry("big", &vec![1; MAX_VALUE]), rng).unwrap();
    let error = edit.put(&entry("bigger", &vec![1; MAX_VALUE + 1]), rng);
    assert_eq!(error, Err(CryptoError::TooLarge { what: "value, in bytes", max: 65_536 }));
    for at in 1..MAX_ENTRIES {
        edit.put(&entry(&format!("entry {at}"), b""), rng).unwrap();
    }
    let error = edit.put(&entry("one more", b""), rng);
    assert_eq!(error, Err(CryptoError::TooLarge { what: "entries of a vault", max: 10_000 }));
    edit.put(&entry("entry 1", b"again"), rng).unwrap();
    let change = edit.finish().unwrap();
    database.commit(&mut vault, change);
    assert_eq!(vault.leaves().len(), MAX_ENTRIES + 1);
    // in a full vault one comes when another goes, in this order
    let mut edit = vault.edit();
    assert!(edit.put(&entry("one more", b""), rng).is_err());
    edit.delete(&entry("entry 1", b"").name).unwrap();
    edit.put(&entry("one more", b""), rng).unwrap();
    assert!(edit.put(&entry("and another", b""), rng).is_err());
    let change = edit.finish().unwrap();
    assert_eq!((change.objects.len(), change.deleted.len()), (1, 1));
    database.commit(&mut vault, change);
    assert_eq!(vault.leaves().len(), MAX_ENTRIES + 1);

    let (mut database, mut vault, _) = fresh();
    let key = RecoveryKey::generate(rng);
    let mut edit = vault.edit();
    for _ in 1..255 {
        edit.add_slot(&NewSlot::Recovery(&key), rng).unwrap();
    }
    let error = edit.add_slot(&NewSlot::Recovery(&key), rng);
    assert_eq!(error, Err(CryptoError::TooLarge { what: "key slots", max: 255 }));
    let change = edit.finish().unwrap();
    database.commit(&mut vault, change);
    database.show().unwrap();
}

#[test]
fn slots_come_and_go_and_the_last_one_stays() {
    let (mut database, mut vault, first) = fresh();
    let rng = &mut rand::rng();
    let second = RecoveryKey::generate(rng);
    let only = vault.slots()[0].id();
    let mut edit = vault.edit();
    assert_eq!(edit.remove_slot(only), Err(CryptoError::LastSlot));
    let added = edit.add_slot(&NewSlot::Recovery(&second), rng).unwrap();
    edit.remove_slot(only).unwrap();
    assert_eq!(edit.remove_slot(only), Err(CryptoError::NotFound("key slot")));
    let change = edit.finish().unwrap();
    assert_eq!((change.added_slots.len(), change.removed_slots.as_slice()), (1, [only].as_slice()));
    database.commit(&mut vault, change);
    assert_eq!(database.open(&second).unwrap().opened_through(), Some(added));
    assert_eq!(refused(database.open(&first)), CryptoError::Refused);
    assert_eq!(refused(vault::create(scope(), &[], rng).map(|_| ())), CryptoError::LastSlot);
}

#[test]
fn a_kind_that_costs_argon2_has_four_slots_and_each_opens() {
    let (mut database, mut vault, _) = fresh();
    let rng = &mut rand::rng();
    let words =
        ["first of four words", "second of four words", "third of four words", "fourth of four words"];
    let passphrase = |text: &str| Passphrase::new(text).unwrap();
    let mut edit = vault.edit();
    for text in words {
        edit.add_slot(&NewSlot::Passphrase(&passphrase(text), Cost::LEAST), rng).unwrap();
    }
    let fifth = edit.add_slot(&NewSlot::Passphrase(&passphrase("one too many"), Cost::LEAST), rng);
    assert_eq!(fifth, Err(CryptoError::TooLarge { what: "passphrases of a vault", max: 4 }));
    let change = edit.finish().unwrap();
    assert_eq!(change.added_slots.len(), 4, "the fifth left nothing behind");
    database.commit(&mut vault, change);
    for text in words {
        let secret = passphrase(text);
        let opened = database.show().unwrap().open(&SlotSecret::Passphrase(&secret), None, Rollback::Refuse);
        assert!(opened.is_ok(), "{text}");
    }
    // keys that cost nothing to try have no such bound
    for _ in 0..8 {
        let key = RecoveryKey::generate(rng);
        let mut edit = vault.edit();
        edit.add_slot(&NewSlot::Recovery(&key), rng).unwrap();
        let change = edit.finish().unwrap();
        database.commit(&mut vault, change);
        database.open(&key).unwrap();
    }
}

#[test]
fn hosts_and_anchors_are_in_the_signed_manifest() {
    let (mut database, mut vault, key) = fresh();
    let (container, node) = (ContainerId::from_bytes([1; 16]), NodeId::from_bytes([2; 16]));
    let conversation = ConversationId::from_bytes([3; 16]);
    let anchor = |records| Anchor { conversation, records, last_tag: [4; 16] };
    let mut edit = vault.edit();
    edit.pin_host(container, NodeId::from_bytes([9; 16])).pin_host(container, node);
    edit.pin_host(ContainerId::from_bytes([0; 16]), node).anchor(anchor(1)).anchor(anchor(2));
    let change = edit.finish().unwrap();
    database.commit(&mut vault, change);
    let opened = database.open(&key).unwrap();
    assert_eq!(opened.manifest().host_of(container), Some(node));
    assert_eq!(opened.manifest().anchors, [anchor(2)]);
    let mut edit = opened.edit();
    edit.unpin_host(container).drop_anchor(conversation);
    let change = edit.finish().unwrap();
    let after = Manifest::open(&change.manifest, &scope(), &opened.seen().verify_key).unwrap();
    assert_eq!((after.host_of(container), after.anchors.len(), after.counter), (None, 0, 3));
}

#[test]
fn a_conversation_has_one_data_key() {
    let (mut database, mut vault, _) = fresh();
    let (rng, conversation) = (&mut rand::rng(), ConversationId::from_bytes([3; 16]));
    let mut edit = vault.edit();
    let id = edit.create_conversation_key(conversation, rng).unwrap();
    assert_eq!(id, conversation_key_id(conversation));
    assert_eq!(edit.create_conversation_key(conversation, rng), Err(CryptoError::Exists("data key")));
    edit.create_volume_key(ContainerId::from_bytes([3; 16]), rng).unwrap();
    let change = edit.finish().unwrap();
    database.commit(&mut vault, change);
    let keys = vault.key_versions(&database.objects[&id]).unwrap();
    assert!(keys.current.0 == 1 && keys.earlier.is_empty());
    assert!(vault.open_entry(&database.objects[&id]).is_err(), "a key object is no entry");
    assert!(vault.key_versions(&database.objects[&keyring_id()]).is_err(), "a keyring is no key object");
}

#[test]
fn a_change_is_taken_over_only_from_the_state_it_was_made_from() {
    let (mut database, mut vault, _) = fresh();
    let stale = vault.edit().finish().unwrap();
    database.put(&mut vault, &[("one", "1")]);
    assert_eq!(vault.apply(stale), Err(CryptoError::Refused));
    assert_eq!(database.value(&vault, "one"), b"1");
    let _: &Database = &database;
}
