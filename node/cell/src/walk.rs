//! Through a folder and all below it, by open folders and not by paths: nothing lies too deep for it, and a link that takes the place of a
//! folder is not followed.

use std::{
    ffi::{CStr, CString, OsStr},
    fs::{File, Metadata},
    io, mem,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::{Dir, Mode, OFlags, openat};

/// So many folders above the one it is in are kept open; to those above them it goes back by `..`.
const HELD: usize = 64;

/// One thing in a folder.
pub(crate) struct Found<'a> {
    /// The folder.
    pub(crate) folder: &'a File,
    /// Its name there.
    pub(crate) name: &'a CStr,
    /// Its path below the root.
    pub(crate) path: &'a Path,
    /// What it is itself, where it is a link too.
    pub(crate) about: Metadata,
}

/// Where a walk is.
pub(crate) enum Step<'a> {
    /// At this; if it is a folder, what is in it comes next.
    At(&'a Found<'a>),
    /// Out of the folder of this name, into the one that it is in.
    Left(&'a File, &'a CStr),
}

/// A folder on the way to where the walk is.
struct Level {
    name: CString,
    file: (u64, u64),
    left: Vec<CString>,
    open: Option<File>,
}

/// Takes every step below `root`. Ends at the first error.
pub(crate) fn walk<E: From<io::Error>>(
    root: &Path,
    mut step: impl FnMut(Step<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let (mut here, mut path) = (File::open(root)?, PathBuf::new());
    let mut levels = vec![Level::of(CString::default(), &here)?];
    while let Some(level) = levels.last_mut() {
        if let Some(name) = level.left.pop() {
            path.push(OsStr::from_bytes(name.to_bytes()));
            // no more than a handle: of a folder that is closed, or a pipe that nobody writes
            let about = open(&here, &name, OFlags::PATH)?.metadata()?;
            let is_folder = about.is_dir();
            step(Step::At(&Found { folder: &here, name: &name, path: &path, about }))?;
            if is_folder {
                let below = open(&here, &name, OFlags::DIRECTORY)?;
                let next = Level::of(name, &below)?;
                level.open = Some(mem::replace(&mut here, below));
                levels.push(next);
                if let Some(far) = levels.len().checked_sub(HELD).and_then(|far| levels.get_mut(far)) {
                    far.open = None;
                }
            } else {
                path.pop();
            }
            continue;
        }
        let Some(done) = levels.pop() else { break };
        let Some(above) = levels.last_mut() else { break };
        here = above.back_from(&here)?;
        path.pop();
        step(Step::Left(&here, &done.name))?;
    }
    Ok(())
}

/// What has this name in `folder`, read-only and not through a link.
pub(crate) fn open(folder: &File, name: &CStr, how: OFlags) -> io::Result<File> {
    let how = how | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(openat(folder, name, how, Mode::empty())?))
}

/// Which file it is, by any name.
pub(crate) fn identity(about: &Metadata) -> (u64, u64) {
    (about.dev(), about.ino())
}

impl Level {
    fn of(name: CString, folder: &File) -> io::Result<Self> {
        let mut left = Vec::new();
        for entry in Dir::new(folder.try_clone()?)? {
            let entry = entry?;
            if ![c".", c".."].contains(&entry.file_name()) {
                left.push(entry.file_name().to_owned());
            }
        }
        Ok(Self { name, file: identity(&folder.metadata()?), left, open: None })
    }

    /// This folder again, from one in it.
    fn back_from(&mut self, below: &File) -> io::Result<File> {
        if let Some(open) = self.open.take() {
            return Ok(open);
        }
        let above = open(below, c"..", OFlags::DIRECTORY)?;
        if identity(&above.metadata()?) == self.file {
            return Ok(above);
        }
        // somebody has moved it
        Err(io::ErrorKind::NotFound.into())
    }
}
