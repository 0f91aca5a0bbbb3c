//! Cells that run nothing: beside a container that does not run, they read its volume into a snapshot or open one.
//!
//! All that passes does so over standard input and output. A volume is restored into a folder beside the present one,
//! which [`swap`] puts in its place in one step when all of it is there: whoever is cut off before has changed nothing,
//! and what was left is erased by the next one, or when the node starts.

use std::{fmt, path::Path};

use futures_util::future::BoxFuture;
use ocmt_types::{TenantId, UserId};
use rustix::{
    fs::{AtFlags, Dir, RenameFlags},
    io::Errno,
};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    ContainerSpec, RuntimeError,
    volume::{self, Volume},
};

/// How long such a cell may take from its start to its end, whatever it does.
pub const ARCHIVE_WITHIN: std::time::Duration = std::time::Duration::from_secs(600);

/// What such a cell is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArchiveErrand {
    /// Read the volume, which it cannot write to.
    Take,
    /// Write a fresh volume.
    Restore,
    /// Look through a snapshot; it can write nowhere.
    Verify,
    /// Read the volume as [`ArchiveErrand::Take`] does, as its user's schedule says: no client waits.
    Scheduled,
}

impl ArchiveErrand {
    /// As the cell is told of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Take => "take",
            Self::Restore => "restore",
            Self::Verify => "verify",
            Self::Scheduled => "scheduled",
        }
    }
}

/// One that was started, and has been given its start secret.
pub struct ArchiveCell {
    /// Its standard input.
    pub to: Box<dyn AsyncWrite + Send + Unpin>,
    /// Its standard output.
    pub from: Box<dyn AsyncRead + Send + Unpin>,
    /// Ends it, whatever it does. Not awaited, it ends when its input does.
    pub end: BoxFuture<'static, ()>,
}

impl fmt::Debug for ArchiveCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArchiveCell").finish_non_exhaustive()
    }
}

/// The arguments of the cell.
pub(crate) fn args(spec: &ContainerSpec, errand: ArchiveErrand) -> Vec<String> {
    let mut args = vec!["archive".to_owned(), "--tenant".to_owned(), spec.tenant.to_string()];
    args.extend(["--container".to_owned(), spec.container.to_string()]);
    args.extend(["--generation".to_owned(), spec.generation.to_string()]);
    args.extend(["--errand".to_owned(), errand.as_str().to_owned()]);
    args
}

pub(crate) const FRESH: &str = ".restore";

/// Opens what the cell works on: the volume, or an empty folder beside it.
pub(crate) fn open(
    data_dir: &Path,
    (tenant, user): (TenantId, UserId),
    errand: ArchiveErrand,
    owner: Option<u32>,
) -> Result<Volume, RuntimeError> {
    let volume = volume::open(data_dir, tenant, user, owner)?;
    if errand != ArchiveErrand::Restore {
        return Ok(volume);
    }
    let name = format!("{user}{FRESH}");
    erase(data_dir, tenant, &name)?;
    volume::open_named(data_dir, tenant, &name, owner)
}

/// Puts the fresh volume in the place of the present one in one step; that one is beside it then.
pub(crate) fn swap(data_dir: &Path, tenant: TenantId, user: UserId) -> Result<(), RuntimeError> {
    let fail = |errno: Errno| volume::fault(&volume::path(data_dir, tenant, user), &errno.into());
    let above = volume::tenant_folder(data_dir, tenant)?;
    let (present, fresh) = (user.to_string(), format!("{user}{FRESH}"));
    rustix::fs::renameat_with(&above, &present, &above, &fresh, RenameFlags::EXCHANGE).map_err(fail)?;
    rustix::fs::fsync(&above).map_err(fail)
}

/// Erases the one before.
pub(crate) fn settle(data_dir: &Path, tenant: TenantId, user: UserId) -> Result<(), RuntimeError> {
    erase(data_dir, tenant, &format!("{user}{FRESH}"))
}

/// Erases what restores have left behind that were cut off.
pub(crate) fn clear(data_dir: &Path) -> Result<(), RuntimeError> {
    for tenant in volume::tenants(data_dir)? {
        let above = volume::tenant_folder(data_dir, tenant)?;
        let fail = |errno: Errno| volume::fault(data_dir, &errno.into());
        for entry in Dir::read_from(&above).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            if let Some(name) = entry.file_name().to_str().ok().filter(|name| name.ends_with(FRESH)) {
                erase(data_dir, tenant, name)?;
            }
        }
    }
    Ok(())
}

/// Erases the folder of this name of a tenant; `Ok` if there is none.
pub(crate) fn erase(data_dir: &Path, tenant: TenantId, name: &str) -> Result<(), RuntimeError> {
    let fail = |errno: Errno| volume::fault(data_dir, &errno.into());
    let above = volume::tenant_folder(data_dir, tenant)?;
    let folder = match volume::enter(&above, name) {
        Err(Errno::NOENT) => return Ok(()),
        opened => opened.map_err(fail)?,
    };
    volume::flatten(&folder).map_err(fail)?;
    rustix::fs::unlinkat(&above, name, AtFlags::REMOVEDIR).map_err(fail)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::volume::tests::ids;

    #[test]
    fn a_fresh_volume_is_beside_the_present_one_until_it_takes_its_place() {
        let root = tempfile::tempdir().unwrap();
        let root = volume::data_dir(root.path()).unwrap();
        let (tenant, user) = ids();
        let present = open(&root, (tenant, user), ArchiveErrand::Take, None).unwrap();
        std::fs::write(present.path.join("file"), "old").unwrap();
        let fresh = open(&root, (tenant, user), ArchiveErrand::Restore, None).unwrap();
        std::fs::write(fresh.path.join("file"), "half").unwrap();
        // cut off, and begun again: nothing of the half one is left
        let fresh = open(&root, (tenant, user), ArchiveErrand::Restore, None).unwrap();
        assert_eq!(std::fs::read_dir(&fresh.path).unwrap().count(), 0);
        std::fs::write(fresh.path.join("file"), "new").unwrap();
        assert_eq!(std::fs::read(present.path.join("file")).unwrap(), b"old");
        swap(&root, tenant, user).unwrap();
        assert_eq!(std::fs::read(present.path.join("file")).unwrap(), b"new");
        assert_eq!(std::fs::read(fresh.path.join("file")).unwrap(), b"old", "kept until that is settled");
        settle(&root, tenant, user).unwrap();
        assert_eq!(
            std::fs::read_dir(root.join(tenant.to_string())).unwrap().count(),
            1,
            "the old one is gone"
        );
        assert!(swap(&root, tenant, user).is_err(), "there is nothing to swap with");
        assert_eq!(std::fs::read(present.path.join("file")).unwrap(), b"new");
    }

    #[test]
    fn what_was_cut_off_is_erased_at_the_next_start_and_no_link_is_followed() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = volume::data_dir(root.path()).unwrap();
        std::fs::write(outside.path().join("kept"), "x").unwrap();
        let (tenant, user) = ids();
        let fresh = open(&root, (tenant, user), ArchiveErrand::Restore, None).unwrap();
        symlink(outside.path(), fresh.path.join("out")).unwrap();
        clear(&root).unwrap();
        assert!(!fresh.path.exists() && volume::path(&root, tenant, user).exists());
        symlink(outside.path(), &fresh.path).unwrap();
        assert!(open(&root, (tenant, user), ArchiveErrand::Restore, None).is_err());
        assert!(outside.path().join("kept").exists());
    }
}
