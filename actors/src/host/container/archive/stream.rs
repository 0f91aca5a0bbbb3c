//! Chunks between a cell that runs nothing and the object store: ciphertext in bounded pieces, counted and hashed.
//!
//! ```text
//! object = ( length u32 | sealed chunk )*
//! ```

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use ocmt_crypto::{
    snapshot::{FRAME_HEAD, Frame, MAX_SEALED_CHUNK},
    snapshot_schedule::SEALED_KEY_LEN,
};
use ocmt_store::tables::Snapshot;
use ocmt_types::Digest32;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::{
    clip::clip,
    ports::{Pieces, SnapshotStoreError, Snapshots},
};

const LENGTH: usize = 4;
/// Of what a cell says of its failure, in bytes.
const LONGEST_WHY: usize = 200;

type Input = Box<dyn AsyncRead + Send + Unpin>;
type Output = Box<dyn AsyncWrite + Send + Unpin>;

/// What passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Passed {
    pub(super) size: u64,
    pub(super) hash: Digest32,
}

#[derive(Default)]
struct Tally {
    size: u64,
    hash: Sha256,
}

impl Tally {
    fn take(&mut self, piece: &[u8]) {
        self.size += piece.len() as u64;
        self.hash.update(piece);
    }

    fn passed(self) -> Passed {
        Passed { size: self.size, hash: Digest32(self.hash.finalize().into()) }
    }
}

pub(super) async fn write(to: &mut Output, frame: Frame, bytes: &[u8]) -> io::Result<()> {
    let head = frame.head(bytes.len()).map_err(io::Error::other)?;
    to.write_all(&head).await?;
    to.write_all(bytes).await?;
    to.flush().await
}

pub(super) async fn read(from: &mut Input) -> Result<(Frame, Bytes), String> {
    let mut head = [0; FRAME_HEAD];
    let broke = |error: io::Error| format!("the cell broke off ({})", error.kind());
    from.read_exact(&mut head).await.map_err(broke)?;
    let (frame, len) =
        Frame::read_head(head).map_err(|_| "the cell does not speak as one should".to_owned())?;
    let mut bytes = BytesMut::zeroed(len);
    from.read_exact(&mut bytes).await.map_err(broke)?;
    Ok((frame, bytes.freeze()))
}

/// How the cell says that it ended.
pub(super) fn ended((frame, bytes): (Frame, Bytes)) -> Result<(), String> {
    match frame {
        Frame::Done => Ok(()),
        Frame::Failed => {
            let said: String = String::from_utf8_lossy(&bytes).chars().filter(|c| !c.is_control()).collect();
            Err(clip(&said, LONGEST_WHY))
        }
        Frame::Offer | Frame::Payload | Frame::Chunk | Frame::Key => {
            Err("the cell does not speak as one should".to_owned())
        }
    }
}

/// What is counted while it passes; the sum is there once the pieces have come to their end.
pub(super) struct Counted(Arc<Mutex<Sum>>);

#[derive(Default)]
struct Sum {
    passed: Option<Passed>,
    sealed_key: Option<Bytes>,
}

impl Counted {
    /// Of pieces that came to their good end; none of others.
    pub(super) fn passed(&self) -> Option<Passed> {
        self.sum().passed
    }

    /// The key that the cell made and sealed: of one that was to make one, none of others.
    pub(super) fn sealed_key(&self) -> Option<Bytes> {
        self.sum().sealed_key.clone()
    }

    fn sum(&self) -> MutexGuard<'_, Sum> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a cell that takes a snapshot says, as pieces for the store, at most `most` bytes. They end well only when the
/// cell says that all of it was done, and has given the key that it made, if it is one that makes it.
pub(super) fn taking(from: Input, most: u64, makes_key: bool) -> (Pieces, Counted) {
    let sum = Arc::<Mutex<Sum>>::default();
    let (counted, start) = (Counted(Arc::clone(&sum)), Some((from, Tally::default())));
    let pieces = stream::unfold(start, move |state| {
        let sum = Counted(Arc::clone(&sum));
        async move {
            let (mut from, mut tally) = state?;
            match next_piece(&mut from, makes_key.then_some(&sum)).await {
                Ok(Some(piece)) => {
                    tally.take(&piece);
                    if tally.size > most {
                        let why = format!("is larger than {most} bytes, which a snapshot may have");
                        return Some((Err(SnapshotStoreError(why)), None));
                    }
                    Some((Ok(piece), Some((from, tally))))
                }
                Ok(None) => {
                    sum.sum().passed = Some(tally.passed());
                    None
                }
                Err(why) => Some((Err(SnapshotStoreError(why)), None)),
            }
        }
    });
    (pieces.boxed(), counted)
}

/// The next chunk; none at the good end. Where a key is to be sealed it comes between the two, once.
async fn next_piece(from: &mut Input, key: Option<&Counted>) -> Result<Option<Bytes>, String> {
    let mut said = read(from).await?;
    if let (Frame::Key, Some(sum)) = (said.0, key) {
        sum.sum().sealed_key = Some(said.1).filter(|sealed| sealed.len() == SEALED_KEY_LEN);
        said = read(from).await?;
        if said.0 == Frame::Chunk {
            return Err("the cell does not speak as one should".to_owned());
        }
    }
    if said.0 == Frame::Done && key.is_some_and(|sum| sum.sum().sealed_key.is_none()) {
        return Err("the cell has sealed no key".to_owned());
    }
    match said {
        (Frame::Chunk, sealed) => {
            let mut piece = BytesMut::with_capacity(LENGTH + sealed.len());
            let length = u32::try_from(sealed.len()).map_err(|_| "a chunk is too long".to_owned())?;
            piece.extend_from_slice(&length.to_be_bytes());
            piece.extend_from_slice(&sealed);
            Ok(Some(piece.freeze()))
        }
        last => ended(last).map(|()| None),
    }
}

/// Counts an object as it is kept.
pub(super) async fn count(mut pieces: Pieces) -> Result<Passed, SnapshotStoreError> {
    let mut tally = Tally::default();
    while let Some(piece) = pieces.next().await {
        tally.take(&piece?);
    }
    Ok(tally.passed())
}

/// Whether what is stored is what was taken, to its last byte, whatever a cell says of it.
pub(super) async fn is_as_taken(snapshots: &Snapshots, known: &Snapshot) -> Result<bool, String> {
    let stored = async { count(snapshots.store.read(known.tenant_id, known.snapshot_id).await?).await };
    let stored = stored.await.map_err(|error| error.to_string())?;
    Ok(known.content_hash == Some(stored.hash))
}

/// Gives an object to a cell, chunk by chunk, and counts it. A cell that stops listening has said why, or will.
pub(super) async fn giving(mut pieces: Pieces, to: &mut Output) -> Result<Passed, String> {
    let (mut tally, mut waiting) = (Tally::default(), BytesMut::new());
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| error.to_string())?;
        tally.take(&piece);
        waiting.extend_from_slice(&piece);
        while let Some(chunk) = whole_chunk(&mut waiting)? {
            if write(to, Frame::Chunk, &chunk).await.is_err() {
                return Err("the cell does not take it".to_owned());
            }
        }
    }
    if waiting.is_empty() { Ok(tally.passed()) } else { Err("the stored snapshot is cut off".to_owned()) }
}

fn whole_chunk(waiting: &mut BytesMut) -> Result<Option<Bytes>, String> {
    let Some(length) = waiting.first_chunk::<LENGTH>() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if length > MAX_SEALED_CHUNK {
        return Err("the stored snapshot is damaged".to_owned());
    }
    if waiting.len() < LENGTH + length {
        return Ok(None);
    }
    waiting.advance(LENGTH);
    Ok(Some(waiting.split_to(length).freeze()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    async fn object(
        frames: &[(Frame, &[u8])],
        most: u64,
    ) -> (Vec<Result<Bytes, SnapshotStoreError>>, Counted) {
        object_of(frames, most, false).await
    }

    async fn object_of(
        frames: &[(Frame, &[u8])],
        most: u64,
        makes_key: bool,
    ) -> (Vec<Result<Bytes, SnapshotStoreError>>, Counted) {
        let (mut cell, host) = tokio::io::duplex(1 << 20);
        for (frame, bytes) in frames {
            cell.write_all(&frame.head(bytes.len()).unwrap()).await.unwrap();
            cell.write_all(bytes).await.unwrap();
        }
        drop(cell);
        let (pieces, counted) = taking(Box::new(host), most, makes_key);
        (pieces.collect().await, counted)
    }

    #[tokio::test]
    async fn pieces_end_well_only_if_the_cell_says_so_and_within_the_bound() {
        let (pieces, counted) = object(&[(Frame::Chunk, b"abc"), (Frame::Done, b"")], 100).await;
        assert_eq!(pieces, [Ok(Bytes::from_static(b"\0\0\0\x03abc"))]);
        let passed = counted.passed().unwrap();
        assert_eq!((passed.size, passed.hash.0), (7, <[u8; 32]>::from(Sha256::digest(b"\0\0\0\x03abc"))));
        for (what, frames) in [
            ("broken off", vec![(Frame::Chunk, b"abc".as_slice())]),
            ("failed", vec![(Frame::Chunk, b"abc".as_slice()), (Frame::Failed, b"no\n")]),
            ("odd", vec![(Frame::Offer, b"abc".as_slice())]),
        ] {
            let (pieces, counted) = object(&frames, 100).await;
            assert!(pieces.last().unwrap().is_err() && counted.passed().is_none(), "{what}");
        }
        let (pieces, counted) = object(&[(Frame::Chunk, b"abc"), (Frame::Done, b"")], 6).await;
        assert!(pieces.last().unwrap().is_err() && counted.passed().is_none(), "past the bound");
    }

    #[tokio::test]
    async fn a_cell_that_makes_the_key_gives_it_once_between_the_last_chunk_and_its_end() {
        let (chunk, done) = ((Frame::Chunk, b"abc".as_slice()), (Frame::Done, b"".as_slice()));
        let key = (Frame::Key, [7; SEALED_KEY_LEN]);
        let key = (key.0, key.1.as_slice());
        let (pieces, counted) = object_of(&[chunk, key, done], 100, true).await;
        assert_eq!((pieces.len(), counted.passed().unwrap().size), (1, 7), "the key is no piece");
        assert_eq!(counted.sealed_key().as_deref(), Some(key.1));
        for (what, frames) in [
            ("no key", vec![chunk, done]),
            ("a short one", vec![chunk, (Frame::Key, b"short"), done]),
            ("two", vec![chunk, key, key, done]),
            ("a chunk behind it", vec![key, chunk, done]),
            ("no end", vec![chunk, key]),
        ] {
            let (pieces, counted) = object_of(&frames, 100, true).await;
            assert!(pieces.last().unwrap().is_err() && counted.passed().is_none(), "{what}");
        }
        let (pieces, counted) = object(&[chunk, key, done], 100).await;
        assert!(
            pieces.last().unwrap().is_err() && counted.passed().is_none(),
            "of one that was given its key"
        );
    }

    #[tokio::test]
    async fn an_object_is_given_in_its_chunks_however_it_is_cut() {
        let whole = b"\0\0\0\x03abc\0\0\0\0\0\0\0\x02de";
        for size in [1, 2, 5, 100] {
            let cut: Vec<_> = whole.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
            let (host, mut cell) = tokio::io::duplex(1 << 20);
            let mut to: Output = Box::new(host);
            let passed = giving(stream::iter(cut).boxed(), &mut to).await.unwrap();
            assert_eq!(passed.size, whole.len() as u64);
            drop(to);
            let mut said = Vec::new();
            cell.read_to_end(&mut said).await.unwrap();
            assert_eq!(said, b"C\0\0\0\x03abcC\0\0\0\0C\0\0\0\x02de");
        }
        for bad in [b"\0\0\0\x03ab".as_slice(), b"\xff\xff\xff\xffabc", b"\0\0"] {
            let (host, _cell) = tokio::io::duplex(1 << 20);
            let mut to: Output = Box::new(host);
            let pieces = stream::iter([Ok(Bytes::copy_from_slice(bad))]).boxed();
            assert!(giving(pieces, &mut to).await.is_err(), "{bad:?}");
        }
    }
}
