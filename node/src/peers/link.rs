//! One HTTP/2 connection to a peer, and how requests go over it.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use http::{Request, Response};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use ocmt_types::Incarnation;
use tokio::{sync::Semaphore, time::timeout};
use tonic::Status;

use super::{
    PeerBody,
    dial::PeerStream,
    gather::Gathered,
    pool::{PoolError, Unsent},
};
use crate::{server::listen::LARGEST_WINDOW, tasks};

/// Streams at once; the listener's bound is the same, so that none waits inside the connection.
pub(super) const STREAMS: u32 = 1024;
/// What a stream may send ahead of its reader; 64 MiB of all of them at the very most. The connection's own window is
/// the largest there is: it is never reached, so one slow reader never stops the others; and h2 ends a connection
/// when small frames that nobody has read cost half of it, for which 1,024 streams as [`Gathered`] cuts them need hours.
pub(super) const WINDOW: u32 = 64 << 10;
/// How long a request waits for a place among the streams.
const PLACE: Duration = Duration::from_secs(1);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(2);
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(3);
const HEADER_BYTES: u32 = 32 << 10;
/// Bytes of one stream that wait for the connection.
const SEND_BUFFER: usize = 64 << 10;

/// A live connection to one life of a peer. Cheap to clone; closed with the last clone.
#[derive(Clone)]
pub struct Link {
    pub(super) incarnation: Incarnation,
    protocol: Option<u32>,
    sender: http2::SendRequest<Body>,
    places: Arc<Semaphore>,
}

impl Link {
    /// Speaks HTTP/2 over a fresh connection.
    pub(super) async fn open(stream: PeerStream, incarnation: Incarnation) -> Result<Self, String> {
        let handshake = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(LARGEST_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_header_list_size(HEADER_BYTES)
            // answers to calls that were given up are errors of the other side's, counted over the link's life
            .max_local_error_reset_streams(None)
            .keep_alive_interval(KEEPALIVE_EVERY)
            .keep_alive_timeout(KEEPALIVE_ANSWER)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(stream))
            .await;
        let (sender, connection) = handshake.map_err(|error| error.to_string())?;
        tasks::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "link to a peer ended");
            }
        });
        let places = usize::try_from(STREAMS).unwrap_or(usize::MAX);
        Ok(Self { incarnation, protocol: None, sender, places: Arc::new(Semaphore::new(places)) })
    }

    /// The same link once its Hello agreed on a version.
    pub(super) fn speaking(self, protocol: u32) -> Self {
        Self { protocol: Some(protocol), ..self }
    }

    /// The version of the peer protocol that is spoken on it; none before its Hello.
    pub fn protocol(&self) -> Option<u32> {
        self.protocol
    }

    /// Whether requests can still go over it.
    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// [`PoolError`]: whether the request came back untouched, or may have been acted on.
    pub(super) async fn request(&self, request: Request<Body>) -> Result<Response<PeerBody>, PoolError> {
        let Ok(Ok(place)) = timeout(PLACE, self.places.clone().acquire_owned()).await else {
            return Err(PoolError::Unsent(Unsent::new(request, "too many streams to that node".to_owned())));
        };
        let request = request.map(|body| Body::new(Gathered::new(body)));
        match self.sender.clone().try_send_request(request).await {
            Ok(response) => Ok(response.map(|body| PeerBody::new(body, place))),
            Err(mut error) => Err(match error.take_message() {
                Some(request) => PoolError::Unsent(Unsent::new(request, error.error().to_string())),
                None => PoolError::Broken(error.into_error()),
            }),
        }
    }
}

/// The link as the transport of a generated client.
impl tower::Service<Request<tonic::body::Body>> for Link {
    type Response = Response<PeerBody>;
    type Error = Status;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let link = self.clone();
        Box::pin(async move { Ok(link.request(request.map(Body::new)).await?) })
    }
}
