//! The working folder of a sealed volume: what its owner closed is opened, and what is in it is taken out.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// Lets the owner read every file and walk and change every folder. One file of mode 000 would otherwise keep all from being
/// sealed, and one closed folder from being emptied.
pub(super) fn open_up(root: &Path) -> io::Result<()> {
    // folders that wait are on the heap: no depth of them overruns a stack
    let mut folders: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let (kind, path) = (entry.file_type()?, entry.path());
            if !kind.is_dir() && !kind.is_file() {
                continue;
            }
            let needed = if kind.is_dir() { 0o700 } else { 0o400 };
            let mode = entry.metadata()?.permissions().mode();
            if mode & needed != needed {
                fs::set_permissions(&path, Permissions::from_mode(mode | needed))?;
            }
            if kind.is_dir() {
                folders.push(path);
            }
        }
    }
    Ok(())
}

/// Takes out all that is in a folder.
pub(super) fn empty(root: &Path) -> io::Result<()> {
    open_up(root)?;
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
