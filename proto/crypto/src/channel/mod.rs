//! The sealed channel between a user's client and a cell: what exec, terminals, logs and proxied
//! ports travel in. The node relays the frames and sees their lengths and times, nothing else.
//!
//! Both ends are pure state machines, [`ClientChannel`] and [`CellChannel`]: frames in, frames and
//! [`Event`]s out; sockets and clocks are the caller's. One frame is one WebSocket message.
//!
//! ```text
//! client                                   cell
//!   Hello  channel id, enc, {stream}  ──▶    HPKE Auth mode: only the user's channel key makes one
//!          ◀──  Accept  32 fresh bytes, MAC  keys = HKDF(exporter, fresh bytes, transcript)
//!   Confirm  MAC                      ──▶    only now the cell acts: a replayed Hello does nothing
//!   Record, Ack                       ◀─▶    AES-256-GCM under a key a direction, nonce = counter
//! ```
//!
//! A lost connection is resumed: each side keeps the *ciphertext* it sent until the other acknowledged
//! it (at most [`RESUME_BUFFER`]) and sends it again byte for byte; no counter is used for two
//! plaintexts. A frame that is out of order or damaged is an error that changes nothing: drop the
//! connection and resume.

mod cell;
mod client;
mod handshake;
mod link;
mod record;
mod stream;
mod wire;

#[cfg(test)]
mod handshake_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod resume_tests;
#[cfg(test)]
mod test_pair;

pub use cell::{CellChannel, CellChannels};
pub use client::ClientChannel;
pub use handshake::ChannelPlace;
pub use stream::{CloseReason, Event, Lane, MAX_ARGS, MAX_ARGS_LEN, Message, Step, StreamKind};
pub use wire::{FirstFrame, first_frame};

/// The longest frame in bytes, on the wire.
pub const MAX_FRAME: usize = 64 * 1024;

/// The most bytes of data in one record: what a frame has room for.
pub const MAX_DATA: usize = MAX_FRAME - 64;

/// Ciphertext kept for a resumption, in bytes and a direction.
pub const RESUME_BUFFER: usize = 1024 * 1024;

/// How many channels one unlock of a cell can have, one after the other.
pub const MAX_CHANNELS: usize = 65_536;

/// Feeds every parser of this module.
#[cfg(any(test, fuzzing))]
pub(crate) fn parse_anything(bytes: &[u8]) {
    let _ = wire::Frame::parse(bytes);
    let _ = StreamKind::decode(bytes);
    let _ = Message::decode(bytes);
}
