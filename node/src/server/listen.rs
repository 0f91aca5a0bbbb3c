//! Accepts TLS connections and serves HTTP/2, HTTP/1.1 and WebSocket upgrades on each.
//!
//! Everything a stranger can make wait or grow has a bound here: connections in all and of one address, the
//! handshake, the first request, headers, streams, resets. tonic's own server leaves two of them off
//! (lessons.md), so this one is ours.
//!
//! Who may speak after the handshake, and until when, is the [`Doorman`]'s: anybody on the client listener,
//! a node of the cluster on the peer listener.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::Body, http::StatusCode, response::Response};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use ocmt_actors::ActorError;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{
    busy::{Busy, Open},
    cut::CutStream,
    slots::{ConnectionSlot, Slots},
};
use crate::{
    edge::{
        error::problem,
        headers::{REQUEST_ID, secure},
        refusals::{self, Answered},
        site::Site,
    },
    held::Held,
    tasks,
};

const HANDSHAKE: Duration = Duration::from_secs(5);
const HEADERS: Duration = Duration::from_secs(10);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(30);
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(10);
/// Of clients' connections: [`ListenLimits::idle`].
pub const IDLE: Duration = Duration::from_secs(300);
/// How long a connection that was told to end has to go.
const GOODBYE: Duration = Duration::from_secs(30);
/// Twice what [`crate::edge::door`] takes: what is above that and below this gets an answer with everything that belongs to
/// one, and what is larger the bare 431 of the library.
const HEADER_BYTES: u32 = 64 << 10;
/// RFC 9113, 6.9.1.
pub(crate) const LARGEST_WINDOW: u32 = (1 << 31) - 1;
/// How long open requests, and what connections were upgraded to, may go on once the node stops.
const DRAIN: Duration = Duration::from_secs(5);
/// After a failed accept: out of descriptors passes, but not at once.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// The address of the other end, in each request's extensions.
#[derive(Debug, Clone, Copy)]
pub struct PeerAddr(pub(crate) SocketAddr);

/// Bounds of a listener.
#[derive(Debug, Clone, Copy)]
pub struct ListenLimits {
    /// Connections at once; a further one waits in the backlog.
    pub connections: usize,
    /// Connections of one address at once; a further one is closed.
    pub per_address: usize,
    /// Streams of one HTTP/2 connection at once.
    pub streams: u32,
    /// What one stream may send ahead of its reader, in bytes; none leaves hyper's own. With one, the
    /// connection has the largest: a slow reader then holds up no other stream, and the streams are what bounds it.
    pub window: Option<u32>,
    /// A connection without an open request is ended after this; none where it is to stay.
    pub idle: Option<Duration>,
    /// How many streams of one HTTP/2 connection may be reset before it ends.
    pub resets: Resets,
}

/// Rapid reset (CVE-2023-44487) and its sibling by local errors: GOAWAY past these.
#[derive(Debug, Clone, Copy)]
pub struct Resets {
    /// Streams that the other side gave up before anybody took them up, at once.
    pub untaken: usize,
    /// Streams that this side reset for an error of the other's, over the whole life of the connection: data for a
    /// stream that is over counts, whoever is to blame. None where one connection carries the calls of many people:
    /// whoever of them asks for resets would end it for all.
    pub errors: Option<usize>,
}

impl Resets {
    /// Of one client.
    pub const OF_A_CLIENT: Self = Self { untaken: 20, errors: Some(64) };
}

/// Decides about connections whose handshake is done.
pub trait Doorman: Send + Sync + 'static {
    /// Who that is and until when the connection lives.
    ///
    /// # Errors
    /// Why it is closed at once.
    fn admit(&self, tls: &rustls::ServerConnection) -> Result<Admitted, BoxError>;

    /// Whether connections from there bring many people's requests: they are not counted by address.
    fn is_proxy(&self, _: IpAddr) -> bool {
        false
    }

    /// Told of each connection that did not get through the handshake and [`Doorman::admit`].
    fn refused(&self, address: SocketAddr, why: &BoxError) {
        tracing::debug!(%address, %why, "connection was not taken");
    }
}

/// What a doorman says of a connection.
pub struct Admitted {
    /// Go into each request of the connection.
    pub extensions: http::Extensions,
    /// When it ends, the connection is cut, and with it what it was upgraded to.
    pub cut: Cut,
}

/// Ends when a connection has to.
pub type Cut = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Takes everybody: who they are is asked of each request.
pub struct Anybody;

impl Doorman for Anybody {
    fn admit(&self, _: &rustls::ServerConnection) -> Result<Admitted, BoxError> {
        Ok(Admitted { extensions: http::Extensions::new(), cut: Box::pin(std::future::pending()) })
    }
}

/// The same on the client listener, where proxies may stand before it.
pub struct Clients(pub Arc<Site>);

impl Doorman for Clients {
    fn admit(&self, tls: &rustls::ServerConnection) -> Result<Admitted, BoxError> {
        Anybody.admit(tls)
    }

    fn is_proxy(&self, address: IpAddr) -> bool {
        self.0.is_proxy(address)
    }
}

/// Serves `app` on `listener` until `stop`, then lets open requests and WebSockets finish within 5 s. A
/// WebSocket counts for as long as it holds its [`ConnectionSlot`]: who ends it at `stop` has told its client so
/// before this returns, and the process may end.
pub async fn serve(
    listener: TcpListener,
    tls: TlsAcceptor,
    app: Router,
    limits: ListenLimits,
    doorman: Arc<dyn Doorman>,
    stop: CancellationToken,
) {
    let all = Arc::new(Semaphore::new(limits.connections));
    let slots = Slots::new(limits.per_address);
    loop {
        let place = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            place = all.clone().acquire_owned() => place,
        };
        let Ok(place) = place else { break };
        let (tcp, peer) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                    continue;
                }
            },
        };
        let slot = if doorman.is_proxy(peer.ip()) {
            Some(slots.uncounted(place))
        } else {
            slots.take(peer.ip(), place)
        };
        let Some(slot) = slot else {
            refusals::note(&Answered {
                what: "connection",
                code: "RESOURCE_EXHAUSTED",
                address: Some(peer.ip()),
                request: None,
            });
            continue;
        };
        let tls = tls.clone();
        let serving =
            Serving { app: app.clone(), slot, limits, doorman: doorman.clone(), stop: stop.clone() };
        tasks::spawn(async move {
            if let Err(error) = connection(tcp, peer, tls, serving).await {
                tracing::debug!(%peer, error = %error, "connection ended");
            }
        });
    }
    drop(listener);
    // each connection hears of the stop by itself; a slot comes back with the last of what it was upgraded to
    let ended = all.acquire_many(u32::try_from(limits.connections).unwrap_or(u32::MAX));
    if timeout(DRAIN, ended).await.is_err() {
        tracing::info!("open requests did not finish in time");
    }
}

/// Why a connection ended or was not taken.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What one connection is served with.
struct Serving {
    app: Router,
    slot: ConnectionSlot,
    limits: ListenLimits,
    doorman: Arc<dyn Doorman>,
    stop: CancellationToken,
}

async fn connection(
    tcp: TcpStream,
    peer: SocketAddr,
    tls: TlsAcceptor,
    Serving { app, slot, limits, doorman, stop }: Serving,
) -> Result<(), BoxError> {
    // with Nagle on, small answers wait for 40 ms (measured, spike)
    tcp.set_nodelay(true)?;
    let (stream, extensions) = match let_in(tcp, tls, &*doorman).await {
        Ok(let_in) => let_in,
        Err(why) => {
            doorman.refused(peer, &why);
            return Ok(());
        }
    };
    let (first, busy) = (Arc::new(Notify::new()), Busy::new());
    let (asked, asking, stopping) = (first.clone(), busy.clone(), stop.clone());
    let service = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        asked.notify_one();
        request.extensions_mut().extend(extensions.clone());
        request.extensions_mut().insert(PeerAddr(peer));
        // an upgraded connection outlives this future: it keeps its slot for as long
        request.extensions_mut().insert(slot.clone());
        let (open, answer, stop) = (asking.open(), app.clone().oneshot(request), stopping.clone());
        async move { answer.await.map(|answer| while_open(unless_stopped(answer, &stop), open)) }
    });
    let builder = protocol(limits);
    let served = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(served);
    // hyper's own header timeout begins only once it knows the protocol: silence before that has no other bound
    let silence = async {
        if timeout(HEADERS, first.notified()).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        ended = &mut served => return ended,
        () = silence => return Err("no request came".into()),
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            return served.await;
        }
        () = idle_for(&busy, limits.idle) => served.as_mut().graceful_shutdown(),
    }
    timeout(GOODBYE, served).await?
}

async fn idle_for(busy: &Busy, time: Option<Duration>) {
    match time {
        Some(time) => busy.idle_for(time).await,
        None => std::future::pending().await,
    }
}

/// An answer whose request is open until all of it went out.
fn while_open(answer: Response, open: Open) -> Response {
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        return answer;
    }
    answer.map(|body| Body::new(Held::<_, Open>::new(body, open)))
}

/// No WebSocket begins on a listener that ends. hyper would call it `upgrade, close`, which clients refuse for
/// good, while another node may take them.
fn unless_stopped(answer: Response, stop: &CancellationToken) -> Response {
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS || !stop.is_cancelled() {
        return answer;
    }
    let mut refusal = problem(&ActorError::unavailable("NODE_STOPS", "the node stops: connect to another"));
    secure(refusal.headers_mut());
    if let Some(id) = answer.headers().get(&REQUEST_ID) {
        refusal.headers_mut().insert(REQUEST_ID, id.clone());
    }
    refusal
}

async fn let_in(
    tcp: TcpStream,
    tls: TlsAcceptor,
    doorman: &dyn Doorman,
) -> Result<(CutStream<TlsStream<TcpStream>>, http::Extensions), BoxError> {
    let stream = timeout(HANDSHAKE, tls.accept(tcp)).await??;
    let Admitted { extensions, cut } = doorman.admit(stream.get_ref().1)?;
    Ok((CutStream::new(stream, cut), extensions))
}

fn protocol(limits: ListenLimits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_pending_accept_reset_streams(limits.resets.untaken)
        .max_local_error_reset_streams(limits.resets.errors)
        .max_header_list_size(HEADER_BYTES)
        .keep_alive_interval(KEEPALIVE_EVERY)
        .keep_alive_timeout(KEEPALIVE_ANSWER);
    if let Some(window) = limits.window {
        builder.http2().initial_stream_window_size(window).initial_connection_window_size(LARGEST_WINDOW);
    }
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS).max_buf_size(64 << 10);
    builder
}
