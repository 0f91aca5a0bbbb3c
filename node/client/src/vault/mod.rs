//! A vault from its owner's device: everything is sealed here before it is sent, and checked here before
//! it is believed.

mod asked;
mod entries;
mod export;
pub mod import;
mod inbox;
mod key;
mod open;
mod resume;
mod rotate;
mod shared;
mod slots;
mod watch;
mod wire;

use ocmt_crypto::{
    entry::{Entry, EntryName},
    kdf::Cost,
    vault::{Change, UnlockedVault},
};
use ocmt_proto::v1 as pb;
use ocmt_types::{Clock as _, Digest32, SystemClock, Timestamp, VaultId};

use crate::{Client, ClientError, client::idempotency_key, state::LocalState, wire::as_text};

pub use asked::SlotRequest;
pub use entries::{PutOptions, Version};
pub use export::{Exported, Parts, Piece};
pub use inbox::{Arrived, Worth};
pub use key::Key;
pub(crate) use open::present_vault;
pub use rotate::NotRenewed;
pub use slots::Added;
pub use watch::{Changed, ChangedObject, VaultEvent, Watch};
pub(crate) use wire::{blocking, digest, to_object, to_pb};

/// An unlocked vault and the connection it is kept through.
pub struct Vault {
    client: Client,
    state: LocalState,
    open: UnlockedVault,
    least: Cost,
}

/// A fact of an entry that is not its value.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Which object it is.
    #[serde(serialize_with = "as_text")]
    pub object: Digest32,
    /// Its version.
    pub version: u64,
    /// Size of its value in bytes.
    pub bytes: usize,
    /// When this version was written, in milliseconds since the Unix epoch.
    pub written_at: i64,
    /// When the secret ends to be valid, likewise; none if its owner said nothing.
    pub expires_at: Option<i64>,
    /// When its owner wants to be reminded of it.
    pub remind_at: Option<i64>,
    /// One of the two has come.
    pub due: bool,
}

impl Vault {
    /// Which vault.
    pub fn id(&self) -> VaultId {
        self.open.scope().vault
    }

    /// What a new way to open it costs, by the tenant's policy.
    pub const fn cost(&self) -> Cost {
        self.least
    }

    /// The unlocked keys and manifest.
    pub fn keys(&self) -> &UnlockedVault {
        &self.open
    }

    /// The connection it is kept through.
    pub fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn state(&self) -> &LocalState {
        &self.state
    }

    /// Writes a secret, as a new one or a new version.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `CHANGED_MEANWHILE` if another device wrote first: open the vault again.
    pub async fn put(&mut self, name: &str, value: &[u8]) -> Result<(), ClientError> {
        self.put_with(name, value, &PutOptions::default()).await.map(drop)
    }

    /// Reads a secret.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if there is none of this name.
    pub async fn get(&self, name: &str) -> Result<Entry, ClientError> {
        let id = self.entry_id(name)?;
        let object = self.object(id).await?;
        Ok(self.open.open_entry(&object)?)
    }

    /// Deletes a secret.
    ///
    /// # Errors
    /// As [`Vault::put`]; [`ClientError::Usage`] if there is none of this name.
    pub async fn delete(&mut self, name: &str) -> Result<(), ClientError> {
        let object = self.entry_id(name)?;
        let mut ledger = self.ledger().await?;
        let mut edit = self.open.edit();
        edit.delete(&EntryName::new(name)?)?;
        // with it goes who may write it: another entry of this name has the same id
        if ledger.keep_rights(|right| right.object != object) {
            edit.put_ledger(&ledger, &mut rand::rng())?;
        }
        let change = edit.finish()?;
        self.commit(change).await
    }

    /// All entries, by name.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list(&self) -> Result<Vec<Listed>, ClientError> {
        let now = SystemClock.now();
        let mut listed: Vec<Listed> = self
            .entries()
            .await?
            .into_iter()
            .map(|(version, entry)| Listed {
                name: entry.name.expose().to_owned(),
                object: self.open.entry_id(&entry.name),
                version,
                bytes: entry.value.len(),
                written_at: entry.attributes.written_at.millis(),
                expires_at: entry.attributes.expires_at.map(Timestamp::millis),
                remind_at: entry.attributes.remind_at.map(Timestamp::millis),
                due: [entry.attributes.expires_at, entry.attributes.remind_at]
                    .into_iter()
                    .flatten()
                    .any(|at| at <= now),
            })
            .collect();
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }

    /// Sends one change, and takes it over when the node has committed it.
    pub(crate) async fn commit(&mut self, change: Change) -> Result<(), ClientError> {
        let request = pb::BatchPutEntriesRequest {
            vault_id: self.id().to_string(),
            puts: change.objects.iter().map(to_pb).collect(),
            deletes: self.refs(&change.deleted),
            manifest: change.manifest.clone().into(),
            idempotency_key: idempotency_key(),
        };
        self.client.vaults().batch_put_entries(request).await?;
        self.apply(change)
    }

    /// Takes over a change that the node has committed.
    pub(crate) fn apply(&mut self, change: Change) -> Result<(), ClientError> {
        self.open.apply(change)?;
        self.state.saw(self.id(), &self.open.seen())
    }

    pub(crate) fn entry_id(&self, name: &str) -> Result<Digest32, ClientError> {
        let id = self.open.entry_id(&EntryName::new(name)?);
        if self.open.leaves().any(|leaf| leaf.object_id == id) {
            return Ok(id);
        }
        Err(ClientError::Usage(format!("there is no secret named `{name}`")))
    }

    fn refs(&self, ids: &[Digest32]) -> Vec<pb::VaultObjectRef> {
        let leaves = self.open.leaves().filter(|leaf| ids.contains(&leaf.object_id));
        leaves
            .map(|leaf| pb::VaultObjectRef {
                object_id: leaf.object_id.0.to_vec().into(),
                version: leaf.version,
            })
            .collect()
    }
}
