//! The user's side of a sealed channel, over the node's gRPC relay.

use std::collections::VecDeque;

use ocmt_crypto::channel::{ClientChannel, CloseReason, Event, Lane, MAX_DATA, Message, Step, StreamKind};
use ocmt_proto::cell::v1::{ChannelRequest, ChannelResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Status, Streaming};

use super::{
    Client, SOON, TestCell, id,
    user::{Ready, User},
};

/// One connection: what a WebSocket would be.
pub struct Wire {
    /// unbounded: a client that waits to write before it reads would stand still with the cell; the
    /// channel's own window is the bound
    to: mpsc::UnboundedSender<ChannelRequest>,
    from: Streaming<ChannelResponse>,
}

impl Wire {
    pub async fn open(client: &mut Client, first: Vec<u8>) -> Result<Self, Status> {
        let (to, frames) = mpsc::unbounded_channel();
        to.send(ChannelRequest { data: first.into() }).unwrap();
        let from = client.channel(UnboundedReceiverStream::new(frames)).await?.into_inner();
        Ok(Self { to, from })
    }

    /// `Ok(None)` when the cell ended the connection in peace.
    pub async fn recv(&mut self) -> Result<Option<Vec<u8>>, Status> {
        let frame = tokio::time::timeout(SOON, self.from.message()).await.expect("no frame for too long")?;
        Ok(frame.map(|frame| frame.data.to_vec()))
    }

    pub async fn send(&self, frame: Vec<u8>) {
        let _ = self.to.send(ChannelRequest { data: frame.into() });
    }
}

/// What a finished stream gave.
#[derive(Debug, Default)]
pub struct Heard {
    pub out: Vec<u8>,
    pub err: Vec<u8>,
    pub exit: Option<i32>,
    pub close: Option<CloseReason>,
}

pub struct Talk {
    pub channel: ClientChannel,
    pub wire: Option<Wire>,
    pub heard: Heard,
    events: VecDeque<Event>,
}

impl Talk {
    pub async fn open(
        user: &User,
        cell: &TestCell,
        client: &mut Client,
        ready: &Ready,
        stream: StreamKind,
    ) -> Result<Self, Status> {
        let place = user.channel_place(cell, ready.unlock);
        let (channel, hello) = ClientChannel::open(
            &place,
            id(),
            ready.statement.key(),
            &user.channel_key,
            stream,
            &mut rand::rng(),
        )
        .unwrap();
        let wire = Wire::open(client, hello).await?;
        let mut talk = Self { channel, wire: Some(wire), heard: Heard::default(), events: VecDeque::new() };
        while !talk.events.iter().any(|event| matches!(event, Event::Open(_))) {
            assert!(talk.step().await?, "ended before it was open");
        }
        talk.events.clear();
        Ok(talk)
    }

    /// Takes one frame; `false` when the connection has ended.
    pub async fn step(&mut self) -> Result<bool, Status> {
        let wire = self.wire.as_mut().expect("a connection");
        let Some(frame) = wire.recv().await? else {
            return Ok(false);
        };
        let step = self.channel.feed(&frame).expect("a frame of the cell");
        self.take(step).await;
        Ok(true)
    }

    async fn take(&mut self, step: Step) {
        for frame in step.frames {
            self.wire.as_ref().unwrap().send(frame).await;
        }
        for event in step.events {
            match event {
                Event::Message(Message::Data(Lane::Main, bytes)) => self.heard.out.extend(bytes),
                Event::Message(Message::Data(Lane::Error, bytes)) => self.heard.err.extend(bytes),
                Event::Message(Message::Exit(code)) => self.heard.exit = Some(code),
                Event::Message(Message::Close(reason)) => self.heard.close = Some(reason),
                other => self.events.push_back(other),
            }
        }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(MAX_DATA) {
            while self.channel.capacity() < chunk.len() {
                assert!(self.step().await.unwrap(), "ended while sending");
            }
            for frame in self.channel.send_data(chunk).unwrap() {
                self.wire.as_ref().unwrap().send(frame).await;
            }
        }
    }

    pub async fn say(&mut self, message: &Message) {
        for frame in self.channel.send(message).unwrap() {
            self.wire.as_ref().unwrap().send(frame).await;
        }
    }

    pub async fn hear_until(&mut self, mut enough: impl FnMut(&Heard) -> bool) {
        while !enough(&self.heard) {
            assert!(self.step().await.unwrap(), "ended before enough was heard: {:?}", self.heard);
        }
    }

    /// Reads to the Close, and lets the cell have its acknowledgement.
    pub async fn finish(mut self) -> Heard {
        self.hear_until(|heard| heard.close.is_some()).await;
        let Wire { to, mut from } = self.wire.take().unwrap();
        drop(to);
        while let Ok(Ok(Some(_))) = tokio::time::timeout(SOON, from.message()).await {}
        self.heard
    }

    /// Loses the connection, as a network does: without a word.
    pub fn cut(&mut self) {
        self.wire = None;
        self.channel.detach();
    }

    pub async fn resume(&mut self, client: &mut Client) -> Result<(), Status> {
        let resume = self.channel.resume().unwrap();
        self.wire = Some(Wire::open(client, resume).await?);
        while !self.events.iter().any(|event| matches!(event, Event::Resumed)) {
            assert!(self.step().await?, "ended before it was resumed");
        }
        self.events.clear();
        Ok(())
    }
}

/// One HTTP/1.1 request over a channel of its own; the whole answer.
pub async fn http(
    user: &User,
    cell: &TestCell,
    client: &mut Client,
    ready: &Ready,
    port: u16,
    request: (&str, &str, &[u8]),
) -> String {
    let (method, path, body) = request;
    let mut talk = Talk::open(user, cell, client, ready, StreamKind::Tcp { port }).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    talk.send(&[head.as_bytes(), body].concat()).await;
    talk.say(&Message::Eof).await;
    String::from_utf8(talk.finish().await.out).unwrap()
}
