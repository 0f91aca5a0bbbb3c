//! What is imported, as entries that can be read as often as needed.

use std::{fs::File, io, os::unix::fs::FileExt as _};

use ocmt_crypto::{
    CryptoError,
    entry::{Attributes, Entry},
    export::{About, CHUNK_HEAD_LEN, ChunkHead, Exported, ExportedEntry, HEADER_LEN, Opener, check_version},
    import::{Item, ItemKind},
    kdf::Passphrase,
};
use ocmt_types::{Clock as _, Digest32, SystemClock, TenantId};
use sha2::{Digest as _, Sha256};

use crate::ClientError;

/// What is in a file, one after the other, or why the file cannot be used.
pub type Items<'a> = Box<dyn Iterator<Item = Result<Exported, ClientError>> + Send + 'a>;
/// The same of its entries alone.
pub type Entries<'a> = Box<dyn Iterator<Item = Result<Entry, ClientError>> + Send + 'a>;

/// A file to import, opened. Nothing of it is written before all of it was read once.
pub enum Source {
    /// Of the implementation before this one.
    Earlier(EarlierFile),
    /// An export of ours.
    Export(ExportFile),
}

/// What a file of the earlier implementation held.
pub struct EarlierFile {
    digest: Digest32,
    items: Vec<Item>,
    attributes: Attributes,
}

/// An export, read in pieces: its memory is that of one chunk.
pub struct ExportFile {
    digest: Digest32,
    file: File,
    opener: Opener,
    about: About,
    conversations: bool,
}

impl EarlierFile {
    /// The items of `file`, written now: what such a file says of times is not authenticated.
    pub fn new(file: &[u8], items: Vec<Item>) -> Self {
        let attributes = Attributes { written_at: SystemClock.now(), ..Attributes::default() };
        Self { digest: Digest32(Sha256::digest(file).into()), items, attributes }
    }

    /// How many of each kind.
    pub fn count(&self, kind: ItemKind) -> usize {
        self.items.iter().filter(|item| item.kind == kind).count()
    }
}

impl ExportFile {
    /// Opens an export, and reads its first chunk. Runs Argon2id.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] for anything that is wrong with it; [`CryptoError::UnsupportedVersion`] if a later
    /// program made it; that it cannot be read.
    pub fn open(file: File, passphrase: &Passphrase) -> Result<Self, ClientError> {
        let mut header = [0; HEADER_LEN];
        file.read_exact_at(&mut header, 0).map_err(|error| unreadable(&error))?;
        check_version(&header)?;
        let opener = Opener::begin(&header, passphrase)?;
        let mut first = Chunks { file: &file, at: HEADER_LEN as u64, opener: opener.again() };
        first.next_chunk()?;
        let about = first.opener.about().ok_or(CryptoError::Refused)?;
        let digest = Digest32(Sha256::digest(header).into());
        Ok(Self { digest, file, opener, about, conversations: true })
    }

    /// The same, its conversations not to be imported.
    #[must_use]
    pub fn without_conversations(self) -> Self {
        Self { conversations: false, ..self }
    }

    /// What it says of itself.
    pub fn about(&self) -> About {
        self.about
    }

    fn items(&self) -> Items<'_> {
        let chunks = Chunks { file: &self.file, at: HEADER_LEN as u64, opener: self.opener.again() };
        Box::new(chunks.flat_map(|chunk| match chunk {
            Ok(items) => items.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        }))
    }
}

/// The chunks of an export; after an error there are no more.
struct Chunks<'a> {
    file: &'a File,
    at: u64,
    opener: Opener,
}

impl Chunks<'_> {
    fn next_chunk(&mut self) -> Result<Vec<Exported>, ClientError> {
        let mut head = [0; CHUNK_HEAD_LEN];
        self.read(&mut head)?;
        let head = ChunkHead::parse(&head)?;
        let mut sealed = vec![0; head.length];
        self.read(&mut sealed)?;
        let read = self.opener.chunk(head, &sealed)?;
        if self.opener.is_over()
            && self.file.read_at(&mut [0], self.at).map_err(|error| unreadable(&error))? != 0
        {
            return Err(CryptoError::Refused.into());
        }
        Ok(read)
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), ClientError> {
        self.file.read_exact_at(into, self.at).map_err(|error| unreadable(&error))?;
        self.at += into.len() as u64;
        Ok(())
    }
}

impl Iterator for Chunks<'_> {
    type Item = Result<Vec<Exported>, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        // an error leaves the position past every file
        if self.at == u64::MAX || self.opener.is_over() {
            return None;
        }
        let chunk = self.next_chunk();
        if chunk.is_err() {
            self.at = u64::MAX;
        }
        Some(chunk)
    }
}

impl Source {
    /// Names the file: a repeat of an import is known by it.
    pub fn digest(&self) -> Digest32 {
        match self {
            Self::Earlier(file) => file.digest,
            Self::Export(file) => file.digest,
        }
    }

    /// All of it from the first on, entries before conversations; the last item is an error if the file is not whole.
    pub fn items(&self) -> Items<'_> {
        match self {
            Self::Earlier(file) => Box::new(file.items.iter().map(|item| {
                let (name, value) = (item.name.clone(), item.value.clone());
                let entry = Entry { name, value, attributes: file.attributes };
                Ok(Exported::Entry(ExportedEntry { version: 1, entry }))
            })),
            Self::Export(file) => file.items(),
        }
    }

    /// All entries.
    pub fn entries(&self) -> Entries<'_> {
        Box::new(self.items().map_while(|item| match item {
            Ok(Exported::Entry(one)) => Some(Ok(one.entry)),
            Ok(Exported::Conversation(_) | Exported::Said(_)) => None,
            Err(error) => Some(Err(error)),
        }))
    }

    /// All conversations, each with its records behind it.
    pub(super) fn conversations(&self) -> Items<'_> {
        Box::new(self.items().skip_while(|item| matches!(item, Ok(Exported::Entry(_)))))
    }

    /// Whether conversations of it are to be imported.
    pub(super) fn wants_conversations(&self) -> bool {
        match self {
            Self::Earlier(_) => false,
            Self::Export(file) => file.conversations,
        }
    }

    /// The tenant that it was made in, if it says so.
    pub(super) fn tenant(&self) -> Option<TenantId> {
        match self {
            Self::Earlier(_) => None,
            Self::Export(file) => Some(file.about.tenant),
        }
    }
}

/// A file that ends too early is a damaged one.
fn unreadable(error: &io::Error) -> ClientError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => CryptoError::Refused.into(),
        _ => ClientError::Usage(format!("the file cannot be read: {error}")),
    }
}
