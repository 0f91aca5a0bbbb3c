//! Any node takes any call: a layer in front of everything on the client listener that sends a call to the
//! node where its tenant lives, unchanged.
//!
//! Whose call it is stands in what the caller shows ([`tag`]); where that tenant lives, the [`Whereabouts`]
//! say. Bodies stream both ways and are never gathered; trailers, cancellation and back-pressure are those of
//! the HTTP/2 streams underneath; `grpc-timeout` is lessened by the time spent here. The owner authenticates
//! the caller for itself: a forwarded call has no more rights than one that came directly.
//!
//! A call goes out again only when nobody read it: the connection was never made, the owner said so
//! ([`names::NOT_OWNER`]), or the link broke with the message untouched. While a tenant is between two nodes
//! its calls wait here, for at most [`Times::patience`].
//!
//! Whoever calls has proven nothing yet when the call goes out. So a call takes a place on a link only when the
//! first of its message has come, and no tenant and no address fills a link ([`Crowd`]).
//!
//! The same layer stands before the same routes on the peer listener, where [`arrive`](fn@arrive) marks what
//! other nodes send: such a call is served, or forwarded once more if its tenant has moved meanwhile.

mod answer;
mod arrive;
mod crowd;
mod frames;
mod met;
pub mod names;
mod onward;
mod replay;
mod sessions;
pub mod tag;
mod times;
mod websocket;
mod whereabouts;

pub use arrive::{Hopped, arrive};
pub use crowd::{Crowd, Room};
pub use sessions::{Sessions, Watched};
pub use times::Times;
pub use whereabouts::Whereabouts;

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{extract::Request, response::Response};
use ocmt_types::Clock;
use tokio_util::sync::CancellationToken;
use tower::{Layer, Service};

use crate::peers::Pool;
use onward::Onward;

/// What the layer stands on. Cheap to clone.
#[derive(Clone)]
pub struct Forwarding {
    /// Where tenants live.
    pub whereabouts: Arc<dyn Whereabouts>,
    /// The way to other nodes.
    pub pool: Pool,
    /// For deadlines and patience.
    pub clock: Arc<dyn Clock>,
    /// How long what may take.
    pub times: Times,
    /// Who may have how many calls on their way.
    pub calls: Crowd,
    /// And how many WebSockets.
    pub sockets: Crowd,
    /// Whose WebSockets they are.
    pub sessions: Arc<dyn Sessions>,
    /// The node stops: WebSockets through it are told to connect again.
    pub stop: CancellationToken,
}

/// Puts [`Forward`] in front of a service.
#[derive(Clone)]
pub struct ForwardLayer(Option<Arc<Forwarding>>);

impl ForwardLayer {
    /// Between the nodes of a cluster.
    pub fn new(forwarding: Forwarding) -> Self {
        Self(Some(Arc::new(forwarding)))
    }

    /// A node without peers: nothing is forwarded, and what only nodes may say is taken away all the same.
    pub fn alone() -> Self {
        Self(None)
    }
}

impl<S> Layer<S> for ForwardLayer {
    type Service = Forward<S>;

    fn layer(&self, inner: S) -> Forward<S> {
        Forward { inner, forwarding: self.0.clone() }
    }
}

/// Serves the calls of tenants that live here by `S`, and forwards the others.
#[derive(Clone)]
pub struct Forward<S> {
    inner: S,
    forwarding: Option<Arc<Forwarding>>,
}

impl<S> Service<Request> for Forward<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let hop = request.extensions().get::<Hopped>().map_or(0, |hopped| hopped.hop);
        if hop == 0 {
            names::strip(request.headers_mut());
        }
        // the clone takes the next call: this one was the one that said it was ready
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        match &self.forwarding {
            // the last hop is served in any case: the actors claim the tenant, or say who owns it
            Some(forwarding) if hop < names::MAX_HOPS => {
                let onward = Onward::new(forwarding.clone(), inner, hop, request);
                Box::pin(async move { Ok(onward.serve().await) })
            }
            _ => Box::pin(inner.call(request)),
        }
    }
}
