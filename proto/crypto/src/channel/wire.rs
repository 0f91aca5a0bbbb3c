//! The frames of a channel, byte for byte (docs/formats-cell-and-recovery.md, "Sealed channel").

use ocmt_types::{ChannelId, Id as _};

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
};

use super::MAX_FRAME;

pub(super) const VERSION: u8 = 1;
/// HPKE DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM; others have room here.
pub(super) const ALG_X25519: u8 = 1;

const HELLO: u8 = 1;
const ACCEPT: u8 = 2;
const CONFIRM: u8 = 3;
const RECORD: u8 = 4;
const ACK: u8 = 5;
const RESUME: u8 = 6;
const RESUMED: u8 = 7;

/// Type, version, algorithm, zero, channel id: also the AAD of what a Hello seals.
pub(super) const HELLO_HEAD: usize = 4 + 16;
/// Type and counter before a record's ciphertext.
pub(super) const RECORD_HEAD: usize = 1 + 8;
pub(super) const MAC: usize = crate::mac::LEN;

/// A frame, parsed but not yet believed.
pub(super) enum Frame<'a> {
    Hello { channel: ChannelId, enc: [u8; 32], sealed: &'a [u8] },
    Accept { channel: ChannelId, fresh: [u8; 32], mac: [u8; MAC] },
    Confirm { channel: ChannelId, mac: [u8; MAC] },
    Record { counter: u64, ciphertext: &'a [u8] },
    Ack(Progress),
    Resume(Progress),
    Resumed(Progress),
}

/// How far the sender has received, authenticated under its control key.
pub(super) struct Progress {
    pub(super) channel: ChannelId,
    /// Which resumption this belongs to; 0 before the first.
    pub(super) attempt: u64,
    /// The counter it expects next.
    pub(super) next: u64,
    pub(super) mac: [u8; MAC],
}

impl<'a> Frame<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self> {
        if bytes.len() > MAX_FRAME {
            return Err(CryptoError::Refused);
        }
        let mut reader = Reader::new(bytes);
        let frame = match reader.u8()? {
            HELLO => {
                if reader.array()? != [VERSION, ALG_X25519, 0] {
                    return Err(CryptoError::Refused);
                }
                let channel = channel(&mut reader)?;
                let enc = reader.array()?;
                return Ok(Self::Hello { channel, enc, sealed: reader.rest() });
            }
            ACCEPT => {
                Self::Accept { channel: channel(&mut reader)?, fresh: reader.array()?, mac: reader.array()? }
            }
            CONFIRM => Self::Confirm { channel: channel(&mut reader)?, mac: reader.array()? },
            RECORD => {
                return Ok(Self::Record { counter: reader.u64()?, ciphertext: reader.rest() });
            }
            ACK => Self::Ack(progress(&mut reader)?),
            RESUME => Self::Resume(progress(&mut reader)?),
            RESUMED => Self::Resumed(progress(&mut reader)?),
            _ => return Err(CryptoError::Refused),
        };
        reader.finish()?;
        Ok(frame)
    }
}

fn channel(reader: &mut Reader<'_>) -> Result<ChannelId> {
    Ok(ChannelId::from_bytes(reader.array()?))
}

fn progress(reader: &mut Reader<'_>) -> Result<Progress> {
    Ok(Progress {
        channel: channel(reader)?,
        attempt: reader.u64()?,
        next: reader.u64()?,
        mac: reader.array()?,
    })
}

/// What the first frame of a connection wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstFrame {
    /// A new channel: [`super::CellChannels::accept`].
    Hello(ChannelId),
    /// An old one, over a new connection: [`super::CellChannel::feed`] of that channel.
    Resume(ChannelId),
}

/// Tells which channel the first frame of a connection is for. Nothing is authenticated by this.
///
/// # Errors
/// [`CryptoError::Refused`] if it is neither; [`CryptoError::Refused`] for another version.
pub fn first_frame(frame: &[u8]) -> Result<FirstFrame> {
    match Frame::parse(frame)? {
        Frame::Hello { channel, .. } => Ok(FirstFrame::Hello(channel)),
        Frame::Resume(progress) => Ok(FirstFrame::Resume(progress.channel)),
        _ => Err(CryptoError::Refused),
    }
}

pub(super) fn hello_head(channel: ChannelId) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.u8(HELLO).fixed(&[VERSION, ALG_X25519, 0]).fixed(channel.as_bytes());
    writer.into_vec()
}

pub(super) fn accept(channel: ChannelId, fresh: &[u8; 32], mac: &[u8; MAC]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.u8(ACCEPT).fixed(channel.as_bytes()).fixed(fresh).fixed(mac);
    writer.into_vec()
}

pub(super) fn confirm(channel: ChannelId, mac: &[u8; MAC]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.u8(CONFIRM).fixed(channel.as_bytes()).fixed(mac);
    writer.into_vec()
}

pub(super) fn record_head(counter: u64) -> [u8; RECORD_HEAD] {
    let mut head = [RECORD; RECORD_HEAD];
    head[1..].copy_from_slice(&counter.to_be_bytes());
    head
}

/// Which of the three frames that tell progress.
#[derive(Clone, Copy)]
pub(super) enum ProgressKind {
    Ack,
    Resume,
    Resumed,
}

/// All of a progress frame but its MAC, which is over this.
pub(super) fn progress_body(kind: ProgressKind, channel: ChannelId, attempt: u64, next: u64) -> Vec<u8> {
    let mut writer = Writer::new();
    let kind = match kind {
        ProgressKind::Ack => ACK,
        ProgressKind::Resume => RESUME,
        ProgressKind::Resumed => RESUMED,
    };
    writer.u8(kind).fixed(channel.as_bytes()).u64(attempt).u64(next);
    writer.into_vec()
}
