//! What a node remembers of a cell over its own restart: one JSON file per container, mode 0600.

use std::{
    collections::HashMap,
    fs,
    io::{self, Write as _},
    net::SocketAddr,
    os::unix::fs::DirBuilderExt as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::group::{Process, boot_id};
use crate::{ContainerRef, Labels, RuntimeError};

/// A cell that was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) leader: Process,
    pub(super) boot: String,
    pub(super) address: SocketAddr,
    pub(super) started_at_ms: i64,
}

impl Run {
    /// Whether the start time means anything in this boot.
    pub(super) fn is_of_this_boot(&self) -> bool {
        self.boot == boot_id()
    }
}

/// One container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) labels: HashMap<String, String>,
    /// The cell's arguments. Never a secret.
    pub(super) args: Vec<String>,
    /// The last start, if it was ever started.
    pub(super) run: Option<Run>,
    /// Whether that run has ended, as far as anybody saw.
    pub(super) ended: bool,
    /// The exit code, if anybody saw it.
    pub(super) exit_code: Option<i64>,
}

/// The folder of all records of a node.
#[derive(Debug)]
pub(super) struct Records(PathBuf);

impl Records {
    pub(super) fn open(folder: &Path) -> Result<Self, RuntimeError> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(RuntimeError::io("make the folder of process records"))?;
        Ok(Self(folder.to_owned()))
    }

    /// Where the cell's own words go: readable by the node's user alone.
    pub(super) fn log(&self, container: &ContainerRef) -> PathBuf {
        self.0.join(format!("{container}.log"))
    }

    /// Where the cell and its workload put what is temporary: empty at each start, gone with the container, whoever was killed.
    pub(super) fn temporary(&self, container: &ContainerRef) -> io::Result<PathBuf> {
        // the cell works in another folder
        let folder = std::path::absolute(self.scratch(container))?;
        clear(&folder);
        match fs::DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(folder),
        }
    }

    /// Written beside the old one and moved over it: a crash leaves one or the other whole.
    pub(super) fn write(&self, container: &ContainerRef, record: &Record) -> Result<(), RuntimeError> {
        let (new, place) = (self.0.join(format!("{container}.new")), self.place(container));
        let write = || {
            let mut file = private(&new)?;
            file.write_all(&serde_json::to_vec(record)?)?;
            file.sync_all()?;
            fs::rename(&new, &place)
        };
        write().map_err(RuntimeError::io("write a process record"))
    }

    pub(super) fn remove(&self, container: &ContainerRef) -> Result<(), RuntimeError> {
        for path in [self.place(container), self.log(container)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(RuntimeError::io("remove a process record")(error));
                }
                _ => {}
            }
        }
        clear(&self.scratch(container));
        Ok(())
    }

    /// All that can be read; what cannot is named in the log and left for a person.
    pub(super) fn all(&self) -> Result<Vec<(Labels, Record)>, RuntimeError> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(RuntimeError::io("list process records"))?.flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let read = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok());
            match read.and_then(|record| Some((Labels::from_map(&record.labels).ok()?, record))) {
                Some(found) => all.push(found),
                None => {
                    tracing::warn!(path = %path.display(), "a process record cannot be read and is left alone");
                }
            }
        }
        Ok(all)
    }

    fn place(&self, container: &ContainerRef) -> PathBuf {
        self.0.join(format!("{container}.json"))
    }

    fn scratch(&self, container: &ContainerRef) -> PathBuf {
        self.0.join(format!("{container}.tmp"))
    }
}

/// What a workload has made so that it cannot be removed keeps no container from its start or its end.
fn clear(folder: &Path) {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(folder = %folder.display(), %error, "what a cell left behind stays");
        }
        _ => {}
    }
}

/// A fresh file that only the node's user reads.
pub(super) fn private(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}
