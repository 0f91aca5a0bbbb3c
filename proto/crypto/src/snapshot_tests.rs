//! What a snapshot refuses, and whose key opens what.
#![allow(clippy::unwrap_used)]

use ocmt_types::{ContainerId, Id as _, NodeId, Timestamp, VaultId};
use rand::{SeedableRng as _, rngs::StdRng};

use super::*;
use crate::{
    cell::{CellKey, CellKeyOffer, CellKeyStatement, ExpectedCell, StartSecret},
    sign::SigningKey,
    testing::assert_brittle,
    unlock::test_payload::payload,
};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn of(snapshot: u8) -> SnapshotPlace {
    SnapshotPlace { tenant: TenantId::from_bytes([1; 16]), snapshot: SnapshotId::from_bytes([snapshot; 16]) }
}

/// Three full chunks and a short last one.
fn snapshot(id: u8, key: &DataKey) -> Vec<Vec<u8>> {
    let mut rng = StdRng::seed_from_u64(u64::from(id));
    let mut sealer = ChunkSealer::new(of(id), key);
    let mut chunks: Vec<_> = (0..3).map(|n| sealer.seal(&vec![n; CHUNK], false, &mut rng).unwrap()).collect();
    chunks.push(sealer.seal(b"the end", true, &mut rng).unwrap());
    assert!(sealer.seal(b"more", true, &mut rng).is_err(), "nothing follows the last");
    chunks
}

/// What a reader makes of chunks: what it read, if the last one was there.
fn read(id: u8, key: &DataKey, chunks: &[&Vec<u8>]) -> Result<Vec<u8>> {
    let mut opener = ChunkOpener::new(of(id), key);
    let mut all = Vec::new();
    for chunk in chunks {
        all.extend_from_slice(&opener.open(chunk)?);
    }
    if opener.is_finished() { Ok(all) } else { Err(CryptoError::Refused) }
}

#[test]
fn chunks_are_read_back_in_their_order_and_in_no_other() {
    let key = DataKey::from_bytes([7; 32]);
    let chunks = snapshot(1, &key);
    let [a, b, c, d] = [&chunks[0], &chunks[1], &chunks[2], &chunks[3]];
    let all = read(1, &key, &[a, b, c, d]).unwrap();
    assert_eq!((all.len(), &all[3 * CHUNK..]), (3 * CHUNK + 7, b"the end".as_slice()));
    for (what, wrong) in [
        ("swapped", vec![b, a, c, d]),
        ("left out", vec![a, c, d]),
        ("the first left out", vec![b, c, d]),
        ("doubled", vec![a, a, b, c, d]),
        ("cut off", vec![a, b, c]),
        ("nothing", vec![]),
        ("added to", vec![a, b, c, d, d]),
        ("the end too early", vec![a, b, d]),
    ] {
        assert!(read(1, &key, &wrong).is_err(), "{what}");
    }
}

#[test]
fn chunks_of_two_snapshots_do_not_mix_even_under_one_key() {
    let key = DataKey::from_bytes([7; 32]);
    let (one, two) = (snapshot(1, &key), snapshot(2, &key));
    assert!(read(1, &key, &[&one[0], &two[1], &one[2], &one[3]]).is_err());
    assert!(read(2, &key, &one.iter().collect::<Vec<_>>()).is_err(), "one passed off as another");
    let other = SnapshotPlace { tenant: TenantId::from_bytes([9; 16]), ..of(1) };
    assert!(ChunkOpener::new(other, &key).open(&one[0]).is_err(), "another tenant's");
    assert!(ChunkOpener::new(of(1), &DataKey::from_bytes([8; 32])).open(&one[0]).is_err(), "another key");
}

#[test]
fn no_bit_of_a_chunk_can_be_changed() {
    let key = DataKey::from_bytes([7; 32]);
    let sealed = ChunkSealer::new(of(1), &key).seal(b"short", true, &mut StdRng::seed_from_u64(3)).unwrap();
    assert_brittle(&sealed, |bytes| ChunkOpener::new(of(1), &key).open(bytes).is_ok());
}

#[test]
fn a_chunk_but_the_last_is_full_and_a_full_one_can_be_the_last() {
    let (key, rng) = (DataKey::from_bytes([7; 32]), &mut StdRng::seed_from_u64(4));
    let mut sealer = ChunkSealer::new(of(1), &key);
    assert!(sealer.seal(b"short", false, rng).is_err());
    assert!(sealer.seal(&vec![0; CHUNK + 1], true, rng).is_err());
    let full = sealer.seal(&vec![5; CHUNK], true, rng).unwrap();
    assert_eq!(full.len(), MAX_SEALED_CHUNK);
    assert_eq!(read(1, &key, &[&full]).unwrap(), vec![5; CHUNK]);
    let empty = ChunkSealer::new(of(1), &key).seal(b"", true, rng).unwrap();
    assert_eq!(read(1, &key, &[&empty]).unwrap(), b"");
}

/// A cell as its client sees it.
fn cell(rng: &mut StdRng) -> (CellKey, CellKeyStatement) {
    let cell = CellKey::generate(place(), [6; 32], rng);
    let stated = stated_of(&cell, rng);
    (cell, stated)
}

fn place() -> CellPlace {
    CellPlace {
        tenant: TenantId::from_bytes([1; 16]),
        container: ContainerId::from_bytes([2; 16]),
        generation: 3,
    }
}

/// What its host says of it now.
fn stated_of(cell: &CellKey, rng: &mut StdRng) -> CellKeyStatement {
    let (start, host) = (StartSecret::generate(rng), SigningKey::generate(rng));
    stated(&cell.offer(&start, NOW).unwrap(), &start, &host)
}

fn stated(offer: &[u8], start: &StartSecret, host: &SigningKey) -> CellKeyStatement {
    let (place, node) = (place(), NodeId::from_bytes([5; 16]));
    let offer = CellKeyOffer::open(offer, start, &place, NOW).unwrap();
    let stated = CellKeyStatement::sign(&offer, node, host);
    let expected = ExpectedCell { tenant: place.tenant, container: place.container, node, now: NOW };
    CellKeyStatement::verify(&stated, &host.verify_key(), &expected).unwrap()
}

fn sealed(errand: Errand, to: &CellKeyStatement, rng: &mut StdRng) -> Vec<u8> {
    let payload = SnapshotPayload { errand, snapshot: of(1).snapshot, key: DataKey::from_bytes([7; 32]) };
    payload.seal(to, rng).unwrap()
}

#[test]
fn a_cell_takes_one_payload_and_says_what_it_is_for() {
    let mut rng = StdRng::seed_from_u64(5);
    for errand in [Errand::Take, Errand::Restore, Errand::Verify] {
        let (cell, stated) = cell(&mut rng);
        let bytes = sealed(errand, &stated, &mut rng);
        let taken = cell.snapshot(&bytes).unwrap();
        assert_eq!((taken.errand, taken.snapshot), (errand, of(1).snapshot));
        assert_eq!(taken.key.expose(), &[7; 32]);
    }
    let (_, stated) = cell(&mut rng);
    let (other, _) = cell(&mut rng);
    assert!(other.snapshot(&sealed(Errand::Take, &stated, &mut rng)).is_err(), "of another start");
}

#[test]
fn no_bit_of_a_payload_can_be_changed() {
    let mut rng = StdRng::seed_from_u64(9);
    let (secret, start, host) =
        (SealSecretKey::generate(&mut rng), StartSecret::generate(&mut rng), SigningKey::generate(&mut rng));
    let expires = Timestamp(NOW.0 + 60_000);
    let offer =
        CellKeyOffer { place: place(), boot_nonce: [6; 32], expires, key: secret.public(), unlock: None };
    let bytes = sealed(Errand::Verify, &stated(&offer.seal(&start).unwrap(), &start, &host), &mut rng);
    assert_brittle(&bytes, |bytes| SnapshotPayload::open(&place(), &[6; 32], &secret, bytes).is_ok());
}

/// A cell that was unlocked runs something, which would read the key beside it.
#[test]
fn no_key_is_sealed_to_a_cell_that_was_unlocked() {
    let mut rng = StdRng::seed_from_u64(8);
    let (mut cell, stated) = cell(&mut rng);
    cell.unlock(&payload(7).seal(&stated, &mut rng).unwrap()).unwrap();
    let stated = stated_of(&cell, &mut rng);
    let payload =
        SnapshotPayload { errand: Errand::Take, snapshot: of(1).snapshot, key: DataKey::from_bytes([7; 32]) };
    assert_eq!(payload.seal(&stated, &mut rng).err(), Some(CryptoError::Refused));
}

/// Whoever carries the one cannot hand it over as the other.
#[test]
fn an_unlock_is_no_snapshot_and_a_snapshot_no_unlock() {
    let mut rng = StdRng::seed_from_u64(6);
    let (one, stated) = cell(&mut rng);
    let unlock = payload(7).seal(&stated, &mut rng).unwrap();
    assert!(one.snapshot(&unlock).is_err());
    let (mut one, stated) = cell(&mut rng);
    let bytes = sealed(Errand::Take, &stated, &mut rng);
    assert!(one.unlock(&bytes).is_err());
}

#[test]
fn a_snapshots_key_opens_for_its_snapshot_vault_and_version_alone() {
    let rng = &mut StdRng::seed_from_u64(7);
    let scope = VaultScope { tenant: TenantId::from_bytes([1; 16]), vault: VaultId::from_bytes([2; 16]) };
    let (volume, key) = (DataKey::generate(rng), DataKey::generate(rng));
    let wrapped = wrap_key((3, &volume), scope, of(1).snapshot, &key, rng).unwrap();
    assert_eq!((wrapped.len(), envelope::parse(&wrapped).unwrap().key_epoch), (72, 3));
    let opens = |version, volume: &DataKey, scope, snapshot: u8| {
        unwrap_key((version, volume), scope, of(snapshot).snapshot, &wrapped).is_ok()
    };
    assert!(opens(3, &volume, scope, 1));
    assert!(!opens(4, &volume, scope, 1) && !opens(3, &key, scope, 1) && !opens(3, &volume, scope, 2));
    assert!(!opens(3, &volume, VaultScope { vault: VaultId::from_bytes([9; 16]), ..scope }, 1));
    assert_brittle(&wrapped, |bytes| unwrap_key((3, &volume), scope, of(1).snapshot, bytes).is_ok());
}

#[test]
fn a_frame_says_what_it_is_and_is_never_longer_than_a_chunk() {
    for frame in Frame::ALL {
        assert_eq!(Frame::read_head(frame.head(513).unwrap()), Ok((frame, 513)));
    }
    assert!(Frame::Chunk.head(MAX_SEALED_CHUNK).is_ok() && Frame::Chunk.head(MAX_SEALED_CHUNK + 1).is_err());
    assert!(Frame::read_head([b'C', 0xff, 0xff, 0xff, 0xff]).is_err(), "4 GiB");
    assert!(Frame::read_head([b'X', 0, 0, 0, 1]).is_err());
}
