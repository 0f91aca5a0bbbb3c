//! What is in an export: records with a type each, in an order that the reader holds them to.
//!
//! Types 3 and 4 are kept for conversations and what was said in them: until they are defined, they are
//! refused like every other.

use std::collections::BTreeSet;

use ocmt_types::{TenantId, Timestamp, VaultId};
use zeroize::Zeroizing;

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    entry::{Entry, EntryName, MAX_NAME, MAX_VALUE},
    manifest::MAX_OBJECTS,
};

const ABOUT: u8 = 1;
const ENTRY: u8 = 2;
const END: u8 = 255;

/// Bytes of the last record.
pub(super) const END_LEN: usize = 1 + 4 + 4;
/// The most bytes of a record's content: an entry with the longest name and value.
const MAX_CONTENT: usize = MAX_VALUE + MAX_NAME + 64;
/// The most entries: as many as a vault has beside its keyring.
const MAX_ENTRIES: usize = MAX_OBJECTS - 1;

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

/// An entry as it was exported.
pub struct Exported {
    /// The number of its version in the vault it comes from.
    pub version: u64,
    /// Name, value and the rest.
    pub entry: Entry,
}

pub(super) fn entry(version: u64, entry: &Entry) -> Result<Zeroizing<Vec<u8>>> {
    let plaintext = entry.encode()?;
    let mut out = Writer::with_capacity(1 + 4 + 8 + plaintext.len());
    out.u8(ENTRY).count(8 + plaintext.len()).u64(version).fixed(&plaintext);
    Ok(out.into_secret())
}

pub(super) fn end(entries: u32, out: &mut Writer) {
    out.u8(END).count(4).u32(entries);
}

enum Record {
    About(About),
    Entry(Exported),
    End(u32),
}

impl Record {
    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let kind = reader.u8()?;
        let mut content = Reader::new(reader.var(MAX_CONTENT)?);
        let record = match kind {
            ABOUT => Self::About(About {
                tenant: content.id()?,
                vault: content.id()?,
                at: Timestamp(content.i64()?),
                counter: content.u64()?,
            }),
            ENTRY => Self::Entry(Exported { version: content.u64()?, entry: Entry::decode(content.rest())? }),
            END => Self::End(content.u32()?),
            _ => return Err(CryptoError::Refused),
        };
        content.finish()?;
        Ok(record)
    }
}

/// What may come next.
#[derive(Default)]
pub(super) struct Expected {
    about: Option<About>,
    names: BTreeSet<EntryName>,
    over: bool,
}

impl Expected {
    pub(super) fn about(&self) -> Option<About> {
        self.about
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Takes the records of a chunk; the entries in them.
    pub(super) fn take_all(&mut self, records: &[u8]) -> Result<Vec<Exported>> {
        let (mut reader, mut read) = (Reader::new(records), Vec::new());
        while reader.remaining() > 0 {
            read.extend(self.take(Record::read(&mut reader)?)?);
        }
        Ok(read)
    }

    fn take(&mut self, record: Record) -> Result<Option<Exported>> {
        let lawful = match &record {
            _ if self.over => false,
            Record::About(_) => self.about.is_none(),
            Record::Entry(one) => {
                self.about.is_some()
                    && one.version > 0
                    && self.names.len() < MAX_ENTRIES
                    && self.names.insert(one.entry.name.clone())
            }
            Record::End(entries) => self.about.is_some() && usize::try_from(*entries) == Ok(self.names.len()),
        };
        match record {
            _ if !lawful => Err(CryptoError::Refused),
            Record::About(about) => {
                self.about = Some(about);
                Ok(None)
            }
            Record::Entry(one) => Ok(Some(one)),
            Record::End(_) => {
                self.over = true;
                Ok(None)
            }
        }
    }
}
