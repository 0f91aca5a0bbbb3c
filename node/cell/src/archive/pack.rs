//! A volume as an archive: folders, files and links, with modes and times.
//!
//! Not kept: sockets, pipes and devices (they are of a running workload), owners (all is one user's), extended
//! attributes, and that two names are one file (each gets its own).

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use super::ArchiveError;

/// Writes all below `volume` into `out`, which it gives back after the archive's end.
pub(crate) fn pack<W: Write>(volume: &Path, out: W) -> Result<W, ArchiveError> {
    let mut archive = tar::Builder::new(out);
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
            } else if kind.is_file() || kind.is_symlink() {
                archive.append_path_with_name(entry.path(), &name)?;
            }
        }
    }
    Ok(archive.into_inner()?)
}

fn reading(error: &std::io::Error) -> ArchiveError {
    ArchiveError::File("a folder of the volume", error.kind())
}
