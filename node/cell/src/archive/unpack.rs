//! An archive into an empty volume.
//!
//! It was authenticated chunk by chunk, and whoever has its key may write into the volume anyway; still nothing of it
//! leaves the volume, and no mode of it makes a program run as somebody else.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Component, Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use tar::{Archive, EntryType};

use super::{ArchiveError, pack::Names};

/// A folder whose mode and time are set when all in it is there: one that is closed could take nothing.
struct Folder {
    path: PathBuf,
    mode: u32,
    modified: i64,
}

/// Writes what is in the archive below `volume`, safe on the disk when it is back; gives the reader back.
pub(crate) fn unpack<R: Read>(from: R, names: Names, volume: &Path) -> Result<R, ArchiveError> {
    let mut archive = Archive::new(from);
    archive.set_preserve_mtime(true);
    let mut folders = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if kind == EntryType::Directory {
            let path = below(volume, &entry.path()?)?;
            DirBuilder::new().mode(0o700).create(&path)?;
            let (mode, modified) = (entry.header().mode()?, entry.header().mtime()?);
            folders.push(Folder { path, mode, modified: i64::try_from(modified).unwrap_or(0) });
        } else if kind == EntryType::Link && names == Names::Together {
            let first = entry.link_name()?.ok_or(ArchiveError::Snapshot)?;
            fs::hard_link(below(volume, &first)?, below(volume, &entry.path()?)?)?;
        } else if matches!(kind, EntryType::Regular | EntryType::Symlink | EntryType::GNUSparse) {
            // false: a path that leads out of the volume
            if !entry.unpack_in(volume)? {
                return Err(ArchiveError::Snapshot);
            }
        } else {
            return Err(ArchiveError::Snapshot);
        }
    }
    for folder in folders.iter().rev() {
        settle(folder)?;
    }
    rustix::fs::syncfs(File::open(volume)?).map_err(io::Error::from)?;
    Ok(archive.into_inner())
}

/// Reads an archive to its end, and writes nothing.
pub(super) fn look_through<R: Read>(from: R) -> Result<R, ArchiveError> {
    let mut archive = Archive::new(from);
    for entry in archive.entries()? {
        io::copy(&mut entry?, &mut io::sink())?;
    }
    Ok(archive.into_inner())
}

/// Where a folder of the archive goes: below the volume, through folders that are no links.
fn below(volume: &Path, name: &Path) -> Result<PathBuf, ArchiveError> {
    let mut path = volume.to_owned();
    for part in name.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(part) => {
                if fs::symlink_metadata(&path)?.is_symlink() && path != volume {
                    return Err(ArchiveError::Snapshot);
                }
                path.push(part);
            }
            Component::Prefix(_) | Component::RootDir | Component::ParentDir => {
                return Err(ArchiveError::Snapshot);
            }
        }
    }
    Ok(path)
}

fn settle(folder: &Folder) -> Result<(), ArchiveError> {
    let at = Timespec { tv_sec: folder.modified, tv_nsec: 0 };
    let times = Timestamps { last_access: at, last_modification: at };
    rustix::fs::utimensat(CWD, &folder.path, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(io::Error::from)?;
    Ok(fs::set_permissions(&folder.path, Permissions::from_mode(folder.mode & 0o777))?)
}
