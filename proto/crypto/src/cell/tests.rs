//! Whose key a client believes, and what a cell takes once.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use ocmt_types::{ContainerId, Id as _, NodeId, TenantId, Timestamp, UnlockId};
use rand::{SeedableRng as _, rngs::StdRng};

use crate::{CryptoError, sign::SigningKey, testing::assert_brittle, unlock::test_payload::payload};

use super::{
    CellKey, CellKeyOffer, CellKeyStatement, CellPlace, ExpectedCell, MAX_OFFER_MS, OFFER_MS, StartSecret,
};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn place() -> CellPlace {
    CellPlace {
        tenant: TenantId::from_bytes([1; 16]),
        container: ContainerId::from_bytes([2; 16]),
        generation: 3,
    }
}

fn node() -> NodeId {
    NodeId::from_bytes([5; 16])
}

fn expected() -> ExpectedCell {
    ExpectedCell { tenant: place().tenant, container: place().container, node: node(), now: NOW }
}

/// A cell, its start secret, and the identity key of its host.
fn world(rng: &mut StdRng) -> (CellKey, StartSecret, SigningKey) {
    (CellKey::generate(place(), [6; 32], rng), StartSecret::generate(rng), SigningKey::generate(rng))
}

fn statement(cell: &CellKey, start: &StartSecret, host: &SigningKey) -> Vec<u8> {
    let offer = cell.offer(start, NOW).unwrap();
    let offer = CellKeyOffer::open(&offer, start, &place(), NOW).unwrap();
    CellKeyStatement::sign(&offer, node(), host)
}

#[test]
fn a_key_goes_from_cell_to_host_to_client() {
    let mut rng = StdRng::seed_from_u64(1);
    let (mut cell, start, host) = world(&mut rng);
    let stated = statement(&cell, &start, &host);
    assert_eq!(CellKeyStatement::claimed_node(&stated), Ok(node()));
    let verified = CellKeyStatement::verify(&stated, &host.verify_key(), &expected()).unwrap();
    assert_eq!((verified.key(), verified.place(), verified.unlock()), (&cell.public(), place(), None));

    let sent = payload(7);
    let taken = cell.unlock(&sent.seal(&verified, &mut rng).unwrap()).unwrap();
    assert_eq!(taken.unlock, sent.unlock);
    assert_eq!(taken.entries[0].name, sent.entries[0].name);
    assert_eq!(taken.entries[0].data_key.expose(), sent.entries[0].data_key.expose());
    assert_eq!(taken.unlock_key.expose(), sent.unlock_key.expose());

    // another client that attaches later learns of the unlock, and cannot seal a second payload
    let stated = statement(&cell, &start, &host);
    let later = CellKeyStatement::verify(&stated, &host.verify_key(), &expected()).unwrap();
    assert_eq!(later.unlock(), Some(sent.unlock));
    assert_eq!(payload(8).seal(&later, &mut rng).err(), Some(CryptoError::Refused));
}

#[test]
fn a_cell_takes_one_payload_and_a_replayed_one_opens_nothing() {
    let mut rng = StdRng::seed_from_u64(2);
    let (mut cell, start, host) = world(&mut rng);
    let stated = statement(&cell, &start, &host);
    let verified = CellKeyStatement::verify(&stated, &host.verify_key(), &expected()).unwrap();
    let (one, two) =
        (payload(1).seal(&verified, &mut rng).unwrap(), payload(2).seal(&verified, &mut rng).unwrap());
    cell.unlock(&one).unwrap();
    assert!(cell.unlock(&one).is_err(), "the same again");
    assert!(cell.unlock(&two).is_err(), "another while unlocked");
    assert_eq!(cell.unlocked(), Some(UnlockId::from_bytes([1; 16])));
    // locked, the cell makes another key: what was sealed to the old one is lost
    let mut relocked = CellKey::generate(place(), [6; 32], &mut rng);
    assert!(relocked.unlock(&one).is_err() && relocked.unlock(&two).is_err());
    assert_eq!(relocked.unlocked(), None);
}

/// The key is the same, the life of the container is not: the place is sealed in.
#[test]
fn a_payload_for_another_life_of_the_cell_is_refused() {
    let mut rng = StdRng::seed_from_u64(3);
    let (_, start, host) = world(&mut rng);
    for (generation, boot_nonce) in [(4, [6; 32]), (3, [7; 32])] {
        let seed = || StdRng::seed_from_u64(99);
        let cell = CellKey::generate(place(), [6; 32], &mut seed());
        let stated = statement(&cell, &start, &host);
        let verified = CellKeyStatement::verify(&stated, &host.verify_key(), &expected()).unwrap();
        let sealed = payload(1).seal(&verified, &mut rng).unwrap();
        let mut twin = CellKey::generate(CellPlace { generation, ..place() }, boot_nonce, &mut seed());
        assert!(twin.public() == cell.public() && twin.unlock(&sealed).is_err());
    }
}

#[test]
fn a_host_believes_only_the_cell_it_started() {
    let mut rng = StdRng::seed_from_u64(4);
    let (cell, start, _) = world(&mut rng);
    let offer = cell.offer(&start, NOW).unwrap();
    let opens =
        |start: &StartSecret, place: &CellPlace, now| CellKeyOffer::open(&offer, start, place, now).is_ok();
    assert!(opens(&start, &place(), NOW));
    assert!(!opens(&StartSecret::generate(&mut rng), &place(), NOW), "another start");
    assert!(!opens(&start, &CellPlace { generation: 4, ..place() }, NOW), "another generation");
    assert!(!opens(&start, &place(), NOW + Duration::from_millis(OFFER_MS)), "over");
    assert!(!opens(&start, &place(), NOW - Duration::from_millis(MAX_OFFER_MS)), "for too long");
    assert_brittle(&offer, |bytes| CellKeyOffer::open(bytes, &start, &place(), NOW).is_ok());
}

#[test]
fn a_client_believes_only_the_pinned_host_and_its_own_cell() {
    let mut rng = StdRng::seed_from_u64(5);
    let (cell, start, host) = world(&mut rng);
    let stated = statement(&cell, &start, &host);
    let verifies =
        |expected: ExpectedCell| CellKeyStatement::verify(&stated, &host.verify_key(), &expected).is_ok();
    assert!(verifies(expected()));
    assert!(!verifies(ExpectedCell { node: NodeId::from_bytes([9; 16]), ..expected() }), "another host");
    assert!(!verifies(ExpectedCell { tenant: TenantId::from_bytes([9; 16]), ..expected() }));
    assert!(!verifies(ExpectedCell { container: ContainerId::from_bytes([9; 16]), ..expected() }));
    assert!(!verifies(ExpectedCell { now: NOW + Duration::from_millis(OFFER_MS), ..expected() }), "over");
    let other = SigningKey::generate(&mut rng).verify_key();
    assert!(CellKeyStatement::verify(&stated, &other, &expected()).is_err(), "another node's key");
    assert_brittle(&stated, |bytes| CellKeyStatement::verify(bytes, &host.verify_key(), &expected()).is_ok());
}

#[test]
fn the_control_token_belongs_to_one_start() {
    let mut rng = StdRng::seed_from_u64(6);
    let (one, two) = (StartSecret::generate(&mut rng), StartSecret::generate(&mut rng));
    let token = one.control_token().unwrap();
    assert_eq!(token.expose().len(), 64);
    assert!(
        StartSecret::from_bytes(*one.expose()).control_token().unwrap().matches(token.expose().as_bytes())
    );
    assert!(!two.control_token().unwrap().matches(token.expose().as_bytes()));
    assert!(!token.matches(b"") && !token.matches(&token.expose().as_bytes()[..63]));
}
