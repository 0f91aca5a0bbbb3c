//! The working folder of a sealed volume: what its owner closed is opened, and what is in it is taken out.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use rustix::fs::{AtFlags, Mode, chmodat, unlinkat};

use crate::walk::{Found, Step, walk};

/// What an owner needs to list and to change a folder.
const FOLDER: u32 = 0o700;
/// What an owner needs to read a file.
const FILE: u32 = 0o400;

/// Lets the owner read every file and walk and change every folder. One file of mode 000 would otherwise keep all from being
/// sealed, and one closed folder from being emptied.
pub(super) fn open_up(root: &Path) -> io::Result<()> {
    open_root(root)?;
    walk(root, |step| match step {
        Step::At(found) => open_one(found),
        Step::Left(..) => Ok(()),
    })
}

fn open_root(root: &Path) -> io::Result<()> {
    let mode = fs::metadata(root)?.mode();
    if mode & FOLDER != FOLDER {
        fs::set_permissions(root, Permissions::from_mode(mode | FOLDER))?;
    }
    Ok(())
}

fn open_one(found: &Found<'_>) -> io::Result<()> {
    let needed = match &found.about {
        about if about.is_dir() => FOLDER,
        about if about.is_file() => FILE,
        _ => return Ok(()),
    };
    let mode = found.about.mode();
    if mode & needed != needed {
        chmodat(found.folder, found.name, Mode::from_raw_mode(mode | needed), AtFlags::empty())?;
    }
    Ok(())
}

/// Takes out all that is in a folder, however deep; what cannot be taken out does not keep the rest.
pub(super) fn empty(root: &Path) -> io::Result<()> {
    open_root(root)?;
    let mut failed = None;
    walk(root, |step| {
        let gone = match step {
            Step::At(found) if found.about.is_dir() => return open_one(found),
            Step::At(found) => unlinkat(found.folder, found.name, AtFlags::empty()),
            Step::Left(folder, name) => unlinkat(folder, name, AtFlags::REMOVEDIR),
        };
        if let Err(error) = gone {
            failed.get_or_insert(error);
        }
        Ok::<_, io::Error>(())
    })?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}
