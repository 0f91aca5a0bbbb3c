//! Volumes that cannot outgrow a size: a file with a file system of its own, mounted where a plain volume's folder is.
//!
//! The folder of such a volume is the node's, closed to containers, and holds [`IMAGE`] alone; the file system lies over
//! it. It is mounted among the mounts that the engine sees, for a node under systemd has others, and Docker takes the
//! folder as it finds it there: not mounted, a container finds a folder that it cannot enter, and writes nowhere.
//! All bytes are taken from the disk when the file is made: no container is told of room that another has used up. A
//! container writes through its file system and never into the file, so what is mounted is of the node's making.
//!
//! Why no project quota, which needs no mount: ADR 0055.

use std::{
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use ocmt_types::TenantId;
use rustix::{
    fs::{AtFlags, Dir, FallocateFlags, FileType, Mode, OFlags},
    io::Errno,
};

use crate::{
    RuntimeError, archive,
    volume::{self, CONTAINER_UID},
};

/// The file that is a volume.
const IMAGE: &str = "volume.ext4";
/// The same while it is made.
const MAKING: &str = "volume.making";
/// Where a node tries whether its machine allows this.
const PROBE: &str = "sized-volume-probe";
const PROBE_BYTES: u64 = 16 << 20;

/// The mounts that the engine sees.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ground {
    /// A process among them: the engine's, if it is known.
    engine: Option<u32>,
}

/// One line of `mountinfo`.
#[derive(Debug, PartialEq, Eq)]
struct Mounted {
    at: PathBuf,
    loops: bool,
}

impl Ground {
    pub(super) const fn of(engine: Option<u32>) -> Self {
        Self { engine }
    }

    /// Who sees them. Where the engine is away nothing new is mounted, and what is to be unmounted is looked for here.
    fn process(self) -> u32 {
        self.engine.unwrap_or_else(std::process::id)
    }

    fn mounts(self) -> Result<Vec<Mounted>, RuntimeError> {
        let file = format!("/proc/{}/mountinfo", self.process());
        let text = std::fs::read_to_string(&file).map_err(|error| volume::fault(Path::new(&file), &error))?;
        Ok(text.lines().filter_map(mounted).collect())
    }

    fn is_mounted(self, path: &Path) -> Result<bool, RuntimeError> {
        Ok(self.mounts()?.iter().any(|mount| mount.loops && mount.at == path))
    }

    /// Mounts the file in the folder over the folder.
    fn mount(self, path: &Path) -> Result<(), RuntimeError> {
        let why = "the engine's process is not seen from here: volumes with a size need node and engine side by side on one machine";
        let engine = self.engine.ok_or_else(|| refused(path, why))?.to_string();
        let (image, into) = (path.join(IMAGE), ["--target", &engine, "--mount", "--", "mount"]);
        let how = ["-t", "ext4", "-o", "loop,nosuid,nodev,noatime"];
        let mut command = Command::new("nsenter");
        command.args(into).args(how).arg("--").arg(&image).arg(path);
        run(command, path)?;
        if self.is_mounted(path)? { Ok(()) } else { Err(refused(path, "is not where the engine looks")) }
    }

    fn unmount(self, path: &Path) -> Result<(), RuntimeError> {
        let process = self.process().to_string();
        let mut command = Command::new("nsenter");
        command.args(["--target", &process, "--mount", "--", "umount", "--"]).arg(path);
        run(command, path)
    }

    /// Takes away the mounts of ours that `is_meant`. Whoever still has one open has it on its own until it ends.
    fn release(self, is_meant: impl Fn(&Path) -> bool) -> Result<(), RuntimeError> {
        let meant = self.mounts()?.into_iter().filter(|mount| mount.loops && is_meant(&mount.at));
        // the last is uppermost
        meant.rev().try_for_each(|mount| self.unmount(&mount.at))
    }

    /// Before a tenant's volumes, or those of one of its users, are erased or change their place.
    pub(super) fn release_of(
        self,
        data_dir: &Path,
        tenant: TenantId,
        names: Option<&[String; 2]>,
    ) -> Result<(), RuntimeError> {
        let above = data_dir.join(tenant.to_string());
        let named = |path: &Path| names.is_none_or(|names| names.iter().any(|name| above.join(name) == path));
        self.release(|path| path.parent() == Some(above.as_path()) && named(path))
    }

    /// Before what restores have left behind is erased.
    pub(super) fn release_fresh(self, data_dir: &Path) -> Result<(), RuntimeError> {
        let fresh = |path: &Path| path.as_os_str().as_bytes().ends_with(archive::FRESH.as_bytes());
        self.release(|path| fresh(path) && path.ancestors().nth(2) == Some(data_dir))
    }
}

/// Opens the volume of this name for a container: mounts it if it has a size, makes it if there is none, with `bytes` of
/// size if that is given. One that is there stays what it is.
pub(super) fn open(
    data_dir: &Path,
    (tenant, name): (TenantId, &str),
    bytes: Option<u64>,
    ground: Ground,
) -> Result<PathBuf, RuntimeError> {
    if ready(data_dir, (tenant, name), ground)? {
        return Ok(data_dir.join(tenant.to_string()).join(name));
    }
    let above = volume::tenant_folder(data_dir, tenant)?;
    match bytes.filter(|_| is_free(&above, name)) {
        None => {
            clear_making(&above, name);
            Ok(volume::open_named(data_dir, tenant, name, Some(CONTAINER_UID))?.path)
        }
        Some(bytes) => {
            let path = data_dir.join(tenant.to_string()).join(name);
            make(&above, name, &path, bytes)?;
            ground.mount(&path)?;
            Ok(path)
        }
    }
}

/// Mounts the volume of this name if it has a size, and says whether it has.
pub(super) fn ready(
    data_dir: &Path,
    (tenant, name): (TenantId, &str),
    ground: Ground,
) -> Result<bool, RuntimeError> {
    let path = data_dir.join(tenant.to_string()).join(name);
    if ground.is_mounted(&path)? {
        return Ok(true);
    }
    let above = volume::tenant_folder(data_dir, tenant)?;
    let has = has_size(&above, name).map_err(|errno| volume::fault(&path, &errno.into()))?;
    if has {
        ground.mount(&path)?;
    }
    Ok(has)
}

/// Whether this machine lets volumes have a size: by making one, mounting it, and taking it away.
pub(super) fn probe(data_dir: &Path, ground: Ground) -> Result<(), RuntimeError> {
    let (above, path) = (volume::root(data_dir)?, data_dir.join(PROBE));
    let clear = || {
        ground.release(|mounted| mounted == path)?;
        remove(&above, PROBE).map_err(|errno| volume::fault(&path, &errno.into()))
    };
    clear()?;
    let tried = make(&above, PROBE, &path, PROBE_BYTES).and_then(|()| ground.mount(&path));
    clear().and(tried)
}

/// Whether the folder is one of ours with its file in it. Root's alone: into any other a container could have put a file
/// of this name, and what is in a file system that somebody else has made the kernel should not have to read.
fn has_size(above: &OwnedFd, name: &str) -> Result<bool, Errno> {
    let folder = match volume::enter(above, name) {
        Err(Errno::NOENT) => return Ok(false),
        folder => folder?,
    };
    if rustix::fs::fstat(&folder)?.st_uid != 0 {
        return Ok(false);
    }
    match rustix::fs::statat(&folder, IMAGE, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(false),
        found => {
            found.map(|it| FileType::from_raw_mode(it.st_mode) == FileType::RegularFile && it.st_uid == 0)
        }
    }
}

/// Whether there is nothing of this name yet, or what a making that was cut off has left. A folder of the container's
/// user is somebody's volume, empty as it may be.
fn is_free(above: &OwnedFd, name: &str) -> bool {
    let folder = match volume::enter(above, name) {
        Err(error) => return error == Errno::NOENT,
        Ok(folder) => folder,
    };
    let ours = |name: &[u8]| [&b"."[..], b"..", MAKING.as_bytes()].contains(&name);
    let is_roots = rustix::fs::fstat(&folder).is_ok_and(|stat| stat.st_uid == 0);
    is_roots
        && Dir::read_from(&folder).is_ok_and(|mut entries| {
            entries.all(|entry| entry.is_ok_and(|entry| ours(entry.file_name().to_bytes())))
        })
}

/// Takes away what a making that was cut off has left, where no size is asked for any more.
fn clear_making(above: &OwnedFd, name: &str) {
    if is_free(above, name) {
        // what cannot be removed is a file in a volume, and no more
        let _ = remove(above, name);
    }
}

fn make(above: &OwnedFd, name: &str, path: &Path, bytes: u64) -> Result<(), RuntimeError> {
    let fail = |errno: Errno| volume::fault(path, &errno.into());
    match rustix::fs::mkdirat(above, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(fail(errno)),
    }
    let folder = volume::enter(above, name).map_err(fail)?;
    let made = fill(&folder, path, bytes);
    if made.is_err() {
        // its room is somebody else's again; what cannot be removed now is, when it is next tried
        let _ = remove(above, name);
    }
    made
}

/// Makes the file whole before it has its name.
fn fill(folder: &OwnedFd, path: &Path, bytes: u64) -> Result<(), RuntimeError> {
    let fail = |errno: Errno| volume::fault(path, &errno.into());
    match rustix::fs::unlinkat(folder, MAKING, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(fail(errno)),
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, MAKING, flags, Mode::RUSR | Mode::WUSR).map_err(fail)?;
    let room = rustix::fs::fstatvfs(&file).map_err(fail)?;
    let full = || RuntimeError::NoRoom(bytes >> 20);
    // looked at first: what is set aside in vain takes the room of others until it is given back
    if room.f_bavail.saturating_mul(room.f_frsize) < bytes {
        return Err(full());
    }
    rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes).map_err(|errno| match errno {
        Errno::NOSPC => full(),
        Errno::OPNOTSUPP => refused(path, "this file system cannot set bytes aside: use ext4, XFS or Btrfs"),
        errno => fail(errno),
    })?;
    let at = path.join(MAKING);
    // nothing is left to the kernel's lazy work, which would give bytes back that were set aside
    let more = format!(
        "nodiscard,lazy_itable_init=0,lazy_journal_init=0,root_owner={CONTAINER_UID}:{CONTAINER_UID}"
    );
    let mut command = Command::new("mkfs.ext4");
    // no blocks kept for root, whom there is none of
    command.args(["-q", "-F", "-m", "0", "-E", &more]).arg(&at);
    run(command, path)?;
    // root's, so a snapshot, which reads as the container's user, would stop at it
    let mut command = Command::new("debugfs");
    command.args(["-w", "-R", "rmdir lost+found"]).arg(&at);
    run(command, path)?;
    rustix::fs::fsync(&file).map_err(fail)?;
    rustix::fs::renameat(folder, MAKING, folder, IMAGE).map_err(fail)?;
    rustix::fs::fsync(folder).map_err(fail)
}

fn remove(above: &OwnedFd, name: &str) -> Result<(), Errno> {
    match volume::enter(above, name) {
        Err(Errno::NOENT) => Ok(()),
        folder => {
            volume::flatten(&folder?)?;
            rustix::fs::unlinkat(above, name, AtFlags::REMOVEDIR)
        }
    }
}

fn run(mut command: Command, path: &Path) -> Result<(), RuntimeError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| refused(path, &format!("{program}: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(refused(path, &format!("{program} ended with {}: {}", output.status, said.trim())))
}

fn refused(path: &Path, why: &str) -> RuntimeError {
    volume::fault(path, &io::Error::other(why.to_owned()))
}

/// A line as proc(5) has it. Blanks in paths are written in octal.
fn mounted(line: &str) -> Option<Mounted> {
    let (left, right) = line.split_once(" - ")?;
    let at = left.split(' ').nth(4)?;
    let mut from = right.split(' ');
    let loops = from.next() == Some("ext4") && from.next().is_some_and(|it| it.starts_with("/dev/loop"));
    let mut path = at.to_owned();
    for (octal, plain) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        path = path.replace(octal, plain);
    }
    Some(Mounted { at: path.into(), loops })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::MetadataExt as _;

    use super::*;
    use crate::volume::tests::ids;

    #[test]
    fn a_line_of_mountinfo_says_where_and_of_what() {
        let line = "126 27 7:0 / /srv/a\\040b/c rw,nosuid shared:3 master:1 - ext4 /dev/loop0 rw";
        assert_eq!(mounted(line), Some(Mounted { at: "/srv/a b/c".into(), loops: true }));
        let disk = "114 27 254:0 /x /x rw,relatime - ext4 /dev/vda rw";
        assert_eq!(mounted(disk), Some(Mounted { at: "/x".into(), loops: false }));
        assert_eq!(mounted("nothing"), None);
    }

    /// As root, whom a node that mounts is; nobody else has one, whatever a file is called.
    #[test]
    fn a_file_that_a_container_made_is_no_volume() {
        let root = tempfile::tempdir().unwrap();
        let root = volume::data_dir(root.path()).unwrap();
        let (tenant, user) = ids();
        let plain = volume::open(&root, tenant, user, None).unwrap();
        let above = volume::tenant_folder(&root, tenant).unwrap();
        let (name, image) = (user.to_string(), plain.path.join(IMAGE));
        std::fs::write(&image, "what a workload would have the kernel read").unwrap();
        let ours = std::fs::metadata(&image).unwrap().uid() == 0;
        assert_eq!(has_size(&above, &name).unwrap(), ours);
        assert!(!is_free(&above, &name), "it would be made anew over what is there");
        if ours {
            std::os::unix::fs::chown(&plain.path, Some(CONTAINER_UID), Some(CONTAINER_UID)).unwrap();
            assert!(!has_size(&above, &name).unwrap(), "a container could have put it there");
        }
    }

    #[test]
    fn a_making_that_was_cut_off_is_begun_anew_and_what_holds_files_is_not() {
        let root = tempfile::tempdir().unwrap();
        let root = volume::data_dir(root.path()).unwrap();
        let (tenant, user) = ids();
        let above = volume::tenant_folder(&root, tenant).unwrap();
        let name = user.to_string();
        assert!(is_free(&above, &name));
        let folder = volume::open(&root, tenant, user, None).unwrap();
        std::fs::write(folder.path.join(MAKING), "half").unwrap();
        let is_root = rustix::process::geteuid().is_root();
        assert_eq!(is_free(&above, &name), is_root, "nobody else makes one");
        assert!(!has_size(&above, &name).unwrap());
        std::fs::write(folder.path.join("a file"), "x").unwrap();
        assert!(!is_free(&above, &name));
        let another = ids().1;
        let folder = volume::open(&root, tenant, another, None).unwrap();
        if is_root {
            std::os::unix::fs::chown(&folder.path, Some(CONTAINER_UID), Some(CONTAINER_UID)).unwrap();
        }
        assert!(!is_free(&above, &another.to_string()), "an empty volume, and its user's folder");
    }
}
