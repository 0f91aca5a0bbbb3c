//! What goes towards the cell over a plain connection: the workload's bytes, and words about them.
//!
//! The node that has the client speaks the workload's protocol; the host, which has the idle clock, sees bytes
//! that mean nothing to it: a WebSocket's ping looks like its message. So that node says what counts, beside the
//! bytes and in their order.

use bytes::{BufMut as _, Bytes, BytesMut};

/// Most bytes of the workload's protocol in one piece.
pub const CHUNK: usize = 32 << 10;

/// Before bytes of the workload's protocol.
const BYTES: u8 = 0;

/// Said to the host of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Something for the workload follows: it counts as use, of the session too, and a sleeping container is woken for it.
    Wakes,
    /// Something came from the workload that counts as use of the container.
    Counts,
    /// The workload was asked and owes an answer: the container is kept awake.
    Busy,
    /// The answer has begun.
    Free,
}

const WORDS: [(Word, u8); 4] = [(Word::Wakes, 1), (Word::Counts, 2), (Word::Busy, 3), (Word::Free, 4)];

/// A word as it is sent.
pub fn word(word: Word) -> Bytes {
    let code = WORDS.iter().find(|(it, _)| *it == word).map_or(BYTES, |(_, code)| *code);
    Bytes::copy_from_slice(&[code])
}

/// Bytes of the workload's protocol as they are sent.
pub fn bytes(chunk: &[u8]) -> Bytes {
    let mut tagged = BytesMut::with_capacity(chunk.len() + 1);
    tagged.put_u8(BYTES);
    tagged.put_slice(chunk);
    tagged.freeze()
}

/// What was sent: a word, or bytes. Neither for what a newer node says and we do not know.
pub(super) fn read(mut sent: Bytes) -> (Option<Word>, Option<Bytes>) {
    match sent.first().copied() {
        Some(BYTES) => (None, Some(sent.split_off(1))),
        Some(code) => (WORDS.iter().find(|(_, it)| *it == code).map(|(word, _)| *word), None),
        None => (None, None),
    }
}

/// Whether it says that something for the workload follows.
pub(super) fn wakes(sent: &Bytes) -> bool {
    read(sent.clone()).0 == Some(Word::Wakes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_bytes_are_read_as_they_were_sent_and_nothing_else_is() {
        for (said, _) in WORDS {
            assert_eq!(read(word(said)), (Some(said), None));
        }
        for chunk in [b"".as_slice(), b"GET / HTTP/1.1", &[1], &[0; CHUNK]] {
            assert_eq!(read(bytes(chunk)), (None, Some(Bytes::copy_from_slice(chunk))));
        }
        assert_eq!(read(Bytes::new()), (None, None));
        assert_eq!(read(Bytes::from_static(&[99, 1, 2])), (None, None));
        assert!(wakes(&word(Word::Wakes)) && !wakes(&word(Word::Counts)));
        assert!(!wakes(&word(Word::Busy)) && !wakes(&bytes(&[1])));
    }
}
