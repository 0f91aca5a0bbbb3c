//! Import: entries of a file into a vault. All of the file is read, opened and held against every bound before
//! the first write; then batches are written, each all or nothing.
//!
//! Up to 48 entries are one batch. A longer import begins by writing a *mark*, an entry that names the file,
//! in its first batch, and its last batch deletes it: an import that was cut short is seen by everybody who
//! opens the vault, and nothing else is imported before it is finished. Doing it again writes what is
//! missing and nothing twice, since what is there is compared by name, value and times.

mod mark;
mod plan;
mod source;

use std::collections::BTreeSet;

use ocmt_crypto::{
    CryptoError,
    entry::{Entry, EntryName},
};
use serde::Serialize;

use super::Vault;
use crate::ClientError;

pub(super) use mark::NAME as MARK;
pub use plan::{Existing, Plan, What};
pub use source::{EarlierFile, Entries, ExportFile, Source};

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
    /// Writes what a plan says. `progress` is told how many of how many are written, after each batch.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `CHANGED_MEANWHILE` if another device wrote meanwhile. Batches that were
    /// written stay: plan and import again to go on.
    pub async fn import(
        &mut self,
        source: &Source,
        plan: &Plan,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<(), ClientError> {
        let total = plan.to_write();
        let (mut written, mut marked) = (0, plan.was_cut_short());
        let mark = EntryName::new(MARK)?;
        let mut entries = Self::wanted(source, plan);
        loop {
            let room = if marked || total <= BATCH { BATCH } else { BATCH - 1 };
            let batch = entries.by_ref().take(room).collect::<Result<Vec<Entry>, _>>()?;
            let last = written + batch.len() >= total;
            if batch.is_empty() && !last {
                // the file is not what it was at the first reading
                return Err(CryptoError::Refused.into());
            }
            if batch.is_empty() && !marked {
                break;
            }
            let mut edit = self.open.edit();
            for entry in &batch {
                edit.put(entry, &mut rand::rng())?;
            }
            match (last, marked) {
                (true, true) => {
                    edit.delete(&mark)?;
                }
                (false, false) => {
                    edit.put(&mark::entry(source, total)?, &mut rand::rng())?;
                }
                _ => {}
            }
            let change = edit.finish()?;
            self.commit(change).await?;
            marked = !last;
            written += batch.len();
            progress(written, total);
            if last {
                break;
            }
        }
        Ok(())
    }

    /// The entries that are to be written, read from the file once more.
    fn wanted<'a>(source: &'a Source, plan: &Plan) -> Entries<'a> {
        let names: BTreeSet<EntryName> = plan.names_to_write().cloned().collect();
        let wanted = move |entry: &Result<Entry, _>| match entry {
            Ok(entry) => names.contains(&entry.name),
            Err(_) => true,
        };
        Box::new(source.entries().filter(wanted))
    }
}
