//! Export: all entries of a vault and its conversations, under a passphrase of the export's own.

use std::{collections::BTreeSet, io::Write};

use ocmt_crypto::{
    entry::Entry,
    export::{About, ExportedConversation, Sealer},
    kdf::Cost,
    object::{VaultObject, conversation_key_id, keyring_id, unlock_ledger_id},
};
use ocmt_types::{Clock as _, Digest32, SystemClock};

use super::{Vault, blocking, import::MARK};
use crate::{
    ClientError,
    conversation::{Conversation, Record, Start},
    passphrase::NewPassphrase,
};

/// Entries fetched at once.
const BATCH: usize = 48;

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// Entries and conversations.
    Everything,
    /// Entries alone: every program that imports reads that.
    Entries,
}

/// What was exported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Exported {
    /// Entries.
    pub entries: usize,
    /// Conversations.
    pub conversations: usize,
    /// Records of conversations.
    pub records: usize,
    /// Conversations whose beginning is not there any more.
    pub pruned: usize,
    /// Conversations that the vault has no key of: a container began them, and the key waits in the vault's inbox.
    pub not_filed: usize,
    /// Keys that are not exported: of volumes, which stay with the cluster, and of conversations that are not in it.
    pub keys_left_out: usize,
}

/// One thing of a vault. Entries come first, then one conversation after the other, each with its records.
pub enum Piece<'a> {
    /// The number of its version, and an entry.
    Entry(u64, &'a Entry),
    /// A conversation, whose records follow.
    Conversation(&'a Conversation),
    /// The next record of this conversation.
    Record(&'a Conversation, &'a Record),
}

impl Vault {
    /// Writes all entries, and conversations if they are asked for, to `out`, sealed. `progress` is told how many of
    /// how many objects and records were read.
    ///
    /// # Errors
    /// [`ClientError::Crypto`] and [`ClientError::Transcript`] if the node shows anything that the manifest does not
    /// hold: an export is whole or it is none.
    pub async fn export(
        &self,
        parts: Parts,
        passphrase: NewPassphrase,
        cost: Cost,
        out: &mut (impl Write + Send),
        mut progress: impl FnMut(usize, usize) + Send,
    ) -> Result<Exported, ClientError> {
        let (talks, not_filed) = self.talks(parts).await?;
        let scope = self.keys().scope();
        let (at, counter) = (SystemClock.now(), self.keys().manifest().counter);
        let about = About { tenant: scope.tenant, vault: scope.vault, at, counter };
        let spoken = !talks.is_empty();
        let begun = blocking(move || {
            let (secret, rng) = (passphrase.as_passphrase(), &mut rand::rng());
            match spoken {
                true => Sealer::begin_with_conversations(&about, secret, cost, rng),
                false => Sealer::begin(&about, secret, cost, rng),
            }
        });
        let (mut sealer, header) = begun.await??;
        write(out, &header)?;
        let seal = |piece: Piece<'_>| -> Result<(), ClientError> {
            let rng = &mut rand::rng();
            let chunk = match piece {
                Piece::Entry(version, entry) => sealer.entry(version, entry, rng)?,
                Piece::Conversation(talk) => sealer.conversation(&head(talk), rng)?,
                Piece::Record(_, record) => sealer.said(&record.text, record.last, rng)?,
            };
            chunk.map_or(Ok(()), |chunk| write(out, &chunk))
        };
        let told = self.each_of(&talks, seal, &mut progress).await?;
        write(out, &sealer.finish(&mut rand::rng())?)?;
        Ok(Exported { not_filed, ..told })
    }

    /// Opens everything, one batch in memory at a time.
    ///
    /// # Errors
    /// As [`Vault::export`], and what `take` answers.
    pub async fn each(
        &self,
        parts: Parts,
        take: impl FnMut(Piece<'_>) -> Result<(), ClientError> + Send,
        progress: &mut (impl FnMut(usize, usize) + Send),
    ) -> Result<Exported, ClientError> {
        let (talks, not_filed) = self.talks(parts).await?;
        let told = self.each_of(&talks, take, progress).await?;
        Ok(Exported { not_filed, ..told })
    }

    /// The conversations of this vault, that which was used last at the end: an import keeps their order so. And how
    /// many there are of which the vault has no key.
    async fn talks(&self, parts: Parts) -> Result<(Vec<Conversation>, usize), ClientError> {
        if parts == Parts::Entries {
            return Ok((Vec::new(), 0));
        }
        let mut talks = self.conversations().await?;
        talks.sort_by_key(|talk| (talk.updated_at, talk.id));
        // one that was used while the pages were read may be on two of them
        let mut seen = BTreeSet::new();
        talks.retain(|talk| talk.vault == self.id() && seen.insert(talk.id));
        let keys: BTreeSet<Digest32> = self.keys().leaves().map(|leaf| leaf.object_id).collect();
        let (talks, not_filed): (Vec<_>, Vec<_>) =
            talks.into_iter().partition(|talk| keys.contains(&conversation_key_id(talk.id)));
        Ok((talks, not_filed.len()))
    }

    async fn each_of(
        &self,
        talks: &[Conversation],
        mut take: impl FnMut(Piece<'_>) -> Result<(), ClientError> + Send,
        progress: &mut (impl FnMut(usize, usize) + Send),
    ) -> Result<Exported, ClientError> {
        let count = |talk: &Conversation| (talk.records + 1).saturating_sub(talk.first_sequence);
        let records = talks.iter().map(count).sum::<u64>();
        let records = usize::try_from(records).unwrap_or(usize::MAX);
        let take_entry = |version: u64, entry: &Entry| take(Piece::Entry(version, entry));
        let mut objects = 0;
        let mut of_objects = |read, of: usize| {
            objects = of;
            progress(read, of.saturating_add(records));
        };
        let mut told = self.each_object(talks, take_entry, &mut of_objects).await?;
        for talk in talks {
            let mut reading = self.read_conversation(talk.id, Start::FirstLeft, false).await?;
            let mut next = reading.next().await?;
            let first_sequence = next.as_ref().map_or(1, |record| record.sequence);
            let mut talk = reading.conversation().clone();
            talk.first_sequence = first_sequence;
            take(Piece::Conversation(&talk))?;
            told.conversations += 1;
            told.pruned += usize::from(first_sequence > 1);
            while let Some(record) = next {
                take(Piece::Record(&talk, &record))?;
                told.records += 1;
                progress(objects.saturating_add(told.records), objects.saturating_add(records));
                next = reading.next().await?;
            }
        }
        Ok(told)
    }

    /// Opens every entry, one batch in memory at a time.
    ///
    /// # Errors
    /// As [`Vault::export`], and what `take` answers.
    pub async fn each_entry(
        &self,
        take: impl FnMut(u64, &Entry) -> Result<(), ClientError> + Send,
        progress: &mut (impl FnMut(usize, usize) + Send),
    ) -> Result<Exported, ClientError> {
        self.each_object(&[], take, progress).await
    }

    /// The same; keys of `talks` are not left out.
    async fn each_object(
        &self,
        talks: &[Conversation],
        mut take: impl FnMut(u64, &Entry) -> Result<(), ClientError> + Send,
        progress: &mut (impl FnMut(usize, usize) + Send),
    ) -> Result<Exported, ClientError> {
        let keys: BTreeSet<Digest32> = talks.iter().map(|talk| conversation_key_id(talk.id)).collect();
        // of this vault alone: its keys, and who may write to it
        let own = [keyring_id(), unlock_ledger_id()];
        let leaves = self.keys().leaves().map(|leaf| leaf.object_id);
        let ids: Vec<Digest32> = leaves.filter(|id| !own.contains(id)).collect();
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
                    None => told.keys_left_out += usize::from(!keys.contains(&object.object_id)),
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

fn head(of: &Conversation) -> ExportedConversation {
    ExportedConversation {
        id: of.id,
        container: of.container,
        first_sequence: of.first_sequence,
        created_at: of.created_at,
        updated_at: of.updated_at,
    }
}

fn write(out: &mut impl Write, bytes: &[u8]) -> Result<(), ClientError> {
    out.write_all(bytes).map_err(|error| ClientError::Usage(format!("the export cannot be written: {error}")))
}
