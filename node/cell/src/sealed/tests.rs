//! A volume is sealed and opened again; what its host changed, cut or kept back is refused, and never taken for an empty one.
#![allow(clippy::unwrap_used)]

use std::{
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use ocmt_crypto::{
    datakey::DataKey,
    snapshot::{CHUNK, MAX_SEALED_CHUNK},
};
use ocmt_types::{ContainerId, Id as _, TenantId};
use rustix::fs::{Mode, OFlags, mkdirat};
use tempfile::TempDir;

use super::*;
use crate::walk;

/// A host's folder, and the cells that come and go over it.
struct Host(TempDir);

impl Host {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn sealed(&self) -> Vec<u8> {
        fs::read(self.file(SEALED)).unwrap()
    }

    fn cell(&self) -> Cell {
        let clear = tempfile::tempdir().unwrap();
        let place = VolumePlace {
            tenant: TenantId::from_bytes([1; 16]),
            container: ContainerId::from_bytes([2; 16]),
        };
        Cell { volume: SealedVolume::new(place, clear.path().to_owned(), self.0.path().to_owned()), clear }
    }

    /// Sealed once at this serial, with this in it.
    fn with(serial: u64, text: &str) -> Self {
        let host = Self::new();
        let cell = host.cell();
        let open = cell.volume.open(unlock(serial, 0)).unwrap();
        cell.write("notes", text);
        cell.seal(&open);
        host
    }
}

struct Cell {
    volume: SealedVolume,
    clear: TempDir,
}

impl Cell {
    fn at(&self, name: &str) -> PathBuf {
        self.clear.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.at(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap()
    }

    fn seal(&self, open: &OpenVolume) {
        self.volume.settle(open, &self.volume.seal(open).unwrap()).unwrap();
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(self.clear.path()).unwrap().next().is_none()
    }

    /// Refuses, and leaves nothing behind.
    fn refuses(&self, unlock: VolumeUnlock) -> VolumeError {
        self.write("stale", "of a workload without secrets");
        let refused = self.volume.open(unlock).err().unwrap();
        assert!(self.is_empty(), "something of it is in the volume");
        refused
    }
}

fn key(version: u8) -> (u32, DataKey) {
    (version.into(), DataKey::from_bytes([version; 32]))
}

fn unlock(serial: u64, least: u64) -> VolumeUnlock {
    VolumeUnlock { current: key(1), earlier: Vec::new(), serial, least }
}

#[test]
fn what_was_in_the_volume_is_there_after_the_next_unlock_and_its_host_has_none_of_it_in_clear() {
    let host = Host::new();
    let cell = host.cell();
    cell.write("stale", "of a workload without secrets");
    let open = cell.volume.open(unlock(1, 0)).unwrap();
    assert!(cell.is_empty(), "a first volume is empty");
    fs::create_dir(cell.at("folder")).unwrap();
    cell.write("folder/notes", "canary of the volume");
    fs::set_permissions(cell.at("folder/notes"), fs::Permissions::from_mode(0o700)).unwrap();
    symlink("/etc/hostname", cell.at("link")).unwrap();
    fs::write(cell.at("large"), vec![7; 3 * CHUNK + 5]).unwrap();
    cell.seal(&open);
    cell.volume.clear().unwrap();
    assert!(cell.is_empty());

    let clear = host.sealed().windows(6).any(|part| part == b"canary" || part == b"/notes");
    assert!(!clear, "the host can read it");
    let next = host.cell();
    next.volume.open(unlock(2, 1)).unwrap();
    assert_eq!(next.read("folder/notes"), "canary of the volume");
    assert_eq!(fs::metadata(next.at("folder/notes")).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::read_link(next.at("link")).unwrap().to_str(), Some("/etc/hostname"));
    assert_eq!(fs::read(next.at("large")).unwrap(), vec![7; 3 * CHUNK + 5]);
    assert!(!next.at("stale").exists());
}

#[test]
fn what_its_host_changed_is_refused_and_never_taken_for_an_empty_volume() {
    let host = Host::with(1, &"notes ".repeat(CHUNK / 2));
    let good = host.sealed();
    let chunk = |n: usize| HEAD_LEN + n * MAX_SEALED_CHUNK;
    assert!(good.len() > chunk(3), "it has several chunks");
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let swapped =
        [&good[..chunk(0)], &good[chunk(1)..chunk(2)], &good[chunk(0)..chunk(1)], &good[chunk(2)..]];
    for (what, bytes) in [
        ("nothing", Vec::new()),
        ("a part of the head", good[..HEAD_LEN - 1].to_vec()),
        ("the head alone", good[..HEAD_LEN].to_vec()),
        ("cut off between chunks", good[..chunk(2)].to_vec()),
        ("cut off in the last", good[..good.len() - 1].to_vec()),
        ("something behind it", [good.as_slice(), b"x"].concat()),
        ("twice", [good.as_slice(), &good[HEAD_LEN..]].concat()),
        ("another version of the key", flipped(11)),
        ("a bit of the head", flipped(HEAD_LEN - 1)),
        ("a bit of the first chunk", flipped(chunk(0) + 100)),
        ("a bit of the last chunk", flipped(good.len() - 1)),
        ("two chunks swapped", swapped.concat()),
    ] {
        fs::write(host.file(SEALED), &bytes).unwrap();
        assert_eq!(host.cell().refuses(unlock(2, 0)), VolumeError::Damaged, "{what}");
        assert_eq!(host.sealed(), bytes, "{what}: it was written over");
    }
    fs::remove_file(host.file(SEALED)).unwrap();
    symlink("/dev/zero", host.file(SEALED)).unwrap();
    assert_eq!(host.cell().refuses(unlock(2, 0)), VolumeError::Damaged, "no file of the host's");
    fs::remove_file(host.file(SEALED)).unwrap();
    fs::write(host.file(SEALED), &good).unwrap();
    host.cell().volume.open(unlock(2, 1)).unwrap();
}

#[test]
fn another_container_and_another_key_open_nothing() {
    let host = Host::with(1, "mine");
    let foreign = VolumeUnlock { current: (1, DataKey::from_bytes([9; 32])), ..unlock(2, 0) };
    assert_eq!(host.cell().refuses(foreign), VolumeError::Damaged);
    let mut other = host.cell();
    other.volume.place.container = ContainerId::from_bytes([3; 16]);
    assert_eq!(other.refuses(unlock(2, 0)), VolumeError::Damaged);
}

#[test]
fn a_volume_from_before_an_unlock_that_the_client_remembers_is_refused() {
    let host = Host::with(5, "of the first unlock");
    let before = host.sealed();
    let cell = host.cell();
    // the unlock itself seals it anew: nothing was changed, and nothing was locked
    cell.volume.open(unlock(8, 5)).unwrap();
    fs::write(host.file(SEALED), &before).unwrap();
    assert_eq!(host.cell().refuses(unlock(9, 8)), VolumeError::Older);
    fs::remove_file(host.file(SEALED)).unwrap();
    assert_eq!(host.cell().refuses(unlock(9, 8)), VolumeError::Missing);
    assert_eq!(host.cell().refuses(unlock(9, 1)), VolumeError::Missing, "there was one, whichever");
    fs::write(host.file(SEALED), &before).unwrap();
    // its user said so
    let cell = host.cell();
    cell.volume.open(unlock(9, 0)).unwrap();
    assert_eq!(cell.read("notes"), "of the first unlock");
    assert_eq!(host.cell().refuses(unlock(20, 10)), VolumeError::Older);
    host.cell().volume.open(unlock(20, 9)).unwrap();
}

#[test]
fn an_unlock_is_above_what_it_opens_so_that_what_its_device_remembers_is_what_is_sealed() {
    // of a device whose clock is ahead
    let host = Host::with(9, "of a clock that is ahead");
    let ahead = host.sealed();
    for behind in [3, 9] {
        let refused = host.cell().refuses(unlock(behind, 1));
        assert_eq!(refused, VolumeError::Serial(9), "{behind}");
        // a client reads it there (node/client/src/cell/volume.rs)
        let text = "the sealed volume on the host was sealed by an unlock of serial 9: the next one's has to be greater";
        assert_eq!((refused.to_string().as_str(), refused.reason()), (text, "VOLUME_SERIAL"));
        assert_eq!(host.sealed(), ahead, "{behind}: it was written over");
    }
    let cell = host.cell();
    let open = cell.volume.open(unlock(10, 1)).unwrap();
    cell.write("notes", "of the one behind");
    cell.seal(&open);
    // what the other one sealed last is no longer the present one, to either
    fs::write(host.file(SEALED), ahead).unwrap();
    assert_eq!(host.cell().refuses(unlock(11, 10)), VolumeError::Older);
}

#[test]
fn a_sealing_that_was_cut_off_leaves_the_one_before() {
    let host = Host::with(1, "sealed");
    let cell = host.cell();
    let open = cell.volume.open(unlock(2, 1)).unwrap();
    let before = host.sealed();
    cell.write("notes", "not yet");
    drop(cell.volume.seal(&open).unwrap());
    assert_eq!(host.sealed(), before);
    assert!(host.file(NEXT).exists(), "killed before the rename");
    let next = host.cell();
    let open = next.volume.open(unlock(3, 2)).unwrap();
    assert_eq!(next.read("notes"), "sealed");
    // a host that does not take it: the one before counts, and the next sealing goes on
    fs::create_dir_all(host.file(NEXT).join("in the way")).unwrap();
    next.write("notes", "later");
    let before = host.sealed();
    assert!(next.volume.seal(&open).is_err());
    assert_eq!(host.sealed(), before);
    fs::remove_dir_all(host.file(NEXT)).unwrap();
    next.seal(&open);
    let last = host.cell();
    last.volume.open(unlock(4, 3)).unwrap();
    assert_eq!(last.read("notes"), "later");
}

#[test]
fn nothing_is_written_where_nothing_has_changed() {
    let host = Host::with(1, "the same");
    let cell = host.cell();
    let open = cell.volume.open(unlock(2, 1)).unwrap();
    let before = host.sealed();
    cell.seal(&open);
    assert_eq!(host.sealed(), before);
    assert!(!host.file(NEXT).exists());
    cell.write("notes", "another");
    cell.seal(&open);
    assert_ne!(host.sealed(), before);
    // at its end it is, whatever became of the one before
    fs::remove_file(host.file(SEALED)).unwrap();
    cell.volume.seal_at_end(&open).unwrap();
    let next = host.cell();
    next.volume.open(unlock(3, 2)).unwrap();
    assert_eq!(next.read("notes"), "another");
}

#[test]
fn a_renewed_volume_key_opens_what_the_one_before_sealed_and_seals_under_itself() {
    let host = Host::with(1, "under the first key");
    let renewed = VolumeUnlock { current: key(2), earlier: vec![key(1)], serial: 2, least: 1 };
    host.cell().volume.open(renewed).unwrap();
    let cell = host.cell();
    cell.volume.open(VolumeUnlock { current: key(2), ..unlock(3, 2) }).unwrap();
    assert_eq!(cell.read("notes"), "under the first key");
    assert_eq!(host.cell().refuses(unlock(4, 0)), VolumeError::Damaged, "the old key alone");
}

#[test]
fn several_names_of_a_file_stay_one_file_and_what_is_sealed_is_bounded() {
    let host = Host::new();
    let mut cell = host.cell();
    let open = cell.volume.open(unlock(1, 0)).unwrap();
    fs::create_dir(cell.at("folder")).unwrap();
    fs::write(cell.at("folder/large"), vec![7; CHUNK]).unwrap();
    for n in 0..9 {
        fs::hard_link(cell.at("folder/large"), cell.at(&n.to_string().repeat(150))).unwrap();
    }
    cell.seal(&open);
    assert!(host.sealed().len() < 2 * CHUNK, "each name has its own");
    let next = host.cell();
    next.volume.open(unlock(2, 1)).unwrap();
    let about = fs::metadata(next.at(&"8".repeat(150))).unwrap();
    assert_eq!((about.nlink(), about.len()), (10, CHUNK as u64));

    let before = host.sealed();
    cell.volume.most = CHUNK as u64;
    assert_eq!(cell.volume.seal(&open).err(), Some(VolumeError::TooManyNames));
    assert!(host.sealed() == before && !host.file(NEXT).exists());
}

#[test]
fn a_copy_that_something_wrote_into_is_no_sealing() {
    let host = Host::new();
    let cell = host.cell();
    let open = cell.volume.open(unlock(1, 0)).unwrap();
    let (going, mut outcomes) = (AtomicBool::new(true), Vec::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            for size in [1 << 20, 3 << 20, 2 << 20].into_iter().cycle() {
                if !going.load(Ordering::Relaxed) || fs::write(cell.at("notes"), vec![7; size]).is_err() {
                    return;
                }
            }
        });
        while outcomes.len() < 200 && !outcomes.contains(&Err(VolumeError::Restless)) {
            let sealed = cell.volume.seal(&open);
            outcomes.push(sealed.and_then(|sealed| cell.volume.settle(&open, &sealed)));
        }
        going.store(false, Ordering::Relaxed);
    });
    assert_eq!(outcomes.last(), Some(&Err(VolumeError::Restless)));
    host.cell().volume.open(unlock(2, 1)).unwrap();
}

#[test]
fn folders_too_deep_for_any_path_are_not_sealed_and_are_emptied() {
    let host = Host::with(1, "before");
    let cell = host.cell();
    let open = cell.volume.open(unlock(2, 1)).unwrap();
    let before = host.sealed();
    let mut folder = File::open(cell.clear.path()).unwrap();
    for _ in 0..2200 {
        mkdirat(&folder, "d", Mode::RWXU).unwrap();
        folder = walk::open(&folder, c"d", OFlags::DIRECTORY).unwrap();
    }
    let refused = cell.volume.seal(&open).err();
    assert!(matches!(refused, Some(VolumeError::File(_, io::ErrorKind::InvalidFilename))), "{refused:?}");
    assert!(host.sealed() == before && !host.file(NEXT).exists());
    cell.volume.clear().unwrap();
    assert!(cell.is_empty());
    let next = host.cell();
    next.volume.open(unlock(3, 2)).unwrap();
    assert_eq!(next.read("notes"), "before");
}

#[test]
fn what_no_unlock_could_open_in_time_is_not_sealed_and_what_is_just_within_is_opened() {
    const LONG: &str = "a path in the volume is longer than 1024 bytes";
    const DEEP: &str = "something in the volume lies under more than 64 folders";
    for (folders, letters, refused) in
        [(65, 1, None), (66, 1, Some(DEEP)), (5, 204, None), (5, 205, Some(LONG))]
    {
        let (host, name) = (Host::new(), "d".repeat(letters));
        let path = vec![name; folders].join("/");
        let cell = host.cell();
        let open = cell.volume.open(unlock(1, 0)).unwrap();
        let before = host.sealed();
        fs::create_dir_all(cell.at(&path)).unwrap();
        let sealed = cell.volume.seal_at_end(&open);
        let expected = refused.map(|why| VolumeError::File(why, io::ErrorKind::InvalidFilename));
        assert_eq!(sealed.err(), expected, "{folders} folders of {letters}");
        assert_eq!(host.sealed() == before, refused.is_some());
        let next = host.cell();
        next.volume.open(unlock(2, 1)).unwrap();
        assert_eq!(next.at(&path).exists(), refused.is_none(), "{folders} folders of {letters}");
    }
}

#[test]
fn files_in_clear_of_an_earlier_container_are_not_passed_over() {
    let host = Host::new();
    fs::write(host.file("notes"), "in clear").unwrap();
    assert_eq!(host.cell().refuses(unlock(1, 0)), VolumeError::NotEmpty);
    fs::remove_file(host.file("notes")).unwrap();
    fs::write(host.file(NEXT), "cut off").unwrap();
    host.cell().volume.open(unlock(1, 0)).unwrap();
}

#[test]
fn what_its_owner_closed_is_sealed_and_emptied_all_the_same() {
    let host = Host::new();
    let cell = host.cell();
    let open = cell.volume.open(unlock(1, 0)).unwrap();
    fs::create_dir(cell.at("closed")).unwrap();
    cell.write("closed/notes", "behind a closed door");
    for (name, mode) in [("closed/notes", 0o000), ("closed", 0o000)] {
        fs::set_permissions(cell.at(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    cell.seal(&open);
    fs::set_permissions(cell.at("closed"), fs::Permissions::from_mode(0o500)).unwrap();
    cell.volume.clear().unwrap();
    let next = host.cell();
    next.volume.open(unlock(2, 1)).unwrap();
    assert_eq!(next.read("closed/notes"), "behind a closed door");
}
