//! The folder of a user: `{data_dir}/{tenant}/{user}`, opened without following a link anywhere.
//!
//! What a container writes is under its user's folder alone, and the folder above is closed to it, so it
//! can put no link where the next opening would follow it. The opening does not rely on that: each step
//! is `openat2` with `RESOLVE_NO_SYMLINKS` (seen elsewhere: path writes that followed links a container
//! had made, onto files of the host, as root).

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use ocmt_types::{TenantId, UserId};
use rustix::{
    fs::{AtFlags, CWD, Dir, DirEntry, FileType, Gid, Mode, OFlags, ResolveFlags, Uid},
    io::Errno,
    path::Arg,
};

use crate::RuntimeError;

/// The user and group of everything in a container.
pub const CONTAINER_UID: u32 = 1000;

/// An open volume. The path is good as long as nobody but the node's user can change the folders above.
#[derive(Debug)]
pub struct Volume {
    /// The canonical path.
    pub path: PathBuf,
    /// The folder itself.
    pub folder: OwnedFd,
}

/// Where the volume of this user is.
pub fn path(data_dir: &Path, tenant: TenantId, user: UserId) -> PathBuf {
    data_dir.join(tenant.to_string()).join(user.to_string())
}

/// Makes the data folder if it is not there and gives its canonical path. Links in the configured path are
/// the operator's and are resolved here, once.
///
/// # Errors
/// The folder cannot be made.
pub fn data_dir(configured: &Path) -> Result<PathBuf, RuntimeError> {
    std::fs::create_dir_all(configured)
        .and_then(|()| std::fs::canonicalize(configured))
        .map_err(|error| fault(configured, &error))
}

/// Opens the volume, made with mode 0700 if it is not there, and gives it to `owner` (else to the node's user).
///
/// # Errors
/// A link or a file in the way, an owner that is not ours to change, a disk that refuses.
pub fn open(
    data_dir: &Path,
    tenant: TenantId,
    user: UserId,
    owner: Option<u32>,
) -> Result<Volume, RuntimeError> {
    open_named(data_dir, tenant, &user.to_string(), owner)
}

/// The same for a folder of this name beside the tenant's volumes.
pub(crate) fn open_named(
    data_dir: &Path,
    tenant: TenantId,
    name: &str,
    owner: Option<u32>,
) -> Result<Volume, RuntimeError> {
    let whole = data_dir.join(tenant.to_string()).join(name);
    let above = tenant_folder(data_dir, tenant)?;
    let owner = owner.unwrap_or_else(|| rustix::process::geteuid().as_raw());
    let folder = step(&above, name, owner).map_err(|error| fault(&whole, &error))?;
    Ok(Volume { path: whole, folder })
}

/// The folder of a tenant's volumes, made if it is not there.
pub(crate) fn tenant_folder(data_dir: &Path, tenant: TenantId) -> Result<OwnedFd, RuntimeError> {
    let fail = |error: io::Error| fault(&data_dir.join(tenant.to_string()), &error);
    let root = root(data_dir)?;
    step(&root, &tenant.to_string(), rustix::process::geteuid().as_raw()).map_err(fail)
}

/// The folder of all of them.
pub(crate) fn root(data_dir: &Path) -> Result<OwnedFd, RuntimeError> {
    rustix::fs::openat2(CWD, data_dir, folder_flags(), Mode::empty(), resolve())
        .map_err(|errno| fault(data_dir, &errno.into()))
}

/// Tenants that have volumes here: folders under the data folder that are named by an id.
///
/// # Errors
/// The data folder cannot be read.
pub fn tenants(data_dir: &Path) -> Result<Vec<TenantId>, RuntimeError> {
    let fail = |error: io::Error| fault(data_dir, &error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(data_dir).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        // the type of the entry itself: a link is none
        let is_folder = entry.file_type().map_err(fail)?.is_dir();
        let id = entry.file_name().to_str().and_then(|name| name.parse::<TenantId>().ok());
        found.extend(id.filter(|_| is_folder));
    }
    found.sort_unstable();
    Ok(found)
}

/// Erases the volumes of all users of a tenant. Links inside are removed and never followed. What is there already
/// gone is `Ok`; what was interrupted is gone on with by the next call.
///
/// Folders inside folders are moved up to the tenant's own, and then are inside nothing: whatever depth a workload
/// made, two folders are open and no stack grows.
///
/// # Errors
/// Something in it cannot be removed.
pub fn erase(data_dir: &Path, tenant: TenantId) -> Result<(), RuntimeError> {
    let whole = data_dir.join(tenant.to_string());
    let fail = |errno: Errno| fault(&whole, &errno.into());
    let root = rustix::fs::openat2(CWD, data_dir, folder_flags(), Mode::empty(), resolve()).map_err(fail)?;
    let name = tenant.to_string();
    let top = match enter(&root, name.as_str()) {
        Err(Errno::NOENT) => return Ok(()),
        top => top.map_err(fail)?,
    };
    flatten(&top).map_err(fail)?;
    rustix::fs::unlinkat(&root, name.as_str(), AtFlags::REMOVEDIR).map_err(fail)
}

/// Empties a folder.
pub(crate) fn flatten(top: &OwnedFd) -> Result<(), Errno> {
    let mut moved = 0_u64;
    loop {
        let mut found = false;
        for entry in Dir::read_from(top)? {
            let entry = entry?;
            if is_dots(&entry) {
                continue;
            }
            found = true;
            if is_folder(top, &entry)? {
                let inner = enter(top, entry.file_name())?;
                lift(&inner, top, &mut moved)?;
                rustix::fs::unlinkat(top, entry.file_name(), AtFlags::REMOVEDIR)?;
            } else {
                rustix::fs::unlinkat(top, entry.file_name(), AtFlags::empty())?;
            }
        }
        if !found {
            return Ok(());
        }
    }
}

/// Empties a folder: its files go, its folders move up.
fn lift(folder: &OwnedFd, top: &OwnedFd, moved: &mut u64) -> Result<(), Errno> {
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if is_dots(&entry) {
            continue;
        }
        if !is_folder(folder, &entry)? {
            rustix::fs::unlinkat(folder, entry.file_name(), AtFlags::empty())?;
            continue;
        }
        // to move a folder one must be able to write into it; whoever may not even try is told by the move
        let _ = rustix::fs::chmodat(folder, entry.file_name(), Mode::RWXU, AtFlags::empty());
        loop {
            *moved += 1;
            match rustix::fs::renameat(folder, entry.file_name(), top, format!("erased-{moved}")) {
                // of an earlier call that was cut off
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                done => break done?,
            }
        }
    }
    Ok(())
}

/// Opens a folder in a folder, also one that its owner has closed.
pub(crate) fn enter(above: &OwnedFd, name: impl Arg + Copy) -> Result<OwnedFd, Errno> {
    let open =
        || rustix::fs::openat2(above, name, folder_flags(), Mode::empty(), resolve() | ResolveFlags::BENEATH);
    match open() {
        Err(Errno::ACCESS) => {
            rustix::fs::chmodat(above, name, Mode::RWXU, AtFlags::empty())?;
            open()
        }
        opened => opened,
    }
}

fn is_dots(entry: &DirEntry) -> bool {
    matches!(entry.file_name().to_bytes(), b"." | b"..")
}

fn is_folder(above: &OwnedFd, entry: &DirEntry) -> Result<bool, Errno> {
    match entry.file_type() {
        FileType::Unknown => {
            let stat = rustix::fs::statat(above, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
            Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
        }
        kind => Ok(kind == FileType::Directory),
    }
}

/// Works on the data folder beside the runtime's threads.
pub(crate) async fn on_disk<T: Send + 'static>(
    data_dir: &Path,
    work: impl FnOnce(&Path) -> Result<T, RuntimeError> + Send + 'static,
) -> Result<T, RuntimeError> {
    let data_dir = data_dir.to_owned();
    let done = tokio::task::spawn_blocking(move || work(&data_dir)).await;
    done.map_err(|error| RuntimeError::Io { what: "look after volumes", source: error.into() })?
}

fn step(above: &OwnedFd, name: &str, owner: u32) -> io::Result<OwnedFd> {
    match rustix::fs::mkdirat(above.as_fd(), name, Mode::RWXU) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(errno) => return Err(errno.into()),
    }
    let folder = rustix::fs::openat2(
        above.as_fd(),
        name,
        folder_flags(),
        Mode::empty(),
        resolve() | ResolveFlags::BENEATH,
    )?;
    let stat = rustix::fs::fstat(&folder)?;
    if stat.st_uid != owner {
        // ours is one that an interrupted opening left behind; anybody else's is not for us to give away
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(io::Error::other(format!("belongs to user {}, expected {owner}", stat.st_uid)));
        }
        rustix::fs::fchown(&folder, Some(Uid::from_raw(owner)), Some(Gid::from_raw(owner))).map_err(
            |errno| {
                io::Error::other(format!(
                    "cannot be given to user {owner} ({errno}): run the node as root or with CAP_CHOWN"
                ))
            },
        )?;
    }
    // its owner, the container, may have opened it wider
    if stat.st_mode & 0o7777 != 0o700 {
        rustix::fs::fchmod(&folder, Mode::RWXU)?;
    }
    Ok(folder)
}

fn folder_flags() -> OFlags {
    OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC
}

fn resolve() -> ResolveFlags {
    ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS
}

pub(crate) fn fault(path: &Path, error: &io::Error) -> RuntimeError {
    let why = match error.raw_os_error() {
        Some(code) if code == rustix::io::Errno::LOOP.raw_os_error() => {
            "is or holds a symbolic link".to_owned()
        }
        _ => error.to_string(),
    };
    RuntimeError::Volume { path: path.display().to_string(), why }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use ocmt_types::{IdGen, RandomIds};
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::*;

    /// Of a tenant and a user whom nobody else has.
    pub(crate) fn ids() -> (TenantId, UserId) {
        let ids: &dyn IdGen = &RandomIds;
        (ids.id(), ids.id())
    }

    #[test]
    fn all_volumes_of_a_tenant_are_erased_and_nothing_that_their_links_lead_to() {
        let root = tempfile::tempdir().unwrap();
        let root = data_dir(root.path()).unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("kept"), "x").unwrap();
        let ((tenant, user), (_, second), (other, third)) = (ids(), ids(), ids());
        let volume = open(&root, tenant, user, None).unwrap();
        symlink(outside.path(), volume.path.join("out")).unwrap();
        std::fs::create_dir(volume.path.join("deep")).unwrap();
        std::fs::write(volume.path.join("deep/file"), "x").unwrap();
        open(&root, tenant, second, None).unwrap();
        open(&root, other, third, None).unwrap();
        symlink(outside.path(), root.join(ids().0.to_string())).unwrap();
        std::fs::create_dir(root.join("not-an-id")).unwrap();
        let mut both = vec![tenant, other];
        both.sort_unstable();
        assert_eq!(tenants(&root).unwrap(), both, "a link is no tenant, and neither is another folder");
        erase(&root, tenant).unwrap();
        erase(&root, tenant).unwrap();
        assert_eq!(tenants(&root).unwrap(), [other]);
        assert!(outside.path().join("kept").exists());
    }

    #[test]
    fn a_volume_of_any_depth_is_erased_with_few_files_open() {
        let root = tempfile::tempdir().unwrap();
        let root = data_dir(root.path()).unwrap();
        let (tenant, user) = ids();
        let volume = open(&root, tenant, user, None).unwrap();
        let mut deepest = volume.folder;
        // deeper than its thread has stack, and than its process, which nextest starts for it alone, may have files open
        let few = Rlimit { current: Some(256), ..getrlimit(Resource::Nofile) };
        setrlimit(Resource::Nofile, few).unwrap();
        for _ in 0..8_000 {
            rustix::fs::mkdirat(&deepest, "d", Mode::RWXU).unwrap();
            deepest = enter(&deepest, "d").unwrap();
        }
        rustix::fs::mkdirat(&deepest, "closed", Mode::empty()).unwrap();
        drop(deepest);
        std::thread::Builder::new()
            .stack_size(256 * 1024)
            .spawn(move || {
                erase(&root, tenant).unwrap();
                assert_eq!(tenants(&root).unwrap(), []);
            })
            .unwrap()
            .join()
            .unwrap();
    }

    #[test]
    fn a_volume_is_closed_to_all_but_its_owner_and_opens_again() {
        let (base, (tenant, user)) = (tempfile::tempdir().unwrap(), ids());
        let root = data_dir(&base.path().join("data")).unwrap();
        let volume = open(&root, tenant, user, None).unwrap();
        std::fs::write(volume.path.join("kept"), "x").unwrap();
        std::fs::set_permissions(&volume.path, std::fs::Permissions::from_mode(0o777)).unwrap();
        let again = open(&root, tenant, user, None).unwrap();
        assert_eq!(std::fs::metadata(&again.path).unwrap().mode() & 0o7777, 0o700);
        assert_eq!(std::fs::metadata(again.path.parent().unwrap()).unwrap().mode() & 0o7777, 0o700);
        assert!(again.path.join("kept").exists());
    }

    #[test]
    fn no_link_is_followed_at_any_step() {
        let (base, (tenant, user)) = (tempfile::tempdir().unwrap(), ids());
        let (root, target) = (data_dir(&base.path().join("data")).unwrap(), base.path().join("target"));
        std::fs::create_dir(&target).unwrap();
        let refused = |what: &str| {
            let error = open(&root, tenant, user, None).unwrap_err();
            assert!(matches!(&error, RuntimeError::Volume { .. }), "{what}: {error}");
        };
        symlink(&target, root.join(tenant.to_string())).unwrap();
        refused("the tenant's folder is a link");
        std::fs::remove_file(root.join(tenant.to_string())).unwrap();
        std::fs::create_dir(root.join(tenant.to_string())).unwrap();
        symlink(&target, path(&root, tenant, user)).unwrap();
        refused("the user's folder is a link");
        let linked = base.path().join("linked");
        symlink(&root, &linked).unwrap();
        assert!(open(&linked, tenant, ids().1, None).is_err(), "the data folder is a link");
        assert_eq!(std::fs::read_dir(&target).unwrap().count(), 0, "something was made behind a link");
    }

    #[test]
    fn root_gives_it_to_the_container() {
        let (base, (tenant, user)) = (tempfile::tempdir().unwrap(), ids());
        let root = data_dir(base.path()).unwrap();
        let opened = open(&root, tenant, user, Some(CONTAINER_UID));
        if rustix::process::geteuid().is_root() {
            assert_eq!(std::fs::metadata(opened.unwrap().path).unwrap().uid(), CONTAINER_UID);
        } else if rustix::process::geteuid().as_raw() != CONTAINER_UID {
            assert!(opened.unwrap_err().to_string().contains("CAP_CHOWN"));
        }
    }
}
