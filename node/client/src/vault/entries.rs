//! Entries beyond one put and one get: compare-and-swap, times, many at once, earlier versions.

use std::collections::BTreeMap;

use ocmt_crypto::{
    entry::{Attributes, Entry, EntryName},
    manifest::MAX_ENTRIES,
    object::VaultObject,
};
use ocmt_proto::v1 as pb;
use ocmt_types::{Clock as _, Digest32, SystemClock, Timestamp};
use tonic::Code;
use zeroize::Zeroizing;

use super::{Vault, to_object};
use crate::{ClientError, client::present};

/// Entries of one commit.
const BATCH: usize = 48;

/// How an entry is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PutOptions {
    /// Only over this version; 0: only if there is none. Without it, over whatever is there.
    pub if_version: Option<u64>,
    /// When the secret ends to be valid.
    pub expires_at: Option<Timestamp>,
    /// When to be reminded of it.
    pub remind_at: Option<Timestamp>,
}

/// A version of an entry, without its value.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Version {
    /// Which.
    pub version: u64,
    /// Whether it is the present one.
    pub present: bool,
    /// Size of its value in bytes.
    pub bytes: usize,
    /// When it was written, in milliseconds since the Unix epoch.
    pub written_at: i64,
}

impl Vault {
    /// The version of an entry, as the signed manifest has it; 0 if there is none.
    ///
    /// # Errors
    /// [`ClientError::Crypto`] for what is no name.
    pub fn version(&self, name: &str) -> Result<u64, ClientError> {
        let id = self.open.entry_id(&EntryName::new(name)?);
        Ok(self.open.leaves().find(|leaf| leaf.object_id == id).map_or(0, |leaf| leaf.version))
    }

    /// Writes a secret as the options say; its version then. The comparison is made here, against what this vault was
    /// opened as; a write of another device in between is refused by the node.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if it has another version than wanted; as [`Vault::put`].
    pub async fn put_with(
        &mut self,
        name: &str,
        value: &[u8],
        options: &PutOptions,
    ) -> Result<u64, ClientError> {
        let version = self.version(name)?;
        if let Some(wanted) = options.if_version.filter(|wanted| *wanted != version) {
            let is = if version == 0 { "not there".to_owned() } else { format!("at version {version}") };
            let wanted = if wanted == 0 { "absent".to_owned() } else { format!("at version {wanted}") };
            let text = format!("`{name}` is {is}, and should be {wanted}: nothing was written");
            return Err(ClientError::Usage(text));
        }
        let entry = Entry {
            name: EntryName::new(name)?,
            value: Zeroizing::new(value.to_vec()),
            attributes: Attributes {
                written_at: SystemClock.now(),
                expires_at: options.expires_at,
                remind_at: options.remind_at,
            },
        };
        let mut edit = self.open.edit();
        edit.put(&entry, &mut rand::rng())?;
        let change = edit.finish()?;
        self.commit(change).await?;
        Ok(version + 1)
    }

    /// Writes many secrets, 48 in one commit. Every name and size is checked before the first is sent; how many were
    /// written.
    ///
    /// # Errors
    /// [`ClientError::Crypto`] for a bad name, a value over 64 KiB, or more than 10,000 entries: nothing was written
    /// then. As [`Vault::put`]; commits before a failure stay.
    pub async fn put_many(
        &mut self,
        secrets: &BTreeMap<String, Zeroizing<Vec<u8>>>,
    ) -> Result<usize, ClientError> {
        let mut entries = Vec::with_capacity(secrets.len());
        let mut fresh = 0;
        for (name, value) in secrets {
            fresh += usize::from(self.version(name)? == 0);
            if value.len() > ocmt_crypto::entry::MAX_VALUE {
                let text = format!("the value of `{name}` is longer than 64 KiB: nothing was written");
                return Err(ClientError::Usage(text));
            }
            let attributes = Attributes { written_at: SystemClock.now(), ..Attributes::default() };
            entries.push(Entry { name: EntryName::new(name)?, value: value.clone(), attributes });
        }
        // the keyring is no entry
        let there = self.open.leaves().len().saturating_sub(1);
        if there + fresh > MAX_ENTRIES {
            return Err(ClientError::Usage(format!(
                "a vault holds at most {MAX_ENTRIES} entries: {there} are there and {fresh} would come; nothing was written"
            )));
        }
        for some in entries.chunks(BATCH) {
            let mut edit = self.open.edit();
            for entry in some {
                edit.put(entry, &mut rand::rng())?;
            }
            let change = edit.finish()?;
            self.commit(change).await?;
        }
        Ok(entries.len())
    }

    /// All entries with their versions, in the order of their ids.
    pub(super) async fn entries(&self) -> Result<Vec<(u64, Entry)>, ClientError> {
        let system = [ocmt_crypto::object::keyring_id(), ocmt_crypto::object::unlock_ledger_id()];
        let ids: Vec<Digest32> =
            self.open.leaves().map(|leaf| leaf.object_id).filter(|id| !system.contains(id)).collect();
        let objects = self.objects(&ids).await?;
        // keys of conversations and volumes are objects too, but no entries
        let entry = |object: &VaultObject| self.open.open_entry(object).ok();
        Ok(objects.iter().filter_map(|object| Some((object.version, entry(object)?))).collect())
    }

    /// An earlier version of a secret, if the tenant keeps it.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if there is no such version, or it is not kept.
    pub async fn get_version(&self, name: &str, version: u64) -> Result<Entry, ClientError> {
        if version == self.version(name)? {
            return self.get(name).await;
        }
        let entry = self.earlier(self.entry_id(name)?, version).await?;
        entry.ok_or_else(|| ClientError::Usage(format!("version {version} of `{name}` is not kept")))
    }

    /// The versions of a secret that are there, newest first.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if there is none of this name.
    pub async fn history(&self, name: &str) -> Result<Vec<Version>, ClientError> {
        let (id, newest) = (self.entry_id(name)?, self.version(name)?);
        let mut versions = vec![Version::of(newest, true, &self.get(name).await?)];
        for version in (1..newest).rev() {
            let Some(entry) = self.earlier(id, version).await? else { break };
            versions.push(Version::of(version, false, &entry));
        }
        Ok(versions)
    }

    async fn earlier(&self, id: Digest32, version: u64) -> Result<Option<Entry>, ClientError> {
        let request =
            pb::GetEntryRequest { vault_id: self.id().to_string(), object_id: id.0.to_vec().into(), version };
        match self.client.vaults().get_entry(request).await {
            Ok(answer) => {
                let object = to_object(present(answer.into_inner().object, "object")?)?;
                if (object.object_id, object.version) != (id, version) {
                    return Err(ClientError::Answer("object"));
                }
                Ok(Some(self.open.open_earlier(&object)?))
            }
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(status.into()),
        }
    }
}

impl Version {
    fn of(version: u64, present: bool, entry: &Entry) -> Self {
        let written_at = entry.attributes.written_at.millis();
        Self { version, present, bytes: entry.value.len(), written_at }
    }
}
