//! Export: all entries of a vault, under a passphrase of the export's own.

use std::io::Write;

use ocmt_crypto::{
    entry::Entry,
    export::{About, Sealer},
    kdf::Cost,
    object::{VaultObject, keyring_id},
};
use ocmt_types::{Clock as _, Digest32, SystemClock};

use super::{Vault, blocking, import::MARK};
use crate::{ClientError, passphrase::NewPassphrase};

/// Entries fetched at once.
const BATCH: usize = 48;

/// What was exported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Exported {
    /// Entries.
    pub entries: usize,
    /// Keys of conversations and volumes, which are not exported: they open what stays with the cluster.
    pub keys_left_out: usize,
}

impl Vault {
    /// Writes all entries to `out`, sealed. `progress` is told how many of how many objects were read.
    ///
    /// # Errors
    /// [`ClientError::Crypto`] if the node shows anything that the manifest does not hold: an export is whole
    /// or it is none.
    pub async fn export(
        &self,
        passphrase: NewPassphrase,
        cost: Cost,
        out: &mut (impl Write + Send),
        mut progress: impl FnMut(usize, usize) + Send,
    ) -> Result<Exported, ClientError> {
        let scope = self.keys().scope();
        let (at, counter) = (SystemClock.now(), self.keys().manifest().counter);
        let about = About { tenant: scope.tenant, vault: scope.vault, at, counter };
        let begun =
            blocking(move || Sealer::begin(&about, passphrase.as_passphrase(), cost, &mut rand::rng()))
                .await?;
        let (mut sealer, header) = begun?;
        write(out, &header)?;
        let told = self
            .each_entry(
                |version, entry| {
                    let chunk = sealer.entry(version, entry, &mut rand::rng())?;
                    chunk.map_or(Ok(()), |chunk| write(out, &chunk))
                },
                &mut progress,
            )
            .await?;
        write(out, &sealer.finish(&mut rand::rng())?)?;
        Ok(told)
    }

    /// Opens every entry, one batch in memory at a time.
    ///
    /// # Errors
    /// As [`Vault::export`], and what `take` answers.
    pub async fn each_entry(
        &self,
        mut take: impl FnMut(u64, &Entry) -> Result<(), ClientError> + Send,
        progress: &mut (impl FnMut(usize, usize) + Send),
    ) -> Result<Exported, ClientError> {
        let leaves = self.keys().leaves().map(|leaf| leaf.object_id);
        let ids: Vec<Digest32> = leaves.filter(|id| *id != keyring_id()).collect();
        let (mut told, mut read) = (Exported::default(), 0);
        for some in ids.chunks(BATCH) {
            for object in self.objects(some).await? {
                match self.entry_of(&object)? {
                    // says something of an import into this vault alone
                    Some(entry) if entry.name.expose() == MARK => {}
                    Some(entry) => {
                        take(object.version, &entry)?;
                        told.entries += 1;
                    }
                    None => told.keys_left_out += 1,
                }
            }
            read += some.len();
            progress(read, ids.len());
        }
        Ok(told)
    }

    /// The entry of an object; none for the key of a conversation or volume.
    ///
    /// An object that is neither was changed by the node, and is not passed over.
    fn entry_of(&self, object: &VaultObject) -> Result<Option<Entry>, ClientError> {
        match self.keys().open_entry(object) {
            Ok(entry) => Ok(Some(entry)),
            Err(error) => match self.keys().key_versions(object) {
                Ok(_) => Ok(None),
                Err(_) => Err(error.into()),
            },
        }
    }
}

fn write(out: &mut impl Write, bytes: &[u8]) -> Result<(), ClientError> {
    out.write_all(bytes).map_err(|error| ClientError::Usage(format!("the export cannot be written: {error}")))
}
