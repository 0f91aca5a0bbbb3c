//! What was opened of an archive: handed out piece by piece, and its end.

use std::io::{self, Read};

use ocmt_crypto::plaintext::Plaintext;

/// An opened chunk, and how much of it was handed out.
#[derive(Default)]
pub(crate) struct Opened {
    chunk: Plaintext,
    at: usize,
}

impl Opened {
    pub(crate) fn new(chunk: Plaintext) -> Self {
        Self { chunk, at: 0 }
    }

    /// Whether all of it was handed out.
    pub(crate) fn is_read(&self) -> bool {
        self.at == self.chunk.len()
    }

    /// Hands out what comes next, and says how much.
    pub(crate) fn read_into(&mut self, into: &mut [u8]) -> usize {
        let rest = self.chunk.get(self.at..).unwrap_or_default();
        let (from, _) = rest.split_at(rest.len().min(into.len()));
        if let Some(into) = into.get_mut(..from.len()) {
            into.copy_from_slice(from);
        }
        self.at += from.len();
        from.len()
    }
}

/// Reads to the end, and says whether nothing but zeros was there.
pub(crate) fn only_zeros_follow(reader: &mut impl Read) -> io::Result<bool> {
    let mut rest = [0; 512];
    loop {
        match reader.read(&mut rest)? {
            0 => return Ok(true),
            read if rest.iter().take(read).all(|byte| *byte == 0) => {}
            _ => return Ok(false),
        }
    }
}
