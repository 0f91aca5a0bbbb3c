//! A volume as an archive: folders, files and links, with modes and times.
//!
//! Not kept: sockets, pipes and devices (they are of a running workload), owners (all is one user's), extended
//! attributes, and in a snapshot that two names are one file (each gets its own).

use std::{
    collections::HashMap,
    ffi::OsString,
    fs::File,
    io::{self, Read, Write},
    os::unix::{ffi::OsStringExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{OFlags, readlinkat},
    io::Errno,
};
use tar::{Builder, EntryType, Header};

use super::ArchiveError;
use crate::walk::{self, Found, Step, identity, walk};

/// Longest path of a volume that is written, in bytes below it: each step of unpacking reads all of it again, and with the volume's own it has to
/// stay well below the 4096 that the system takes.
const LONGEST: usize = 1024;
/// So many folders what is written may lie under: unpacking looks each of them up from the volume down, for all that is in it, and a host waits a
/// minute at most for that. What is deeper would be written in no time and never opened again.
const DEEPEST: usize = 64;
/// Bytes in a block of a file, as its metadata counts them.
const BLOCK: u64 = 512;

/// What becomes of a file that has several names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// Each gets a file of its own: in snapshots, which cells of before open too.
    Apart,
    /// They stay one file: where a volume has to hold again what it held, and many names of a large file must not make many.
    Together,
}

/// Writes all below `volume` into `out`, which it gives back after the archive's end. A file that changes meanwhile is an error.
pub(crate) fn pack<W: Write>(volume: &Path, names: Names, out: W) -> Result<W, ArchiveError> {
    let mut known = Known::new();
    let mut archive = Builder::new(out);
    walk(volume, |step| {
        let Step::At(found) = step else { return Ok(()) };
        opens_in_time(found.path)?;
        let kind = found.about.file_type();
        if kind.is_dir() {
            Ok(archive.append_data(&mut header(found), found.path, io::empty())?)
        } else if kind.is_symlink() {
            let target = readlinkat(found.folder, found.name, Vec::new()).map_err(changed)?;
            let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
            Ok(archive.append_link(&mut header(found), found.path, target)?)
        } else if kind.is_file() {
            match first_name(&mut known, found).filter(|_| names == Names::Together) {
                Some(first) => Ok(link(&mut archive, found.path, &first)?),
                None => append_file(&mut archive, found),
            }
        } else {
            Ok(())
        }
    })?;
    Ok(archive.into_inner()?)
}

/// Refuses what could not be unpacked, or not while somebody waits for it.
fn opens_in_time(path: &Path) -> Result<(), ArchiveError> {
    let why = if path.as_os_str().len() > LONGEST {
        "a path in the volume is longer than 1024 bytes"
    } else if path.components().count() > DEEPEST + 1 {
        "something in the volume lies under more than 64 folders"
    } else {
        return Ok(());
    };
    Err(ArchiveError::File(why, io::ErrorKind::InvalidFilename))
}

fn header(found: &Found<'_>) -> Header {
    let mut header = Header::new_gnu();
    header.set_metadata(&found.about);
    header
}

/// Never more or less of it than its header says: all behind it in the archive would be out of step.
fn append_file<W: Write>(archive: &mut Builder<W>, found: &Found<'_>) -> Result<(), ArchiveError> {
    let mut file = open(found)?;
    let before = file.metadata()?;
    if before.blocks().saturating_mul(BLOCK) < before.len() {
        // it has holes, which stay holes
        archive.append_file(found.path, &mut file)?;
    } else {
        let mut header = Header::new_gnu();
        header.set_metadata(&before);
        let mut content = Read::take(&mut file, before.len());
        archive.append_data(&mut header, found.path, &mut content)?;
        if content.limit() > 0 || file.read(&mut [0])? > 0 {
            return Err(ArchiveError::Changed);
        }
    }
    let after = file.metadata()?;
    let of = |about: &std::fs::Metadata| (about.len(), about.mtime(), about.mtime_nsec());
    if of(&before) == of(&after) { Ok(()) } else { Err(ArchiveError::Changed) }
}

/// The file that was found, and not what has taken its place: a pipe would be waited for.
fn open(found: &Found<'_>) -> Result<File, ArchiveError> {
    let file = walk::open(found.folder, found.name, OFlags::NONBLOCK).map_err(|error| {
        let errno = Errno::from_io_error(&error);
        errno.map_or_else(|| error.into(), changed)
    })?;
    let about = file.metadata()?;
    if about.is_file() && identity(&about) == identity(&found.about) {
        Ok(file)
    } else {
        Err(ArchiveError::Changed)
    }
}

/// What the system says where something else has taken the place of what was found.
fn changed(errno: Errno) -> ArchiveError {
    match errno {
        Errno::LOOP | Errno::NXIO | Errno::NOENT | Errno::INVAL => ArchiveError::Changed,
        errno => io::Error::from(errno).into(),
    }
}

/// Files that have several names: by device and number, the name that stands in the archive.
type Known = HashMap<(u64, u64), PathBuf>;

/// The name under which this file is in the archive already.
fn first_name(known: &mut Known, found: &Found<'_>) -> Option<PathBuf> {
    if found.about.nlink() < 2 {
        return None;
    }
    let file = identity(&found.about);
    if let Some(first) = known.get(&file) {
        return Some(first.clone());
    }
    known.insert(file, found.path.to_owned());
    None
}

fn link<W: Write>(archive: &mut Builder<W>, name: &Path, first: &Path) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Link);
    header.set_mode(0o600);
    header.set_size(0);
    archive.append_link(&mut header, name, first)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{fs, os::unix::fs::symlink};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn what_took_the_place_of_a_file_is_neither_read_nor_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("notes");
        let swaps: [fn(&Path); 3] = [
            |file| mknodat(CWD, file, FileType::Fifo, Mode::RWXU, 0).unwrap(),
            |file| symlink("/etc/hostname", file).unwrap(),
            |_| {},
        ];
        for swap in swaps {
            fs::write(&file, "here").unwrap();
            let walked = walk(folder.path(), |step| {
                let Step::At(found) = step else { return Ok(()) };
                assert!(open(found).is_ok());
                fs::remove_file(&file).unwrap();
                swap(&file);
                open(found).map(drop)
            });
            assert!(matches!(walked, Err(ArchiveError::Changed)), "{walked:?}");
            let _ = fs::remove_file(&file);
        }
    }
}
