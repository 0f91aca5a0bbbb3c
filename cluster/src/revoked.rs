//! Whom a node has seen revoked, over restarts and over whatever happens to the database.
//!
//! A file of its own beside what else a node remembers: it changes seldom, and a database that is put back must not
//! honour again whom it has forgotten to be revoked. Nobody is ever struck off it. It is not signed: whoever can write
//! into a node's data folder has its keys and the login of the database, and can revoke without it.

use std::{
    collections::BTreeSet,
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use ocmt_store::Revocations;
use ocmt_types::{NodeId, OperatorId};
use serde::{Deserialize, Serialize};

use crate::ClusterError;

/// Nodes, and operators, that the file holds at most; beyond that some are left out. An id is some 40 bytes of it.
const MOST: usize = 10_000;
const FILE: &str = "revoked.json";

/// The file in a node's data folder.
#[derive(Debug, Clone)]
pub struct RevokedFile(PathBuf);

impl RevokedFile {
    /// That of the node with this data folder.
    pub fn of(data_folder: &Path) -> Self {
        Self(data_folder.to_owned())
    }

    /// What it holds; nobody if it is not there.
    ///
    /// # Errors
    /// [`ClusterError::Memory`] if it is there and cannot be read.
    pub fn read(&self) -> Result<Revocations, ClusterError> {
        let path = self.0.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Revocations::default()),
            Err(error) => {
                return Err(ClusterError::Memory(format!("cannot read {}: {error}", path.display())));
            }
        };
        let stored: Stored = serde_json::from_str(&text).map_err(|_| {
            ClusterError::Memory(format!(
                "{} is damaged: it says whom this node has seen revoked. If the database was not put back, it knows \
                 them too: remove the file",
                path.display()
            ))
        })?;
        Ok(Revocations { nodes: stored.nodes, operators: stored.operators })
    }

    /// Replaces it: whoever reads sees the old or the new one, whole.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn write(&self, revoked: &Revocations) -> io::Result<()> {
        if revoked.nodes.len().max(revoked.operators.len()) > MOST {
            tracing::warn!(most = MOST, "not everybody who was revoked is remembered on this node's disk");
        }
        let stored = Stored {
            nodes: revoked.nodes.iter().take(MOST).copied().collect(),
            operators: revoked.operators.iter().take(MOST).copied().collect(),
        };
        replace(&self.0, FILE, &serde_json::to_vec(&stored)?)
    }
}

/// The file's content.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    nodes: BTreeSet<NodeId>,
    operators: BTreeSet<OperatorId>,
}

/// Writes a file of the folder anew, durably.
pub(crate) fn replace(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let beside = folder.join(format!("{name}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&beside, folder.join(name))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_store::testing::id;

    use super::*;

    #[test]
    fn who_was_seen_revoked_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = RevokedFile::of(folder.path());
        assert!(file.read().unwrap().is_empty());
        let revoked = Revocations { nodes: [id(1), id(2)].into(), operators: [id(3)].into() };
        file.write(&revoked).unwrap();
        assert_eq!(file.read().unwrap(), revoked);
    }

    #[test]
    fn a_damaged_file_is_not_taken_for_nobody() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "{\"nodes\":[").unwrap();
        assert!(matches!(RevokedFile::of(folder.path()).read(), Err(ClusterError::Memory(_))));
    }

    #[test]
    fn the_file_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let file = RevokedFile::of(folder.path());
        let nodes = (0..=MOST as u64).map(id).collect();
        file.write(&Revocations { nodes, ..Revocations::default() }).unwrap();
        assert_eq!(file.read().unwrap().nodes.len(), MOST);
    }
}
