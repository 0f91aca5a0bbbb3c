//! The workload's own WebSocket: messages both ways, each direction with its own back-pressure.
//!
//! Text stays text, binary binary, and a close comes with its code; fragments arrive as the message they make up. Pings
//! are answered here, on both sides: none is passed on, none counts, and so a WebSocket stays open while its container
//! sleeps. The next message wakes it. Compression is never agreed on.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use axum::{
    body::Bytes,
    extract::{
        WebSocketUpgrade,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket},
    },
    http::{HeaderValue, Request, Uri, header, request::Parts},
    response::Response,
};
use futures_util::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use ocmt_actors::api::container::{Ending, GatewayEnd, plain::Word};
use ocmt_types::ContainerId;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        self, Message as Said,
        handshake::client::generate_key,
        protocol::{WebSocketConfig, frame::coding::CloseCode},
    },
};
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        GatewayState,
        relay::{CLOSE_GOING_AWAY, Close, MOVING, PING_EVERY, REASON, SEND, broken, closing, leave, told},
        tell, token,
    },
    Opened, Words, answer, connect, headers,
    stream::ToWorkload,
};
use crate::{edge::error::problem, server::ConnectionSlot};

/// Largest frame and message, of either side.
pub(super) const MESSAGE_BYTES: usize = 1 << 20;
/// A workload answers the handshake within this.
const SHAKE: Duration = Duration::from_secs(30);
/// A workload that does not take a message for so long is stuck. It may be that its container is woken meanwhile.
const TAKE: Duration = Duration::from_secs(120);
/// How long either side may take to say its last.
const LAST_WORDS: Duration = Duration::from_secs(2);

const CLOSE_SERVER_ERROR: u16 = 1011;
const CLOSE_LATER: u16 = 1013;
const BROKE_OFF: Close = (CLOSE_SERVER_ERROR, "the workload broke off");
const NOT_LAWFUL: Close = (CLOSE_SERVER_ERROR, "the workload sent no lawful WebSocket message");
const STUCK: Close = (CLOSE_LATER, "the workload takes no message");

type Workload = WebSocketStream<ToWorkload>;

/// Shakes hands with the workload first: who cannot have its WebSocket is told so before the upgrade.
pub(in crate::gateway) async fn socket(
    state: &GatewayState,
    (container, target): (ContainerId, Uri),
    token: &str,
    head: &Parts,
    upgrade: WebSocketUpgrade,
) -> Response {
    let opened = match connect(state, container, (token, false), &head.extensions).await {
        Ok(opened) => opened,
        Err(error) => return problem(&error),
    };
    let Opened { wake, stream, words, ended } = opened;
    words.say(Word::Wakes).await;
    let Some(request) = handshake(head, &target) else { return answer::no_websocket(None) };
    let shaken = timeout(SHAKE, client_async_with_config(request, stream, Some(bounds()))).await;
    let workload = match shaken {
        Ok(Ok((workload, _))) => workload,
        Ok(Err(tungstenite::Error::Http(said))) => return answer::no_websocket(Some(said.status())),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a workload did not take a WebSocket");
            return answer::no_websocket(None);
        }
        Err(_) => return answer::late(),
    };
    let upgrade = upgrade.max_message_size(MESSAGE_BYTES).max_frame_size(MESSAGE_BYTES);
    let slot = head.extensions.get::<ConnectionSlot>().cloned();
    let stop = state.stop.clone();
    let mut answer = upgrade
        .protocols([token::PLAIN])
        .on_upgrade(move |client| run(client, workload, Both { words, ended, stop }, slot));
    tell(answer.headers_mut(), wake);
    answer
}

fn bounds() -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES)).max_frame_size(Some(MESSAGE_BYTES))
}

fn handshake(head: &Parts, target: &Uri) -> Option<Request<()>> {
    let uri = format!("ws://localhost{}", target.path_and_query()?);
    let mut request = Request::get(uri).body(()).ok()?;
    let mut sent = headers::up(head.headers.clone());
    sent.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    sent.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    sent.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    sent.insert(header::SEC_WEBSOCKET_KEY, generate_key().parse().ok()?);
    *request.headers_mut() = sent;
    Some(request)
}

/// What both directions stand on.
struct Both {
    words: Words,
    ended: Ending,
    stop: CancellationToken,
}

/// How the client's side stands.
struct Standing {
    /// It has answered the last ping.
    answered: AtomicBool,
    /// It is not read: the workload has to take what it said before.
    held_up: AtomicBool,
}

/// Relays until either side, the session or the container is done, or the node stops. The connection keeps its slot for
/// as long.
async fn run(client: WebSocket, workload: Workload, both: Both, _slot: Option<ConnectionSlot>) {
    let Both { words, ended, stop } = both;
    let (mut to_client, from_client) = client.split();
    let (mut to_workload, mut from_workload) = workload.split();
    let standing = Standing { answered: AtomicBool::new(true), held_up: AtomicBool::new(false) };
    let over = tokio::select! {
        biased;
        close = told(ended.clone()) => Over::Tell(Some(close)),
        () = stop.cancelled() => Over::Tell(Some(MOVING)),
        over = inwards(from_client, &mut to_workload, &words, &standing) => over,
        over = outwards(&mut from_workload, &mut to_client, &words, &standing) => over,
    };
    let last = match over {
        Over::Gone(close) => {
            // it has to arrive before the connection goes
            let last = async {
                to_workload.send(Said::Close(close)).await?;
                while from_workload.next().await.transpose()?.is_some() {}
                Ok::<(), tungstenite::Error>(())
            };
            let gone = async {
                if !matches!(timeout(LAST_WORDS, last).await, Ok(Ok(()))) {
                    tracing::debug!("a workload did not take the close of its client");
                }
                // the library answers the client's own close
                drop(timeout(LAST_WORDS, to_client.flush()).await);
            };
            leave(ended, gone).await;
            return;
        }
        Over::Unlawful(close) => {
            let away = tungstenite::protocol::CloseFrame { code: CloseCode::Away, reason: "".into() };
            let gone = timeout(LAST_WORDS, to_workload.send(Said::Close(Some(away))));
            let told = leave(ended, to_client.send(Message::Close(close.map(frame))));
            drop(tokio::join!(gone, told));
            return;
        }
        Over::Closed(close) => {
            leave(ended, to_client.send(Message::Close(close))).await;
            // the library answers the workload's close; the connection is the workload's to end
            let last = async {
                to_workload.flush().await?;
                while from_workload.next().await.transpose()?.is_some() {}
                Ok::<(), tungstenite::Error>(())
            };
            drop(timeout(LAST_WORDS, last).await);
            return;
        }
        Over::Tell(Some(BROKE_OFF)) => Some(frame(why_broken(ended.clone()).await)),
        Over::Tell(close) => close.map(frame),
    };
    if leave(ended, to_client.send(Message::Close(last))).await.is_none() {
        tracing::debug!("a gateway client did not take its close");
    }
}

/// Why there is nothing more to relay.
enum Over {
    /// The client has said its last: the workload hears it.
    Gone(Option<tungstenite::protocol::CloseFrame>),
    /// The client broke the protocol: it is told, and the workload that it went.
    Unlawful(Option<Close>),
    /// The workload closed.
    Closed(Option<CloseFrame>),
    /// The client is told.
    Tell(Option<Close>),
}

fn frame((code, reason): Close) -> CloseFrame {
    CloseFrame { code, reason: reason.into() }
}

/// Whether somebody ended a workload that said no last word, or it broke off by itself.
async fn why_broken(mut ended: Ending) -> Close {
    match timeout(REASON, ended.why()).await {
        Ok(Some(end @ (GatewayEnd::Locked | GatewayEnd::Stopped))) => closing(end),
        Ok(_) | Err(_) => BROKE_OFF,
    }
}

async fn inwards(
    mut from_client: SplitStream<WebSocket>,
    to_workload: &mut SplitSink<Workload, Said>,
    words: &Words,
    standing: &Standing,
) -> Over {
    loop {
        let said = match from_client.next().await {
            Some(Ok(Message::Binary(message))) => Said::Binary(message),
            Some(Ok(Message::Text(message))) => match text(message) {
                Some(message) => message,
                None => return Over::Unlawful(None),
            },
            Some(Ok(Message::Pong(_))) => {
                standing.answered.store(true, Ordering::Relaxed);
                continue;
            }
            // answered by the library, with the next read
            Some(Ok(Message::Ping(_))) => continue,
            Some(Ok(Message::Close(close))) => return Over::Gone(close.as_ref().map(of_client)),
            Some(Err(error)) => return Over::Unlawful(broken(error)),
            None => return Over::Gone(Some(of_client(&frame((CLOSE_GOING_AWAY, ""))))),
        };
        standing.held_up.store(true, Ordering::Relaxed);
        let taken = timeout(TAKE, async {
            words.say(Word::Wakes).await;
            to_workload.send(said).await
        });
        match taken.await {
            Ok(Ok(())) => {}
            // why is heard from the other direction
            Ok(Err(_)) => return std::future::pending().await,
            Err(_) => return Over::Tell(Some(STUCK)),
        }
        standing.answered.store(true, Ordering::Relaxed);
        standing.held_up.store(false, Ordering::Relaxed);
    }
}

fn text(message: Utf8Bytes) -> Option<Said> {
    tungstenite::Utf8Bytes::try_from(Bytes::from(message)).ok().map(Said::Text)
}

fn of_client(close: &CloseFrame) -> tungstenite::protocol::CloseFrame {
    tungstenite::protocol::CloseFrame { code: close.code.into(), reason: close.reason.as_str().into() }
}

async fn outwards(
    from_workload: &mut SplitStream<Workload>,
    to_client: &mut SplitSink<WebSocket, Message>,
    words: &Words,
    standing: &Standing,
) -> Over {
    let mut pings = interval(PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            biased;
            said = from_workload.next() => match said {
                Some(Ok(Said::Binary(message))) => Message::Binary(message),
                Some(Ok(Said::Text(message))) => match Utf8Bytes::try_from(Bytes::from(message)) {
                    Ok(message) => Message::Text(message),
                    Err(_) => return Over::Tell(Some(NOT_LAWFUL)),
                },
                // answered by the library, with the next read
                Some(Ok(Said::Ping(_) | Said::Pong(_) | Said::Frame(_))) => continue,
                Some(Ok(Said::Close(close))) => return Over::Closed(close.as_ref().map(of_workload)),
                Some(Err(tungstenite::Error::Protocol(
                    tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
                ) | tungstenite::Error::Io(_) | tungstenite::Error::ConnectionClosed)) | None => {
                    return Over::Tell(Some(BROKE_OFF));
                }
                Some(Err(_)) => return Over::Tell(Some(NOT_LAWFUL)),
            },
            _ = pings.tick() => {
                let heard = standing.answered.swap(false, Ordering::Relaxed);
                if !heard && !standing.held_up.load(Ordering::Relaxed) {
                    return Over::Gone(Some(of_client(&frame((CLOSE_GOING_AWAY, "")))));
                }
                Message::Ping(Bytes::new())
            }
        };
        if !matches!(message, Message::Ping(_)) {
            words.say(Word::Counts).await;
        }
        if !matches!(timeout(SEND, to_client.send(message)).await, Ok(Ok(()))) {
            return Over::Gone(Some(of_client(&frame((CLOSE_GOING_AWAY, "")))));
        }
    }
}

fn of_workload(close: &tungstenite::protocol::CloseFrame) -> CloseFrame {
    CloseFrame { code: close.code.into(), reason: close.reason.as_str().into() }
}
