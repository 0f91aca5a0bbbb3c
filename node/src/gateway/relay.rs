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
use ocmt_actors::api::container::{Ending, Gateway, GatewayEnd};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_tungstenite::tungstenite::{self, error::ProtocolError};
use tokio_util::sync::CancellationToken;

use crate::server::ConnectionSlot;

/// Application codes of RFC 6455, and the codes of its registry.
const CLOSE_NORMAL: u16 = 1000;
pub(super) const CLOSE_GOING_AWAY: u16 = 1001;
const CLOSE_PROTOCOL: u16 = 1002;
const CLOSE_TEXT: u16 = 1003;
const CLOSE_UTF8: u16 = 1007;
const CLOSE_TOO_LARGE: u16 = 1009;
const CLOSE_RESTART: u16 = 1012;
const CLOSE_REVOKED: u16 = 4401;
const CLOSE_LOCKED: u16 = 4423;
const CLOSE_STOPPED: u16 = 4503;

/// Pings keep middleboxes from forgetting the connection; an answer shows that somebody is there.
pub(super) const PING_EVERY: Duration = Duration::from_secs(30);
/// A client that does not take a frame for so long is gone.
pub(super) const SEND: Duration = Duration::from_secs(30);
/// What a cell or its workload has still said may be taken for so long after a lock or a stop.
const LAST_WORD: Duration = Duration::from_secs(1);
/// How long the reason of an end may come after the end itself.
pub(super) const REASON: Duration = Duration::from_secs(1);
/// Once the session is over, the message that is under way and the close may be taken within this.
const PARTING: Duration = Duration::from_millis(500);

pub(super) type Close = (u16, &'static str);

/// Whoever would say why is gone: this node stops, or the tenant goes to another.
pub(super) const MOVING: Close = (CLOSE_RESTART, "connect again");

/// Relays until the client, the cell or the session is done, or the node stops. The connection keeps its slot
/// for as long.
pub(super) async fn run(
    socket: WebSocket,
    gateway: Gateway,
    stop: CancellationToken,
    _slot: Option<ConnectionSlot>,
) {
    let Gateway { to_cell, from_cell, ended, .. } = gateway;
    let (mut sink, stream) = socket.split();
    let answered = AtomicBool::new(true);
    let close = tokio::select! {
        biased;
        close = told(ended.clone()) => Some(close),
        () = stop.cancelled() => Some(MOVING),
        close = inwards(stream, to_cell, &answered) => close,
        close = outwards(&mut sink, from_cell, &answered) => close,
    };
    let Some(mut close) = close else { return };
    if close.0 == CLOSE_NORMAL {
        close = end_of(ended.clone()).await;
    }
    let (code, reason) = close;
    let last = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    if leave(ended, sink.send(last)).await.is_none() {
        tracing::debug!("a gateway client did not take its close");
    }
}

/// What the host says that ends it at once. The end of the cell's side is heard from that, after all that came before it,
/// within [`SEND`] in all; within [`LAST_WORD`] where it was ended for a lock or a stop, of which the cell's last frame tells
/// and for which a workload may have a last word. The session is watched meanwhile: nothing of it goes out once that is over.
pub(super) async fn told(mut ended: Ending) -> Close {
    use GatewayEnd::{CellClosed, ClientClosed, Locked, Stopped};
    let Some(end) = ended.why().await else { return MOVING };
    let rest = match end {
        Locked | Stopped => LAST_WORD,
        CellClosed | ClientClosed => SEND,
        _ => return closing(end),
    };
    closing(timeout(rest, ended.revoked()).await.unwrap_or(end))
}

/// The last that is sent to a client, and what came of it: none if it was not taken in time. The session is watched for as
/// long, and once it is over a client that takes its time is waited for no more.
pub(super) async fn leave<T>(mut ended: Ending, last: impl Future<Output = T>) -> Option<T> {
    let over = async {
        ended.revoked().await;
        sleep(PARTING).await;
    };
    tokio::select! {
        biased;
        sent = timeout(SEND, last) => sent.ok(),
        () = over => None,
    }
}

/// Frames of the client. `None`: it is gone.
async fn inwards(
    mut stream: SplitStream<WebSocket>,
    to_cell: mpsc::Sender<Bytes>,
    answered: &AtomicBool,
) -> Option<Close> {
    loop {
        match stream.next().await {
            Some(Ok(Message::Binary(frame))) => {
                if to_cell.send(frame).await.is_err() {
                    // why is heard from the other direction, after what the cell has still said
                    return std::future::pending().await;
                }
            }
            Some(Ok(Message::Text(_))) => return Some((CLOSE_TEXT, "binary frames only")),
            Some(Ok(Message::Pong(_))) => answered.store(true, Ordering::Relaxed),
            // both are answered by the library, with the next read
            Some(Ok(Message::Ping(_) | Message::Close(_))) => {}
            Some(Err(error)) => return broken(error),
            None => return None,
        }
    }
}

/// What a client is told whose bytes are no WebSocket's, or too many; nothing if it is gone.
pub(super) fn broken(error: axum::Error) -> Option<Close> {
    match error.into_inner().downcast_ref::<tungstenite::Error>()? {
        tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        tungstenite::Error::Protocol(_) => Some((CLOSE_PROTOCOL, "no lawful frame")),
        tungstenite::Error::Utf8(_) => Some((CLOSE_UTF8, "no UTF-8")),
        tungstenite::Error::Capacity(_) => Some((CLOSE_TOO_LARGE, "too large")),
        _ => None,
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

async fn end_of(mut ended: Ending) -> Close {
    match timeout(REASON, ended.why()).await {
        Ok(Some(end)) => closing(end),
        Ok(None) | Err(_) => MOVING,
    }
}

pub(super) fn closing(end: GatewayEnd) -> Close {
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
    use ocmt_actors::api::container::{Wake, WakeKind, ending};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio_tungstenite::{client_async, tungstenite::Message as Heard};
    use tower::ServiceExt as _;

    use super::*;
    use crate::tasks;

    fn gateway(to_cell: mpsc::Sender<Bytes>, from_cell: mpsc::Receiver<Bytes>, ended: Ending) -> Gateway {
        Gateway { wake: Wake { kind: WakeKind::None, time: Duration::ZERO }, to_cell, from_cell, ended }
    }

    /// A relay over a connection in memory, and the client's end of it.
    async fn relayed(
        gateway: Gateway,
        stop: CancellationToken,
    ) -> tokio_tungstenite::WebSocketStream<tokio::io::DuplexStream> {
        let (here, there) = duplex(4096);
        let gateway = std::sync::Arc::new(std::sync::Mutex::new(Some(gateway)));
        let app = axum::Router::new().fallback(async move |upgrade: WebSocketUpgrade| {
            let gateway = gateway.lock().unwrap().take().unwrap();
            crate::gateway::bounded(upgrade).on_upgrade(move |socket| run(socket, gateway, stop, None))
        });
        let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            app.clone().oneshot(request.map(axum::body::Body::new) as Request)
        });
        let serving =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(there), service);
        tasks::spawn(serving.with_upgrades());
        client_async("ws://node/", here).await.unwrap().0
    }

    /// What a client that sends these bytes is told: the code of the close.
    async fn told(bytes: Vec<u8>) -> Option<u16> {
        let (to_cell, mut cell_hears) = mpsc::channel(8);
        let (_cell_says, from_cell) = mpsc::channel(1);
        let (_tell, ended) = ending();
        let client = relayed(gateway(to_cell, from_cell, ended), CancellationToken::new()).await;
        let (mut from_node, mut to_node) = tokio::io::split(client.into_inner());
        let mut work = tokio::task::JoinSet::new();
        work.spawn(async move { while cell_hears.recv().await.is_some() {} });
        work.spawn(async move { drop(to_node.write_all(&bytes).await) });
        let read = async {
            loop {
                let head = from_node.read_u16().await.ok()?;
                let mut payload = vec![0; usize::from(head & 0x7f)];
                from_node.read_exact(&mut payload).await.ok()?;
                if head >> 8 == 0x88 {
                    return Some(u16::from_be_bytes([payload[0], payload[1]]));
                }
            }
        };
        timeout(SEND, read).await.expect("the node says nothing")
    }

    /// A masked frame of a client.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let head = match payload.len() {
            short @ 0..126 => vec![first, 0x80 | u8::try_from(short).unwrap()],
            long => [&[first, 0xfe], u16::try_from(long).unwrap().to_be_bytes().as_slice()].concat(),
        };
        // masked with nothing
        [head.as_slice(), &[0; 4], payload].concat()
    }

    #[tokio::test]
    async fn w4_what_is_no_websocket_or_too_large_is_told_so_and_closed() {
        let huge = [&[0x82, 0xff], (u64::MAX >> 1).to_be_bytes().as_slice(), &[0; 4], &[0; 100]].concat();
        let fragments = [frame(0x02, &[1; 1000]), frame(0x00, &[1; 1000]).repeat(200)].concat();
        let close = |code: u16| frame(0x88, &code.to_be_bytes());
        for (what, bytes, code) in [
            ("a frame of 2^63-1 bytes", huge, CLOSE_TOO_LARGE),
            ("a message in fragments without end", fragments, CLOSE_TOO_LARGE),
            ("a frame without a mask", vec![0x82, 1, 7], CLOSE_PROTOCOL),
            ("a compressed frame nobody agreed to", frame(0xc2, &[7]), CLOSE_PROTOCOL),
            ("an unknown opcode", frame(0x83, &[7]), CLOSE_PROTOCOL),
            ("a ping in fragments", frame(0x09, &[7]), CLOSE_PROTOCOL),
            ("a ping of 126 bytes", frame(0x89, &[7; 126]), CLOSE_PROTOCOL),
            ("a fragment of nothing", frame(0x80, &[7]), CLOSE_PROTOCOL),
            ("bad UTF-8", frame(0x81, &[0xff, 0xfe]), CLOSE_UTF8),
            ("text", frame(0x81, b"text"), CLOSE_TEXT),
            (
                "pings without end, then text",
                [frame(0x89, b"x").repeat(20_000), frame(0x81, b"x")].concat(),
                CLOSE_TEXT,
            ),
            (
                "empty fragments without end, then text",
                [frame(0x02, &[]), frame(0x00, &[]).repeat(20_000), frame(0x81, b"x")].concat(),
                CLOSE_PROTOCOL,
            ),
        ] {
            assert_eq!(told(bytes).await, Some(code), "{what}");
        }
        for unlawful in [1005, 9999, 0] {
            assert_eq!(told(close(unlawful)).await, Some(CLOSE_PROTOCOL), "close {unlawful}");
        }
    }

    #[tokio::test]
    async fn a_client_is_told_to_connect_again_when_the_node_stops() {
        let (to_cell, _cell_hears) = mpsc::channel(1);
        let (_cell_says, from_cell) = mpsc::channel(1);
        let (_tell, ended) = ending();
        let stop = CancellationToken::new();
        let mut client = relayed(gateway(to_cell, from_cell, ended), stop.clone()).await;
        stop.cancel();
        assert_eq!(heard(&mut client).await, (vec![], CLOSE_RESTART));
    }

    /// The frames that a client hears, and the code that it is closed with.
    async fn heard(
        client: &mut tokio_tungstenite::WebSocketStream<tokio::io::DuplexStream>,
    ) -> (Vec<Bytes>, u16) {
        let mut frames = Vec::new();
        let closed = async {
            loop {
                match client.next().await.unwrap().unwrap() {
                    Heard::Close(close) => return u16::from(close.unwrap().code),
                    Heard::Binary(frame) => frames.push(frame),
                    Heard::Ping(_) => {}
                    other => panic!("{other:?}"),
                }
            }
        };
        let code = timeout(SEND, closed).await.unwrap();
        (frames, code)
    }

    /// A cell that locks says so itself, sealed: that is not lost because its host says it too.
    #[tokio::test]
    async fn the_last_frames_of_a_cell_come_before_the_code_of_its_lock_and_none_once_the_session_is_over() {
        for (said, code) in [
            (GatewayEnd::Locked, CLOSE_LOCKED),
            (GatewayEnd::Stopped, CLOSE_STOPPED),
            (GatewayEnd::CellClosed, CLOSE_GOING_AWAY),
            (GatewayEnd::SessionOver, CLOSE_REVOKED),
        ] {
            let (to_cell, cell_hears) = mpsc::channel(1);
            let (cell_says, from_cell) = mpsc::channel(2);
            let (tell, ended) = ending();
            for frame in [&b"one"[..], b"locked"] {
                cell_says.send(Bytes::from_static(frame)).await.unwrap();
            }
            drop((cell_hears, cell_says));
            tell.tell(said);
            let mut client = relayed(gateway(to_cell, from_cell, ended), CancellationToken::new()).await;
            let all = if said == GatewayEnd::SessionOver { 0 } else { 2 };
            let (frames, closed) = heard(&mut client).await;
            assert_eq!((frames.len(), closed), (all, code), "{said:?}");
        }
    }

    #[tokio::test]
    async fn who_takes_no_frame_is_not_waited_for_once_the_cell_is_locked() {
        for said in [GatewayEnd::Locked, GatewayEnd::Stopped] {
            let (to_cell, _cell_hears) = mpsc::channel(1);
            let (cell_says, from_cell) = mpsc::channel(8);
            let (tell, ended) = ending();
            for _ in 0..8 {
                cell_says.send(Bytes::from(vec![0; 60 * 1024])).await.unwrap();
            }
            let _client = relayed(gateway(to_cell, from_cell, ended), CancellationToken::new()).await;
            tell.tell(said);
            // of eight frames each would have had its time
            timeout(SEND / 2, cell_says.closed()).await.expect("it is waited for");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_no_frame_is_waited_for_no_longer_once_the_session_is_over() {
        let ends = [None, Some(GatewayEnd::CellClosed), Some(GatewayEnd::Locked)];
        for (first, reads) in ends.into_iter().flat_map(|end| [(end, false), (end, true)]) {
            let (to_cell, _cell_hears) = mpsc::channel(1);
            let (cell_says, from_cell) = mpsc::channel(8);
            let (tell, ended) = ending();
            for _ in 0..8 {
                cell_says.send(Bytes::from(vec![0; 60 * 1024])).await.unwrap();
            }
            let mut client = relayed(gateway(to_cell, from_cell, ended), CancellationToken::new()).await;
            if let Some(first) = first {
                drop(cell_says);
                tell.tell(first);
            }
            if reads {
                tell.tell(GatewayEnd::SessionOver);
                let (frames, closed) = heard(&mut client).await;
                assert!(frames.len() <= 1 && closed == CLOSE_REVOKED, "{first:?}: {} {closed}", frames.len());
            } else {
                let client = client.get_mut();
                client.read_u8().await.unwrap();
                assert!(timeout(PARTING / 2, tell.unheard()).await.is_err(), "{first:?}: a good session");
                tell.tell(GatewayEnd::SessionOver);
                timeout(Duration::from_secs(1), tell.unheard()).await.expect("it is waited for");
                let mut rest = Vec::new();
                client.read_to_end(&mut rest).await.unwrap();
                assert!(rest.len() < 60 * 1024, "{first:?}: {} bytes", rest.len());
            }
        }
    }
}
