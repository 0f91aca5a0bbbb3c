//! The cell's side: which channels one unlock takes, and each of them.

use std::collections::HashSet;

use ocmt_types::ChannelId;

use crate::{
    CryptoError, Result,
    seal::{SealPublicKey, SealSecretKey},
};

use super::{
    ChannelPlace, Event, Lane, MAX_CHANNELS, Message, Step, StreamKind, handshake,
    link::{Link, Side},
    wire::{self, Frame},
};

/// Takes new channels for one unlock of a cell, each id once. Dropped, with its key, at the lock.
pub struct CellChannels {
    place: ChannelPlace,
    own: SealSecretKey,
    user: SealPublicKey,
    used: HashSet<ChannelId>,
}

impl CellChannels {
    /// `own` is the cell's key, `user` the user's channel public key from the unlock payload.
    pub fn new(place: ChannelPlace, own: SealSecretKey, user: SealPublicKey) -> Self {
        Self { place, own, user, used: HashSet::new() }
    }

    /// Takes a Hello: returns the channel with the frame to answer.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] unless it comes from the holder of the user's channel key, for this unlock;
    /// [`CryptoError::Refused`] if the channel id was used before; [`CryptoError::ChannelEnded`] past
    /// [`MAX_CHANNELS`].
    pub fn accept(&mut self, hello: &[u8], rng: &mut impl rand::CryptoRng) -> Result<(CellChannel, Vec<u8>)> {
        let Frame::Hello { channel, .. } = Frame::parse(hello)? else {
            return Err(CryptoError::Refused);
        };
        if self.used.contains(&channel) {
            return Err(CryptoError::Refused);
        }
        if self.used.len() >= MAX_CHANNELS {
            return Err(CryptoError::ChannelEnded);
        }
        let mut fresh = [0; 32];
        rng.fill_bytes(&mut fresh);
        let (stream, keys) = handshake::answer(&self.place, &self.own, &self.user, hello, &fresh)?;
        // recorded only now: nobody but the user can fill the set
        self.used.insert(channel);
        let accept = wire::accept(channel, &fresh, &keys.cell_confirms());
        let link = Link::new(Side::Cell, channel, &keys);
        Ok((CellChannel { channel, stream, link, unconfirmed: Some(keys) }, accept))
    }
}

/// A channel seen from the cell. Connect its stream at [`Event::Open`], not before.
pub struct CellChannel {
    channel: ChannelId,
    stream: StreamKind,
    link: Link,
    /// Until the client has shown that it holds the keys.
    unconfirmed: Option<handshake::Keys>,
}

impl CellChannel {
    /// The channel's id.
    pub fn id(&self) -> ChannelId {
        self.channel
    }

    /// Takes one frame from the client.
    ///
    /// # Errors
    /// [`CryptoError::ChannelEnded`]: it is over. Anything else: the frame was damaged, forged, replayed or
    /// out of order and changed nothing; drop the connection and wait for the client to resume.
    pub fn feed(&mut self, frame: &[u8]) -> Result<Step> {
        let frame = Frame::parse(frame)?;
        let Some(keys) = &self.unconfirmed else {
            return self.link.feed(&frame);
        };
        let mut step = match &frame {
            Frame::Confirm { channel, mac } if *channel == self.channel => {
                keys.check_client(mac)?;
                Step::default()
            }
            // the Confirm was lost with its connection: the MAC of a Resume shows the same
            Frame::Resume(_) => self.link.feed(&frame)?,
            _ => return Err(CryptoError::OutOfOrder),
        };
        self.unconfirmed = None;
        step.events.insert(0, Event::Open(self.stream.clone()));
        Ok(step)
    }

    /// Sends output: at most [`CellChannel::capacity`] bytes.
    ///
    /// # Errors
    /// [`CryptoError::OutOfOrder`] before [`Event::Open`]; [`CryptoError::WindowFull`] if the bytes do not fit (wait
    /// for the next frame and try again); [`CryptoError::ChannelEnded`].
    pub fn send_data(&mut self, lane: Lane, bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
        self.confirmed()?.send_data(lane, bytes)
    }

    /// Sends anything but data.
    ///
    /// # Errors
    /// As [`CellChannel::send_data`]; [`CryptoError::Refused`] for what only a client says.
    pub fn send(&mut self, message: &Message) -> Result<Vec<Vec<u8>>> {
        self.confirmed()?.send_control(message)
    }

    /// Bytes of data that may be sent now; 0 before it is open and after it ended.
    pub fn capacity(&self) -> usize {
        if self.unconfirmed.is_some() { 0 } else { self.link.capacity() }
    }

    /// Nothing more will come of it: it may be forgotten.
    pub fn is_finished(&self) -> bool {
        self.link.is_finished()
    }

    /// Tells that the connection was lost. What is sent from now on waits for the resumption, until
    /// the buffer is full: then the channel ends.
    pub fn detach(&mut self) {
        self.link.detach();
    }

    fn confirmed(&mut self) -> Result<&mut Link> {
        if self.unconfirmed.is_some() { Err(CryptoError::OutOfOrder) } else { Ok(&mut self.link) }
    }
}
