//! An export: everything that a vault holds for its owner, under a passphrase, in chunks of bounded size.
//!
//! ```text
//! header 38 | (final u8 | length u32 | envelope of kind EXPORT_CHUNK)…
//! ```
//!
//! Version 1 holds entries, version 2 conversations too. What has none is written as version 1, which programs
//! of before read.
//!
//! The header fixes the key, and index and finality of a chunk are in its context: no bit can be changed,
//! no chunk left out, doubled, moved or taken from another export, and no export can be cut. Bytes are in
//! `docs/formats.md`. Reading from and writing to files is the client's.

#[cfg(test)]
mod conversations;
mod record;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vector;

use hkdf::Hkdf;
use rand::CryptoRng;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    CryptoError, Result,
    codec::{MAGIC, Reader, Writer},
    datakey::DataKey,
    entry::Entry,
    envelope,
    kdf::{Cost, Passphrase, Stretch},
    kind::Kind,
};

pub use record::{About, Exported, ExportedConversation, ExportedEntry, Said};
use record::{Expected, Tally};

/// Which records an export may hold, as its header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Version {
    /// Entries alone.
    Entries = 1,
    /// Conversations too.
    Conversations = 2,
}

/// Bytes of the salt: one size, so that a header has one size.
const SALT_LEN: usize = 16;
/// Bytes of a header: head, three costs, the salt with its length.
pub const HEADER_LEN: usize = 6 + 12 + 4 + SALT_LEN;
/// Bytes before each chunk's envelope.
pub const CHUNK_HEAD_LEN: usize = 5;
/// The most bytes of records in a chunk.
pub const MAX_CHUNK: usize = 1 << 20;

/// What stands before a chunk's envelope; believed only once that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkHead {
    /// Whether nothing follows.
    pub last: bool,
    /// Bytes of the envelope that follows, at most [`MAX_CHUNK`] and what an envelope adds.
    pub length: usize,
}

impl ChunkHead {
    /// Reads it, and bounds its length.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn parse(bytes: &[u8; CHUNK_HEAD_LEN]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let last = match reader.u8()? {
            0 => false,
            1 => true,
            _ => return Err(CryptoError::Refused),
        };
        let length = usize::try_from(reader.u32()?).map_err(|_| CryptoError::Refused)?;
        let most = MAX_CHUNK + envelope::overhead(Kind::EXPORT_CHUNK);
        if length <= most { Ok(Self { last, length }) } else { Err(CryptoError::Refused) }
    }
}

/// Writes an export, a chunk at a time.
pub struct Sealer {
    key: DataKey,
    version: Version,
    index: u64,
    tally: Tally,
    records: Writer,
}

impl Sealer {
    /// Begins an export of entries. Runs Argon2id. The header is the first thing to be written.
    ///
    /// # Errors
    /// None in practice.
    pub fn begin(
        about: &About,
        passphrase: &Passphrase,
        cost: Cost,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, Vec<u8>)> {
        Self::begin_as(Version::Entries, about, passphrase, cost, rng)
    }

    /// Begins an export of entries and, behind all of them, conversations: programs that know of none refuse it.
    ///
    /// # Errors
    /// None in practice.
    pub fn begin_with_conversations(
        about: &About,
        passphrase: &Passphrase,
        cost: Cost,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, Vec<u8>)> {
        Self::begin_as(Version::Conversations, about, passphrase, cost, rng)
    }

    fn begin_as(
        version: Version,
        about: &About,
        passphrase: &Passphrase,
        cost: Cost,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, Vec<u8>)> {
        let stretch = Stretch::generate(cost, rng);
        let mut header = Writer::object(Kind::EXPORT, version as u8);
        stretch.write(&mut header);
        let header = header.into_vec();
        let key = export_key(&stretch, passphrase, &header)?;
        let (tally, records) = (Tally::default(), Writer::with_capacity(MAX_CHUNK));
        let mut sealer = Self { key, version, index: 0, tally, records };
        about.write(&mut sealer.records);
        Ok((sealer, header))
    }

    /// Takes an entry and the number of its version. The chunk that is full with it, to be written next.
    ///
    /// # Errors
    /// [`CryptoError::TooLarge`] for a value over 64 KiB; [`CryptoError::Refused`] behind a conversation.
    pub fn entry(
        &mut self,
        version: u64,
        entry: &Entry,
        rng: &mut impl CryptoRng,
    ) -> Result<Option<Vec<u8>>> {
        if self.tally.conversations > 0 {
            return Err(CryptoError::Refused);
        }
        let chunk = self.push(&record::entry(version, entry)?, rng)?;
        self.tally.entries += 1;
        Ok(chunk)
    }

    /// Takes a conversation, whose records follow. As [`Sealer::entry`].
    ///
    /// # Errors
    /// [`CryptoError::Refused`] in an export of entries.
    pub fn conversation(
        &mut self,
        of: &ExportedConversation,
        rng: &mut impl CryptoRng,
    ) -> Result<Option<Vec<u8>>> {
        if self.version != Version::Conversations {
            return Err(CryptoError::Refused);
        }
        let chunk = self.push(&record::conversation(of), rng)?;
        self.tally.conversations += 1;
        Ok(chunk)
    }

    /// Takes what was said next in the conversation before. As [`Sealer::entry`].
    ///
    /// # Errors
    /// [`CryptoError::TooLarge`] past [`crate::transcript::MAX_RECORD`]; [`CryptoError::Refused`] before the first
    /// conversation.
    pub fn said(&mut self, text: &[u8], last: bool, rng: &mut impl CryptoRng) -> Result<Option<Vec<u8>>> {
        if self.tally.conversations == 0 {
            return Err(CryptoError::Refused);
        }
        let chunk = self.push(&record::said(text, last)?, rng)?;
        self.tally.said += 1;
        Ok(chunk)
    }

    /// Ends it. The last chunk, to be written.
    ///
    /// # Errors
    /// None in practice.
    pub fn finish(mut self, rng: &mut impl CryptoRng) -> Result<Vec<u8>> {
        self.tally.write(self.version, &mut self.records);
        self.chunk(true, rng)
    }

    fn push(&mut self, record: &[u8], rng: &mut impl CryptoRng) -> Result<Option<Vec<u8>>> {
        let full = self.records.as_bytes().len() + record.len() + record::END_LEN > MAX_CHUNK;
        let chunk = if full { Some(self.chunk(false, rng)?) } else { None };
        self.records.fixed(record);
        Ok(chunk)
    }

    fn chunk(&mut self, last: bool, rng: &mut impl CryptoRng) -> Result<Vec<u8>> {
        let records = std::mem::replace(&mut self.records, Writer::with_capacity(MAX_CHUNK));
        let context = context(self.index, last);
        let key = self.key.expose();
        let sealed = envelope::seal(Kind::EXPORT_CHUNK, 0, key, &context, records.as_bytes(), rng)?;
        self.index += 1;
        let mut out = Writer::with_capacity(CHUNK_HEAD_LEN + sealed.len());
        out.u8(u8::from(last)).var(&sealed);
        Ok(out.into_vec())
    }
}

/// Reads an export, a chunk at a time.
pub struct Opener {
    key: DataKey,
    index: u64,
    expected: Expected,
}

impl Opener {
    /// Takes the header. Costs are bounded before Argon2id runs with them.
    ///
    /// # Errors
    /// [`CryptoError::Refused`]; a wrong passphrase shows only with the first chunk.
    pub fn begin(header: &[u8; HEADER_LEN], passphrase: &Passphrase) -> Result<Self> {
        let (version, stretch) = read_header(header)?;
        Ok(Self::under(export_key(&stretch, passphrase, header)?, version))
    }

    /// The same once more, from the first chunk on, without Argon2id.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::under(self.key.duplicate(), self.expected.version())
    }

    fn under(key: DataKey, version: Version) -> Self {
        Self { key, index: 0, expected: Expected::of(version) }
    }

    /// Opens the next chunk: what is in it, in order.
    ///
    /// # Errors
    /// [`CryptoError::Refused`]: wrong passphrase, damaged, cut, or made by a later version.
    pub fn chunk(&mut self, head: ChunkHead, sealed: &[u8]) -> Result<Vec<Exported>> {
        if self.expected.is_over() || head.length != sealed.len() {
            return Err(CryptoError::Refused);
        }
        let context = context(self.index, head.last);
        let records = envelope::open_at(Kind::EXPORT_CHUNK, 0, self.key.expose(), &context, sealed)?;
        self.index += 1;
        let read = self.expected.take_all(&records)?;
        // the end of the records is that of the chunks
        if self.expected.is_over() == head.last { Ok(read) } else { Err(CryptoError::Refused) }
    }

    /// What the export says of itself; none before the first chunk.
    pub fn about(&self) -> Option<About> {
        self.expected.about()
    }

    /// Whether the last chunk was read: then all is there.
    pub fn is_over(&self) -> bool {
        self.expected.is_over()
    }
}

/// Tells whose export was refused whether a later program made it. Says nothing of a damaged one.
///
/// # Errors
/// [`CryptoError::UnsupportedVersion`] if its header names a later version than this program's.
pub fn check_version(header: &[u8; HEADER_LEN]) -> Result<()> {
    let mut reader = Reader::new(header);
    let head = (reader.array::<4>()?, Kind(reader.u8()?), reader.u8()?);
    match head {
        (MAGIC, Kind::EXPORT, version) if version > Version::Conversations as u8 => {
            Err(CryptoError::UnsupportedVersion)
        }
        _ => Ok(()),
    }
}

/// What is in one whole chunk, as it stands behind the cipher.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_records(version: Version, records: &[u8]) -> Result<Vec<Exported>> {
    Expected::of(version).take_all(records)
}

fn read_header(header: &[u8; HEADER_LEN]) -> Result<(Version, Stretch)> {
    let version = match header[5] {
        1 => Version::Entries,
        2 => Version::Conversations,
        _ => return Err(CryptoError::Refused),
    };
    let mut reader = Reader::object(header, Kind::EXPORT, version as u8)?;
    let stretch = Stretch::read(&mut reader)?;
    reader.finish()?;
    Ok((version, stretch))
}

/// HKDF over the stretched passphrase, with all of the header in its info.
fn export_key(stretch: &Stretch, passphrase: &Passphrase, header: &[u8]) -> Result<DataKey> {
    let stretched = stretch.derive(passphrase.expose())?;
    let info = [b"OCMT export key v1\0", header].concat();
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, stretched.as_slice())
        .expand(&info, key.as_mut_slice())
        .map_err(|_| CryptoError::Refused)?;
    DataKey::from_slice(key.as_slice())
}

fn context(index: u64, last: bool) -> Vec<u8> {
    let mut out = Writer::with_capacity(32);
    out.fixed(b"OCMT export v1\0").u64(index).u8(u8::from(last));
    out.into_vec()
}
