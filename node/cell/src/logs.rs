//! The workload's last output, in memory only: a ring of 256 KiB, redacted before it gets here,
//! wiped on lock. It goes nowhere but over the sealed channel: not to the cell's own output, which
//! the container engine keeps on the host's disk.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::watch;
use zeroize::Zeroize as _;

/// Bytes kept.
pub const LOG_CAPACITY: usize = 256 * 1024;

/// The ring.
pub struct Logs {
    ring: Mutex<Ring>,
    /// bytes ever written; followers wait for it to move
    written: watch::Sender<u64>,
}

#[derive(Default)]
struct Ring {
    bytes: VecDeque<u8>,
    end: u64,
}

impl Default for Logs {
    fn default() -> Self {
        Self { ring: Mutex::default(), written: watch::Sender::new(0) }
    }
}

impl Logs {
    /// Appends; the oldest bytes make room.
    pub fn append(&self, output: &[u8]) {
        if output.is_empty() {
            return;
        }
        let mut ring = self.lock();
        let kept = &output[output.len().saturating_sub(LOG_CAPACITY)..];
        let room = LOG_CAPACITY - kept.len();
        let surplus = ring.bytes.len().saturating_sub(room);
        ring.bytes.drain(..surplus);
        ring.bytes.extend(kept);
        ring.end = ring.end.saturating_add(output.len() as u64);
        let end = ring.end;
        drop(ring);
        self.written.send_replace(end);
    }

    /// Up to `max` bytes from position `from` (bytes since the start), or from the oldest kept
    /// byte if that is gone; with the position after them.
    pub fn read(&self, from: u64, max: usize) -> (Bytes, u64) {
        let ring = self.lock();
        let oldest = ring.end - ring.bytes.len() as u64;
        let start = from.clamp(oldest, ring.end);
        let skip = usize::try_from(start - oldest).unwrap_or(usize::MAX);
        let bytes: Vec<u8> = ring.bytes.iter().skip(skip).take(max).copied().collect();
        let next = start + bytes.len() as u64;
        (bytes.into(), next)
    }

    /// Resolves when more than `seen` bytes have been written, or the ring was wiped.
    pub async fn grown_past(&self, seen: u64) {
        let mut written = self.written.subscribe();
        // the sender lives in self: it cannot close while self is borrowed
        let _ = written.wait_for(|end| *end > seen).await;
    }

    /// Forgets everything. Positions go on, so that a follower does not read twice.
    pub fn wipe(&self) {
        let mut ring = self.lock();
        let (first, second) = ring.bytes.as_mut_slices();
        first.zeroize();
        second.zeroize();
        ring.bytes.clear();
        ring.bytes.shrink_to_fit();
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_bytes_make_room_and_positions_go_on() {
        let logs = Logs::default();
        logs.append(&vec![b'a'; LOG_CAPACITY]);
        logs.append(b"tail");
        let (bytes, next) = logs.read(0, usize::MAX);
        assert_eq!((bytes.len(), next), (LOG_CAPACITY, LOG_CAPACITY as u64 + 4));
        assert!(bytes.ends_with(b"atail"));
        logs.append(&vec![b'b'; LOG_CAPACITY + 10]);
        assert!(logs.read(0, usize::MAX).0.iter().all(|byte| *byte == b'b'));
    }

    #[test]
    fn a_follower_reads_each_byte_once_in_bounded_pieces() {
        let logs = Logs::default();
        logs.append(b"hello ");
        logs.append(b"world");
        let (first, at) = logs.read(0, 4);
        let (second, at) = logs.read(at, 100);
        assert_eq!(([first, second].concat(), at), (b"hello world".to_vec(), 11));
        assert!(logs.read(at, 100).0.is_empty());
    }

    #[test]
    fn nothing_is_left_after_a_wipe() {
        let logs = Logs::default();
        logs.append(b"before");
        logs.wipe();
        assert_eq!(logs.read(0, 100).0.len(), 0);
        logs.append(b"after");
        assert_eq!(logs.read(0, 100), (Bytes::from_static(b"after"), 11));
    }
}
