//! An archive as the chunks of a sealing: in a file, one behind the other.

use std::io::{self, Read, Write};

use ocmt_crypto::snapshot::{CHUNK, ChunkOpener, ChunkSealer, MAX_SEALED_CHUNK};
use sha2::{Digest as _, Sha256};

use crate::archive::opened::{Opened, only_zeros_follow};

/// Cuts what is written into chunks and seals them.
pub(super) struct Sealing<W> {
    sealer: ChunkSealer,
    output: W,
    chunk: Vec<u8>,
    digest: Sha256,
    /// Bytes that may come yet.
    left: u64,
}

impl<W: Write> Sealing<W> {
    /// For at most so many bytes.
    pub(super) fn new(sealer: ChunkSealer, output: W, most: u64) -> Self {
        Self { sealer, output, chunk: Vec::with_capacity(CHUNK), digest: Sha256::new(), left: most }
    }

    fn send(&mut self, last: bool) -> io::Result<()> {
        let sealed = self.sealer.seal(&self.chunk, last, &mut rand::rng()).map_err(io::Error::other)?;
        self.chunk.clear();
        self.output.write_all(&sealed)
    }

    /// Writes the rest, as the last; gives the output back, and the digest of all that was sealed.
    pub(super) fn finish(mut self) -> io::Result<(W, [u8; 32])> {
        self.send(true)?;
        self.output.flush()?;
        Ok((self.output, self.digest.finalize().into()))
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // a full chunk waits until it is known not to be the last
        if self.chunk.len() == CHUNK {
            self.send(false)?;
        }
        let (taken, _) = bytes.split_at(bytes.len().min(CHUNK - self.chunk.len()));
        let len = u64::try_from(taken.len()).unwrap_or(u64::MAX);
        self.left = self.left.checked_sub(len).ok_or(io::ErrorKind::FileTooLarge)?;
        self.chunk.extend_from_slice(taken);
        self.digest.update(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads chunks, opens them, and gives what was written into them.
pub(super) struct Chunks<R> {
    opener: ChunkOpener,
    input: R,
    chunk: Opened,
}

impl<R: Read> Chunks<R> {
    pub(super) fn new(opener: ChunkOpener, input: R) -> Self {
        Self { opener, input, chunk: Opened::default() }
    }

    /// After the archive's own end: the last chunk has to have been there, nothing behind the archive but zeros, and nothing
    /// behind the last chunk.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if only_zeros_follow(&mut self)? && self.input.read(&mut [0])? == 0 { Ok(()) } else { Err(damaged()) }
    }
}

impl<R: Read> Read for Chunks<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_read() {
            // only the chunk that was sealed as the last ends it: an end of the file does not
            if self.opener.is_finished() {
                return Ok(0);
            }
            let mut sealed = Vec::with_capacity(MAX_SEALED_CHUNK);
            let most = u64::try_from(MAX_SEALED_CHUNK).unwrap_or(u64::MAX);
            self.input.by_ref().take(most).read_to_end(&mut sealed)?;
            self.chunk = Opened::new(self.opener.open(&sealed).map_err(|_| damaged())?);
        }
        Ok(self.chunk.read_into(into))
    }
}

fn damaged() -> io::Error {
    io::ErrorKind::InvalidData.into()
}
