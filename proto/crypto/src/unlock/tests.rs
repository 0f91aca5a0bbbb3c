//! Bounds of the payload, extensions of the lease, the inbox.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use ocmt_types::{ContainerId, ConversationId, Id as _, TenantId, Timestamp, UnlockId, VaultId};
use rand::{SeedableRng as _, rngs::StdRng};
use zeroize::Zeroizing;

use crate::{
    CryptoError,
    cell::CellPlace,
    datakey::DataKey,
    seal::{self, SealSecretKey},
    testing::assert_brittle,
};

use super::{
    ConversationKey, InboxItem, InboxPlace, Lease, LeaseExtension, MAX_CONVERSATIONS, MAX_ENTRIES,
    MAX_INBOX_NAME, MAX_INBOX_VALUE, MAX_LEASE_MS, MAX_WRITES, MIN_LEASE_MS, UnlockKey, UnlockPayload,
    payload::info,
    test_payload::{entry, payload},
};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn place() -> CellPlace {
    CellPlace {
        tenant: TenantId::from_bytes([1; 16]),
        container: ContainerId::from_bytes([2; 16]),
        generation: 3,
    }
}

#[test]
fn payloads_past_a_bound_are_refused_on_both_sides() {
    let mut rng = StdRng::seed_from_u64(1);
    let key = SealSecretKey::generate(&mut rng);
    let conversation = |n: u16| ConversationKey {
        conversation: ConversationId::from_bytes(
            [[0; 14].as_slice(), &n.to_be_bytes()].concat().try_into().unwrap(),
        ),
        key_epoch: 0,
        key: DataKey::from_bytes([0; 32]),
    };
    let many = u16::try_from(MAX_CONVERSATIONS).unwrap();
    let bad: [fn(&mut UnlockPayload); 8] = [
        |p| p.entries = (0..=MAX_ENTRIES).map(|n| entry(&format!("N{n}"))).collect(),
        |p| p.lease_ms = MIN_LEASE_MS - 1,
        |p| p.lease_ms = MAX_LEASE_MS + 1,
        |p| p.entries = vec![entry("SAME"), entry("SAME")],
        |p| p.entries = vec![entry("")],
        |p| p.entries = vec![entry("2ND")],
        |p| p.entries = vec![entry("A=B")],
        |p| p.entries = vec![entry(&"N".repeat(129))],
    ];
    let mut bad = bad.map(|spoil| {
        let mut payload = payload(1);
        spoil(&mut payload);
        payload
    });
    bad[0].conversations = (0..=many).map(conversation).collect();
    for payload in &bad {
        assert!(payload.check().is_err());
        // a client that does not check finds the cell checking
        let sealed =
            seal::seal(&key.public(), &info(&place(), &[6; 32]), b"", &payload.encode(), &mut rng).unwrap();
        assert_eq!(UnlockPayload::open(&place(), &[6; 32], &key, &sealed).err(), Some(CryptoError::Refused));
    }
    let mut most = payload(1);
    most.entries = (0..MAX_ENTRIES).map(|n| entry(&format!("N{n}"))).collect();
    most.conversations = (0..many).map(conversation).collect();
    most.check().unwrap();
}

#[test]
fn every_damaged_payload_is_refused() {
    let mut rng = StdRng::seed_from_u64(2);
    let key = SealSecretKey::generate(&mut rng);
    let mut small = payload(1);
    (small.entries, small.conversations) = (vec![], vec![]);
    let sealed =
        seal::seal(&key.public(), &info(&place(), &[6; 32]), b"", &small.encode(), &mut rng).unwrap();
    assert_brittle(&sealed, |bytes| UnlockPayload::open(&place(), &[6; 32], &key, bytes).is_ok());
    // below the seal, too, every prefix is refused and nothing panics
    let plain = payload(1).encode();
    for len in 0..plain.len() {
        assert!(UnlockPayload::decode(&plain[..len]).is_err());
    }
    assert!(UnlockPayload::decode(&plain).is_ok());
}

fn extension(serial: u64) -> LeaseExtension {
    LeaseExtension {
        unlock: UnlockId::from_bytes([1; 16]),
        serial,
        lease_ms: 5_000,
        expires: NOW + Duration::from_millis(60_000),
    }
}

#[test]
fn a_lease_is_extended_once_an_extension_and_only_while_it_runs() {
    let (key, other) = (UnlockKey::from_bytes([1; 32]), UnlockKey::from_bytes([2; 32]));
    let mut lease = Lease::begin(UnlockId::from_bytes([1; 16]), 10_000, NOW);
    let later = NOW + Duration::from_millis(9_000);
    let one = extension(1).seal(&key).unwrap();
    assert_eq!(lease.extend(&one, &key, later), Ok(later + Duration::from_millis(5_000)));
    assert_eq!(lease.extend(&one, &key, later), Err(CryptoError::Refused), "replayed");
    let two = extension(2).seal(&key).unwrap();
    lease.extend(&extension(3).seal(&key).unwrap(), &key, later).unwrap();
    assert_eq!(lease.extend(&two, &key, later), Err(CryptoError::Refused), "kept for later");
    let refuses = |extension: LeaseExtension, by: &UnlockKey, now| {
        lease.clone().extend(&extension.seal(by).unwrap(), &key, now).is_err()
    };
    assert!(!refuses(extension(4), &key, later));
    assert!(refuses(extension(4), &other, later), "another unlock's key");
    assert!(refuses(LeaseExtension { unlock: UnlockId::from_bytes([2; 16]), ..extension(4) }, &key, later));
    assert!(refuses(LeaseExtension { expires: later, ..extension(4) }, &key, later), "over");
    assert!(refuses(extension(4), &key, lease.ends()), "the lease has ended");
    assert!(LeaseExtension { lease_ms: MAX_LEASE_MS + 1, ..extension(4) }.seal(&key).is_err());
    let four = extension(4).seal(&key).unwrap();
    assert_brittle(&four, |bytes| lease.clone().extend(bytes, &key, later).is_ok());
}

#[test]
fn an_inbox_item_opens_for_its_vault_and_unlock_alone() {
    let mut rng = StdRng::seed_from_u64(3);
    let (inbox, key) = (SealSecretKey::generate(&mut rng), UnlockKey::generate(&mut rng));
    let place = InboxPlace {
        tenant: TenantId::from_bytes([1; 16]),
        vault: VaultId::from_bytes([2; 16]),
        unlock: UnlockId::from_bytes([3; 16]),
        sequence: 0,
    };
    let item = InboxItem { name: "oauth/calendar".into(), value: Zeroizing::new(b"token".to_vec()) };
    let sealed = item.seal(&place, &inbox.public(), &key, &mut rng).unwrap();
    assert_eq!(InboxPlace::claimed(&sealed), Ok(place));
    let opened = InboxItem::open(&sealed, &place, &inbox, &key).unwrap();
    assert_eq!((opened.name.as_str(), opened.value.as_slice()), ("oauth/calendar", b"token".as_slice()));
    for elsewhere in [
        InboxPlace { sequence: 1, ..place },
        InboxPlace { unlock: UnlockId::from_bytes([4; 16]), ..place },
        InboxPlace { vault: VaultId::from_bytes([4; 16]), ..place },
    ] {
        assert!(InboxItem::open(&sealed, &elsewhere, &inbox, &key).is_err());
    }
    // anyone can seal to the inbox; only this unlock's cell can make the MAC
    let forged = item.seal(&place, &inbox.public(), &UnlockKey::generate(&mut rng), &mut rng).unwrap();
    assert!(InboxItem::open(&forged, &place, &inbox, &key).is_err());
    assert_brittle(&sealed, |bytes| InboxItem::open(bytes, &place, &inbox, &key).is_ok());
    for (name, value) in [(MAX_INBOX_NAME + 1, 0), (0, MAX_INBOX_VALUE + 1)] {
        let item = InboxItem { name: "n".repeat(name), value: Zeroizing::new(vec![0; value]) };
        assert!(matches!(
            item.seal(&place, &inbox.public(), &key, &mut rng),
            Err(CryptoError::TooLarge { .. })
        ));
    }
}

#[test]
fn names_that_the_cell_may_write_travel_in_the_payload_and_are_bounded() {
    let name = |n: usize| crate::entry::EntryName::new(&format!("name {n}")).unwrap();
    let mut writes = payload(1);
    let plain = writes.encode();
    writes.may_write = (0..MAX_WRITES).map(name).collect();
    let bytes = writes.encode();
    let read = UnlockPayload::decode(&bytes).unwrap();
    read.check().unwrap();
    assert!(read.may_write == writes.may_write);
    for len in 0..bytes.len() {
        assert!(UnlockPayload::decode(&bytes[..len]).is_err());
    }
    // one payload has one encoding: neither version passes for the other
    for (bytes, version) in [(&bytes, 1), (&plain, 2)] {
        let mut other = bytes.to_vec();
        other[5] = version;
        assert!(UnlockPayload::decode(&other).is_err());
    }
    assert!(UnlockPayload::decode(&[plain.as_slice(), &[0; 4]].concat()).is_err());
    let mut none = [plain.as_slice(), &[0; 4]].concat();
    none[5] = 2;
    assert!(UnlockPayload::decode(&none).is_err(), "no names is version 1");
    writes.may_write.push(name(MAX_WRITES));
    assert!(matches!(writes.check(), Err(CryptoError::TooLarge { .. })));
    writes.may_write = vec![name(1), name(1)];
    assert!(matches!(writes.check(), Err(CryptoError::Exists(_))));
}
