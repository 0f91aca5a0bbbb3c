//! What a node remembers over restarts: the highest view version it saw and its own last counter, and who was
//! revoked ([`RevokedFile`]).
//!
//! So a database that was rolled back while the node was down is noticed before the node says a word in it.
//! It lives in a small file of the data folder. What the file holds may lag behind by some seconds: lower is
//! always safe, it only notices less.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use ocmt_store::{
    Revocations,
    tables::{Cluster, RESTORE_STEP},
};
use ocmt_types::{ClusterId, Incarnation};
use serde::{Deserialize, Serialize};

use crate::{
    ClusterError, WentBack,
    revoked::{RevokedFile, replace},
};

/// What is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// Of which cluster.
    pub cluster_id: ClusterId,
    /// The highest view version seen.
    pub view_version: i64,
    /// The last life of this node.
    pub incarnation: Incarnation,
    /// The highest counter acknowledged to it.
    pub renewals: i64,
}

impl Remembered {
    /// Whether the database is the one remembered, and not an older state of it. `renewals` is the counter
    /// that it has for the remembered incarnation.
    ///
    /// An accepted restore (`ocmt store accept-restore`) raises the upper half of the view version: then
    /// the counters of lives before it count no more.
    ///
    /// # Errors
    /// [`ClusterError::WentBack`], [`ClusterError::OtherCluster`].
    pub fn check(&self, cluster: Option<&Cluster>, renewals: Option<i64>) -> Result<(), ClusterError> {
        let Some(cluster) = cluster else {
            return Err(self.view_went_back(0));
        };
        if cluster.cluster_id != self.cluster_id {
            return Err(ClusterError::OtherCluster { known: self.cluster_id, found: cluster.cluster_id });
        }
        if cluster.view_version < self.view_version {
            return Err(self.view_went_back(cluster.view_version));
        }
        let restored = cluster.view_version / RESTORE_STEP > self.view_version / RESTORE_STEP;
        if restored || renewals.is_some_and(|renewals| renewals >= self.renewals) {
            return Ok(());
        }
        Err(ClusterError::WentBack(WentBack {
            what: "the renewal counter of this node's last life",
            seen: self.renewals,
            answered: renewals.unwrap_or(0),
        }))
    }

    fn view_went_back(&self, answered: i64) -> ClusterError {
        ClusterError::WentBack(WentBack { what: "the view version", seen: self.view_version, answered })
    }
}

/// Where it is kept. Injected, so that a simulation can.
pub trait Memory: Send + Sync {
    /// What was remembered last.
    ///
    /// # Errors
    /// [`ClusterError::Memory`] if it cannot be read.
    fn recall(&self) -> Result<Option<Remembered>, ClusterError>;
    /// Remembers; does not block, and what comes later replaces what is not written yet.
    fn remember(&self, what: Remembered);
    /// Whom this node has seen revoked.
    ///
    /// # Errors
    /// [`ClusterError::Memory`] if it cannot be read.
    fn recall_revoked(&self) -> Result<Revocations, ClusterError>;
    /// Remembers whom, as [`Memory::remember`] does.
    fn remember_revoked(&self, revoked: &Revocations);
}

/// The memory in a node's data folder, which it holds locked: so the lives before this one are gone.
pub struct FolderMemory {
    folder: PathBuf,
    writer: Sender<Seen>,
    _lock: File,
}

const FILE: &str = "cluster.json";

impl FolderMemory {
    /// Makes the folder if need be (0700) and locks it, with the same lock file as the SQLite store.
    ///
    /// # Errors
    /// [`ClusterError::Memory`] if another process has it, or if it cannot be made.
    pub fn open(folder: &Path) -> Result<Self, ClusterError> {
        let failed = |what: &str, error: &io::Error| {
            ClusterError::Memory(format!("{what} the data folder {}: {error}", folder.display()))
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|e| failed("cannot make", &e))?;
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(folder.join("lock"))
            .map_err(|error| failed("cannot make the lock file of", &error))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => ClusterError::Memory(format!(
                "the data folder {} is in use by another process, stop that one first",
                folder.display()
            )),
            TryLockError::Error(error) => failed("cannot lock", &error),
        })?;
        let (writer, queue) = channel();
        let into = folder.to_owned();
        // a thread of its own: a slow disk must not hold up the heartbeat
        thread::Builder::new()
            .name("ocmt-memory".to_owned())
            .spawn(move || write_all(&into, &queue))
            .map_err(|error| failed("cannot start the thread that writes to", &error))?;
        Ok(Self { folder: folder.to_owned(), writer, _lock: lock })
    }

    /// What the node of this data folder remembered last; needs no lock.
    ///
    /// # Errors
    /// [`ClusterError::Memory`] if the file is there and cannot be read.
    pub fn peek(folder: &Path) -> Result<Option<Remembered>, ClusterError> {
        let path = folder.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(ClusterError::Memory(format!("cannot read {}: {error}", path.display())));
            }
        };
        let parsed = serde_json::from_str::<Stored>(&text).ok().and_then(Stored::parse);
        parsed.map(Some).ok_or_else(|| {
            ClusterError::Memory(format!(
                "{} is damaged: a node that does not know what it saw cannot tell whether its database went \
                 back in time. If it did not, remove the file",
                path.display()
            ))
        })
    }
}

impl Memory for FolderMemory {
    fn recall(&self) -> Result<Option<Remembered>, ClusterError> {
        Self::peek(&self.folder)
    }

    fn remember(&self, what: Remembered) {
        // an error means that the writer is gone, which it says itself
        let _ = self.writer.send(Seen::Life(what));
    }

    fn recall_revoked(&self) -> Result<Revocations, ClusterError> {
        RevokedFile::of(&self.folder).read()
    }

    fn remember_revoked(&self, revoked: &Revocations) {
        let _ = self.writer.send(Seen::Revoked(revoked.clone()));
    }
}

/// The file's content. What a newer release adds is passed over: a node that was upgraded may go back.
#[derive(Serialize, Deserialize)]
struct Stored {
    cluster_id: ClusterId,
    view_version: i64,
    incarnation: String,
    renewals: i64,
}

impl Stored {
    fn parse(self) -> Option<Remembered> {
        let incarnation = u128::from_str_radix(&self.incarnation, 16).ok()?;
        Some(Remembered {
            cluster_id: self.cluster_id,
            view_version: self.view_version,
            incarnation: Incarnation(incarnation.to_be_bytes()),
            renewals: self.renewals,
        })
    }
}

/// What is to be written.
enum Seen {
    Life(Remembered),
    Revoked(Revocations),
}

fn write_all(folder: &Path, queue: &Receiver<Seen>) {
    while let Ok(first) = queue.recv() {
        let (mut life, mut revoked) = (None, None);
        for seen in std::iter::once(first).chain(queue.try_iter()) {
            match seen {
                Seen::Life(latest) => life = Some(latest),
                Seen::Revoked(latest) => revoked = Some(latest),
            }
        }
        // the revoked first: what the other file says of the database may count once this one is there
        let written = revoked.map_or(Ok(()), |revoked| RevokedFile::of(folder).write(&revoked));
        if let Err(error) = written.and_then(|()| life.map_or(Ok(()), |life| write(folder, life))) {
            tracing::warn!(folder = %folder.display(), %error, "cannot write what this node saw of the cluster");
        }
    }
}

fn write(folder: &Path, what: Remembered) -> io::Result<()> {
    let stored = Stored {
        cluster_id: what.cluster_id,
        view_version: what.view_version,
        incarnation: what.incarnation.to_string(),
        renewals: what.renewals,
    };
    replace(folder, FILE, &serde_json::to_vec(&stored)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_store::testing::id;
    use ocmt_types::Timestamp;

    use super::*;

    fn seen() -> Remembered {
        Remembered { cluster_id: id(1), view_version: 7, incarnation: Incarnation([0xab; 16]), renewals: 40 }
    }

    fn cluster(view_version: i64) -> Cluster {
        Cluster { cluster_id: id(1), view_version, created_at: Timestamp(0), restored_at: None }
    }

    #[test]
    fn a_database_that_went_on_is_taken() {
        seen().check(Some(&cluster(7)), Some(40)).unwrap();
        seen().check(Some(&cluster(9)), Some(41)).unwrap();
    }

    #[test]
    fn a_database_that_was_rolled_back_is_refused() {
        for (cluster, renewals) in [
            (Some(cluster(6)), Some(40)),
            (Some(cluster(7)), Some(39)),
            (Some(cluster(7)), None),
            (None, None),
        ] {
            let refused = seen().check(cluster.as_ref(), renewals).unwrap_err();
            assert!(matches!(refused, ClusterError::WentBack(_)), "{refused}");
        }
        let other = Cluster { cluster_id: id(2), ..cluster(7) };
        assert!(matches!(seen().check(Some(&other), Some(40)), Err(ClusterError::OtherCluster { .. })));
    }

    #[test]
    fn an_accepted_restore_is_taken() {
        seen().check(Some(&cluster(RESTORE_STEP)), None).unwrap();
        let later = Remembered { view_version: RESTORE_STEP + 3, ..seen() };
        assert!(later.check(Some(&cluster(RESTORE_STEP + 3)), None).is_err(), "it was accepted before");
        later.check(Some(&cluster(2 * RESTORE_STEP)), None).unwrap();
    }

    #[test]
    fn a_folder_remembers_and_is_held_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let memory = FolderMemory::open(folder.path()).unwrap();
        assert_eq!(memory.recall().unwrap(), None);
        let refused = FolderMemory::open(folder.path()).err().unwrap().to_string();
        assert!(refused.contains("in use"), "{refused}");
        write(folder.path(), seen()).unwrap();
        assert_eq!(memory.recall().unwrap(), Some(seen()));
        drop(memory);
        assert_eq!(FolderMemory::open(folder.path()).unwrap().recall().unwrap(), Some(seen()));
    }

    #[test]
    fn a_damaged_file_is_not_taken_for_none() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "{\"view_version\":").unwrap();
        assert!(matches!(FolderMemory::peek(folder.path()), Err(ClusterError::Memory(_))));
    }

    #[test]
    fn what_a_newer_release_adds_to_the_file_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), seen()).unwrap();
        let file = folder.path().join(FILE);
        let newer = std::fs::read_to_string(&file).unwrap().replacen('{', "{\"of_tomorrow\":1,", 1);
        std::fs::write(&file, newer).unwrap();
        assert_eq!(FolderMemory::peek(folder.path()).unwrap(), Some(seen()));
    }
}
