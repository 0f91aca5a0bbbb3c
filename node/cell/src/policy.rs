//! What the agents in here may do: believed from the host alone, kept in memory, and written where the workload reads it.
//!
//! Nothing is started before the first one is here. The file is in memory and replaced whole, so that nobody reads half of
//! one. It is made read-only, which holds against mistakes and not against the workload, whose uid is the cell's: what is
//! in force is what the cell says at its door (`"$OCMT_CELL" policy`), whatever became of the file.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use ocmt_crypto::cell::{CellPlace, DeliveredPolicy, NewestPolicy, PolicyAuthority, Standing, StartSecret};

use crate::{CellError, environment};

/// Where it lies in a container: in memory, and the container's own.
const IN_CONTAINER: &str = "/run/ocmt";
const FILE: &str = "agent-policy.json";
const NEXT: &str = "agent-policy.json.next";

/// The policy of this cell.
pub struct Policies {
    authority: Option<PolicyAuthority>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    newest: NewestPolicy,
    document: Option<Bytes>,
    folder: Option<PathBuf>,
}

impl Policies {
    /// None yet; `start` says which host is believed.
    pub fn new(start: &StartSecret, place: CellPlace) -> Self {
        Self { authority: PolicyAuthority::of(start, place).ok(), held: Mutex::default() }
    }

    /// Takes a policy, and has it in the file when this returns. Whether it is another than before.
    ///
    /// # Errors
    /// [`CellError::PolicyRefused`]; [`CellError::PolicyOlder`]; [`CellError::Io`], and the one before holds.
    pub fn take(&self, delivered: &DeliveredPolicy<'_>) -> Result<bool, CellError> {
        let authority = self.authority.as_ref().ok_or(CellError::PolicyRefused)?;
        let stated = authority.verify(delivered).map_err(|_| CellError::PolicyRefused)?;
        let mut held = self.lock();
        let mut newest = held.newest;
        match newest.take(&stated) {
            Standing::Older => return Err(CellError::PolicyOlder),
            Standing::Same => return Ok(false),
            Standing::Newer => {}
        }
        write(&mut held.folder, delivered.document)
            .map_err(|source| CellError::Io { what: "write the agent policy", source })?;
        held.newest = newest;
        held.document = Some(Bytes::copy_from_slice(delivered.document));
        tracing::info!(version = stated.version, "agent policy taken");
        Ok(true)
    }

    /// What holds; none before the first.
    pub fn document(&self) -> Option<Bytes> {
        self.lock().document.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Policies {
    fn drop(&mut self) {
        // in a container it goes with the container
        if let Some(folder) = self.lock().folder.take().filter(|folder| folder != Path::new(IN_CONTAINER)) {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

fn write(known: &mut Option<PathBuf>, document: &[u8]) -> io::Result<()> {
    let folder = match known.take() {
        Some(folder) if folder.is_dir() => folder,
        _ => make_folder()?,
    };
    let folder = known.insert(folder);
    let (file, next) = (folder.join(FILE), folder.join(NEXT));
    // what an earlier try left, or somebody put there
    match fs::remove_file(&next) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o444).open(&next)?.write_all(document)?;
    fs::rename(&next, &file)?;
    environment::policy_is_at(file);
    Ok(())
}

fn make_folder() -> io::Result<PathBuf> {
    let folder = if rustix::process::getpid().is_init() {
        PathBuf::from(IN_CONTAINER)
    } else {
        // without a container there is nothing of its own but a name that nobody guesses
        let name = data_encoding::HEXLOWER.encode(&rand::random::<[u8; 16]>());
        std::env::temp_dir().join(format!("ocmt-cell-{name}"))
    };
    match DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(folder),
    }
}
