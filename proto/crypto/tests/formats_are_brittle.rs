//! Cases V1, V2, V3 and V6 for every format of the vault: no flipped bit, no prefix, no byte more opens,
//! and each is refused with the same error, without a panic and without allocating by its lengths.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use ocmt_crypto::{
    CryptoError, Result,
    datakey::{DataKey, ObjectPlace, VaultKey},
    envelope,
    kdf::{Cost, Passphrase},
    kind::Kind,
    manifest::{Anchor, Manifest},
    object::{VaultObject, open_body},
    seal::{self, SealSecretKey},
    slot::{KeySlot, NewSlot, SlotSecret},
    vault::{self, Rollback},
};
use ocmt_types::{ContainerId, ConversationId, Digest32, Id as _, NodeId};
use proptest::prelude::*;
use support::{Database, fresh, refused, scope};

fn place() -> ObjectPlace {
    ObjectPlace { scope: scope(), object: Digest32([3; 32]), version: 1 }
}

/// Every bit flip, every prefix and one byte more gives [`CryptoError::Refused`].
fn assert_brittle<T>(good: &[u8], open: impl Fn(&[u8]) -> Result<T>) {
    assert!(open(good).is_ok(), "the good bytes are refused");
    let mut bytes = good.to_vec();
    for bit in 0..good.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(refused(open(&bytes)), CryptoError::Refused, "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    for len in 0..good.len() {
        assert_eq!(refused(open(&good[..len])), CryptoError::Refused, "prefix of {len}");
    }
    bytes.push(0);
    assert_eq!(refused(open(&bytes)), CryptoError::Refused, "one byte more");
}

#[test]
fn v1_v2_envelopes_of_both_ciphers() {
    let rng = &mut rand::rng();
    for kind in [Kind::OBJECT_BODY, Kind::WRAPPED_KEY, Kind::TRANSCRIPT_RECORD] {
        let sealed = envelope::seal(kind, 3, &[7; 32], b"context", b"content", rng).unwrap();
        assert_brittle(&sealed, |bytes| envelope::open(kind, &[7; 32], b"context", bytes));
        assert_brittle(&sealed, |bytes| envelope::open_at(kind, 3, &[7; 32], b"context", bytes));
    }
}

#[test]
fn v1_v2_wrapped_keys_bodies_and_whole_objects() {
    let rng = &mut rand::rng();
    let vk = VaultKey::generate(1, rng);
    let object = VaultObject::seal(&place(), &vk, b"content", rng).unwrap();
    let key = object.data_key(scope(), &vk).unwrap();
    assert_brittle(&object.wrapped_key, |bytes| DataKey::unwrap_from(&vk, &place(), bytes));
    assert_brittle(&object.body, |bytes| open_body(&key, &place(), bytes));
    assert_brittle(&object.to_bytes(), |bytes| VaultObject::from_bytes(bytes)?.open(scope(), &vk));
}

#[test]
fn v1_v2_sealed_boxes() {
    let key = SealSecretKey::generate(&mut rand::rng());
    let sealed = seal::seal(&key.public(), b"info", b"aad", b"content", &mut rand::rng()).unwrap();
    assert_brittle(&sealed, |bytes| seal::open(&key, b"info", b"aad", bytes));
}

#[test]
fn v1_v2_a_slot_with_its_vault() {
    let (database, _, key) = fresh();
    let open = |bytes: &[u8]| Database { slots: vec![bytes.to_vec()], ..database.clone() }.open(&key);
    assert_brittle(&database.slots[0], open);
}

#[test]
fn v1_v2_v6_a_passphrase_slots_head_costs_and_salt() {
    let (rng, passphrase) = (&mut rand::rng(), Passphrase::new("correct horse").unwrap());
    let slots = [NewSlot::Passphrase(&passphrase, Cost::LEAST)];
    let (_, upload) = vault::create(scope(), &slots, rng).unwrap();
    let database = Database::of(scope(), upload);
    let good = database.slots[0].clone();
    let open = |bytes: &[u8]| {
        let other = Database { slots: vec![bytes.to_vec()], ..database.clone() };
        other.show()?.open(&SlotSecret::Passphrase(&passphrase), None, Rollback::Refuse)
    };
    open(&good).unwrap();
    // head 6, id 16, kind 1, memory 4, passes 4, lanes 4, salt 4 + 16; costs that stay lawful cost time
    for bit in 0..55 * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        match KeySlot::from_bytes(&bytes) {
            Err(error) => assert_eq!(error, CryptoError::Refused),
            // the larger lawful costs are left out: hundreds of megabytes each
            Ok(_) if bytes[23..27] > [0, 1, 0, 0][..] || bytes[27..31] > [0, 0, 0, 4][..] => {}
            Ok(_) => assert_eq!(refused(open(&bytes)), CryptoError::Refused, "bit {bit}"),
        }
    }
    for (at, cost) in [(23, u32::MAX), (23, 8), (27, u32::MAX), (27, 1), (31, 0), (31, 1 << 24), (35, 7)] {
        let mut bytes = good.clone();
        bytes[at..at + 4].copy_from_slice(&cost.to_be_bytes());
        assert_eq!(KeySlot::from_bytes(&bytes), Err(CryptoError::Refused));
    }
}

#[test]
fn v1_v2_a_manifest_with_every_list() {
    let (database, vault, key) = fresh();
    let mut edit = vault.edit();
    edit.pin_host(ContainerId::from_bytes([1; 16]), NodeId::from_bytes([2; 16]));
    edit.anchor(Anchor { conversation: ConversationId::from_bytes([3; 16]), records: 4, last_tag: [5; 16] });
    let manifest = edit.finish().unwrap().manifest;
    let verify_key = vault.seen().verify_key;
    assert_brittle(&manifest, |bytes| Manifest::open(bytes, &scope(), &verify_key));
    let open = |bytes: &[u8]| Database { manifest: bytes.to_vec(), ..database.clone() }.open(&key);
    assert_eq!(refused(open(&manifest[..manifest.len() - 1])), CryptoError::Refused);
    assert!(open(&manifest).is_ok());
}

#[test]
fn v3_no_version_or_algorithm_leads_to_another_format() {
    let rng = &mut rand::rng();
    let good = envelope::seal(Kind::OBJECT_BODY, 1, &[7; 32], b"", b"content", rng).unwrap();
    for version in (0..=255).filter(|version| *version != 1) {
        let mut bytes = good.clone();
        bytes[5] = version;
        assert!(envelope::open(Kind::OBJECT_BODY, &[7; 32], b"", &bytes).is_err());
    }
    // a body that is well made for the other cipher, under the same key
    let mut other = envelope::seal(Kind::TRANSCRIPT_RECORD, 1, &[7; 32], b"", b"content", rng).unwrap();
    assert!(envelope::open(Kind::OBJECT_BODY, &[7; 32], b"", &other).is_err());
    other[4] = Kind::OBJECT_BODY.0;
    assert!(envelope::open(Kind::OBJECT_BODY, &[7; 32], b"", &other).is_err());
}

proptest! {
    #[test]
    fn arbitrary_bytes_neither_open_nor_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let key = SealSecretKey::from_bytes([9; 32]);
        prop_assert!(envelope::open(Kind::OBJECT_BODY, &[7; 32], b"", &bytes).is_err());
        prop_assert!(seal::open(&key, b"", b"", &bytes).is_err());
        prop_assert!(Manifest::open(&bytes, &scope(), &ocmt_crypto::sign::VerifyKey([1; 32])).is_err());
        prop_assert!(VaultObject::from_bytes(&bytes).is_err());
        prop_assert!(KeySlot::from_bytes(&bytes).is_err());
        prop_assert!(ocmt_crypto::entry::Entry::decode(&bytes).is_err());
        prop_assert!(ocmt_crypto::succession::Succession::from_bytes(&bytes).is_err());
        prop_assert!(ocmt_crypto::audit::AuditRecord::from_bytes(&bytes).is_err());
    }

    /// The same with the right head, so that the fuzz reaches the fields.
    #[test]
    fn arbitrary_fields_neither_open_nor_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let object = |kind: Kind| [b"OCMT", [kind.0, 1].as_slice(), &bytes].concat();
        if let Ok(slot) = KeySlot::from_bytes(&object(Kind::KEY_SLOT)) {
            prop_assert_eq!(slot.to_bytes(), object(Kind::KEY_SLOT));
        }
        if let Ok(entry) = ocmt_crypto::entry::Entry::decode(&object(Kind::ENTRY)) {
            prop_assert!(entry.value.len() <= bytes.len());
        }
        prop_assert!(VaultObject::from_bytes(&object(Kind::VAULT_OBJECT)).is_err());
        if let Ok(record) = ocmt_crypto::audit::AuditRecord::from_bytes(&object(Kind::AUDIT_RECORD)) {
            prop_assert_eq!(record.to_bytes().unwrap(), object(Kind::AUDIT_RECORD));
        }
    }
}
