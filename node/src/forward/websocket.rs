//! A WebSocket through this node to the owner's: bytes both ways, and a word to the client when the owner
//! goes without one.

use std::time::Duration;

use axum::{body::Body, response::Response};
use http::StatusCode;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy, split},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    crowd::Place,
    frames::{Frames, close},
};
use crate::{server::ConnectionSlot, tasks};

/// "Service restart" of the registry of RFC 6455: connect again at once.
const RESTART: u16 = 1012;
const CONNECT_AGAIN: &str = "connect again";
/// What the owner may still say once the client has said its last, and the client may take to read a close.
const LAST_WORDS: Duration = Duration::from_secs(5);
const CHUNK: usize = 16 << 10;

/// The client's end of an upgrade to come.
pub(super) struct Client {
    pub(super) upgrade: OnUpgrade,
    /// Its places at the listener and among those that are forwarded, for as long as the WebSocket lives.
    pub(super) held: (Option<ConnectionSlot>, Place),
}

/// Turns the owner's answer into the client's; after a 101 both are joined until `stop`.
pub(super) fn answer(answer: Response<Incoming>, client: Client, stop: CancellationToken) -> Response {
    let (head, body) = answer.into_parts();
    if head.status != StatusCode::SWITCHING_PROTOCOLS {
        return Response::from_parts(head, Body::new(body));
    }
    let switched = Response::from_parts(head.clone(), body);
    tasks::spawn(async move {
        let Client { upgrade, held } = client;
        match tokio::try_join!(upgrade, hyper::upgrade::on(switched)) {
            Ok((client, owner)) => join(TokioIo::new(client), TokioIo::new(owner), stop).await,
            Err(error) => tracing::debug!(%error, "a forwarded upgrade did not come about"),
        }
        drop(held);
    });
    Response::from_parts(head, Body::empty())
}

/// Carries bytes until either side is done.
async fn join<C, O>(client: C, owner: O, stop: CancellationToken)
where
    C: AsyncRead + AsyncWrite,
    O: AsyncRead + AsyncWrite,
{
    let (mut from_client, to_client) = split(client);
    let (from_owner, mut to_owner) = split(owner);
    let inwards = async move {
        // an end of either kind is the client's last word
        if copy(&mut from_client, &mut to_owner).await.is_ok() && to_owner.shutdown().await.is_err() {
            tracing::debug!("the owner was gone before the client");
        }
    };
    let outwards = outwards(from_owner, to_client, stop);
    tokio::pin!(inwards, outwards);
    tokio::select! {
        biased;
        () = &mut outwards => {}
        () = &mut inwards => {
            if timeout(LAST_WORDS, outwards).await.is_err() {
                tracing::debug!("the owner had no last word for a client that is gone");
            }
        }
    }
}

/// The owner's bytes to the client. If they end without a close, or this node stops, the client gets one.
async fn outwards(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    stop: CancellationToken,
) {
    let mut frames = Frames::default();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = tokio::select! {
            biased;
            () = stop.cancelled(), if frames.may_begin() => break,
            read = from.read(&mut chunk) => read,
        };
        let Some(bytes) = read.ok().filter(|n| *n > 0).and_then(|n| chunk.get(..n)) else { break };
        frames.pass(bytes);
        if to.write_all(bytes).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
    let last = async {
        if frames.may_begin() {
            to.write_all(&close(RESTART, CONNECT_AGAIN)).await?;
        }
        to.shutdown().await
    };
    if !matches!(timeout(LAST_WORDS, last).await, Ok(Ok(()))) {
        tracing::debug!("a client did not take the end of its WebSocket");
    }
}
