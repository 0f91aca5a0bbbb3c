//! The data folder: one process at a time, and nobody else's eyes.
//!
//! The lock is `flock` on a file in it. It ends with the process, however that ends, so whoever holds it
//! knows that the incarnation that ran here before is dead.

use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use crate::StoreError;

/// A data folder that this process holds.
pub(crate) struct DataFolder {
    database: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Makes the folder (0700) and the database file (0600) if need be, and locks it.
    pub(crate) fn claim(path: &Path) -> Result<Self, StoreError> {
        let failed =
            |what: &str, error: io::Error| StoreError::Open(format!("{what} {}: {error}", path.display()));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| failed("cannot make the data folder", error))?;
        let metadata = path.metadata().map_err(|error| failed("cannot read the data folder", error))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            tracing::warn!(folder = %path.display(), "others may look into the data folder, set its mode to 0700");
        }
        let lock =
            private(&path.join("lock")).map_err(|error| failed("cannot make the lock file in", error))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StoreError::Locked(path.display().to_string()),
            TryLockError::Error(error) => failed("cannot lock", error),
        })?;
        let database = path.join("ocmt.db");
        // made before SQLite opens it: its journal files take over the mode
        private(&database).map_err(|error| failed("cannot make the database file in", error))?;
        Ok(Self { database, _lock: lock })
    }

    /// The database file.
    pub(crate) fn database(&self) -> &Path {
        &self.database
    }
}

/// Opens or makes a file that only this user may read and write.
fn private(path: &Path) -> io::Result<File> {
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}
