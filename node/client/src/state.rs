//! What a client remembers between commands: its session, the highest vault counters it has seen, and
//! what recovery needs.
//!
//! The counters are what makes a roll-back visible, so they are written before a value is trusted. One
//! JSON file of mode 0600 in a folder of mode 0700, replaced whole, changed under a file lock.

mod group_cells;
mod people;
mod programs;
mod recovery;
mod rotation;
mod slots;
mod unlock;
mod volumes;

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use ocmt_crypto::{sign::VerifyKey, vault::Seen};
use ocmt_types::{Digest32, TenantId, UserId, VaultId};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::ClientError;

/// A stored sign-in.
#[derive(Clone, Serialize, Deserialize)]
pub struct StoredSession {
    /// Where it is valid.
    pub endpoint: String,
    /// The authority to check that node against, in PEM.
    pub ca_pem: String,
    /// The tenant it is valid in.
    pub tenant: TenantId,
    /// Who signed in.
    pub user: UserId,
    /// The address he signed in with.
    pub email: String,
    /// The session token.
    pub token: String,
}

impl Drop for StoredSession {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.token);
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Content {
    #[serde(default)]
    sessions: Vec<StoredSession>,
    #[serde(default)]
    seen: BTreeMap<String, StoredSeen>,
    /// Ceremonies that this device opened, by hash.
    #[serde(default)]
    requests: BTreeMap<String, recovery::StoredRequest>,
    /// Unlocks of groups' vaults that this device asked for, by group.
    #[serde(default)]
    unlocks: BTreeMap<String, recovery::StoredRequest>,
    /// Containers that groups' vaults may be opened into, by vault.
    #[serde(default)]
    appointments: BTreeMap<String, group_cells::StoredAppointment>,
    /// Unlocks into them that this device has asked for, by group: the last one.
    #[serde(default)]
    cells_asked: BTreeMap<String, String>,
    /// Identity keys of owners, by guardianship.
    #[serde(default)]
    owners: BTreeMap<String, String>,
    /// Keys of guardians that the owner has compared, by vault and address.
    #[serde(default)]
    guardians: BTreeMap<String, String>,
    /// Keys of people, by tenant and address.
    #[serde(default)]
    people: BTreeMap<String, String>,
    /// Those of them whose words were compared, by tenant and address: which keys.
    #[serde(default)]
    compared: BTreeMap<String, String>,
    /// One's own public keys, of the vault that was opened here last, by tenant and user.
    #[serde(default)]
    own: BTreeMap<String, String>,
    /// Keys of programs, by tenant and token.
    #[serde(default)]
    programs: BTreeMap<String, String>,
    /// Rotations that this device began, by vault: from which manifest, to which verify key.
    #[serde(default)]
    rotations: BTreeMap<String, String>,
    /// What this device shows when it asks for slots that are waited for, by tenant and user.
    #[serde(default)]
    slot_claims: BTreeMap<String, String>,
    /// Serials of the last unlock of sealed volumes, by container.
    #[serde(default)]
    volumes: BTreeMap<String, u64>,
    /// The highest that this device has sent, answered or not, by container.
    #[serde(default)]
    volumes_tried: BTreeMap<String, u64>,
    /// Volume keys that this device has sent to the vault, by container: the hash of what was sent.
    #[serde(default)]
    volume_keys: BTreeMap<String, String>,
    /// Versions of the volume key that those were sealed under, by container.
    #[serde(default)]
    volume_versions: BTreeMap<String, u64>,
}

/// [`Seen`] as it is stored: hashes and keys in hexadecimal.
#[derive(Clone, Serialize, Deserialize)]
struct StoredSeen {
    counter: u64,
    manifest_hash: String,
    verify_key: String,
}

impl From<&Seen> for StoredSeen {
    fn from(seen: &Seen) -> Self {
        Self {
            counter: seen.counter,
            manifest_hash: HEXLOWER.encode(seen.manifest_hash.as_bytes()),
            verify_key: HEXLOWER.encode(&seen.verify_key.0),
        }
    }
}

impl StoredSeen {
    fn to_seen(&self) -> Option<Seen> {
        let bytes = |text: &str| HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok();
        Some(Seen {
            counter: self.counter,
            manifest_hash: Digest32(bytes(&self.manifest_hash)?),
            verify_key: VerifyKey(bytes(&self.verify_key)?),
        })
    }
}

/// The client's folder.
#[derive(Debug, Clone)]
pub struct LocalState {
    folder: PathBuf,
}

impl LocalState {
    /// The state in `folder`, made if there is none.
    ///
    /// # Errors
    /// [`ClientError::State`].
    pub fn open(folder: &Path) -> Result<Self, ClientError> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at(folder))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The newest session that fits: at `endpoint` and in `tenant`, where they are given.
    ///
    /// # Errors
    /// [`ClientError::State`].
    pub fn session(
        &self,
        endpoint: Option<&str>,
        tenant: Option<TenantId>,
    ) -> Result<Option<StoredSession>, ClientError> {
        let mut content = self.read()?;
        let fits = |s: &StoredSession| {
            endpoint.is_none_or(|e| e == s.endpoint) && tenant.is_none_or(|t| t == s.tenant)
        };
        let found = content.sessions.iter().rposition(fits);
        Ok(found.map(|index| content.sessions.remove(index)))
    }

    /// Stores a session as the newest, in place of one of the same user at the same endpoint.
    ///
    /// # Errors
    /// [`ClientError::State`].
    pub fn put_session(&self, session: StoredSession) -> Result<(), ClientError> {
        self.change(|content| {
            content.sessions.retain(|s| s.endpoint != session.endpoint || s.user != session.user);
            content.sessions.push(session);
        })
    }

    /// Forgets the sessions of a user at an endpoint.
    ///
    /// # Errors
    /// [`ClientError::State`].
    pub fn forget_session(&self, endpoint: &str, user: UserId) -> Result<(), ClientError> {
        self.change(|content| {
            content.sessions.retain(|s| s.endpoint != endpoint || s.user != user);
        })
    }

    /// The newest state of a vault that this device has met.
    ///
    /// # Errors
    /// [`ClientError::State`], also when it cannot be read: it must not be taken for "never met".
    pub fn seen(&self, vault: VaultId) -> Result<Option<Seen>, ClientError> {
        let content = self.read()?;
        content
            .seen
            .get(&vault.to_string())
            .map(|stored| stored.to_seen().ok_or_else(|| damaged(&self.path())))
            .transpose()
    }

    /// Remembers a state of a vault; an older one than before changes nothing.
    ///
    /// # Errors
    /// [`ClientError::State`].
    pub fn saw(&self, vault: VaultId, seen: &Seen) -> Result<(), ClientError> {
        self.change(|content| {
            let known = content.seen.get(&vault.to_string()).map_or(0, |stored| stored.counter);
            if seen.counter > known {
                content.seen.insert(vault.to_string(), seen.into());
            }
        })
    }

    fn path(&self) -> PathBuf {
        self.folder.join("state.json")
    }

    fn read(&self) -> Result<Content, ClientError> {
        let path = self.path();
        match fs::read(&path).map(Zeroizing::new) {
            Ok(text) => serde_json::from_slice(&text).map_err(|_| damaged(&path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Content::default()),
            Err(error) => Err(at(&path)(error)),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Content)) -> Result<(), ClientError> {
        let lock_path = self.folder.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock_path);
        let lock: File = lock.map_err(at(&lock_path))?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| at(&lock_path)(error.into()))?;
        let mut content = self.read()?;
        change(&mut content);
        let text = serde_json::to_vec_pretty(&content)
            .map(Zeroizing::new)
            .map_err(|error| at(&lock_path)(error.into()))?;
        self.replace(&text).map_err(at(&self.path()))
    }

    fn replace(&self, text: &[u8]) -> io::Result<()> {
        let beside = self.folder.join("state.new");
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&beside, self.path())
    }
}

fn damaged(path: &Path) -> ClientError {
    at(path)(io::Error::new(io::ErrorKind::InvalidData, "is damaged: move it away and sign in again"))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> ClientError + use<> {
    let path = path.to_owned();
    move |source| ClientError::State { path, source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt as _;

    use ocmt_types::{IdGen, RandomIds};

    use super::*;

    fn at_counter(counter: u64) -> Seen {
        Seen { counter, manifest_hash: Digest32([7; 32]), verify_key: VerifyKey([9; 32]) }
    }

    #[test]
    fn a_counter_never_goes_back_even_with_parallel_writers() {
        let dir = tempfile::tempdir().unwrap();
        let state = LocalState::open(&dir.path().join("s")).unwrap();
        let vault: VaultId = (&RandomIds as &dyn IdGen).id();
        std::thread::scope(|scope| {
            for n in 1..=16 {
                let state = state.clone();
                scope.spawn(move || state.saw(vault, &at_counter(n)).unwrap());
            }
        });
        state.saw(vault, &at_counter(3)).unwrap();
        assert_eq!(state.seen(vault).unwrap(), Some(at_counter(16)));
    }

    #[test]
    fn the_file_is_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let state = LocalState::open(&dir.path().join("s")).unwrap();
        state.saw((&RandomIds as &dyn IdGen).id(), &at_counter(1)).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir.path().join("s")), mode(&dir.path().join("s/state.json"))), (0o700, 0o600));
    }
}
