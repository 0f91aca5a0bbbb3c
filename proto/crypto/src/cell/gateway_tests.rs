//! Whose gateway tokens a cell takes: of keys that its host states to it now, and of its own container.
#![allow(clippy::unwrap_used)]

use ocmt_types::{ContainerId, Id as _, SessionId, TenantId, Timestamp, UserId};
use rand::{SeedableRng as _, rngs::StdRng};

use crate::{
    gateway_token::{self, GatewayClaims, GatewayKeys},
    sign::SigningKey,
    testing::assert_brittle,
};

use super::{CellPlace, GatewayAuthority, STATED_KEYS_MS, StartSecret};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn place() -> CellPlace {
    CellPlace {
        tenant: TenantId::from_bytes([1; 16]),
        container: ContainerId::from_bytes([2; 16]),
        generation: 3,
    }
}

fn authority(seed: u64, place: CellPlace) -> GatewayAuthority {
    let start = StartSecret::generate(&mut StdRng::seed_from_u64(seed));
    GatewayAuthority::of(&start, place).unwrap()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn only(seed: u8) -> GatewayKeys {
    GatewayKeys { current: key(seed).verify_key(), previous: None }
}

fn claims() -> GatewayClaims {
    GatewayClaims {
        container: place().container,
        tenant: place().tenant,
        user: UserId::from_bytes([4; 16]),
        session: SessionId::from_bytes([5; 16]),
        issued_at: NOW,
        expires_at: Timestamp(NOW.0 + 600_000),
    }
}

fn token(claims: &GatewayClaims, seed: u8) -> String {
    gateway_token::issue(claims, &key(seed), &mut rand::rng()).unwrap()
}

#[test]
fn a_cell_takes_a_token_of_a_key_that_its_host_states_and_no_other() {
    let cell = authority(1, place());
    let (stated, good) = (cell.state(&only(7), NOW), token(&claims(), 7));
    assert_eq!(cell.admit(&stated, &good, NOW), Ok(claims()));
    assert_brittle(&stated, |stated| cell.admit(stated, &good, NOW).is_ok());
    assert!(cell.admit(&stated, &token(&claims(), 8), NOW).is_err(), "a key that nobody stated");
    assert!(cell.admit(&stated, &good, claims().expires_at).is_err(), "over");
    assert!(cell.admit(&[], &good, NOW).is_err());
    assert!(cell.admit(&[0; 4096], &good, NOW).is_err());
}

#[test]
fn what_is_stated_to_one_cell_or_start_is_nothing_to_another() {
    let (cell, good) = (authority(1, place()), token(&claims(), 7));
    let others = [
        authority(2, place()),
        authority(1, CellPlace { tenant: TenantId::from_bytes([9; 16]), ..place() }),
        authority(1, CellPlace { container: ContainerId::from_bytes([9; 16]), ..place() }),
        authority(1, CellPlace { generation: 4, ..place() }),
    ];
    for other in others {
        assert!(cell.admit(&other.state(&only(7), NOW), &good, NOW).is_err());
    }
}

#[test]
fn a_token_of_another_container_or_tenant_is_refused() {
    let cell = authority(1, place());
    let stated = cell.state(&only(7), NOW);
    let elsewhere = GatewayClaims { container: ContainerId::from_bytes([9; 16]), ..claims() };
    let anothers = GatewayClaims { tenant: TenantId::from_bytes([9; 16]), ..claims() };
    for other in [elsewhere, anothers] {
        assert!(cell.admit(&stated, &token(&other, 7), NOW).is_err());
    }
}

#[test]
fn the_key_before_is_taken_within_its_window_alone() {
    let (cell, until) = (authority(1, place()), Timestamp(NOW.0 + 30_000));
    let keys = GatewayKeys { current: key(8).verify_key(), previous: Some((key(7).verify_key(), until)) };
    let (stated, old, new) = (cell.state(&keys, NOW), token(&claims(), 7), token(&claims(), 8));
    for (at, taken) in [(NOW.0, true), (until.0 - 1, true), (until.0, false)] {
        assert_eq!(cell.admit(&stated, &old, Timestamp(at)).is_ok(), taken, "{at}");
        assert!(cell.admit(&stated, &new, Timestamp(at)).is_ok());
    }
}

#[test]
fn keys_that_were_stated_are_believed_for_a_minute() {
    let cell = authority(1, place());
    let (stated, good) = (cell.state(&only(7), NOW), token(&claims(), 7));
    let minute = i64::try_from(STATED_KEYS_MS).unwrap();
    for (at, believed) in [(minute, true), (minute + 1, false)] {
        assert_eq!(cell.admit(&stated, &good, Timestamp(NOW.0 + at)).is_ok(), believed);
    }
    let ahead = cell.state(&only(7), Timestamp(NOW.0 + minute + 1));
    assert!(cell.admit(&ahead, &good, NOW).is_err(), "from a time that is not yet");
}
