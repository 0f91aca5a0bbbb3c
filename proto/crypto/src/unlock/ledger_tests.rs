//! What an item of the inbox is worth: the ledger against cells, nodes and time.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use ocmt_types::{ContainerId, Id as _, TenantId, Timestamp, UnlockId, VaultId};
use rand::{SeedableRng as _, rngs::StdRng};
use zeroize::Zeroizing;

use crate::{CryptoError, datakey::VaultScope, entry::EntryName, keyring::Keyring, object::MAX_PLAINTEXT};

use super::{Granted, InboxItem, InboxPlace, Ledger, MAX_GRANTS, MAX_WRITES, UnlockKey, Verdict};

fn scope() -> VaultScope {
    VaultScope { tenant: TenantId::from_bytes([1; 16]), vault: VaultId::from_bytes([2; 16]) }
}

fn unlock(n: u8) -> UnlockId {
    UnlockId::from_bytes([n; 16])
}

fn grant(keyring: &Keyring, n: u8, names: &[&str]) -> Granted {
    let names = names.iter().map(|name| EntryName::new(name).unwrap()).collect();
    let container = ContainerId::from_bytes([9; 16]);
    Granted::new(unlock(n), container, keyring.inbox.public(), Timestamp(7), names)
}

fn place(n: u8, sequence: u64) -> InboxPlace {
    InboxPlace { tenant: scope().tenant, vault: scope().vault, unlock: unlock(n), sequence }
}

fn sealed(keyring: &Keyring, place: &InboxPlace, name: &str) -> Vec<u8> {
    let key = UnlockKey::from(keyring.inbox_mac_key(place.unlock));
    let item = InboxItem { name: name.to_owned(), value: Zeroizing::new(b"token".to_vec()) };
    item.seal(place, &keyring.inbox.public(), &key, &mut rand::rng()).unwrap()
}

fn verdict(ledger: &Ledger, keyring: &Keyring, sealed: &[u8]) -> &'static str {
    match ledger.judge(&scope(), keyring, sealed) {
        Verdict::Fileable(..) => "fileable",
        Verdict::NotAllowed(..) => "not allowed",
        Verdict::Late(..) => "late",
        Verdict::Done(_) => "done",
        Verdict::Lost(_) => "lost",
        Verdict::Forged => "forged",
    }
}

#[test]
fn only_what_the_unlock_may_write_and_was_not_filed_is_fileable() {
    let keyring = Keyring::generate(&mut StdRng::seed_from_u64(1));
    let mut ledger = Ledger::default();
    ledger.grant(grant(&keyring, 3, &["oauth/calendar", "oauth/mail"])).unwrap();
    ledger.grant(grant(&keyring, 4, &["other"])).unwrap();
    let good = sealed(&keyring, &place(3, 0), "oauth/calendar");
    assert_eq!(verdict(&ledger, &keyring, &good), "fileable");
    assert_eq!(verdict(&ledger, &keyring, &sealed(&keyring, &place(3, 1), "other")), "not allowed");
    assert_eq!(verdict(&ledger, &keyring, &sealed(&keyring, &place(5, 0), "other")), "not allowed");
    ledger.done(&place(3, 0));
    assert_eq!(verdict(&ledger, &keyring, &good), "done", "a node that shows it again");
    let again = Ledger::decode(&ledger.encode()).unwrap();
    assert_eq!(verdict(&again, &keyring, &good), "done");
    assert_eq!(verdict(&again, &keyring, &sealed(&keyring, &place(3, 1), "oauth/mail")), "fileable");
}

#[test]
fn forged_items_are_told_from_good_ones() {
    let rng = &mut StdRng::seed_from_u64(2);
    let (keyring, stranger) = (Keyring::generate(rng), Keyring::generate(rng));
    let mut ledger = Ledger::default();
    ledger.grant(grant(&keyring, 3, &["name"])).unwrap();
    ledger.grant(grant(&keyring, 4, &["name"])).unwrap();
    let item = |key: &UnlockKey, place: &InboxPlace| {
        let item = InboxItem { name: "name".to_owned(), value: Zeroizing::new(b"x".to_vec()) };
        item.seal(place, &keyring.inbox.public(), key, &mut rand::rng()).unwrap()
    };
    // whoever holds the inbox's public key, and no unlock's
    let made_up = UnlockKey::generate(rng);
    assert_eq!(verdict(&ledger, &keyring, &item(&made_up, &place(3, 0))), "forged");
    // another unlock's cell, in the name of this one
    let other = UnlockKey::from(keyring.inbox_mac_key(unlock(4)));
    assert_eq!(verdict(&ledger, &keyring, &item(&other, &place(3, 0))), "forged");
    assert_eq!(verdict(&ledger, &keyring, &item(&other, &place(4, 0))), "fileable");
    // no MAC at all, another vault's, another tenant's, a stranger's
    let good = sealed(&keyring, &place(3, 0), "name");
    assert_eq!(verdict(&ledger, &keyring, &good[..good.len() - 32]), "forged");
    for elsewhere in [
        InboxPlace { vault: VaultId::from_bytes([8; 16]), ..place(3, 0) },
        InboxPlace { tenant: TenantId::from_bytes([8; 16]), ..place(3, 0) },
    ] {
        assert_eq!(verdict(&ledger, &keyring, &sealed(&keyring, &elsewhere, "name")), "forged");
    }
    assert_eq!(verdict(&ledger, &keyring, &sealed(&stranger, &place(3, 0), "name")), "forged");
    assert_eq!(verdict(&ledger, &keyring, b""), "forged");
}

#[test]
fn what_is_older_than_what_was_filed_under_its_name_is_late() {
    let keyring = Keyring::generate(&mut StdRng::seed_from_u64(6));
    let mut ledger = Ledger::default();
    for unlock in [3, 4] {
        ledger.grant(grant(&keyring, unlock, &["a", "b"])).unwrap();
    }
    let of = |ledger: &Ledger, unlock, sequence, name: &str| {
        verdict(ledger, &keyring, &sealed(&keyring, &place(unlock, sequence), name))
    };
    // a node showed the second value alone, and shows the first one now
    ledger.filed(&place(3, 1), "a");
    assert_eq!((of(&ledger, 3, 0, "a"), of(&ledger, 3, 1, "a")), ("late", "done"));
    assert_eq!((of(&ledger, 3, 0, "b"), of(&ledger, 3, 2, "a")), ("fileable", "fileable"));
    // one of an earlier unlock, after one of a later
    ledger.filed(&place(4, 0), "b");
    let ledger = Ledger::decode(&ledger.encode()).unwrap();
    assert_eq!((of(&ledger, 3, 5, "b"), of(&ledger, 4, 1, "b")), ("late", "fileable"));
    assert_eq!(of(&ledger, 4, 1, "a"), "fileable", "of a later unlock");
}

#[test]
fn a_ledger_that_grows_by_what_it_remembers_stays_within_an_object() {
    let keyring = Keyring::generate(&mut StdRng::seed_from_u64(7));
    let mut ledger = Ledger::default();
    let long: Vec<String> = (0..MAX_WRITES).map(|n| format!("{n:0>255}")).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    let mut forgotten = Vec::new();
    for n in 0..10 {
        forgotten.extend(ledger.grant(grant(&keyring, n, &long)).unwrap());
    }
    assert_eq!(forgotten.first(), Some(&unlock(0)), "which were forgotten is said");
    let granted: Vec<UnlockId> = ledger.granted().iter().map(|granted| granted.unlock).collect();
    for unlock in granted {
        for sequence in 0..256 {
            let InboxPlace { tenant, vault, .. } = place(0, 0);
            ledger.done(&InboxPlace { tenant, vault, unlock, sequence: sequence * 2 + 1 });
        }
    }
    assert!(ledger.encode().len() > MAX_PLAINTEXT, "else this shows nothing");
    ledger.trim();
    assert!(ledger.encode().len() <= MAX_PLAINTEXT);
    assert_eq!(ledger.granted().last().unwrap().unlock, unlock(9));
}

#[test]
fn what_was_sealed_before_a_rekeying_is_named_as_lost() {
    let rng = &mut StdRng::seed_from_u64(3);
    let keyring = Keyring::generate(rng);
    let mut ledger = Ledger::default();
    ledger.grant(grant(&keyring, 3, &["name"])).unwrap();
    let before = sealed(&keyring, &place(3, 0), "name");
    let signing = crate::sign::SigningKey::generate(rng);
    let rekeyed = keyring.rekeyed(signing, rng);
    assert_eq!(verdict(&ledger, &rekeyed, &before), "lost");
    let signing = crate::sign::SigningKey::generate(rng);
    assert_eq!(
        verdict(&ledger, &keyring.rewrapped(signing), &before),
        "fileable",
        "rewrapping keeps the inbox"
    );
}

#[test]
fn items_may_be_done_with_in_any_order() {
    let keyring = Keyring::generate(&mut StdRng::seed_from_u64(4));
    let mut ledger = Ledger::default();
    ledger.grant(grant(&keyring, 3, &["name"])).unwrap();
    let is_done =
        |ledger: &Ledger, n| verdict(ledger, &keyring, &sealed(&keyring, &place(3, n), "name")) == "done";
    for sequence in [4, 1, 1, 0] {
        ledger.done(&place(3, sequence));
    }
    let done: Vec<u64> = (0..7).filter(|n| is_done(&ledger, *n)).collect();
    assert_eq!(done, [0, 1, 4]);
    let ledger = Ledger::decode(&ledger.encode()).unwrap();
    assert_eq!((0..7).filter(|n| is_done(&ledger, *n)).count(), 3);
    // gaps do not add up for ever
    let mut ledger = ledger;
    for sequence in 0..2_000 {
        ledger.done(&place(3, sequence * 2 + 10));
    }
    assert!(ledger.encode().len() < 3_000);
    assert!(is_done(&ledger, 4_008) && is_done(&ledger, 11), "what was passed over for so long is given up");
    assert!(!is_done(&ledger, 4_009));
}

#[test]
fn the_ledger_is_bounded_and_forgets_the_oldest() {
    let keyring = Keyring::generate(&mut StdRng::seed_from_u64(5));
    let mut ledger = Ledger::default();
    let too_many: Vec<String> = (0..=MAX_WRITES).map(|n| n.to_string()).collect();
    let too_many: Vec<&str> = too_many.iter().map(String::as_str).collect();
    for names in [too_many.as_slice(), &[]] {
        let refused = ledger.grant(grant(&keyring, 1, names));
        assert!(matches!(refused, Err(CryptoError::OutOfRange { .. })));
    }
    for n in 0..=u8::try_from(MAX_GRANTS).unwrap() {
        ledger.grant(grant(&keyring, n, &["name"])).unwrap();
    }
    assert_eq!((ledger.granted().len(), ledger.granted()[0].unlock), (MAX_GRANTS, unlock(1)));
    let long: Vec<String> = (0..MAX_WRITES).map(|n| format!("{n:0>255}")).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    for n in 100..120 {
        ledger.grant(grant(&keyring, n, &long)).unwrap();
    }
    assert!(ledger.encode().len() <= MAX_PLAINTEXT);
    assert_eq!(ledger.granted().last().unwrap().unlock, unlock(119));
    let bytes = ledger.encode();
    for len in (0..bytes.len()).step_by(97) {
        assert!(Ledger::decode(&bytes[..len]).is_err());
    }
}
