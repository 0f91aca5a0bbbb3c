//! What an import will do, before it does anything.

use std::collections::{BTreeMap, BTreeSet};

use ocmt_crypto::{
    CryptoError,
    entry::{Entry, EntryName, MAX_VALUE},
    export::Exported,
    manifest::MAX_OBJECTS,
};
use ocmt_types::Digest32;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{
    BATCH, Source, Told,
    conversations::{PlannedConversation, ToldConversation},
    mark,
};
use crate::{ClientError, vault::Vault};

/// Names that an error lists.
const LISTED: usize = 5;

/// What is to be done with an entry whose name is taken by another value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Refuse the import.
    Refuse,
    /// Keep what is there.
    Keep,
    /// Write a new version.
    Replace,
}

/// What is done with an entry or a conversation of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It is written.
    New,
    /// A new version is written.
    Replaced,
    /// It is there already, the same.
    AlreadyThere,
    /// Another of this name is there, and is kept.
    Kept,
    /// It was asked to be left out.
    LeftOut,
}

impl What {
    /// As people read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Replaced => "replaced",
            Self::AlreadyThere => "already there",
            Self::Kept => "kept what is there",
            Self::LeftOut => "left out",
        }
    }

    pub(super) const fn is_written(self) -> bool {
        matches!(self, Self::New | Self::Replaced)
    }
}

/// An import that was held against every bound. Holds no value.
pub struct Plan {
    entries: Vec<Planned>,
    pub(super) conversations: Vec<PlannedConversation>,
    cut_short: bool,
}

struct Planned {
    name: EntryName,
    id: Digest32,
    bytes: usize,
    /// Value and times, to be compared with what is there.
    likeness: Digest32,
    what: What,
}

impl Plan {
    /// How many entries are written.
    pub fn to_write(&self) -> usize {
        self.entries.iter().filter(|one| one.what.is_written()).count()
    }

    /// How many conversations are written, or gone on with.
    pub fn conversations_to_write(&self) -> usize {
        self.conversations.iter().filter(|one| one.what.is_written()).count()
    }

    /// How many records of conversations are written.
    pub fn records_to_write(&self) -> usize {
        let records = self.conversations.iter().map(PlannedConversation::to_write).sum::<u64>();
        usize::try_from(records).unwrap_or(usize::MAX)
    }

    /// Every conversation of the file, in its order.
    pub fn conversations(&self) -> Vec<ToldConversation> {
        self.conversations.iter().map(PlannedConversation::told).collect()
    }

    /// Whether an import of this file was cut short before, which is then finished.
    pub fn was_cut_short(&self) -> bool {
        self.cut_short
    }

    /// Every entry of the file, in its order.
    pub fn told(&self) -> Vec<Told> {
        let told =
            |one: &Planned| Told { name: one.name.expose().to_owned(), bytes: one.bytes, what: one.what };
        self.entries.iter().map(told).collect()
    }

    /// Whether it cannot be written in one batch.
    pub(super) fn takes_batches(&self) -> bool {
        self.to_write() > BATCH || self.conversations_to_write() > 0
    }

    /// The names of entries with which this is done.
    pub(super) fn names(&self, what: What) -> impl Iterator<Item = &EntryName> {
        self.entries.iter().filter(move |one| one.what == what).map(|one| &one.name)
    }

    /// Whether the mark, if there is one, takes a place beside all that is written. Where the commit that takes it away
    /// writes a new entry, that comes into its place.
    fn mark_takes_a_place(&self) -> bool {
        let is_marked = self.cut_short || self.takes_batches();
        let ends_with_a_new_one = self.names(What::New).count() > 0 && self.conversations_to_write() == 0;
        is_marked && !ends_with_a_new_one
    }
}

/// Whether a vault of so many objects takes `new` more, and a mark that stands for a while.
fn check_room(there: usize, new: usize, mark: bool) -> Result<(), ClientError> {
    let (room, takes) = (MAX_OBJECTS.saturating_sub(there), new.saturating_add(usize::from(mark)));
    if takes <= room {
        return Ok(());
    }
    let mark = if mark { ", one of them only while it lasts" } else { "" };
    Err(ClientError::Usage(format!(
        "nothing was imported: the vault has room for {room} more entries and conversations, and the import takes {takes}{mark}"
    )))
}

impl Vault {
    /// Reads all of a file and says what importing it will do. Nothing is written.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if something of it does not fit, or an import of another file was cut short;
    /// [`ClientError::Crypto`] if the file is damaged.
    pub async fn plan_import(
        &self,
        source: &Source,
        existing: Existing,
        left_out: &BTreeSet<String>,
    ) -> Result<Plan, ClientError> {
        let cut_short = self.cut_short(source.digest()).await?;
        let (entries, conversations) = self.read_all(source, left_out)?;
        let mut plan = Plan { entries, conversations, cut_short };
        self.compare(&mut plan.entries, existing).await?;
        self.compare_conversations(source, &mut plan.conversations).await?;
        let new = plan.names(What::New).count() + self.room_for_conversations(&plan.conversations)?;
        // the mark of an import that was cut short makes room when it goes
        let there = self.keys().leaves().len().saturating_sub(usize::from(cut_short));
        check_room(there, new, plan.mark_takes_a_place())?;
        Ok(plan)
    }

    /// Whether an import of this file was cut short.
    async fn cut_short(&self, digest: Digest32) -> Result<bool, ClientError> {
        if !self.is_importing()? {
            return Ok(false);
        }
        let id = self.keys().entry_id(&EntryName::new(mark::NAME)?);
        for object in self.objects(&[id]).await? {
            if mark::is_of(&self.keys().open_entry(&object)?, digest) {
                return Ok(true);
            }
        }
        Err(ClientError::Usage(format!(
            "an import of another file was cut short: finish that one first, or give it up with `ocmt vault rm '{}'`",
            mark::NAME
        )))
    }

    pub(super) fn ids(&self) -> BTreeSet<Digest32> {
        self.keys().leaves().map(|leaf| leaf.object_id).collect()
    }

    /// The first reading: to the end of the file, with every bound.
    fn read_all(
        &self,
        source: &Source,
        left_out: &BTreeSet<String>,
    ) -> Result<(Vec<Planned>, Vec<PlannedConversation>), ClientError> {
        let (mut planned, mut names, mut too_large) = (Vec::new(), BTreeSet::new(), Vec::new());
        let mut conversations: Vec<PlannedConversation> = Vec::new();
        for item in source.items() {
            let entry = match item? {
                Exported::Entry(one) => one.entry,
                Exported::Conversation(head) => {
                    conversations.push(PlannedConversation::new(self, source, &head));
                    continue;
                }
                Exported::Said(said) => {
                    conversations.last_mut().ok_or(CryptoError::Refused)?.count(&said);
                    continue;
                }
            };
            // the mark of another vault's import says nothing here
            let out = entry.name.expose() == mark::NAME || left_out.contains(entry.name.expose());
            if !out && entry.value.len() > MAX_VALUE {
                too_large.push(entry.name.expose().to_owned());
            }
            let name = entry.name.expose();
            if !names.insert(entry.name.clone()) || planned.len() >= MAX_OBJECTS {
                let text = format!("nothing was imported: the file has too many entries, or `{name}` twice");
                return Err(ClientError::Usage(text));
            }
            planned.push(Planned {
                id: self.keys().entry_id(&entry.name),
                bytes: entry.value.len(),
                likeness: likeness(&entry),
                what: if out { What::LeftOut } else { What::New },
                name: entry.name,
            });
        }
        if let Some(unknown) =
            left_out.iter().find(|out| !planned.iter().any(|one| one.name.expose() == **out))
        {
            return Err(ClientError::Usage(format!("the file has no entry named `{unknown}`")));
        }
        refuse(&too_large, "is larger than the 64 KiB of an entry: leave it out with --without")?;
        Ok((planned, conversations))
    }

    /// Holds the file's entries against those of the vault.
    async fn compare(&self, planned: &mut [Planned], existing: Existing) -> Result<(), ClientError> {
        let there = self.ids();
        let new = planned.iter_mut().filter(|one| one.what == What::New && there.contains(&one.id));
        let mut known: BTreeMap<Digest32, &mut Planned> = new.map(|one| (one.id, one)).collect();
        let ids: Vec<Digest32> = known.keys().copied().collect();
        let mut conflicts = Vec::new();
        for ids in ids.chunks(BATCH) {
            for object in self.objects(ids).await? {
                let entry = self.keys().open_entry(&object)?;
                let Some(one) = known.get_mut(&object.object_id) else { continue };
                one.what = match existing {
                    _ if likeness(&entry) == one.likeness => What::AlreadyThere,
                    Existing::Keep => What::Kept,
                    Existing::Replace => What::Replaced,
                    Existing::Refuse => {
                        conflicts.push(one.name.expose().to_owned());
                        What::Kept
                    }
                };
            }
        }
        refuse(&conflicts, "is in the vault with another value: say --existing keep or --existing replace")
    }
}

fn refuse(names: &[String], why: &str) -> Result<(), ClientError> {
    let Some(first) = names.first() else { return Ok(()) };
    let more = match names.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more: `{}`)", names[1..names.len().min(LISTED)].join("`, `")),
    };
    Err(ClientError::Usage(format!("nothing was imported: `{first}`{more} {why}")))
}

/// What makes two entries of one name the same: value, expiry and reminder. When it was written is not of it.
fn likeness(entry: &Entry) -> Digest32 {
    let mut hash = Sha256::new();
    for at in [entry.attributes.expires_at, entry.attributes.remind_at] {
        hash.update([u8::from(at.is_some())]);
        hash.update(at.map_or(0, |at| at.0).to_be_bytes());
    }
    hash.update(&*entry.value);
    Digest32(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_vault_takes_10000_and_one_less_where_a_mark_stands_beside_them() {
        for (there, new, mark, fits) in [
            (1, 10_000, false, true),
            (1, 10_001, false, false),
            (1, 10_000, true, false),
            (1, 9_999, true, true),
            (10_001, 0, false, true),
            (10_001, 0, true, false),
        ] {
            assert_eq!(check_room(there, new, mark).is_ok(), fits, "{there} {new} {mark}");
        }
    }
}
