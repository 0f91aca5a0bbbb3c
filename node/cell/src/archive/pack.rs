//! A volume as an archive: folders, files and links, with modes and times.
//!
//! Not kept: sockets, pipes and devices (they are of a running workload), owners (all is one user's), extended
//! attributes, and in a snapshot that two names are one file (each gets its own).

use std::{
    collections::HashMap,
    fs::{self, DirEntry},
    io::{self, Write},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use tar::{Builder, EntryType, Header};

use super::ArchiveError;

/// What becomes of a file that has several names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// Each gets a file of its own: in snapshots, which cells of before open too.
    Apart,
    /// They stay one file: where a volume has to hold again what it held, and many names of a large file must not make many.
    Together,
}

/// Writes all below `volume` into `out`, which it gives back after the archive's end.
pub(crate) fn pack<W: Write>(volume: &Path, names: Names, out: W) -> Result<W, ArchiveError> {
    let mut known = HashMap::new();
    let mut archive = Builder::new(out);
    archive.follow_symlinks(false);
    archive.mode(tar::HeaderMode::Complete);
    let mut folders = vec![PathBuf::new()];
    // folders that wait are on the heap: no depth of them overruns a stack
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(volume.join(&folder)).map_err(|error| reading(&error))?;
        for entry in entries {
            let entry = entry.map_err(|error| reading(&error))?;
            let kind = entry.file_type().map_err(|error| reading(&error))?;
            let name = folder.join(entry.file_name());
            if kind.is_dir() {
                archive.append_dir(&name, entry.path())?;
                folders.push(name);
            } else if kind.is_file() && names == Names::Together {
                match first_name(&mut known, &entry, &name).map_err(|error| reading(&error))? {
                    Some(first) => link(&mut archive, &name, &first)?,
                    None => archive.append_path_with_name(entry.path(), &name)?,
                }
            } else if kind.is_file() || kind.is_symlink() {
                archive.append_path_with_name(entry.path(), &name)?;
            }
        }
    }
    Ok(archive.into_inner()?)
}

/// Files that have several names: by device and number, the name that stands in the archive.
type Known = HashMap<(u64, u64), PathBuf>;

/// The name under which this file is in the archive already.
fn first_name(known: &mut Known, entry: &DirEntry, name: &Path) -> io::Result<Option<PathBuf>> {
    let about = entry.metadata()?;
    if about.nlink() < 2 {
        return Ok(None);
    }
    let file = (about.dev(), about.ino());
    if let Some(first) = known.get(&file) {
        return Ok(Some(first.clone()));
    }
    known.insert(file, name.to_owned());
    Ok(None)
}

fn link<W: Write>(archive: &mut Builder<W>, name: &Path, first: &Path) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Link);
    header.set_mode(0o600);
    header.set_size(0);
    archive.append_link(&mut header, name, first)
}

fn reading(error: &std::io::Error) -> ArchiveError {
    ArchiveError::File("a folder of the volume", error.kind())
}
