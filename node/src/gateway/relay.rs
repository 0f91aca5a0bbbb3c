//! Carries frames between one WebSocket and one cell until either side is done.
//!
//! The two directions run beside each other and never wait for one another: a side that takes its time
//! holds up the frames towards it, and nothing else. Coupled, two slow sides would wait for ever.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use axum::{
    body::Bytes,
    extract::ws::{CloseFrame, Message, WebSocket},
};
use futures_util::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use ocmt_actors::api::container::{Gateway, GatewayEnd};
use tokio::{
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::server::ConnectionSlot;

/// Application codes of RFC 6455, and the codes of its registry.
const CLOSE_NORMAL: u16 = 1000;
const CLOSE_GOING_AWAY: u16 = 1001;
const CLOSE_TEXT: u16 = 1003;
const CLOSE_RESTART: u16 = 1012;
const CLOSE_REVOKED: u16 = 4401;
const CLOSE_LOCKED: u16 = 4423;
const CLOSE_STOPPED: u16 = 4503;

/// Pings keep middleboxes from forgetting the connection; an answer shows that somebody is there.
const PING_EVERY: Duration = Duration::from_secs(30);
/// A client that does not take a frame for so long is gone.
const SEND: Duration = Duration::from_secs(30);
/// How long the reason of an end may come after the end itself.
const REASON: Duration = Duration::from_secs(1);

type Close = (u16, &'static str);

/// Whoever would say why is gone: this node stops, or the tenant goes to another.
const MOVING: Close = (CLOSE_RESTART, "connect again");

/// Relays until the client, the cell or the session is done, or the node stops. The connection keeps its slot
/// for as long.
pub(super) async fn run(
    socket: WebSocket,
    gateway: Gateway,
    stop: CancellationToken,
    _slot: Option<ConnectionSlot>,
) {
    let Gateway { to_cell, from_cell, mut ended, .. } = gateway;
    let (mut sink, stream) = socket.split();
    let answered = AtomicBool::new(true);
    let close = tokio::select! {
        biased;
        end = &mut ended => Some(end.map_or(MOVING, closing)),
        () = stop.cancelled() => Some(MOVING),
        close = inwards(stream, to_cell, &answered) => close,
        close = outwards(&mut sink, from_cell, &answered) => close,
    };
    let Some(mut close) = close else { return };
    if close.0 == CLOSE_NORMAL {
        close = end_of(&mut ended).await;
    }
    let (code, reason) = close;
    let last = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    if timeout(SEND, sink.send(last)).await.is_err() {
        tracing::debug!("a gateway client did not take its close");
    }
}

/// Frames of the client. `None`: it is gone; [`CLOSE_NORMAL`]: the cell takes no more.
async fn inwards(
    mut stream: SplitStream<WebSocket>,
    to_cell: mpsc::Sender<Bytes>,
    answered: &AtomicBool,
) -> Option<Close> {
    loop {
        match stream.next().await {
            Some(Ok(Message::Binary(frame))) => {
                if to_cell.send(frame).await.is_err() {
                    return Some((CLOSE_NORMAL, ""));
                }
            }
            Some(Ok(Message::Text(_))) => return Some((CLOSE_TEXT, "binary frames only")),
            Some(Ok(Message::Pong(_))) => answered.store(true, Ordering::Relaxed),
            Some(Ok(Message::Ping(_))) => {}
            Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
        }
    }
}

/// Frames of the cell, and pings. `None`: the client is gone; [`CLOSE_NORMAL`]: the cell has no more.
async fn outwards(
    sink: &mut SplitSink<WebSocket, Message>,
    mut from_cell: mpsc::Receiver<Bytes>,
    answered: &AtomicBool,
) -> Option<Close> {
    let mut pings = interval(PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            biased;
            frame = from_cell.recv() => match frame {
                Some(frame) => Message::Binary(frame),
                None => return Some((CLOSE_NORMAL, "")),
            },
            _ = pings.tick() => {
                if !answered.swap(false, Ordering::Relaxed) {
                    return None;
                }
                Message::Ping(Bytes::new())
            }
        };
        if !matches!(timeout(SEND, sink.send(message)).await, Ok(Ok(()))) {
            return None;
        }
    }
}

async fn end_of(ended: &mut oneshot::Receiver<GatewayEnd>) -> Close {
    match timeout(REASON, ended).await {
        Ok(Ok(end)) => closing(end),
        Ok(Err(_)) | Err(_) => MOVING,
    }
}

fn closing(end: GatewayEnd) -> Close {
    match end {
        GatewayEnd::SessionOver => (CLOSE_REVOKED, "the session has ended"),
        GatewayEnd::Locked => (CLOSE_LOCKED, "the cell is locked"),
        GatewayEnd::Stopped => (CLOSE_STOPPED, "the container was stopped"),
        GatewayEnd::WakeFailed => (CLOSE_STOPPED, "the container could not be woken"),
        GatewayEnd::CellClosed | GatewayEnd::Moved => (CLOSE_GOING_AWAY, "connect again"),
        GatewayEnd::ClientClosed => (CLOSE_NORMAL, ""),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::extract::{Request, WebSocketUpgrade};
    use hyper_util::rt::TokioIo;
    use ocmt_actors::api::container::{Wake, WakeKind};
    use tokio::io::duplex;
    use tokio_tungstenite::{client_async, tungstenite::Message as Heard};
    use tower::ServiceExt as _;

    use super::*;
    use crate::tasks;

    /// A relay over a connection in memory, and the client's end of it.
    async fn relayed(
        gateway: Gateway,
        stop: CancellationToken,
    ) -> tokio_tungstenite::WebSocketStream<tokio::io::DuplexStream> {
        let (here, there) = duplex(4096);
        let gateway = std::sync::Arc::new(std::sync::Mutex::new(Some(gateway)));
        let app = axum::Router::new().fallback(async move |upgrade: WebSocketUpgrade| {
            let gateway = gateway.lock().unwrap().take().unwrap();
            upgrade.on_upgrade(move |socket| run(socket, gateway, stop, None))
        });
        let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            app.clone().oneshot(request.map(axum::body::Body::new) as Request)
        });
        let serving =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(there), service);
        tasks::spawn(serving.with_upgrades());
        client_async("ws://node/", here).await.unwrap().0
    }

    #[tokio::test]
    async fn a_client_is_told_to_connect_again_when_the_node_stops() {
        let (to_cell, _cell_hears) = mpsc::channel(1);
        let (_cell_says, from_cell) = mpsc::channel(1);
        let (_tell, ended) = oneshot::channel();
        let wake = Wake { kind: WakeKind::None, time: Duration::ZERO };
        let stop = CancellationToken::new();
        let mut client = relayed(Gateway { wake, to_cell, from_cell, ended }, stop.clone()).await;
        stop.cancel();
        let closed = async {
            loop {
                match client.next().await.unwrap().unwrap() {
                    Heard::Close(close) => return u16::from(close.unwrap().code),
                    Heard::Ping(_) => {}
                    other => panic!("{other:?}"),
                }
            }
        };
        assert_eq!(timeout(SEND, closed).await.unwrap(), CLOSE_RESTART);
    }
}
