//! A sealed channel to a user's cell over the gateway: what goes through it, only the two ends can read.
//!
//! The state machine is `ocmt_crypto::channel`; here are its connections. A connection that is lost is
//! made again and the channel resumed where it was, for up to [`RESUME_FOR`].

mod stream;

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use ocmt_crypto::{
    CryptoError,
    channel::{ChannelPlace, ClientChannel, Event, Message, Step, StreamKind},
    seal::{SealPublicKey, SealSecretKey},
};
use ocmt_proto::v1 as pb;
use ocmt_types::{ChannelId, ContainerId, Deadline, IdGen, RandomIds, Timestamp};
use serde::Serialize;

use crate::{
    Client, ClientError,
    gateway::{CLOSE_LOCKED, Gateway, Incoming, Wake},
};

pub use stream::ChannelStream;

/// How long a lost connection is tried again; the cell keeps a channel for as long.
pub const RESUME_FOR: Duration = Duration::from_secs(60);
/// How long a container may take to wake for a connection.
const WAKE: Duration = Duration::from_secs(60);
const RETRY_EVERY: Duration = Duration::from_millis(200);

/// Where a channel goes, and with which keys.
pub struct Endpoints {
    /// The unlock it belongs to.
    pub place: ChannelPlace,
    /// The cell's key, out of a verified statement.
    pub cell: SealPublicKey,
    /// The user's channel key, out of the vault.
    pub own: SealSecretKey,
}

/// An open sealed channel.
pub struct SealedChannel {
    client: Client,
    container: ContainerId,
    gateway: Option<Gateway>,
    channel: ClientChannel,
    inbox: VecDeque<Message>,
    outbox: VecDeque<Bytes>,
    first_wake: Wake,
}

/// What the gateway of one container takes, in the session that it was issued in.
#[derive(Serialize)]
pub struct GatewayToken {
    /// To be shown as the subprotocol `ocmt.token.…` or the header `ocmt-gateway-token`. A secret.
    pub token: String,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Where the gateway is on every node.
    pub path: String,
}

impl Client {
    /// A token for a container's gateway, good for `lifetime` (10 s to 1 h; 15 min if none is named).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn gateway_token(
        &self,
        container: ContainerId,
        lifetime: Option<Duration>,
    ) -> Result<GatewayToken, ClientError> {
        let request = pb::IssueGatewayTokenRequest {
            container_id: container.to_string(),
            lifetime: lifetime.and_then(|time| prost_types::Duration::try_from(time).ok()),
            idempotency_key: crate::client::idempotency_key(),
        };
        let issued = self.containers().issue_gateway_token(request).await?.into_inner();
        let expires_at = issued.expires_at.as_ref().map(crate::wire::time);
        Ok(GatewayToken { token: issued.token, expires_at, path: issued.gateway_path })
    }

    /// Connects to a container through the gateway, waking it if it sleeps. The connection carries one
    /// sealed channel; a locked cell closes it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn gateway(&self, container: ContainerId) -> Result<Gateway, ClientError> {
        let token = self.gateway_token(container, None).await?.token;
        let mut gone = None;
        for endpoint in self.endpoints() {
            match Box::pin(Gateway::connect(&self.target().at(&endpoint), container, &token, WAKE)).await {
                Err(error @ ClientError::Connect { .. }) => gone = Some(error),
                done => return done,
            }
        }
        Err(gone.unwrap_or_else(|| ClientError::Usage("no endpoint is given".to_owned())))
    }

    /// Opens a channel of this kind to an unlocked cell.
    ///
    /// # Errors
    /// [`ClientError::Channel`] if the cell is locked or does not take it.
    pub async fn open_channel(&self, to: &Endpoints, kind: StreamKind) -> Result<SealedChannel, ClientError> {
        let container = to.place.container;
        let mut gateway = self.gateway(container).await?;
        let ids: &dyn IdGen = &RandomIds;
        let id: ChannelId = ids.id();
        let (channel, hello) = ClientChannel::open(&to.place, id, &to.cell, &to.own, kind, &mut rand::rng())?;
        gateway.send(Bytes::from(hello)).await?;
        let first_wake = gateway.wake().clone();
        let mut open = SealedChannel {
            client: self.clone(),
            container,
            gateway: Some(gateway),
            channel,
            inbox: VecDeque::new(),
            outbox: VecDeque::new(),
            first_wake,
        };
        while !open.pump().await? {
            if open.gateway.is_none() {
                // nothing of it exists at the cell yet that could be resumed
                return Err(ClientError::Channel(
                    "the connection was lost before the channel was open".to_owned(),
                ));
            }
        }
        Ok(open)
    }
}

impl SealedChannel {
    /// How the container was brought back when the channel was opened.
    pub fn wake(&self) -> &Wake {
        &self.first_wake
    }

    /// What the cell says next; `None` when the channel is over. Safe to drop while waiting.
    ///
    /// # Errors
    /// [`ClientError`] when the channel broke for good.
    pub async fn next(&mut self) -> Result<Option<Message>, ClientError> {
        loop {
            if let Some(message) = self.inbox.pop_front() {
                return Ok(Some(message));
            }
            if self.channel.is_finished() {
                return Ok(None);
            }
            self.pump().await?;
        }
    }

    /// Sends all of `bytes`, waiting for room where the cell is slower.
    ///
    /// # Errors
    /// As [`SealedChannel::next`].
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<(), ClientError> {
        while !bytes.is_empty() {
            let room = self.channel.capacity();
            if room == 0 {
                self.pump().await?;
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            let frames = self.channel.send_data(now)?;
            self.queue(frames);
            bytes = later;
        }
        self.flush().await;
        Ok(())
    }

    /// Sends anything but data.
    ///
    /// # Errors
    /// As [`SealedChannel::next`].
    pub async fn send(&mut self, message: &Message) -> Result<(), ClientError> {
        let frames = self.channel.send(message)?;
        self.queue(frames);
        self.flush().await;
        Ok(())
    }

    /// Cuts the connection as a bad network would; the next call makes another and resumes.
    pub async fn cut(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            gateway.close().await;
        }
        self.lose();
    }

    /// Takes one frame from the cell; whether it opened or resumed the channel.
    async fn pump(&mut self) -> Result<bool, ClientError> {
        self.flush().await;
        let Some(gateway) = &mut self.gateway else {
            return self.resume().await.map(|()| false);
        };
        let frame = match gateway.receive().await {
            Ok(Incoming::Frame(frame)) => frame,
            Ok(Incoming::Closed(CLOSE_LOCKED, _)) => {
                return Err(ClientError::Channel("the cell is locked: unlock it first".to_owned()));
            }
            Ok(Incoming::Closed(..)) | Err(_) => {
                self.lose();
                return Ok(false);
            }
        };
        match self.channel.feed(&frame) {
            Ok(step) => {
                let began = self.take(step);
                self.flush().await;
                Ok(began)
            }
            Err(CryptoError::ChannelEnded) => Err(ClientError::Channel("the cell ended it".to_owned())),
            Err(_) => {
                // damaged or out of order on the way: nothing was taken, so another connection goes on
                self.lose();
                Ok(false)
            }
        }
    }

    fn take(&mut self, step: Step) -> bool {
        let mut began = false;
        for event in step.events {
            match event {
                Event::Message(message) => self.inbox.push_back(message),
                Event::Open(_) | Event::Resumed => began = true,
            }
        }
        self.queue(step.frames);
        began
    }

    fn queue(&mut self, frames: Vec<Vec<u8>>) {
        self.outbox.extend(frames.into_iter().map(Bytes::from));
    }

    /// What is lost here is kept by the channel and sent again when it resumes.
    async fn flush(&mut self) {
        if let Some(gateway) = &mut self.gateway
            && gateway.send_all(&mut self.outbox).await.is_err()
        {
            self.lose();
        }
    }

    fn lose(&mut self) {
        self.gateway = None;
        self.outbox.clear();
        self.channel.detach();
    }

    async fn resume(&mut self) -> Result<(), ClientError> {
        let clock = ocmt_types::SystemClock;
        let deadline = Deadline::after(&clock, RESUME_FOR);
        let frame = self.channel.resume()?;
        loop {
            match self.reconnect(&frame).await {
                Ok(()) => return Ok(()),
                Err(error) if deadline.has_passed(&clock) || !error.is_retryable() => return Err(error),
                Err(_) => tokio::time::sleep(RETRY_EVERY).await,
            }
        }
    }

    async fn reconnect(&mut self, frame: &[u8]) -> Result<(), ClientError> {
        let mut gateway = self.client.gateway(self.container).await?;
        if let Err(error) = gateway.send(Bytes::copy_from_slice(frame)).await {
            // lost again already, as the one before
            return Err(ClientError::Connect {
                endpoint: self.container.to_string(),
                why: error.to_string(),
            });
        }
        self.gateway = Some(gateway);
        Ok(())
    }
}
