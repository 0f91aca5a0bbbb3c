//! The HTTP side of the demo workload. What is said to it stays in its memory.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context as _;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use sha2::Sha256;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use super::{probe, socket};

/// What it answers with.
pub(crate) type Answer = UnsyncBoxBody<Bytes, Infallible>;
/// Pieces of an answer.
pub(crate) type Pieces =
    std::pin::Pin<Box<dyn futures_util::Stream<Item = Result<Frame<Bytes>, Infallible>> + Send>>;

/// Port when `PORT` names none.
pub(crate) const DEFAULT_PORT: u16 = 8080;
/// What there is.
pub(crate) const NOTHING: &str =
    "GET /healthz, POST /prove, POST /say, GET /ws; /echo, /swallow, /after, /drip, /zeros, /to\n";
/// Longest body taken, in bytes.
const MAX_BODY: usize = 64 * 1024;

struct Workload {
    secret: Option<Vec<u8>>,
    talk: Mutex<Vec<Bytes>>,
}

/// Serves until SIGTERM.
pub(crate) async fn serve(port: u16, secret: Option<Vec<u8>>) -> anyhow::Result<()> {
    let mut stop = signal(SignalKind::terminate())?;
    let mut changed = signal(SignalKind::hangup())?;
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .await
        .with_context(|| format!("cannot listen on 127.0.0.1:{port}"))?;
    say(&format!(
        "demo workload listening on {}, secret {}",
        listener.local_addr()?,
        if secret.is_some() { "present" } else { "absent" }
    ));
    let workload = Arc::new(Workload { secret, talk: Mutex::default() });
    loop {
        tokio::select! {
            _ = stop.recv() => {
                say("demo workload stopping");
                return Ok(());
            }
            _ = changed.recv() => say("demo workload told of another agent policy"),
            accepted = listener.accept() => match accepted {
                Ok((connection, _)) => answer_connection(connection, Arc::clone(&workload)),
                Err(error) => say(&format!("accept failed: {error}")),
            },
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a program of its own: one task a connection")]
fn answer_connection(connection: tokio::net::TcpStream, workload: Arc<Workload>) {
    tokio::spawn(async move {
        let _ = connection.set_nodelay(true);
        let service = service_fn(move |request| {
            let workload = Arc::clone(&workload);
            async move { Ok::<_, Infallible>(workload.answer(request).await) }
        });
        // a client that breaks off is no concern of a demonstration
        let _ = http1::Builder::new()
            .timer(TokioTimer::new())
            // a client that has said all waits for its answer
            .half_close(true)
            .serve_connection(TokioIo::new(connection), service)
            .with_upgrades()
            .await;
    });
}

impl Workload {
    async fn answer(&self, request: Request<Incoming>) -> Response<Answer> {
        if request.uri().path() == "/ws" {
            return socket::open(request);
        }
        if request.uri().path() == "/closed" {
            return socket::closed();
        }
        if probe::is_one(request.uri().path()) {
            return probe::answer(request).await;
        }
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, MAX_BODY).collect().await.map(http_body_util::Collected::to_bytes)
        else {
            return plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long or broke off\n");
        };
        match (parts.method, parts.uri.path()) {
            (Method::GET, "/healthz") => plain(StatusCode::OK, "ok\n"),
            (Method::POST, "/prove") => self.prove(&body),
            (Method::POST, "/say") => self.say(body),
            _ => plain(StatusCode::NOT_FOUND, NOTHING),
        }
    }

    /// Hex of HMAC-SHA256 under the secret: proves that it is here, and does not show it.
    fn prove(&self, challenge: &[u8]) -> Response<Answer> {
        let Some(mut mac) =
            self.secret.as_ref().and_then(|secret| Hmac::<Sha256>::new_from_slice(secret).ok())
        else {
            return plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "DEMO_SECRET is not set: the container runs without its secrets\n",
            );
        };
        mac.update(challenge);
        let digest = data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes());
        plain(StatusCode::OK, &digest)
    }

    fn say(&self, said: Bytes) -> Response<Answer> {
        let len = said.len();
        let mut talk = self.talk.lock().unwrap_or_else(PoisonError::into_inner);
        talk.push(said);
        let total: usize = talk.iter().map(Bytes::len).sum();
        plain(StatusCode::OK, &format!("heard message {} of {len} bytes, {total} bytes so far\n", talk.len()))
    }
}

pub(crate) fn plain(status: StatusCode, text: &str) -> Response<Answer> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain"));
    response
}

fn say(line: &str) {
    use std::io::Write as _;
    // its output is a log: nothing hangs on it
    let _ = writeln!(std::io::stdout(), "{line}");
}
