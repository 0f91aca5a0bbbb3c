//! Snapshots: a container's volume as a row of sealed chunks, and the key of it on its way to a cell that runs nothing.
//!
//! ```text
//! chunk   = envelope of kind SNAPSHOT_CHUNK at key epoch 0, under the snapshot's key
//! context = tenant 16 | snapshot 16 | number u64 | last u8
//! ```
//!
//! Each snapshot has a key of its own, which the client makes and keeps wrapped under the volume key of its vault. A
//! chunk is bound to its snapshot, its place and whether it is the last: what is reordered, left out, doubled, cut off,
//! added or taken from another snapshot is refused. Chunks but the last are full, so that one volume has one division.
//!
//! The key reaches the cell in a *snapshot payload*, sealed as an unlock payload is but under other words: neither is
//! ever taken for the other, whoever carries them.

use ocmt_types::{SnapshotId, TenantId};
use zeroize::Zeroizing;

use crate::{
    CryptoError, Result,
    cell::{CellKeyStatement, CellPlace},
    codec::{Reader, Writer},
    datakey::{DataKey, ObjectPlace, VaultKey, VaultScope},
    envelope::{self, Cipher},
    kind::Kind,
    object::snapshot_key_id,
    plaintext::Plaintext,
    seal::{self, SealSecretKey},
};

const VERSION: u8 = 1;
const INFO: &[u8] = b"OCMT snapshot v1";

/// Bytes of a full chunk's content.
pub const CHUNK: usize = 256 * 1024;
/// The longest sealed chunk, in bytes.
pub const MAX_SEALED_CHUNK: usize = CHUNK + envelope::overhead(Kind::SNAPSHOT_CHUNK);
/// The longest sealed payload, in bytes.
pub const MAX_PAYLOAD: usize = 1024;

/// What a cell that runs nothing is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Errand {
    /// Read the volume and seal it.
    Take,
    /// Open a snapshot into a fresh volume.
    Restore,
    /// Open a snapshot to its end, and write nothing.
    Verify,
}

impl Errand {
    const fn code(self) -> u8 {
        match self {
            Self::Take => 1,
            Self::Restore => 2,
            Self::Verify => 3,
        }
    }

    fn of(code: u8) -> Result<Self> {
        match code {
            1 => Ok(Self::Take),
            2 => Ok(Self::Restore),
            3 => Ok(Self::Verify),
            _ => Err(CryptoError::Refused),
        }
    }
}

/// What the client seals to such a cell.
pub struct SnapshotPayload {
    /// What the key is for; the cell does nothing else with it.
    pub errand: Errand,
    /// Which snapshot.
    pub snapshot: SnapshotId,
    /// Its key.
    pub key: DataKey,
}

impl SnapshotPayload {
    /// The client's side: seals it to the cell of a verified statement.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if the cell is unlocked: such a one runs something.
    pub fn seal(&self, cell: &CellKeyStatement, rng: &mut impl rand::CryptoRng) -> Result<Vec<u8>> {
        if cell.unlock().is_some() {
            return Err(CryptoError::Refused);
        }
        seal::seal(cell.key(), &info(&cell.place(), cell.boot_nonce()), b"", &self.encode(), rng)
    }

    /// The cell's side, called by [`crate::cell::CellKey::snapshot`].
    pub(crate) fn open(
        place: &CellPlace,
        boot_nonce: &[u8; 32],
        key: &SealSecretKey,
        sealed: &[u8],
    ) -> Result<Self> {
        if sealed.len() > MAX_PAYLOAD {
            return Err(CryptoError::Refused);
        }
        Self::decode(&seal::open(key, &info(place, boot_nonce), b"", sealed)?)
    }

    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::object(Kind::SNAPSHOT_PAYLOAD, VERSION);
        out.u8(self.errand.code()).id(self.snapshot).fixed(self.key.expose());
        out.into_secret()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::object(bytes, Kind::SNAPSHOT_PAYLOAD, VERSION)?;
        let errand = Errand::of(reader.u8()?)?;
        let (snapshot, key) = (reader.id()?, DataKey::from_slice(reader.take(32)?)?);
        reader.finish()?;
        Ok(Self { errand, snapshot, key })
    }
}

fn info(place: &CellPlace, boot_nonce: &[u8; 32]) -> Vec<u8> {
    let mut out = Writer::with_capacity(128);
    out.fixed(INFO);
    place.write(&mut out);
    out.fixed(boot_nonce);
    out.into_vec()
}

/// Wraps a snapshot's key under version `version` of the volume key of its vault: an envelope of kind
/// [`Kind::WRAPPED_KEY`], 72 bytes, at that key epoch.
///
/// # Errors
/// [`CryptoError::Refused`] if there are more versions than an epoch counts.
pub fn wrap_key(
    (version, volume_key): (u64, &DataKey),
    scope: VaultScope,
    snapshot: SnapshotId,
    key: &DataKey,
    rng: &mut impl rand::CryptoRng,
) -> Result<Vec<u8>> {
    let epoch = u32::try_from(version).map_err(|_| CryptoError::Refused)?;
    key.wrap(&VaultKey::from_bytes(*volume_key.expose(), epoch), &place(scope, snapshot), rng)
}

/// Unwraps what [`wrap_key`] wrapped. The epoch of the envelope says which version of the volume key.
///
/// # Errors
/// [`CryptoError::Refused`].
pub fn unwrap_key(
    (version, volume_key): (u64, &DataKey),
    scope: VaultScope,
    snapshot: SnapshotId,
    wrapped: &[u8],
) -> Result<DataKey> {
    let epoch = u32::try_from(version).map_err(|_| CryptoError::Refused)?;
    DataKey::unwrap_from(&VaultKey::from_bytes(*volume_key.expose(), epoch), &place(scope, snapshot), wrapped)
}

fn place(scope: VaultScope, snapshot: SnapshotId) -> ObjectPlace {
    ObjectPlace { scope, object: snapshot_key_id(snapshot), version: 1 }
}

/// Which snapshot of which tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotPlace {
    /// The tenant.
    pub tenant: TenantId,
    /// The snapshot.
    pub snapshot: SnapshotId,
}

/// Where the next chunk goes.
struct Row {
    place: SnapshotPlace,
    cipher: Cipher,
    number: u64,
    finished: bool,
}

impl Row {
    fn new(place: SnapshotPlace, key: &DataKey) -> Self {
        Self { place, cipher: Cipher::new(Kind::SNAPSHOT_CHUNK, 0, key.expose()), number: 0, finished: false }
    }

    fn context(&self, last: bool) -> Vec<u8> {
        let mut out = Writer::with_capacity(41);
        out.id(self.place.tenant).id(self.place.snapshot).u64(self.number).u8(u8::from(last));
        out.into_vec()
    }

    fn passed(&mut self, last: bool) -> Result<()> {
        self.number = self.number.checked_add(1).ok_or(CryptoError::Refused)?;
        self.finished = last;
        Ok(())
    }
}

/// Seals the chunks of a snapshot, in order.
pub struct ChunkSealer(Row);

impl ChunkSealer {
    /// Begins a snapshot.
    pub fn new(place: SnapshotPlace, key: &DataKey) -> Self {
        Self(Row::new(place, key))
    }

    /// Seals the next chunk: [`CHUNK`] bytes, and at most that many for the last. After it nothing follows.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] for another length, and after the last.
    pub fn seal(&mut self, content: &[u8], last: bool, rng: &mut impl rand::CryptoRng) -> Result<Vec<u8>> {
        let lawful = if last { content.len() <= CHUNK } else { content.len() == CHUNK };
        if self.0.finished || !lawful {
            return Err(CryptoError::Refused);
        }
        let sealed = self.0.cipher.seal(&self.0.context(last), content, rng)?;
        self.0.passed(last)?;
        Ok(sealed)
    }
}

/// Opens the chunks of a snapshot, in order.
pub struct ChunkOpener(Row);

impl ChunkOpener {
    /// From the first chunk on.
    pub fn new(place: SnapshotPlace, key: &DataKey) -> Self {
        Self(Row::new(place, key))
    }

    /// Opens the next chunk.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is not the one that follows, damaged, of another snapshot, or after the last.
    pub fn open(&mut self, sealed: &[u8]) -> Result<Plaintext> {
        if self.0.finished || sealed.len() > MAX_SEALED_CHUNK {
            return Err(CryptoError::Refused);
        }
        // a chunk that is not full can only be the last, and a full one may be
        let full = sealed.len() == MAX_SEALED_CHUNK;
        let middle =
            if full { self.0.cipher.open(&self.0.context(false), sealed) } else { Err(CryptoError::Refused) };
        let (content, last) = match middle {
            Ok(content) => (content, false),
            Err(_) => (self.0.cipher.open(&self.0.context(true), sealed)?, true),
        };
        self.0.passed(last)?;
        Ok(content)
    }

    /// Whether the last chunk was opened: then nothing was cut off.
    pub fn is_finished(&self) -> bool {
        self.0.finished
    }
}

/// What passes between such a cell and its host, over the cell's standard input and output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// From the cell, first: its key, offered as a [`crate::cell::CellKeyOffer`].
    Offer,
    /// To the cell, once: the sealed payload, or what it is to take a snapshot by
    /// ([`crate::snapshot_schedule::ScheduleOrder`]).
    Payload,
    /// A sealed chunk: from the cell that takes a snapshot, to one that opens it.
    Chunk,
    /// From the cell that takes a snapshot by schedule, after the last chunk: the key of it, sealed.
    Key,
    /// From the cell, last: it was done, all of it.
    Done,
    /// From the cell, last: it was not done, and why, without a word of what is in the volume.
    Failed,
}

/// Bytes before each frame: its kind, and its length as `u32`.
pub const FRAME_HEAD: usize = 5;

impl Frame {
    const ALL: [Self; 6] = [Self::Offer, Self::Payload, Self::Chunk, Self::Key, Self::Done, Self::Failed];

    const fn code(self) -> u8 {
        match self {
            Self::Offer => b'O',
            Self::Payload => b'P',
            Self::Chunk => b'C',
            Self::Key => b'K',
            Self::Done => b'D',
            Self::Failed => b'F',
        }
    }

    /// The head of a frame of so many bytes.
    ///
    /// # Errors
    /// [`CryptoError::TooLarge`] past [`MAX_SEALED_CHUNK`].
    pub fn head(self, len: usize) -> Result<[u8; FRAME_HEAD]> {
        let too_large = CryptoError::TooLarge { what: "frame", max: MAX_SEALED_CHUNK as u64 };
        let len = u32::try_from(len).ok().filter(|_| len <= MAX_SEALED_CHUNK).ok_or(too_large)?;
        let [a, b, c, d] = len.to_be_bytes();
        Ok([self.code(), a, b, c, d])
    }

    /// Reads a head: what follows it, and how long that is, at most [`MAX_SEALED_CHUNK`].
    ///
    /// # Errors
    /// [`CryptoError::Refused`] for what is no head.
    pub fn read_head([code, a, b, c, d]: [u8; FRAME_HEAD]) -> Result<(Self, usize)> {
        let frame = Self::ALL.into_iter().find(|frame| frame.code() == code).ok_or(CryptoError::Refused)?;
        let len = usize::try_from(u32::from_be_bytes([a, b, c, d])).map_err(|_| CryptoError::Refused)?;
        if len <= MAX_SEALED_CHUNK { Ok((frame, len)) } else { Err(CryptoError::Refused) }
    }
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
