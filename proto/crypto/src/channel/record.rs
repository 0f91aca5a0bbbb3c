//! Records: AES-256-GCM under one key a direction, the counter as nonce, each counter used once.
//!
//! What was sealed is kept as ciphertext until the other side has it. Sending again means sending
//! those bytes: a second encryption at a used counter would break AES-GCM, and there is no way here
//! to ask for one.

use std::collections::VecDeque;

use ocmt_types::ChannelId;
use zeroize::Zeroizing;

use crate::{CryptoError, Result, aead::Cipher};

use super::wire::{self, RECORD_HEAD};

/// Bytes that a record is longer than its plaintext.
pub(super) const OVERHEAD: usize = RECORD_HEAD + 16;

/// Far below the 2^32 invocations that one GCM key is good for; a channel that gets here ends.
const MAX_RECORDS: u64 = 1 << 31;

/// The sending half of one direction.
pub(super) struct Outgoing {
    cipher: Cipher,
    channel: ChannelId,
    next: u64,
    /// Frames with the counters `next - stored.len() .. next`, as they went out.
    stored: VecDeque<Vec<u8>>,
    stored_len: usize,
}

impl Outgoing {
    pub(super) fn new(key: &[u8; 32], channel: ChannelId) -> Self {
        Self { cipher: Cipher::aes(key), channel, next: 0, stored: VecDeque::new(), stored_len: 0 }
    }

    /// Seals one record at the next counter, keeps it, and returns its bytes.
    pub(super) fn seal(&mut self, plaintext: &[u8]) -> Result<Vec<u8>> {
        let counter = self.next;
        if counter >= MAX_RECORDS {
            return Err(CryptoError::ChannelEnded);
        }
        let head = wire::record_head(counter);
        let mut frame = Vec::with_capacity(OVERHEAD + plaintext.len());
        frame.extend_from_slice(&head);
        self.cipher.seal(&nonce(counter), &aad(&head, self.channel), plaintext, &mut frame)?;
        self.next += 1;
        self.stored_len += frame.len();
        self.stored.push_back(frame.clone());
        Ok(frame)
    }

    /// Bytes kept because the other side has not acknowledged them.
    pub(super) fn stored_len(&self) -> usize {
        self.stored_len
    }

    pub(super) fn oldest(&self) -> u64 {
        self.next - self.stored.len() as u64
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Forgets what the other side has: everything before the counter `next`.
    pub(super) fn forget_before(&mut self, next: u64) {
        while self.oldest() < next {
            let Some(frame) = self.stored.pop_front() else {
                return;
            };
            self.stored_len -= frame.len();
        }
    }

    /// All that is kept, byte for byte as it went out before.
    pub(super) fn again(&self) -> Vec<Vec<u8>> {
        self.stored.iter().cloned().collect()
    }
}

/// The receiving half of one direction.
pub(super) struct Incoming {
    cipher: Cipher,
    channel: ChannelId,
    next: u64,
}

impl Incoming {
    pub(super) fn new(key: &[u8; 32], channel: ChannelId) -> Self {
        Self { cipher: Cipher::aes(key), channel, next: 0 }
    }

    /// The counter expected next.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Pretends to have received all before `next`.
    #[cfg(test)]
    pub(super) fn expect(&mut self, next: u64) {
        self.next = next;
    }

    /// Opens the record; `None` if it was taken before, as happens after a resumption.
    pub(super) fn open(&mut self, counter: u64, ciphertext: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>> {
        if counter < self.next {
            return Ok(None);
        }
        if counter > self.next {
            return Err(CryptoError::OutOfOrder);
        }
        let head = wire::record_head(counter);
        let plaintext = self.cipher.open(&nonce(counter), &aad(&head, self.channel), ciphertext)?;
        self.next += 1;
        Ok(Some(plaintext.into()))
    }
}

fn nonce(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_be_bytes());
    nonce
}

fn aad(head: &[u8; RECORD_HEAD], channel: ChannelId) -> [u8; RECORD_HEAD + 16] {
    let mut aad = [0; RECORD_HEAD + 16];
    aad[..RECORD_HEAD].copy_from_slice(head);
    aad[RECORD_HEAD..].copy_from_slice(channel.as_bytes());
    aad
}
