//! `GET /ws`: a WebSocket that says back what it hears, and does what it is told in text:
//!
//! `close CODE REASON`, `drop`, `big BYTES` (one message of zeros), `flood COUNT` (messages of 32 KiB), `ping` (and says `pong`
//! when that came), `unlawful` (a compressed frame that nobody agreed to), `deaf MS` (reads nothing for so long), `pings COUNT MS`
//! and `drops COUNT MS` (pings or messages so far apart). How its WebSockets were closed is told at `GET /closed`.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::{body::Incoming, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role},
    },
};

use super::server::{Answer, plain};

/// Codes of closes that were heard; 0 for an end without one.
static CLOSED: Mutex<Vec<u16>> = Mutex::new(Vec::new());

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// How they ended, a line each.
pub(crate) fn closed() -> Response<Answer> {
    let closed = CLOSED.lock().unwrap_or_else(PoisonError::into_inner);
    plain(StatusCode::OK, &closed.iter().map(|code| format!("{code}\n")).collect::<String>())
}

fn note(code: u16) {
    CLOSED.lock().unwrap_or_else(PoisonError::into_inner).push(code);
}

/// Shakes hands, and talks beside.
#[expect(clippy::disallowed_methods, reason = "a program of its own: one task a connection")]
pub(crate) fn open(mut request: Request<Incoming>) -> Response<Answer> {
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY) else {
        return plain(StatusCode::BAD_REQUEST, "this is a WebSocket\n");
    };
    let accept = derive_accept_key(key.as_bytes());
    let mut answer = plain(StatusCode::SWITCHING_PROTOCOLS, "");
    let headers = answer.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = accept.parse() {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        if talk(socket).await.is_err() {
            note(0);
        }
    });
    answer
}

async fn talk(mut socket: Socket) -> tungstenite::Result<()> {
    while let Some(message) = socket.next().await {
        match message? {
            Message::Text(text) => {
                let said = text.as_str().to_owned();
                let (word, rest) = said.split_once(' ').unwrap_or((&said, ""));
                match (word, rest.split(' ').next().and_then(|number| number.parse().ok())) {
                    ("drop", None) => return Ok(()),
                    ("unlawful", None) => {
                        // the first reserved bit says "compressed"
                        socket.get_mut().write_all(&[0xc2, 1, 7]).await?;
                        socket.get_mut().flush().await?;
                    }
                    ("ping", None) => socket.send(Message::Ping("x".into())).await?,
                    ("pings" | "drops", Some(count)) => {
                        let apart = rest.split(' ').nth(1).and_then(|ms| ms.parse().ok()).unwrap_or(0);
                        for _ in 0..count {
                            let ping = word == "pings";
                            let it = if ping {
                                Message::Ping("quiet".into())
                            } else {
                                Message::Text("drop".into())
                            };
                            socket.send(it).await?;
                            tokio::time::sleep(Duration::from_millis(apart)).await;
                        }
                    }
                    ("close", Some(code)) => close(&mut socket, code, rest).await?,
                    ("big", Some(bytes)) => socket.send(Message::Binary(vec![0; bytes].into())).await?,
                    ("flood", Some(count)) => {
                        for _ in 0..count {
                            socket.send(Message::Binary(vec![7; 32 << 10].into())).await?;
                        }
                    }
                    ("deaf", Some(ms)) => {
                        let ms = u64::try_from(ms).unwrap_or(u64::MAX);
                        tokio::time::sleep(Duration::from_millis(ms)).await;
                        socket.send(Message::Text("I hear again".into())).await?;
                    }
                    _ => socket.send(Message::Text(text)).await?,
                }
            }
            Message::Binary(bytes) => socket.send(Message::Binary(bytes)).await?,
            Message::Pong(said) if said != "x" => {}
            Message::Pong(_) => socket.send(Message::Text("pong".into())).await?,
            Message::Ping(_) | Message::Frame(_) => {}
            Message::Close(close) => {
                note(close.map_or(1005, |close| u16::from(close.code)));
            }
        }
    }
    Ok(())
}

async fn close(socket: &mut Socket, code: usize, rest: &str) -> tungstenite::Result<()> {
    let reason = rest.split_once(' ').map_or("", |(_, reason)| reason);
    let code = u16::try_from(code).unwrap_or(1000).into();
    socket.close(Some(CloseFrame { code, reason: reason.into() })).await
}
