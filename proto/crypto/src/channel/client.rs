//! The client's side of a channel.

use ocmt_types::ChannelId;

use crate::{
    CryptoError, Result,
    seal::{SealPublicKey, SealSecretKey},
};

use super::{
    ChannelPlace, Event, Lane, Message, Step, StreamKind, handshake,
    link::{Link, Side},
    wire::{self, Frame},
};

/// A channel seen from the user's client. Feed it what comes in; send what it hands out, in order.
pub struct ClientChannel {
    channel: ChannelId,
    phase: Phase,
}

enum Phase {
    /// Hello is out.
    Hello {
        pending: handshake::Pending,
        stream: StreamKind,
    },
    Open(Box<Link>),
}

impl ClientChannel {
    /// Opens a channel: returns it with its first frame, the Hello.
    ///
    /// `channel` is a fresh random id, `cell` the key of a verified [`crate::cell::CellKeyStatement`],
    /// `own` the user's channel key from the vault.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if `stream` passes a bound; [`CryptoError::Refused`] if the cell's key is none.
    pub fn open(
        place: &ChannelPlace,
        channel: ChannelId,
        cell: &SealPublicKey,
        own: &SealSecretKey,
        stream: StreamKind,
        rng: &mut impl rand::CryptoRng,
    ) -> Result<(Self, Vec<u8>)> {
        let (pending, hello) = handshake::hello(place, channel, cell, own, &stream, rng)?;
        Ok((Self { channel, phase: Phase::Hello { pending, stream } }, hello))
    }

    /// The channel's id.
    pub fn id(&self) -> ChannelId {
        self.channel
    }

    /// Takes one frame from the cell.
    ///
    /// # Errors
    /// [`CryptoError::ChannelEnded`]: it is over. Anything else: the frame was damaged, forged or out of
    /// order and changed nothing; drop the connection and [`ClientChannel::resume`].
    pub fn feed(&mut self, frame: &[u8]) -> Result<Step> {
        let frame = Frame::parse(frame)?;
        let (pending, stream) = match &mut self.phase {
            Phase::Open(link) => return link.feed(&frame),
            Phase::Hello { pending, stream } => (pending, stream),
        };
        let Frame::Accept { channel, fresh, mac } = frame else {
            return Err(CryptoError::OutOfOrder);
        };
        if channel != self.channel {
            return Err(CryptoError::Refused);
        }
        let keys = pending.keys(&fresh)?;
        keys.check_cell(&mac)?;
        let confirm = wire::confirm(self.channel, &keys.client_confirms());
        let open = Event::Open(stream.clone());
        self.phase = Phase::Open(Box::new(Link::new(Side::Client, self.channel, &keys)));
        Ok(Step { frames: vec![confirm], events: vec![open] })
    }

    /// Sends input: at most [`ClientChannel::capacity`] bytes.
    ///
    /// # Errors
    /// [`CryptoError::OutOfOrder`] before [`Event::Open`]; [`CryptoError::WindowFull`] if the bytes do not fit (wait
    /// for the next frame and try again); [`CryptoError::ChannelEnded`].
    pub fn send_data(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
        self.link()?.send_data(Lane::Main, bytes)
    }

    /// Sends anything but data.
    ///
    /// # Errors
    /// As [`ClientChannel::send_data`]; [`CryptoError::Refused`] for what only a cell says.
    pub fn send(&mut self, message: &Message) -> Result<Vec<Vec<u8>>> {
        self.link()?.send_control(message)
    }

    /// Bytes of data that may be sent now; 0 before it is open and after it ended.
    pub fn capacity(&self) -> usize {
        match &self.phase {
            Phase::Open(link) => link.capacity(),
            Phase::Hello { .. } => 0,
        }
    }

    /// Nothing more will come of it.
    pub fn is_finished(&self) -> bool {
        matches!(&self.phase, Phase::Open(link) if link.is_finished())
    }

    /// Tells that the connection was lost. What is sent from now on waits for the resumption, until
    /// the buffer is full: then the channel ends.
    pub fn detach(&mut self) {
        if let Phase::Open(link) = &mut self.phase {
            link.detach();
        }
    }

    /// The first frame of a new connection that goes on with this channel.
    ///
    /// # Errors
    /// [`CryptoError::OutOfOrder`] if the channel was never open (open another one under a new id);
    /// [`CryptoError::ChannelEnded`].
    pub fn resume(&mut self) -> Result<Vec<u8>> {
        self.link()?.resume()
    }

    fn link(&mut self) -> Result<&mut Link> {
        match &mut self.phase {
            Phase::Open(link) => Ok(link),
            Phase::Hello { .. } => Err(CryptoError::OutOfOrder),
        }
    }
}
