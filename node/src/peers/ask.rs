//! What this node asks of others' actors: letters, orders, channels, releases. The bytes are the actors' own.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use ocmt_actors::{ActorError, RemoteChannel};
use ocmt_proto::v1::{self as pb, channel_request::Part as Outwards, channel_response::Part as Inwards};
use ocmt_types::{Deadline, TenantId};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};

use super::{Lane, Peer, Pool, pool::UNSENT};
use crate::{tasks, telemetry::trace};

/// Frames that wait in each direction of a channel.
const FRAMES: usize = 16;
/// What the answer may take on top of the work, so that the other node's own word comes first.
const TRANSFER: Duration = Duration::from_millis(500);

/// Why a peer's actors gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// They were not asked.
    #[error("the node cannot be reached: {0}")]
    Unsent(String),
    /// They may have been: the link broke, or no answer came in time.
    #[error("no answer came back: {0}")]
    Lost(String),
    /// They refused.
    #[error(transparent)]
    Refused(ActorError),
}

impl From<Status> for AskError {
    fn from(status: Status) -> Self {
        let why = status.message().to_owned();
        if status.code() == Code::Unimplemented {
            // it runs an older release: nothing was done, and once it is upgraded the same will be
            return Self::Refused(ActorError::unavailable(
                "PEER_TOO_OLD",
                "the node runs a release that cannot do this yet",
            ));
        }
        if status.metadata().contains_key(UNSENT) { Self::Unsent(why) } else { Self::Lost(why) }
    }
}

type Asked<T> = Result<T, AskError>;

impl Pool {
    /// Hands a letter to a tenant at `peer`.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn deliver(
        &self,
        peer: &Peer,
        tenant: TenantId,
        letter: Vec<u8>,
        deadline: Deadline,
    ) -> Asked<Vec<u8>> {
        self.hand(peer, Lane::Control, tenant, letter, deadline).await
    }

    /// Hands over one that is held there until something happens. It takes no place of what is answered at once.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn deliver_held(
        &self,
        peer: &Peer,
        tenant: TenantId,
        letter: Vec<u8>,
        deadline: Deadline,
    ) -> Asked<Vec<u8>> {
        self.hand(peer, Lane::Held, tenant, letter, deadline).await
    }

    async fn hand(
        &self,
        peer: &Peer,
        lane: Lane,
        tenant: TenantId,
        letter: Vec<u8>,
        deadline: Deadline,
    ) -> Asked<Vec<u8>> {
        let mut node = self.client(peer, lane).await.map_err(AskError::Unsent)?;
        let message = pb::DeliverRequest { tenant_id: tenant.to_string(), letter: letter.into() };
        let (request, time) = self.timed(message, deadline);
        let answer = within(time, node.deliver(request)).await?;
        join(answer.answer, &answer.error)
    }

    /// Hands an order to the containers at `peer`.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn order(&self, peer: &Peer, order: Vec<u8>, deadline: Deadline) -> Asked<Vec<u8>> {
        let mut node = self.node(peer).await.map_err(AskError::Unsent)?;
        let (request, time) = self.timed(pb::OrderRequest { order: order.into() }, deadline);
        let answer = within(time, node.order(request)).await?;
        join(answer.answer, &answer.error)
    }

    /// Opens a channel to a cell at `peer`.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn channel(&self, peer: &Peer, opening: Vec<u8>, deadline: Deadline) -> Asked<RemoteChannel> {
        let mut node = self.client(peer, Lane::Channels).await.map_err(AskError::Unsent)?;
        let (to_host, frames) = mpsc::channel(FRAMES);
        let first = stream::iter([message(Outwards::Opening(opening.into()))]);
        let rest = ReceiverStream::new(frames).map(|frame| message(Outwards::Frame(frame)));
        let time = deadline.remaining(self.clock());
        // no grpc-timeout: the deadline is that of the opening, the stream lives on
        let opened = async {
            let mut answers = node.channel(first.chain(rest)).await?.into_inner();
            let first = answers.message().await?;
            Ok(Response::new((first, answers)))
        };
        let (first, answers) = within(time, opened).await?;
        match first.and_then(|first| first.part) {
            Some(Inwards::Opened(opened)) => {
                let (from, from_host) = mpsc::channel(FRAMES);
                tasks::spawn(carry(answers, from));
                Ok(RemoteChannel { opened: opened.into(), to_host, from_host })
            }
            Some(Inwards::Error(error)) => Err(refused(&error)),
            Some(Inwards::Frame(_)) | None => Err(AskError::Lost("the channel was not opened".to_owned())),
        }
    }

    /// Has `peer` give a tenant up.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn release(&self, peer: &Peer, tenant: TenantId, patience: Duration) -> Asked<()> {
        let mut node = self.node(peer).await.map_err(AskError::Unsent)?;
        let patience_ms = prost_types::Duration {
            seconds: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(patience.subsec_nanos()).unwrap_or(0),
        };
        let request = pb::ReleaseRequest { tenant_id: tenant.to_string(), patience: Some(patience_ms) };
        let answer = within(patience + TRANSFER, node.release(request)).await?;
        join(Bytes::new(), &answer.error).map(drop)
    }

    fn timed<T>(&self, message: T, deadline: Deadline) -> (Request<T>, Duration) {
        let (mut request, time) = (Request::new(message), deadline.remaining(self.clock()));
        request.set_timeout(time);
        trace::carry(&tracing::Span::current(), request.metadata_mut().as_mut());
        (request, time)
    }
}

async fn within<T>(time: Duration, answer: impl Future<Output = Result<Response<T>, Status>>) -> Asked<T> {
    match timeout(time + TRANSFER, answer).await {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_) => Err(AskError::Lost("the deadline passed".to_owned())),
    }
}

fn join(answer: Bytes, error: &Bytes) -> Asked<Vec<u8>> {
    if error.is_empty() { Ok(answer.into()) } else { Err(refused(error)) }
}

fn refused(error: &[u8]) -> AskError {
    AskError::Refused(ActorError::from_wire(error))
}

fn message(part: Outwards) -> pb::ChannelRequest {
    pb::ChannelRequest { part: Some(part) }
}

/// Frames of the host, as fast as they are taken here. Ends with either side.
async fn carry(mut answers: Streaming<pb::ChannelResponse>, from: mpsc::Sender<Bytes>) {
    loop {
        let frame = tokio::select! {
            biased;
            () = from.closed() => return,
            answer = answers.message() => match answer {
                Ok(Some(pb::ChannelResponse { part: Some(Inwards::Frame(frame)) })) => frame,
                Ok(_) => return,
                Err(status) => {
                    tracing::debug!(error = status.message(), "a channel to a peer broke");
                    return;
                }
            },
        };
        if from.send(frame).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_does_not_know_the_method_has_done_nothing_and_may_later() {
        let told = AskError::from(Status::unimplemented("")); // as tonic answers
        assert!(matches!(told, AskError::Refused(ActorError::Unavailable { .. })), "{told:?}");
    }
}
