//! A slot brought up to date at its use: greater costs, the present verify key, and nothing else changed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use ocmt_crypto::{
    CryptoError,
    backup_key::BackupKey,
    kdf::{Cost, Passphrase},
    slot::{KeySlot, NewSlot, RecoveryKey, SlotSecret},
    vault::{self, Rollback, UnlockedVault},
};
use support::{Database, scope};
use zeroize::Zeroizing;

fn open(database: &Database, secret: &SlotSecret<'_>) -> Result<UnlockedVault, CryptoError> {
    database.show()?.open(secret, None, Rollback::Refuse)
}

fn cost(database: &Database) -> (u32, u32, u32) {
    KeySlot::from_bytes(&database.slots[0]).unwrap().cost().unwrap().parts()
}

#[test]
fn every_slot_that_people_keep_a_secret_for_takes_greater_costs() {
    let rng = &mut rand::rng();
    let (typed, paper) = (Passphrase::new("violin ledger umbrella").unwrap(), BackupKey::generate(rng));
    let answer = Zeroizing::new(vec![7; 20]);
    let more = Cost::new(20 * 1024, 3, 1).unwrap();
    for (new, secret) in [
        (NewSlot::Passphrase(&typed, Cost::LEAST), SlotSecret::Passphrase(&typed)),
        (NewSlot::Backup(&paper, Cost::LEAST), SlotSecret::Backup(&paper)),
        (NewSlot::Hardware([3; 32], &answer, Cost::LEAST), SlotSecret::Hardware(&answer)),
    ] {
        let (_, upload) = vault::create(scope(), &[new], rng).unwrap();
        let mut database = Database::of(scope(), upload);
        let before = KeySlot::from_bytes(&database.slots[0]).unwrap();
        let mut vault = open(&database, &secret).unwrap();
        let renewed = vault.renew_slot(&secret, more, rng).unwrap().unwrap();
        let after = renewed.slot().clone();
        assert_eq!((after.id(), after.kind(), after.public()), (before.id(), before.kind(), before.public()));
        assert_eq!((after.challenge(), after.epoch()), (before.challenge(), before.epoch()));
        database.slots[0] = after.to_bytes();
        vault.adopt_slot(renewed);
        assert_eq!(cost(&database), more.parts());
        // the manifest is as it was, and the slot opens by the same secret and no other
        let again = open(&database, &secret).unwrap();
        assert!(again.renew_slot(&secret, more, rng).unwrap().is_none(), "once");
        assert!(again.renew_slot(&secret, Cost::LEAST, rng).unwrap().is_none(), "never lowered");
        let wrong = Passphrase::new("violin ledger umbrellas").unwrap();
        assert!(open(&database, &SlotSecret::Passphrase(&wrong)).is_err());
        // a rotation by the client that renewed it carries the new lock over, not the old one
        let rotation = vault.begin_rotation(vault::RotationMode::Rekey, &[], &[], rng).unwrap();
        let carried = KeySlot::from_bytes(&rotation.start().slots[0]).unwrap();
        assert_eq!(carried.cost().unwrap(), more);
    }
}

#[test]
fn each_cost_is_raised_by_itself() {
    let (wide, long) = (Cost::new(64 * 1024, 2, 1).unwrap(), Cost::new(19 * 1024, 5, 2).unwrap());
    assert_eq!(wide.at_least(long).parts(), (64 * 1024, 5, 2));
    assert_eq!(long.at_least(wide).parts(), (64 * 1024, 5, 2));
    assert_eq!(wide.at_least(wide), wide);
}

#[test]
fn what_stretches_nothing_is_left_and_a_secret_of_another_kind_is_refused() {
    let rng = &mut rand::rng();
    let key = RecoveryKey::generate(rng);
    let typed = Passphrase::new("violin ledger umbrella").unwrap();
    let (_, upload) = vault::create(scope(), &[NewSlot::Recovery(&key)], rng).unwrap();
    let database = Database::of(scope(), upload);
    let vault = open(&database, &SlotSecret::Recovery(&key)).unwrap();
    assert!(vault.renew_slot(&SlotSecret::Recovery(&key), Cost::DEFAULT, rng).unwrap().is_none());
    let (_, upload) = vault::create(scope(), &[NewSlot::Passphrase(&typed, Cost::LEAST)], rng).unwrap();
    let database = Database::of(scope(), upload);
    let vault = open(&database, &SlotSecret::Passphrase(&typed)).unwrap();
    // another passphrase than the one that opened it would lock its owner out
    let other = Passphrase::new("violin ledger umbrellas").unwrap();
    for wrong in [SlotSecret::Recovery(&key), SlotSecret::Passphrase(&other)] {
        assert!(vault.renew_slot(&wrong, Cost::DEFAULT, rng).is_err());
    }
}
