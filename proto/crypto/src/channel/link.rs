//! A channel after the handshake: what both sides do alike.

use ocmt_types::ChannelId;

use crate::{CryptoError, Result, mac};

use super::{
    Event, Lane, MAX_DATA, Message, RESUME_BUFFER, Step,
    handshake::Keys,
    record::{Incoming, OVERHEAD, Outgoing},
    wire::{Frame, Progress, ProgressKind, progress_body},
};

/// Acknowledge after this many bytes or records, well before the other side's buffer is full.
const ACK_BYTES: usize = RESUME_BUFFER / 8;
const ACK_RECORDS: u32 = 64;

/// What a full buffer still has room for, so that an end can always be told.
const CONTROL_ROOM: usize = 4 * 1024;

/// Kind and lane before the bytes of a data message.
const DATA_HEAD: usize = 2;

/// Which side of the channel this is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Cell,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Connection {
    Up,
    /// Lost; what is sent is kept for the resumption.
    Lost,
    /// The client has asked to resume and waits for the cell's word.
    Resuming,
}

pub(super) struct Link {
    side: Side,
    channel: ChannelId,
    out: Outgoing,
    into: Incoming,
    own_control: zeroize::Zeroizing<[u8; 32]>,
    peer_control: zeroize::Zeroizing<[u8; 32]>,
    connection: Connection,
    attempt: u64,
    unacked_bytes: usize,
    unacked_records: u32,
    sent_eof: bool,
    sent_close: bool,
    got_eof: bool,
    got_close: bool,
    dead: bool,
}

impl Link {
    pub(super) fn new(side: Side, channel: ChannelId, keys: &Keys) -> Self {
        let (own_record, peer_record) = match side {
            Side::Client => (&keys.client_record, &keys.cell_record),
            Side::Cell => (&keys.cell_record, &keys.client_record),
        };
        let (own_control, peer_control) = match side {
            Side::Client => (keys.client_control, keys.cell_control),
            Side::Cell => (keys.cell_control, keys.client_control),
        };
        Self {
            side,
            channel,
            out: Outgoing::new(own_record, channel),
            into: Incoming::new(peer_record, channel),
            own_control: own_control.into(),
            peer_control: peer_control.into(),
            connection: Connection::Up,
            attempt: 0,
            unacked_bytes: 0,
            unacked_records: 0,
            sent_eof: false,
            sent_close: false,
            got_eof: false,
            got_close: false,
            dead: false,
        }
    }

    /// Bytes of data that [`Link::send_data`] takes now.
    pub(super) fn capacity(&self) -> usize {
        if self.dead || self.sent_eof || self.sent_close || self.got_close {
            return 0;
        }
        let free = RESUME_BUFFER.saturating_sub(self.out.stored_len());
        let per_record = OVERHEAD + DATA_HEAD;
        let (full, rest) = (free / (MAX_DATA + per_record), free % (MAX_DATA + per_record));
        full * MAX_DATA + rest.saturating_sub(per_record)
    }

    /// Nothing more will come of this channel: it may be forgotten.
    pub(super) fn is_finished(&self) -> bool {
        self.dead || self.got_close || (self.sent_close && self.out.stored_len() == 0)
    }

    pub(super) fn send_data(&mut self, lane: Lane, bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
        self.check_can_send()?;
        if self.sent_eof || (self.side == Side::Client && lane == Lane::Error) {
            return Err(CryptoError::ChannelEnded);
        }
        if bytes.len() > self.capacity() {
            return Err(self.buffer_is_full());
        }
        let mut frames = Vec::new();
        for chunk in bytes.chunks(MAX_DATA) {
            frames.extend(self.seal(&Message::Data(lane, chunk.to_vec()))?);
        }
        Ok(frames)
    }

    /// Sends anything but data: what always has room.
    pub(super) fn send_control(&mut self, message: &Message) -> Result<Vec<Vec<u8>>> {
        self.check_can_send()?;
        if self.out.stored_len() + 64 > RESUME_BUFFER + CONTROL_ROOM {
            return Err(self.buffer_is_full());
        }
        match message {
            Message::Data(..) => return Err(CryptoError::Refused),
            Message::Exit(_) if self.side == Side::Client => return Err(CryptoError::Refused),
            Message::Resize { .. } if self.side == Side::Cell => return Err(CryptoError::Refused),
            Message::Eof if self.sent_eof => return Ok(Vec::new()),
            Message::Eof => self.sent_eof = true,
            Message::Close(_) => self.sent_close = true,
            Message::Exit(_) | Message::Resize { .. } => {}
        }
        self.seal(message)
    }

    fn check_can_send(&self) -> Result<()> {
        if self.dead || self.sent_close || self.got_close { Err(CryptoError::ChannelEnded) } else { Ok(()) }
    }

    /// While connected, the caller waits for an Ack; with nobody there to send one, the channel ends.
    fn buffer_is_full(&mut self) -> CryptoError {
        if self.connection == Connection::Up {
            return CryptoError::WindowFull;
        }
        self.dead = true;
        CryptoError::ChannelEnded
    }

    fn seal(&mut self, message: &Message) -> Result<Vec<Vec<u8>>> {
        let plaintext = zeroize::Zeroizing::new(message.encode()?);
        let frame = self.out.seal(&plaintext)?;
        Ok(if self.connection == Connection::Up { vec![frame] } else { Vec::new() })
    }

    pub(super) fn feed(&mut self, frame: &Frame<'_>) -> Result<Step> {
        if self.dead {
            return Err(CryptoError::ChannelEnded);
        }
        match frame {
            Frame::Record { counter, ciphertext } => self.take_record(*counter, ciphertext),
            Frame::Ack(progress) => {
                self.check(ProgressKind::Ack, progress)?;
                // an old Ack, replayed, tells what is known already
                self.take_progress(progress.next.max(self.out.oldest()))?;
                Ok(Step::default())
            }
            Frame::Resume(progress) if self.side == Side::Cell => self.take_resume(progress),
            Frame::Resumed(progress) if self.side == Side::Client => self.take_resumed(progress),
            _ => Err(CryptoError::Refused),
        }
    }

    fn take_record(&mut self, counter: u64, ciphertext: &[u8]) -> Result<Step> {
        let Some(plaintext) = self.into.open(counter, ciphertext)? else {
            return Ok(Step::default());
        };
        let message = match Message::decode(&plaintext) {
            Ok(message) if self.is_in_place(&message) => message,
            // authentic and yet wrong: the other side speaks something else
            _ => {
                self.dead = true;
                return Err(CryptoError::ChannelEnded);
            }
        };
        self.got_eof |= message == Message::Eof;
        self.got_close |= matches!(message, Message::Close(_));
        self.unacked_bytes += plaintext.len();
        self.unacked_records += 1;
        let mut step = Step { frames: Vec::new(), events: vec![Event::Message(message)] };
        if self.got_close || self.unacked_bytes >= ACK_BYTES || self.unacked_records >= ACK_RECORDS {
            step.frames.push(self.progress(ProgressKind::Ack));
        }
        Ok(step)
    }

    fn is_in_place(&self, message: &Message) -> bool {
        if self.got_close {
            return false;
        }
        match message {
            Message::Data(lane, _) => !self.got_eof && (self.side == Side::Client || *lane == Lane::Main),
            Message::Exit(_) => self.side == Side::Client,
            Message::Resize { .. } => self.side == Side::Cell,
            Message::Eof => !self.got_eof,
            Message::Close(_) => true,
        }
    }

    /// The caller lost the connection.
    pub(super) fn detach(&mut self) {
        self.connection = Connection::Lost;
    }

    /// The client's word over a new connection; the cell answers with [`Frame::Resumed`].
    pub(super) fn resume(&mut self) -> Result<Vec<u8>> {
        if self.dead {
            return Err(CryptoError::ChannelEnded);
        }
        self.attempt += 1;
        self.connection = Connection::Resuming;
        Ok(self.progress(ProgressKind::Resume))
    }

    fn take_resume(&mut self, progress: &Progress) -> Result<Step> {
        self.check(ProgressKind::Resume, progress)?;
        if progress.attempt <= self.attempt {
            return Err(CryptoError::OutOfOrder);
        }
        self.take_progress(progress.next)?;
        self.attempt = progress.attempt;
        self.connection = Connection::Up;
        let mut frames = vec![self.progress(ProgressKind::Resumed)];
        frames.extend(self.out.again());
        Ok(Step { frames, events: vec![Event::Resumed] })
    }

    fn take_resumed(&mut self, progress: &Progress) -> Result<Step> {
        self.check(ProgressKind::Resumed, progress)?;
        if self.connection != Connection::Resuming || progress.attempt != self.attempt {
            return Err(CryptoError::OutOfOrder);
        }
        self.take_progress(progress.next)?;
        self.connection = Connection::Up;
        Ok(Step { frames: self.out.again(), events: vec![Event::Resumed] })
    }

    /// What the other side has may go. It cannot lack what it once acknowledged, nor have what was
    /// never sent: such a channel cannot go on.
    fn take_progress(&mut self, next: u64) -> Result<()> {
        if next < self.out.oldest() || next > self.out.next() {
            self.dead = true;
            return Err(CryptoError::ChannelEnded);
        }
        self.out.forget_before(next);
        Ok(())
    }

    fn progress(&mut self, kind: ProgressKind) -> Vec<u8> {
        self.unacked_bytes = 0;
        self.unacked_records = 0;
        let mut frame = progress_body(kind, self.channel, self.attempt, self.into.next());
        let tag = mac::tag(&self.own_control, &frame);
        frame.extend_from_slice(&tag);
        frame
    }

    fn check(&self, kind: ProgressKind, progress: &Progress) -> Result<()> {
        let body = progress_body(kind, self.channel, progress.attempt, progress.next);
        if progress.channel != self.channel {
            return Err(CryptoError::Refused);
        }
        mac::check(&self.peer_control, &body, &progress.mac)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use ocmt_types::Id as _;

    use super::*;

    fn link(side: Side) -> Link {
        let keys = Keys::derive(&[1; 32], b"hello", &[2; 32]).unwrap();
        Link::new(side, ChannelId::from_bytes([3; 16]), &keys)
    }

    /// What `side` does when the other one, whose program was changed, seals these plaintexts.
    fn hears(side: Side, plaintexts: &[&[u8]]) -> Option<CryptoError> {
        let (mut link, mut other) =
            (link(side), link(if side == Side::Cell { Side::Client } else { Side::Cell }));
        let frames: Vec<_> = plaintexts.iter().map(|plaintext| other.out.seal(plaintext).unwrap()).collect();
        let fed = frames.iter().map(|frame| link.feed(&Frame::parse(frame).unwrap()).err());
        let last = fed.last().unwrap();
        assert_eq!(last.is_some(), link.dead);
        last
    }

    #[test]
    fn authentic_messages_out_of_place_end_the_channel() {
        const INPUT: &[u8] = b"\0\0in";
        const ERROR_LANE: &[u8] = b"\0\x01err";
        const EOF: &[u8] = b"\x01";
        const EXIT: &[u8] = b"\x02\0\0\0\0";
        const RESIZE: &[u8] = b"\x03\0\x18\0\x50";
        const CLOSE: &[u8] = b"\x04\0";
        let ended = Some(CryptoError::ChannelEnded);
        for (side, good) in [(Side::Cell, RESIZE), (Side::Client, EXIT), (Side::Client, ERROR_LANE)] {
            assert_eq!(hears(side, &[good, INPUT, EOF, CLOSE]), None);
            let other = if side == Side::Cell { Side::Client } else { Side::Cell };
            assert_eq!(hears(other, &[good]), ended, "from the wrong side");
        }
        for side in [Side::Client, Side::Cell] {
            assert_eq!(hears(side, &[EOF, INPUT]), ended, "data after the end of data");
            assert_eq!(hears(side, &[EOF, EOF]), ended);
            assert_eq!(hears(side, &[CLOSE, EOF]), ended, "after the close");
            for unknown in [b"".as_slice(), b"\x05", b"\0", b"\0\x02", b"\x04\x05", b"\x01\0", b"\x02\0\0\0"]
            {
                assert_eq!(hears(side, &[unknown]), ended, "{unknown:?}");
            }
        }
    }

    /// An authentic peer that asks for what it acknowledged, or has what was never sent.
    #[test]
    fn impossible_progress_ends_the_channel() {
        for (acknowledged, asked) in [(0, 4), (2, 1), (2, u64::MAX)] {
            let (mut cell, mut client) = (link(Side::Cell), link(Side::Client));
            for _ in 0..3 {
                cell.send_data(Lane::Main, b"x").unwrap();
            }
            cell.take_progress(acknowledged).unwrap();
            client.into.expect(asked);
            let resume = client.resume().unwrap();
            let fed = cell.feed(&Frame::parse(&resume).unwrap());
            assert_eq!(fed.err(), Some(CryptoError::ChannelEnded), "{asked} after {acknowledged}");
        }
    }
}
