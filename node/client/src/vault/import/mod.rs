//! Import: entries of a file into a vault. All of the file is read, opened and held against every bound before
//! the first write; then batches are written, each all or nothing.
//!
//! Up to 48 entries are one batch. A longer import begins by writing a *mark*, an entry that names the file,
//! in its first batch, and its last batch deletes it: an import that was cut short is seen by everybody who
//! opens the vault, and nothing else is imported before it is finished. Doing it again writes what is
//! missing and nothing twice, since what is there is compared by name, value and times. The mark goes before the
//! last entries come, so an import of entries needs no place for it.
//!
//! Conversations come after the entries, one after the other, each under an id that is made of the file and its id
//! there: an import that is done again finds what it wrote and goes on behind it.

mod append;
mod conversations;
mod mark;
mod plan;
mod source;

use std::{collections::BTreeSet, iter};

use ocmt_crypto::{
    CryptoError,
    entry::{Entry, EntryName},
};
use serde::Serialize;

use super::Vault;
use crate::ClientError;

pub use conversations::ToldConversation;
pub(super) use mark::NAME as MARK;
pub use plan::{Existing, Plan, What};
pub use source::{EarlierFile, Entries, ExportFile, Items, Source};

/// Entries written at once, the mark included.
const BATCH: usize = 48;

/// What became of one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Its name.
    pub name: String,
    /// Size of its value in bytes.
    pub bytes: usize,
    /// What is done with it.
    pub what: What,
}

impl Vault {
    /// Writes what a plan says. `progress` is told how many entries and records of how many are written.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `CHANGED_MEANWHILE` if another device wrote meanwhile. What was written stays:
    /// plan and import again to go on.
    pub async fn import(
        &mut self,
        source: &Source,
        plan: &Plan,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<(), ClientError> {
        let (total, records) = (plan.to_write(), plan.records_to_write());
        let all = total.saturating_add(records);
        let spoken = plan.conversations_to_write() > 0;
        let marked = self.import_entries(source, plan, |written| progress(written, all)).await?;
        if !spoken {
            return Ok(());
        }
        let progress = |written| progress(total.saturating_add(written), all);
        self.import_conversations(source, plan, marked, progress).await
    }

    /// Whether an import is under way, or was cut short.
    pub(crate) fn is_importing(&self) -> Result<bool, ClientError> {
        let id = self.keys().entry_id(&EntryName::new(MARK)?);
        Ok(self.keys().leaves().any(|leaf| leaf.object_id == id))
    }

    /// Writes the entries. Whether the mark is there then, as it is if conversations follow something.
    async fn import_entries(
        &mut self,
        source: &Source,
        plan: &Plan,
        mut progress: impl FnMut(usize),
    ) -> Result<bool, ClientError> {
        let (total, spoken) = (plan.to_write(), plan.conversations_to_write() > 0);
        let (mut written, mut marked) = (0, plan.was_cut_short());
        let mark = EntryName::new(MARK)?;
        let mut entries = Self::wanted(source, plan);
        loop {
            let room = if marked || !plan.takes_batches() { BATCH } else { BATCH - 1 };
            let batch = entries.by_ref().take(room).collect::<Result<Vec<Entry>, _>>()?;
            let through = written + batch.len() >= total;
            if batch.is_empty() && !through {
                // the file is not what it was at the first reading
                return Err(CryptoError::Refused.into());
            }
            if batch.is_empty() && (spoken || !marked) {
                return Ok(marked);
            }
            let last = through && !spoken;
            let mut edit = self.open.edit();
            if last && marked {
                self.note_what_is_there(plan, &mut edit);
                // before the others: in a full vault the last one takes its place
                edit.delete(&mark)?;
            }
            for entry in &batch {
                edit.put(entry, &mut rand::rng())?;
            }
            if !last && !marked {
                edit.put(&mark::entry(source, total)?, &mut rand::rng())?;
            }
            let change = edit.finish()?;
            self.commit(change).await?;
            marked = !last;
            written += batch.len();
            progress(written);
            if through {
                return Ok(marked);
            }
        }
    }

    /// The entries that are to be written, read from the file once more: what is replaced before what is new, so that
    /// the last batch has a new one if there is any.
    fn wanted<'a>(source: &'a Source, plan: &Plan) -> Entries<'a> {
        let of = |what| -> Entries<'a> {
            let names: BTreeSet<EntryName> = plan.names(what).cloned().collect();
            if names.is_empty() {
                return Box::new(iter::empty());
            }
            let wanted = move |entry: &Result<Entry, _>| match entry {
                Ok(entry) => names.contains(&entry.name),
                Err(_) => true,
            };
            Box::new(source.entries().filter(wanted))
        };
        Box::new(of(What::Replaced).chain(of(What::New)))
    }
}
