//! Frames to and from the host, and an archive as a row of sealed chunks.

use std::{
    fmt,
    io::{self, Read, Write},
};

use ocmt_crypto::snapshot::{CHUNK, ChunkOpener, ChunkSealer, FRAME_HEAD, Frame};

use super::{
    ArchiveError,
    opened::{Opened, only_zeros_follow},
};

/// Why a row of chunks ends before its end; it passes through the archive's reader inside an [`io::Error`].
#[derive(Debug, Clone, Copy)]
pub(super) enum Cut {
    Host,
    Snapshot,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "the host broke off",
            Self::Snapshot => "the snapshot does not open",
        })
    }
}

impl std::error::Error for Cut {}

fn cut(why: Cut) -> io::Error {
    io::Error::other(why)
}

pub(super) fn write(output: &mut impl Write, frame: Frame, bytes: &[u8]) -> Result<(), ArchiveError> {
    let head = frame.head(bytes.len()).map_err(|_| ArchiveError::Host)?;
    let sent = output.write_all(&head).and_then(|()| output.write_all(bytes)).and_then(|()| output.flush());
    sent.map_err(|_| ArchiveError::Host)
}

pub(super) fn read(input: &mut impl Read) -> Result<(Frame, Vec<u8>), ArchiveError> {
    let mut head = [0; FRAME_HEAD];
    input.read_exact(&mut head).map_err(|_| ArchiveError::Host)?;
    let (frame, len) = Frame::read_head(head).map_err(|_| ArchiveError::Host)?;
    let mut bytes = vec![0; len];
    input.read_exact(&mut bytes).map_err(|_| ArchiveError::Host)?;
    Ok((frame, bytes))
}

/// Cuts what is written into chunks, seals and sends them.
pub(super) struct ChunkWriter<'a, W> {
    sealer: ChunkSealer,
    output: &'a mut W,
    chunk: Vec<u8>,
}

impl<'a, W: Write> ChunkWriter<'a, W> {
    pub(super) fn new(sealer: ChunkSealer, output: &'a mut W) -> Self {
        Self { sealer, output, chunk: Vec::with_capacity(CHUNK) }
    }

    fn send(&mut self, last: bool) -> Result<(), ArchiveError> {
        let sealed = self.sealer.seal(&self.chunk, last, &mut rand::rng());
        self.chunk.clear();
        write(self.output, Frame::Chunk, &sealed.map_err(|_| ArchiveError::Snapshot)?)
    }

    /// Sends the rest, as the last.
    pub(super) fn finish(mut self) -> Result<(), ArchiveError> {
        self.send(true)
    }
}

impl<W: Write> Write for ChunkWriter<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // a full chunk waits until it is known not to be the last
        if self.chunk.len() == CHUNK {
            self.send(false).map_err(|_| cut(Cut::Host))?;
        }
        let (taken, _) = bytes.split_at(bytes.len().min(CHUNK - self.chunk.len()));
        self.chunk.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes chunks, opens them, and gives what was written into them.
pub(super) struct ChunkReader<'a, R> {
    opener: ChunkOpener,
    input: &'a mut R,
    chunk: Opened,
}

impl<'a, R: Read> ChunkReader<'a, R> {
    pub(super) fn new(opener: ChunkOpener, input: &'a mut R) -> Self {
        Self { opener, input, chunk: Opened::default() }
    }

    /// After the archive's own end: the last chunk has to have been there, and nothing behind the archive but zeros.
    pub(super) fn finish(mut self) -> Result<(), ArchiveError> {
        if only_zeros_follow(&mut self)? { Ok(()) } else { Err(ArchiveError::Snapshot) }
    }
}

impl<R: Read> Read for ChunkReader<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_read() {
            // only the chunk that was sealed as the last ends it: an end of the input does not
            if self.opener.is_finished() {
                return Ok(0);
            }
            let Ok((Frame::Chunk, sealed)) = read(self.input) else {
                return Err(cut(Cut::Host));
            };
            self.chunk = Opened::new(self.opener.open(&sealed).map_err(|_| cut(Cut::Snapshot))?);
        }
        Ok(self.chunk.read_into(into))
    }
}
