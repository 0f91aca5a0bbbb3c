//! The links to all peers: made when first needed, one for each lane, dropped when that life of the peer ends.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::body::Body;
use http::{Request, Response, Uri};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use ocmt_proto::v1::node_service_client::NodeServiceClient;
use ocmt_types::{Clock, Incarnation, NodeId};
use tokio::time::timeout;
use tonic::Status;

use super::{
    Link, Local, Peer, PeerBody, PeerTls, Views,
    dial::{H2, HTTP1, dial, is_current},
    hello,
};
use crate::tasks;

/// A peer that could not be reached is not tried again for so long; who asks meanwhile is told at once.
const AGAIN: Duration = Duration::from_millis(100);
/// Most of one answer of NodeService, in bytes.
const ANSWER_BYTES: usize = (1 << 20) + (64 << 10);

/// What travels apart from what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Small messages that the cluster lives by: letters, orders, releases.
    Control,
    /// Users' calls.
    Bulk,
    /// Channels to cells: they last, and no storm of calls takes their places.
    Channels,
    /// Letters that are held there, such as the watches of sessions of connections here.
    Held,
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// It was not sent and comes back untouched: it may go elsewhere.
    #[error(transparent)]
    Unsent(#[from] Unsent),
    /// The link broke on the way: it may have been acted on.
    #[error("the link to the node broke: {0}")]
    Broken(hyper::Error),
    /// No answer came in time: it may have been acted on.
    #[error("the node did not answer in time")]
    Late,
}

/// A request that did not leave, and why.
#[derive(Debug, thiserror::Error)]
#[error("the node cannot be reached: {why}")]
pub struct Unsent {
    /// The request, its body not begun.
    pub request: Box<Request<Body>>,
    /// Why.
    pub why: String,
}

impl Unsent {
    pub(super) fn new(request: Request<Body>, why: String) -> Self {
        Self { request: Box::new(request), why }
    }
}

/// Metadata that marks a status as made here, of a request that never left.
pub(super) const UNSENT: &str = "ocmt-unsent";

impl From<PoolError> for Status {
    fn from(error: PoolError) -> Self {
        let mut status = Self::unavailable(error.to_string());
        if matches!(error, PoolError::Unsent(_)) {
            status.metadata_mut().insert(UNSENT, tonic::metadata::MetadataValue::from_static("1"));
        }
        status
    }
}

/// Links to other nodes. Cheap to clone.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    local: Local,
    tls: PeerTls,
    views: Views,
    clock: Arc<dyn Clock>,
    slots: Mutex<HashMap<(NodeId, Lane), Arc<Slot>>>,
}

/// One lane to one peer.
#[derive(Default)]
struct Slot {
    link: Mutex<Option<Link>>,
    /// Held while dialling, so that a peer is dialled once for all who wait.
    dialling: tokio::sync::Mutex<Option<Failure>>,
}

struct Failure {
    of: Incarnation,
    until: Duration,
    why: String,
}

impl Slot {
    fn link(&self, incarnation: Incarnation) -> Option<Link> {
        let mut held = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        held.take_if(|link| link.incarnation != incarnation || !link.is_open());
        held.clone()
    }
}

impl Pool {
    /// No link yet.
    pub fn new(local: Local, tls: PeerTls, views: Views, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner { local, tls, views, clock, slots: Mutex::default() }))
    }

    /// Sends a request and waits for the head of its answer. Its body is taken as the peer takes it, the
    /// answer's as the caller does; dropping either cancels the stream.
    ///
    /// # Errors
    /// [`PoolError`].
    pub async fn request(
        &self,
        peer: &Peer,
        lane: Lane,
        mut request: Request<Body>,
    ) -> Result<Response<PeerBody>, PoolError> {
        let link = match self.link(peer, lane).await {
            Ok(link) => link,
            Err(why) => return Err(Unsent::new(request, why).into()),
        };
        if let Err(why) = absolute(request.uri_mut(), peer) {
            return Err(Unsent::new(request, why).into());
        }
        *request.version_mut() = http::Version::HTTP_2;
        link.request(request).await
    }

    /// Sends a request that asks for an upgrade, over a connection of its own, and waits for its answer
    /// for at most `patience`. A 101 is turned into the connection by [`hyper::upgrade::on`].
    ///
    /// # Errors
    /// [`PoolError`].
    pub async fn upgrade(
        &self,
        peer: &Peer,
        mut request: Request<Body>,
        patience: Duration,
    ) -> Result<Response<Incoming>, PoolError> {
        // the versions are agreed on a link; an upgraded connection has no room for that
        let dialled = match self.link(peer, Lane::Control).await {
            Ok(_) => dial(&self.0.tls, &self.0.views, peer, HTTP1).await,
            Err(why) => Err(why),
        };
        let stream = match dialled {
            Ok(stream) => stream,
            Err(why) => return Err(Unsent::new(request, why).into()),
        };
        *request.version_mut() = http::Version::HTTP_11;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(PoolError::Broken)?;
        tasks::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "connection for an upgrade ended");
            }
        });
        match timeout(patience, sender.try_send_request(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(mut error)) => Err(match error.take_message() {
                Some(request) => Unsent::new(request, error.error().to_string()).into(),
                None => PoolError::Broken(error.into_error()),
            }),
            Err(_) => Err(PoolError::Late),
        }
    }

    /// A client for what nodes say to each other, over the control lane.
    ///
    /// # Errors
    /// Why the node cannot be reached.
    pub async fn node(&self, peer: &Peer) -> Result<NodeServiceClient<Link>, String> {
        self.client(peer, Lane::Control).await
    }

    /// The version of the peer protocol that is spoken with a peer: what to ask before a message that only a
    /// later one has. Both sides say the same until one of them begins another life.
    ///
    /// # Errors
    /// Why the node cannot be reached.
    pub async fn protocol(&self, peer: &Peer) -> Result<u32, String> {
        let link = self.link(peer, Lane::Control).await?;
        link.protocol().ok_or_else(|| "nothing is agreed with it".to_owned())
    }

    pub(super) async fn client(&self, peer: &Peer, lane: Lane) -> Result<NodeServiceClient<Link>, String> {
        Ok(client(self.link(peer, lane).await?))
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    async fn link(&self, peer: &Peer, lane: Lane) -> Result<Link, String> {
        let slot = self.slot(peer.node_id, lane);
        if let Some(link) = slot.link(peer.incarnation) {
            return Ok(link);
        }
        let mut failure = slot.dialling.lock().await;
        if let Some(link) = slot.link(peer.incarnation) {
            return Ok(link);
        }
        let now = self.0.clock.boottime();
        if let Some(failed) = failure.as_ref().filter(|f| f.of == peer.incarnation && now < f.until) {
            return Err(failed.why.clone());
        }
        match self.open(peer).await {
            Ok(link) => {
                tracing::debug!(peer = %peer.node_id, ?lane, "link to a peer is open");
                *failure = None;
                *slot.link.lock().unwrap_or_else(PoisonError::into_inner) = Some(link.clone());
                Ok(link)
            }
            Err(why) => {
                tracing::debug!(peer = %peer.node_id, ?lane, %why, "a peer cannot be reached");
                let until = self.0.clock.boottime() + AGAIN;
                *failure = Some(Failure { of: peer.incarnation, until, why: why.clone() });
                Err(why)
            }
        }
    }

    async fn open(&self, peer: &Peer) -> Result<Link, String> {
        let Inner { local, tls, views, .. } = &*self.0;
        let stream = dial(tls, views, peer, H2).await?;
        let link = Link::open(stream, peer.incarnation).await?;
        let view_version = views.borrow().version;
        let protocol = hello::introduce(client(link.clone()), local, peer, view_version).await?;
        Ok(link.speaking(protocol))
    }

    fn slot(&self, node: NodeId, lane: Lane) -> Arc<Slot> {
        let mut slots = self.0.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(&(node, lane)) {
            return slot.clone();
        }
        // nodes come and go: whoever has left the view leaves no slot behind
        let view = self.0.views.borrow().clone();
        slots.retain(|(known, _), _| view.nodes.contains_key(known));
        slots.entry((node, lane)).or_default().clone()
    }

    /// Whether this life of the peer is a member still.
    pub fn knows(&self, peer: &Peer) -> bool {
        is_current(&self.0.views.borrow(), peer)
    }
}

fn client(link: Link) -> NodeServiceClient<Link> {
    let origin = Uri::from_static("https://node.ocmt.invalid");
    NodeServiceClient::with_origin(link, origin).max_decoding_message_size(ANSWER_BYTES)
}

/// HTTP/2 wants scheme and authority: the client's own authority where it named one.
fn absolute(uri: &mut Uri, peer: &Peer) -> Result<(), String> {
    if uri.authority().is_some() && uri.scheme().is_some() {
        return Ok(());
    }
    let mut parts = std::mem::take(uri).into_parts();
    parts.scheme = Some(http::uri::Scheme::HTTPS);
    if parts.authority.is_none() {
        let authority = peer.addr.parse().map_err(|_| "its address is no host and port".to_owned())?;
        parts.authority = Some(authority);
    }
    *uri = Uri::from_parts(parts).map_err(|error| error.to_string())?;
    Ok(())
}
