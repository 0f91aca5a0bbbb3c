//! What is in an export: records with a type each, in an order that the reader holds them to.
//!
//! Entries come first, then one conversation after the other, each with what was said in it. Conversations are of
//! version 2 alone: in an export of version 1 their types are refused like every unknown one.

use std::collections::BTreeSet;

use ocmt_types::{ContainerId, ConversationId, TenantId, Timestamp, VaultId};
use zeroize::Zeroizing;

use super::Version;
use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    entry::{Entry, EntryName, MAX_NAME, MAX_VALUE},
    manifest,
    transcript::{self, MAX_RECORDS},
};

const ABOUT: u8 = 1;
const ENTRY: u8 = 2;
const CONVERSATION: u8 = 3;
const SAID: u8 = 4;
const END: u8 = 255;

/// The most bytes of the last record.
pub(super) const END_LEN: usize = 1 + 4 + 4 + 4 + 8;
/// The most bytes of an entry's content: with the longest name and value.
const MAX_ENTRY: usize = MAX_VALUE + MAX_NAME + 64;
/// The most bytes of what was said, with its flag.
const MAX_SAID: usize = 1 + transcript::MAX_RECORD;
/// The most entries, and the most conversations: each is an object of a vault, beside its keyring.
const MOST: usize = manifest::MAX_ENTRIES;

/// What an export says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// The tenant it was made in.
    pub tenant: TenantId,
    /// The vault it is of.
    pub vault: VaultId,
    /// When it was made.
    pub at: Timestamp,
    /// The counter of the vault's manifest then.
    pub counter: u64,
}

impl About {
    pub(super) fn write(&self, out: &mut Writer) {
        out.u8(ABOUT).count(16 + 16 + 8 + 8);
        out.id(self.tenant).id(self.vault).i64(self.at.0).u64(self.counter);
    }
}

/// What an export holds, one after the other.
pub enum Exported {
    /// An entry.
    Entry(ExportedEntry),
    /// A conversation: what was said in it follows.
    Conversation(ExportedConversation),
    /// What was said next in the conversation before.
    Said(Said),
}

/// An entry as it was exported.
pub struct ExportedEntry {
    /// The number of its version in the vault it comes from.
    pub version: u64,
    /// Name, value and the rest.
    pub entry: Entry,
}

/// What an export says of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportedConversation {
    /// Which it was.
    pub id: ConversationId,
    /// The container it was with.
    pub container: Option<ContainerId>,
    /// The sequence that its first record here had: above 1 where retention took those before.
    pub first_sequence: u64,
    /// When it was made, as the node said.
    pub created_at: Option<Timestamp>,
    /// When its last record came, as the node said.
    pub updated_at: Option<Timestamp>,
}

/// A record of a conversation, in clear. Cannot be printed.
pub struct Said {
    /// What was said.
    pub text: Zeroizing<Vec<u8>>,
    /// Whether it was the final record.
    pub last: bool,
}

pub(super) fn entry(version: u64, entry: &Entry) -> Result<Zeroizing<Vec<u8>>> {
    let plaintext = entry.encode()?;
    let mut out = Writer::with_capacity(1 + 4 + 8 + plaintext.len());
    out.u8(ENTRY).count(8 + plaintext.len()).u64(version).fixed(&plaintext);
    Ok(out.into_secret())
}

pub(super) fn conversation(of: &ExportedConversation) -> Zeroizing<Vec<u8>> {
    let time = |out: &mut Writer, at: Timestamp| {
        out.i64(at.0);
    };
    let mut content = Writer::with_capacity(96);
    content.id(of.id).option(of.container, |out, id| {
        out.id(id);
    });
    content.u64(of.first_sequence).option(of.created_at, time).option(of.updated_at, time);
    let mut out = Writer::with_capacity(128);
    out.u8(CONVERSATION).var(content.as_bytes());
    out.into_secret()
}

pub(super) fn said(text: &[u8], last: bool) -> Result<Zeroizing<Vec<u8>>> {
    if text.len() > transcript::MAX_RECORD {
        let max = transcript::MAX_RECORD as u64;
        return Err(CryptoError::TooLarge { what: "transcript record", max });
    }
    let mut out = Writer::with_capacity(1 + 4 + 1 + text.len());
    out.u8(SAID).count(1 + text.len()).u8(u8::from(last)).fixed(text);
    Ok(out.into_secret())
}

/// How many of each an export holds: its last record says so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) entries: u32,
    pub(super) conversations: u32,
    pub(super) said: u64,
}

impl Tally {
    pub(super) fn write(self, version: Version, out: &mut Writer) {
        match version {
            Version::Entries => out.u8(END).count(4).u32(self.entries),
            Version::Conversations => {
                out.u8(END).count(4 + 4 + 8).u32(self.entries).u32(self.conversations).u64(self.said)
            }
        };
    }

    fn read(version: Version, content: &mut Reader<'_>) -> Result<Self> {
        let entries = content.u32()?;
        Ok(match version {
            Version::Entries => Self { entries, ..Self::default() },
            Version::Conversations => Self { entries, conversations: content.u32()?, said: content.u64()? },
        })
    }
}

enum Record {
    About(About),
    Content(Exported),
    End(Tally),
}

impl Record {
    fn read(version: Version, reader: &mut Reader<'_>) -> Result<Self> {
        let kind = reader.u8()?;
        let most = match version {
            Version::Entries => MAX_ENTRY,
            Version::Conversations => MAX_SAID,
        };
        let mut content = Reader::new(reader.var(most)?);
        let record = match kind {
            ABOUT => Self::About(About {
                tenant: content.id()?,
                vault: content.id()?,
                at: Timestamp(content.i64()?),
                counter: content.u64()?,
            }),
            ENTRY => Self::Content(Exported::Entry(ExportedEntry {
                version: content.u64()?,
                entry: Entry::decode(content.rest())?,
            })),
            CONVERSATION if version == Version::Conversations => {
                Self::Content(Exported::Conversation(ExportedConversation::read(&mut content)?))
            }
            SAID if version == Version::Conversations => {
                Self::Content(Exported::Said(Said::read(&mut content)?))
            }
            END => Self::End(Tally::read(version, &mut content)?),
            _ => return Err(CryptoError::Refused),
        };
        content.finish()?;
        Ok(record)
    }
}

impl ExportedConversation {
    fn read(content: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            id: content.id()?,
            container: content.option(Reader::id)?,
            first_sequence: content.u64()?,
            created_at: content.option(time)?,
            updated_at: content.option(time)?,
        })
    }
}

fn time(content: &mut Reader<'_>) -> Result<Timestamp> {
    Ok(Timestamp(content.i64()?))
}

impl Said {
    fn read(content: &mut Reader<'_>) -> Result<Self> {
        let last = match content.u8()? {
            0 => false,
            1 => true,
            _ => return Err(CryptoError::Refused),
        };
        Ok(Self { last, text: Zeroizing::new(content.rest().to_vec()) })
    }
}

/// What may come next.
pub(super) struct Expected {
    version: Version,
    about: Option<About>,
    names: BTreeSet<EntryName>,
    conversations: BTreeSet<ConversationId>,
    /// The sequence that comes next in the conversation that was begun; none after its final record.
    next: Option<u64>,
    said: u64,
    over: bool,
}

impl Expected {
    pub(super) fn of(version: Version) -> Self {
        let (names, conversations) = (BTreeSet::new(), BTreeSet::new());
        Self { version, about: None, names, conversations, next: None, said: 0, over: false }
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    pub(super) fn about(&self) -> Option<About> {
        self.about
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Takes the records of a chunk; what is in them.
    pub(super) fn take_all(&mut self, records: &[u8]) -> Result<Vec<Exported>> {
        let (mut reader, mut read) = (Reader::new(records), Vec::new());
        while reader.remaining() > 0 {
            let record = Record::read(self.version, &mut reader)?;
            if self.over || !self.is_lawful(&record) {
                return Err(CryptoError::Refused);
            }
            match record {
                Record::About(about) => self.about = Some(about),
                Record::Content(content) => read.push(content),
                Record::End(_) => self.over = true,
            }
        }
        Ok(read)
    }

    /// Whether it may come now; counts it if so.
    fn is_lawful(&mut self, record: &Record) -> bool {
        match record {
            Record::About(_) => self.about.is_none(),
            _ if self.about.is_none() => false,
            Record::Content(Exported::Entry(one)) => {
                self.conversations.is_empty()
                    && one.version > 0
                    && self.names.len() < MOST
                    && self.names.insert(one.entry.name.clone())
            }
            Record::Content(Exported::Conversation(one)) => {
                self.next = Some(one.first_sequence);
                one.first_sequence > 0 && self.conversations.len() < MOST && self.conversations.insert(one.id)
            }
            Record::Content(Exported::Said(one)) => {
                let Some(sequence) = self.next.filter(|sequence| *sequence <= MAX_RECORDS) else {
                    return false;
                };
                self.next = (!one.last).then_some(sequence + 1);
                self.said += 1;
                true
            }
            Record::End(tally) => *tally == self.tally(),
        }
    }

    fn tally(&self) -> Tally {
        let count = |items: usize| u32::try_from(items).unwrap_or(u32::MAX);
        let (entries, conversations) = (count(self.names.len()), count(self.conversations.len()));
        Tally { entries, conversations, said: self.said }
    }
}
