#![allow(clippy::unwrap_used, clippy::expect_used)]
use ocmt_types::{Id as _, VaultId};
use rand::{SeedableRng as _, rngs::StdRng};

use super::*;
use crate::testing::assert_brittle;

fn place() -> CellPlace {
    CellPlace {
        tenant: TenantId::from_bytes([1; 16]),
        container: ContainerId::from_bytes([2; 16]),
        generation: 3,
    }
}

fn scope() -> VaultScope {
    VaultScope { tenant: place().tenant, vault: VaultId::from_bytes([3; 16]) }
}

fn snapshot() -> SnapshotId {
    SnapshotId::from_bytes([4; 16])
}

fn key(version: u64, volume_key: u8) -> ScheduleKey {
    ScheduleKey::of((version, &DataKey::from_bytes([volume_key; 32])), scope(), place().container).unwrap()
}

fn schedule() -> Schedule {
    Schedule {
        tenant: place().tenant,
        user: UserId::from_bytes([5; 16]),
        container: place().container,
        number: 1_700_000_000_000,
        cron: "0 3 * * *".to_owned(),
        time_zone: "Europe/Vienna".to_owned(),
        keep: 7,
        key: key(2, 9).public(),
        key_version: 2,
    }
}

fn identities() -> (SigningKey, SigningKey) {
    let rng = &mut StdRng::seed_from_u64(1);
    (SigningKey::generate(rng), SigningKey::generate(rng))
}

#[test]
fn a_schedule_is_of_its_signer_to_the_last_bit() {
    let (identity, other) = identities();
    let signed = schedule().sign(&identity).unwrap();
    assert_eq!(Schedule::verify(&signed, &identity.verify_key()), Ok(schedule()));
    assert!(Schedule::verify(&signed, &other.verify_key()).is_err());
    assert_brittle(&signed, |bytes| Schedule::verify(bytes, &identity.verify_key()).is_ok());
}

#[test]
fn a_schedule_is_signed_and_taken_within_its_bounds_alone() {
    let (identity, _) = identities();
    let longest = Schedule {
        cron: "*".repeat(MAX_CRON),
        time_zone: "z".repeat(MAX_TIME_ZONE),
        keep: MOST_KEPT,
        ..schedule()
    };
    assert_eq!(longest.sign(&identity).unwrap().len(), MAX_SCHEDULE);
    for (what, wrong) in [
        ("no times", Schedule { cron: String::new(), ..schedule() }),
        ("times too long", Schedule { cron: "*".repeat(MAX_CRON + 1), ..schedule() }),
        ("no zone", Schedule { time_zone: String::new(), ..schedule() }),
        ("a zone too long", Schedule { time_zone: "z".repeat(MAX_TIME_ZONE + 1), ..schedule() }),
        ("none kept", Schedule { keep: 0, ..schedule() }),
        ("too many kept", Schedule { keep: MOST_KEPT + 1, ..schedule() }),
        ("no number", Schedule { number: 0, ..schedule() }),
        ("no version", Schedule { key_version: 0, ..schedule() }),
    ] {
        assert!(wrong.sign(&identity).is_err(), "{what}");
    }
    // below a good signature too: keep is 42 bytes before the end of the body
    let signed = schedule().sign(&identity).unwrap();
    let mut body = signed[..signed.len() - SIGNATURE].to_vec();
    let keep = body.len() - 42;
    assert_eq!(body[keep..keep + 2], [0, 7]);
    body[keep + 1] = 0;
    let signature = identity.sign(SCHEDULE, &body);
    body.extend_from_slice(&signature.0);
    assert!(Schedule::verify(&body, &identity.verify_key()).is_err());
}

fn order(start: &StartSecret, place: &CellPlace, schedule: &Schedule, by: &SigningKey) -> Vec<u8> {
    let (signed, vouched) = (schedule.sign(by).unwrap(), by.verify_key());
    ScheduleOrder::state(start, place, snapshot(), &vouched, &signed).unwrap()
}

#[test]
fn a_cell_takes_what_its_host_states_to_it_and_nothing_else() {
    let (identity, other) = identities();
    let rng = &mut StdRng::seed_from_u64(2);
    let (start, other_start) = (StartSecret::generate(rng), StartSecret::generate(rng));
    let good = order(&start, &place(), &schedule(), &identity);
    let taken = ScheduleOrder::admit(&good, &start, &place()).unwrap();
    assert_eq!(taken, ScheduleOrder { snapshot: snapshot(), schedule: schedule() });
    assert!(good.len() <= MAX_ORDER && good.len() <= crate::snapshot::MAX_PAYLOAD);
    assert_brittle(&good, |bytes| ScheduleOrder::admit(bytes, &start, &place()).is_ok());

    let admits = |bytes: &[u8]| ScheduleOrder::admit(bytes, &start, &place()).is_ok();
    assert!(!admits(&order(&other_start, &place(), &schedule(), &identity)), "another cell's host");
    let before = CellPlace { generation: 2, ..place() };
    assert!(!admits(&order(&start, &before, &schedule(), &identity)), "an earlier making");
    let elsewhere = Schedule { container: ContainerId::from_bytes([8; 16]), ..schedule() };
    assert!(!admits(&order(&start, &place(), &elsewhere, &identity)), "of another container");
    let foreign = Schedule { tenant: TenantId::from_bytes([8; 16]), ..schedule() };
    assert!(!admits(&order(&start, &place(), &foreign, &identity)), "of another tenant");
    // the host vouches for one identity, and another one has signed
    let signed = schedule().sign(&other).unwrap();
    let forged = ScheduleOrder::state(&start, &place(), snapshot(), &identity.verify_key(), &signed).unwrap();
    assert!(!admits(&forged), "signed by another");
}

#[test]
fn the_key_of_a_snapshot_opens_for_its_container_snapshot_and_version_alone() {
    let rng = &mut StdRng::seed_from_u64(3);
    let data_key = DataKey::generate(rng);
    let sealed = schedule().seal_key(snapshot(), &data_key, rng).unwrap();
    assert_eq!((sealed.len(), sealed_key_version(&sealed)), (SEALED_KEY_LEN, Ok(2)));
    assert_eq!(key(2, 9).open(snapshot(), &sealed).unwrap().expose(), data_key.expose());
    assert_brittle(&sealed, |bytes| key(2, 9).open(snapshot(), bytes).is_ok());
    assert!(key(3, 9).open(snapshot(), &sealed).is_err(), "another version");
    assert!(key(2, 8).open(snapshot(), &sealed).is_err(), "another volume key");
    assert!(key(2, 9).open(SnapshotId::from_bytes([8; 16]), &sealed).is_err(), "another snapshot");
    let of =
        |scope, container| ScheduleKey::of((2, &DataKey::from_bytes([9; 32])), scope, container).unwrap();
    let vault = VaultScope { vault: VaultId::from_bytes([8; 16]), ..scope() };
    for other in [of(scope(), ContainerId::from_bytes([8; 16])), of(vault, place().container)] {
        assert_ne!(other.public(), schedule().key);
        assert!(other.open(snapshot(), &sealed).is_err());
    }
}

#[test]
fn nothing_is_sealed_to_a_key_that_anybody_could_open() {
    let rng = &mut StdRng::seed_from_u64(4);
    let weak = Schedule { key: SealPublicKey([0; 32]), ..schedule() };
    assert!(weak.seal_key(snapshot(), &DataKey::from_bytes([7; 32]), rng).is_err());
}

fn taken() -> Taken {
    Taken {
        tenant: place().tenant,
        container: place().container,
        generation: 3,
        snapshot: snapshot(),
        size: 4711,
        content_hash: Digest32([6; 32]),
        sealed_key_hash: sealed_key_hash(b"a sealed key"),
        taken_at: Timestamp(1_700_000_000_000),
        node: NodeId::from_bytes([7; 16]),
    }
}

/// Whoever has the public key alone can seal a key of their own: what they cannot do is sign as the host.
#[test]
fn what_was_taken_is_of_its_host_to_the_last_bit() {
    let (host, other) = identities();
    let signed = taken().sign_by(|purpose, message| host.sign(purpose, message));
    assert_eq!((signed.len(), Taken::claimed_node(&signed)), (TAKEN_LEN, Ok(taken().node)));
    assert_eq!(Taken::verify(&signed, &host.verify_key()), Ok(taken()));
    assert_brittle(&signed, |bytes| Taken::verify(bytes, &host.verify_key()).is_ok());
    let forged = taken().sign_by(|purpose, message| other.sign(purpose, message));
    assert!(Taken::verify(&forged, &host.verify_key()).is_err());
    // a signature of the same key for something else
    let signed = taken().sign_by(|_, message| host.sign(SCHEDULE, message));
    assert!(Taken::verify(&signed, &host.verify_key()).is_err());
}
