//! A volume goes into a snapshot and comes back out of it; what was tampered with does not.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::Path,
    thread,
};

use ocmt_crypto::{
    cell::{CellKeyOffer, CellKeyStatement, ExpectedCell},
    datakey::{DataKey, VaultScope},
    seal::SealPublicKey,
    sign::SigningKey,
    snapshot::{CHUNK, SnapshotPayload},
    snapshot_schedule::{Schedule, ScheduleKey},
};
use ocmt_types::{ContainerId, Id as _, NodeId, TenantId, UserId, VaultId};

use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn place() -> CellPlace {
    CellPlace {
        tenant: TenantId::from_bytes([1; 16]),
        container: ContainerId::from_bytes([2; 16]),
        generation: 3,
    }
}

/// What a cell did: the frames it sent after its offer, and how it ended.
struct Done {
    frames: Vec<(Frame, Vec<u8>)>,
    ended: Result<(), ArchiveError>,
}

impl Done {
    fn chunks(&self) -> Vec<Vec<u8>> {
        let chunks = self.frames.iter().filter(|(frame, _)| *frame == Frame::Chunk);
        chunks.map(|(_, bytes)| bytes.clone()).collect()
    }

    fn last(&self) -> Frame {
        self.frames.last().unwrap().0
    }
}

/// Host and client of a cell that was started for `errand`, and is asked for `asked` with `chunks` to open.
fn with(errand: Errand, asked: Errand, snapshot: u8, volume: &Path, chunks: &[Vec<u8>]) -> Done {
    let rng = &mut rand::rng();
    let start = StartSecret::generate(rng);
    let (from_host, mut to_cell) = io::pipe().unwrap();
    let (mut from_cell, to_host) = io::pipe().unwrap();
    let (copy, at) = (StartSecret::from_bytes(*start.expose()), volume.to_owned());
    let cell =
        thread::spawn(move || run((place(), AskedBy::Client(errand)), &copy, NOW, &at, (from_host, to_host)));

    let (first, offer) = frames::read(&mut from_cell).unwrap();
    assert_eq!(first, Frame::Offer);
    let offer = CellKeyOffer::open(&offer, &start, &place(), NOW).unwrap();
    let (host, node) = (SigningKey::generate(rng), NodeId::from_bytes([5; 16]));
    let stated = CellKeyStatement::sign(&offer, node, &host);
    let expected = ExpectedCell { tenant: place().tenant, container: place().container, node, now: NOW };
    let cell_key = CellKeyStatement::verify(&stated, &host.verify_key(), &expected).unwrap();
    let key = DataKey::from_bytes([7; 32]);
    let payload = SnapshotPayload { errand: asked, snapshot: SnapshotId::from_bytes([snapshot; 16]), key };
    frames::write(&mut to_cell, Frame::Payload, &payload.seal(&cell_key, rng).unwrap()).unwrap();
    let chunks = chunks.to_vec();
    let feeder = thread::spawn(move || {
        for chunk in chunks {
            // a cell that has refused one hears no more
            if frames::write(&mut to_cell, Frame::Chunk, &chunk).is_err() {
                break;
            }
        }
    });
    let mut frames = Vec::new();
    while let Ok(frame) = frames::read(&mut from_cell) {
        frames.push(frame);
    }
    feeder.join().unwrap();
    Done { frames, ended: cell.join().unwrap() }
}

fn take(volume: &Path) -> Vec<Vec<u8>> {
    let done = with(Errand::Take, Errand::Take, 1, volume, &[]);
    done.ended.as_ref().unwrap();
    assert_eq!(done.last(), Frame::Done);
    done.chunks()
}

fn restore(chunks: &[Vec<u8>]) -> (tempfile::TempDir, Done) {
    let volume = tempfile::tempdir().unwrap();
    let done = with(Errand::Restore, Errand::Restore, 1, volume.path(), chunks);
    (volume, done)
}

/// A volume with something of everything, of four chunks.
fn volume() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("closed/inner")).unwrap();
    fs::write(at("closed/inner/file"), "canary of the volume").unwrap();
    fs::write(at("run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(at("run.sh"), fs::Permissions::from_mode(0o4755)).unwrap();
    let noise: Vec<u8> = (0..3 * CHUNK + 5).map(|n| u8::try_from(n % 251).unwrap()).collect();
    fs::write(at("large"), noise).unwrap();
    fs::write(at("empty"), "").unwrap();
    fs::write(at(&"n".repeat(255)), "a long name").unwrap();
    symlink("/etc/shadow", at("out")).unwrap();
    let sparse = fs::File::create(at("sparse")).unwrap();
    sparse.set_len(64 << 20).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    fs::set_permissions(at("closed"), fs::Permissions::from_mode(0o3555)).unwrap();
    folder
}

#[test]
fn a_volume_comes_back_as_it_was_without_what_only_runs() {
    let (before, chunks) = (volume(), take(volume().path()));
    assert!(chunks.len() > 3 && chunks.len() < 20, "{}: holes are not stored", chunks.len());
    let (after, done) = restore(&chunks);
    done.ended.unwrap();
    let at = |name: &str| after.path().join(name);
    assert_eq!(fs::read(at("closed/inner/file")).unwrap(), b"canary of the volume");
    assert_eq!(fs::read(at("large")).unwrap(), fs::read(before.path().join("large")).unwrap());
    assert_eq!(fs::read(at(&"n".repeat(255))).unwrap(), b"a long name");
    assert_eq!(fs::read_link(at("out")).unwrap(), Path::new("/etc/shadow"));
    assert_eq!(fs::metadata(at("sparse")).unwrap().len(), 64 << 20);
    assert_eq!(fs::metadata(at("empty")).unwrap().len(), 0);
    assert!(!at("socket").exists());
    let mode = |name: &str| fs::metadata(at(name)).unwrap().mode() & 0o7777;
    assert_eq!((mode("closed"), mode("run.sh")), (0o555, 0o755), "no program runs as somebody else");
    let plain = chunks.concat().windows(6).any(|part| part == b"canary");
    assert!(!plain, "the canary is in the ciphertext");
}

#[test]
fn what_was_tampered_with_is_not_restored_and_does_not_verify() {
    let chunks = take(volume().path());
    let mut bent = chunks.clone();
    bent[1][100] ^= 1;
    let (mut swapped, mut doubled) = (chunks.clone(), chunks.clone());
    swapped.swap(0, 1);
    doubled.insert(1, chunks[1].clone());
    let short = chunks[..chunks.len() - 1].to_vec();
    let without: Vec<_> =
        chunks.iter().enumerate().filter(|(n, _)| *n != 1).map(|(_, c)| c.clone()).collect();
    for (what, wrong) in [
        ("a bit", bent),
        ("swapped", swapped),
        ("doubled", doubled),
        ("cut off", short),
        ("left out", without),
        ("nothing", vec![]),
    ] {
        let (_volume, done) = restore(&wrong);
        assert!(done.ended.is_err() && done.last() == Frame::Failed, "{what} was restored");
        let done = with(Errand::Verify, Errand::Verify, 1, Path::new("/nowhere"), &wrong);
        assert!(done.ended.is_err() && done.last() == Frame::Failed, "{what} was found whole");
    }
    let whole = with(Errand::Verify, Errand::Verify, 1, Path::new("/nowhere"), &chunks);
    assert_eq!((whole.ended.is_ok(), whole.last()), (true, Frame::Done));
    let other = with(Errand::Verify, Errand::Verify, 2, Path::new("/nowhere"), &chunks);
    assert!(matches!(other.ended, Err(ArchiveError::Snapshot)), "one passed off as another");
}

/// What the holder of the key wrote, sealed as a cell would.
fn sealed(content: &[u8]) -> Vec<Vec<u8>> {
    let place = SnapshotPlace { tenant: place().tenant, snapshot: SnapshotId::from_bytes([1; 16]) };
    let mut sealer = ChunkSealer::new(place, &DataKey::from_bytes([7; 32]));
    let pieces: Vec<_> = content.chunks(CHUNK).collect();
    let seal =
        |(n, piece): (usize, &&[u8])| sealer.seal(piece, n + 1 == pieces.len(), &mut rand::rng()).unwrap();
    pieces.iter().enumerate().map(seal).collect()
}

#[test]
fn behind_the_end_of_an_archive_come_zeros_to_the_last_chunk_and_nothing_else() {
    let nothing = tar::Builder::new(Vec::new()).into_inner().unwrap();
    let padded = [nothing.as_slice(), &vec![0; CHUNK]].concat();
    let chunks = sealed(&padded);
    assert_eq!(chunks.len(), 2);
    let more = [padded.as_slice(), b"more"].concat();
    for (what, chunks, good) in [
        ("zeros", chunks.clone(), true),
        ("the last chunk is missing", chunks[..1].to_vec(), false),
        ("something is behind it", sealed(&more), false),
    ] {
        let (_volume, done) = restore(&chunks);
        assert_eq!((done.ended.is_ok(), done.last() == Frame::Done), (good, good), "{what}: restored");
        let done = with(Errand::Verify, Errand::Verify, 1, Path::new("/nowhere"), &chunks);
        assert_eq!((done.ended.is_ok(), done.last() == Frame::Done), (good, good), "{what}: looked through");
    }
}

#[test]
fn what_lies_too_deep_to_be_put_back_in_time_is_not_taken() {
    for (folders, good) in [(65, true), (66, false)] {
        let volume = tempfile::tempdir().unwrap();
        let path = vec!["d"; folders].join("/");
        fs::create_dir_all(volume.path().join(&path)).unwrap();
        let done = with(Errand::Take, Errand::Take, 1, volume.path(), &[]);
        assert_eq!((done.ended.is_ok(), done.last() == Frame::Done), (good, good), "{:?}", done.ended);
        if good {
            let (after, done) = restore(&done.chunks());
            done.ended.unwrap();
            assert!(after.path().join(&path).is_dir());
        }
    }
}

#[test]
fn a_cell_does_what_it_was_started_for_and_nothing_else() {
    let volume = volume();
    for (errand, asked) in
        [(Errand::Take, Errand::Restore), (Errand::Restore, Errand::Take), (Errand::Verify, Errand::Restore)]
    {
        let done = with(errand, asked, 1, volume.path(), &[]);
        assert!(matches!(done.ended, Err(ArchiveError::NotForThisCell)), "{errand:?} did {asked:?}");
        assert!(done.chunks().is_empty());
    }
}

/// The key that the schedule of the tests names, and nobody else has.
fn derived() -> ScheduleKey {
    let scope = VaultScope { tenant: place().tenant, vault: VaultId::from_bytes([3; 16]) };
    ScheduleKey::of((4, &DataKey::from_bytes([9; 32])), scope, place().container).unwrap()
}

/// A cell that was started to take a snapshot by schedule, and is given this by its host.
fn by_schedule(volume: &Path, given: impl Fn(&StartSecret) -> Vec<u8>) -> Done {
    let start = StartSecret::generate(&mut rand::rng());
    let (from_host, mut to_cell) = io::pipe().unwrap();
    let (mut from_cell, to_host) = io::pipe().unwrap();
    let (copy, at) = (StartSecret::from_bytes(*start.expose()), volume.to_owned());
    let cell =
        thread::spawn(move || run((place(), AskedBy::Schedule), &copy, NOW, &at, (from_host, to_host)));
    let (first, offer) = frames::read(&mut from_cell).unwrap();
    assert!(first == Frame::Offer && CellKeyOffer::open(&offer, &start, &place(), NOW).is_ok());
    frames::write(&mut to_cell, Frame::Payload, &given(&start)).unwrap();
    let mut frames = Vec::new();
    while let Ok(frame) = frames::read(&mut from_cell) {
        frames.push(frame);
    }
    Done { frames, ended: cell.join().unwrap() }
}

fn order(start: &StartSecret, key: SealPublicKey, by: &SigningKey, vouched: &SigningKey) -> Vec<u8> {
    let schedule = Schedule {
        tenant: place().tenant,
        user: UserId::from_bytes([6; 16]),
        container: place().container,
        number: 1,
        cron: "0 3 * * *".to_owned(),
        time_zone: "UTC".to_owned(),
        keep: 7,
        key,
        key_version: 4,
    };
    let (snapshot, signed) = (SnapshotId::from_bytes([1; 16]), schedule.sign(by).unwrap());
    ScheduleOrder::state(start, &place(), snapshot, &vouched.verify_key(), &signed).unwrap()
}

#[test]
fn by_schedule_a_cell_makes_the_key_and_seals_it_to_whom_its_user_has_signed() {
    let (user, volume) = (SigningKey::generate(&mut rand::rng()), volume());
    let take = || by_schedule(volume.path(), |start| order(start, derived().public(), &user, &user));
    let (one, two) = (take(), take());
    one.ended.as_ref().unwrap();
    let keys: Vec<_> = one.frames.iter().filter(|(frame, _)| *frame == Frame::Key).collect();
    assert_eq!((keys.len(), one.last()), (1, Frame::Done));
    let key = derived().open(SnapshotId::from_bytes([1; 16]), &keys[0].1).unwrap();
    let at = SnapshotPlace { tenant: place().tenant, snapshot: SnapshotId::from_bytes([1; 16]) };
    let mut opener = ChunkOpener::new(at, &key);
    let content: Vec<_> =
        one.chunks().iter().flat_map(|chunk| opener.open(chunk).unwrap().to_vec()).collect();
    assert!(opener.is_finished());
    let after = tempfile::tempdir().unwrap();
    unpack::unpack(content.as_slice(), Names::Apart, after.path()).unwrap();
    assert_eq!(fs::read(after.path().join("closed/inner/file")).unwrap(), b"canary of the volume");
    // each has a key of its own
    assert!(ChunkOpener::new(at, &key).open(&two.chunks()[0]).is_err());
}

#[test]
fn by_schedule_a_cell_takes_nothing_that_its_host_does_not_vouch_for() {
    let rng = &mut rand::rng();
    let (user, eve, volume) = (SigningKey::generate(rng), SigningKey::generate(rng), volume());
    let other = StartSecret::generate(rng);
    let weak = SealPublicKey([0; 32]);
    let refused = |what: &str, given: &dyn Fn(&StartSecret) -> Vec<u8>| {
        let done = by_schedule(volume.path(), given);
        assert!(matches!(done.ended, Err(ArchiveError::NotForThisCell)), "{what}");
        assert!(done.chunks().is_empty() && done.last() == Frame::Failed, "{what}");
    };
    refused("signed by another", &|start| order(start, derived().public(), &eve, &user));
    refused("of another start", &|_| order(&other, derived().public(), &user, &user));
    refused("to a key that anybody has", &|start| order(start, weak, &user, &user));
    refused("nothing", &|_| Vec::new());
}

/// Whoever holds the key wrote the archive; the volume's edge holds all the same.
#[test]
fn nothing_is_written_outside_the_volume() {
    let (outside, inside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let escape = |name: &str, kind: tar::EntryType, link: Option<&Path>| {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(0);
        if let Some(link) = link {
            header.set_link_name(link).unwrap();
        }
        // past the check that the crate makes of its own writers
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        archive.append(&header, io::empty()).unwrap();
        archive
    };
    let volume = inside.path().join("volume");
    fs::create_dir(&volume).unwrap();
    for kind in [tar::EntryType::Regular, tar::EntryType::Directory] {
        let bytes = escape("../escaped", kind, None).into_inner().unwrap();
        assert!(unpack::unpack(bytes.as_slice(), Names::Apart, &volume).is_err(), "{kind:?}");
    }
    for kind in [tar::EntryType::Link, tar::EntryType::Char, tar::EntryType::Fifo] {
        let bytes = escape("odd", kind, Some(outside.path())).into_inner().unwrap();
        assert!(unpack::unpack(bytes.as_slice(), Names::Apart, &volume).is_err(), "{kind:?}");
    }
    let mut through = escape("way", tar::EntryType::Symlink, Some(outside.path()));
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(0o755);
    header.set_size(0);
    through.append_data(&mut header, "way/folder", io::empty()).unwrap();
    let bytes = through.into_inner().unwrap();
    assert!(unpack::unpack(bytes.as_slice(), Names::Apart, &volume).is_err(), "through a link");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    assert!(!inside.path().join("escaped").exists());
    io::stderr().flush().unwrap();
}
