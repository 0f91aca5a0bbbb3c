//! The peer listener: who is let in, and what is served there.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, Version},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use ocmt_crypto::sign::VerifyKey;
use ocmt_proto::v1::node_service_server::NodeServiceServer;
use ocmt_types::NodeId;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Status, service::Routes};
use tower::ServiceExt as _;

use super::{
    NodeRpc, Views,
    dial::H2,
    gather::Gathered,
    link::{STREAMS, WINDOW},
};
use crate::{
    edge::headers::secure,
    gateway,
    pki::{node_of, verify_key_of},
    server::listen::{Admitted, BoxError, Doorman, ListenLimits, Resets},
    shares::Shares,
};

/// Bounds of the peer listener.
pub const PEER_LIMITS: ListenLimits = ListenLimits {
    connections: 4096,
    per_address: 2048,
    streams: STREAMS,
    window: Some(WINDOW),
    // a link is there before the first call needs it
    idle: None,
    // a link carries everybody's calls, and what a stranger sends into one that is answered would be the link's error;
    // more that are given up untaken than a link has places are of a node that has gone mad
    resets: Resets { untaken: STREAMS as usize, errors: None },
};

/// Connections of the peer listener that are not links: each carries a WebSocket of another node's client.
#[derive(Debug, Clone, Copy)]
pub struct Upgrades {
    /// Of one node, whatever its addresses.
    pub of_node: usize,
    /// Of all nodes.
    pub all: usize,
}

/// A part of [`PEER_LIMITS`]: what is left over is for links.
pub const UPGRADES: Upgrades = Upgrades { of_node: 1024, all: 3072 };

/// Most of one message of NodeService, in bytes: an order that unlocks a cell carries up to 256 bodies.
const MESSAGE_BYTES: usize = (32 << 20) + (64 << 10);
const NODE_SERVICE: &str = "/ocmt.v1.NodeService/";
const HELLO: &str = "/ocmt.v1.NodeService/Hello";

/// The node at the other end of a connection, in each of its requests.
#[derive(Debug, Clone)]
pub struct PeerNode {
    /// Which, by its certificate.
    pub id: NodeId,
    /// The key in its certificate.
    pub(super) key: VerifyKey,
    /// The version agreed in Hello.
    pub(super) agreed: Arc<OnceLock<u32>>,
    /// Ends the connection.
    pub(super) hang_up: CancellationToken,
}

impl PeerNode {
    /// The version of the peer protocol that is spoken on this connection; none before its Hello, nor where a
    /// connection has none.
    pub fn protocol(&self) -> Option<u32> {
        self.agreed.get().copied()
    }
}

/// Lets nodes of the cluster in. The handshake has checked their certificates already.
pub struct PeerDoor {
    views: Views,
    of_node: Shares<NodeId>,
    upgrades: Arc<Semaphore>,
}

impl PeerDoor {
    /// A door that revoked nodes do not pass, nor stay behind.
    pub fn new(views: Views, upgrades: Upgrades) -> Self {
        let Upgrades { of_node, all } = upgrades;
        Self { views, of_node: Shares::new(of_node), upgrades: Arc::new(Semaphore::new(all)) }
    }
}

impl Doorman for PeerDoor {
    fn admit(&self, tls: &rustls::ServerConnection) -> Result<Admitted, BoxError> {
        let leaf = tls.peer_certificates().and_then(<[_]>::first).ok_or("no certificate")?;
        let id = node_of(leaf)?;
        let places = if tls.alpn_protocol() == Some(H2) {
            None
        } else {
            let of_node = self.of_node.try_take(id).ok_or("the node has too many WebSockets here")?;
            let of_all = self.upgrades.clone().try_acquire_owned();
            Some((of_node, of_all.map_err(|_| "there are too many WebSockets here")?))
        };
        let (mut views, hang_up) = (self.views.clone(), CancellationToken::new());
        let hung_up = hang_up.clone();
        let cut = async move {
            let _places = places;
            tokio::select! {
                Ok(_) = views.wait_for(|view| view.revoked.contains(&id)) => {
                    tracing::warn!(peer = %id, "cut a link of a revoked node");
                }
                () = hung_up.cancelled() => {}
            }
        };
        let mut extensions = http::Extensions::new();
        let key = verify_key_of(leaf).ok_or("the key in the certificate is not Ed25519")?;
        extensions.insert(PeerNode { id, key, agreed: Arc::default(), hang_up });
        Ok(Admitted { extensions, cut: Box::pin(cut) })
    }

    fn refused(&self, address: SocketAddr, why: &BoxError) {
        tracing::warn!(%address, %why, "refused a connection to the peer listener");
    }
}

/// Everything on the peer listener: NodeService, and what `forwarded` serves of other nodes' clients.
pub fn routes(rpc: NodeRpc, forwarded: Router) -> Router {
    let views = rpc.views();
    let node = Routes::new(NodeServiceServer::new(rpc).max_decoding_message_size(MESSAGE_BYTES))
        .prepare()
        .into_axum_router();
    Router::new()
        .fallback_service(tower::service_fn(move |request: Request| {
            let (node, forwarded) = (node.clone(), forwarded.clone());
            async move {
                let own = request.uri().path().starts_with(NODE_SERVICE);
                if own { node.oneshot(request).await } else { forwarded.oneshot(request).await }
            }
        }))
        .layer(middleware::from_fn_with_state(views, introduced))
        .layer(middleware::map_response(stamped))
}

/// What every answer carries; one that was forwarded has it already. And its bytes are gathered.
async fn stamped(mut answer: Response) -> Response {
    secure(answer.headers_mut());
    answer.map(|body| axum::body::Body::new(Gathered::new(body)))
}

/// Nothing is served on a link before its Hello. An HTTP/1.1 connection has no Hello: it carries nothing but a
/// WebSocket of a client, of a node that lives as far as this one sees. Whoever brings one has just said Hello on a
/// link, so the view has it.
async fn introduced(State(views): State<Views>, request: Request, next: Next) -> Response {
    let Some(peer) = request.extensions().get::<PeerNode>().cloned() else {
        return StatusCode::FORBIDDEN.into_response();
    };
    let (head, body) = request.into_parts();
    let served = if head.version < Version::HTTP_2 {
        gateway::is_wanted(&head) && views.borrow().nodes.contains_key(&peer.id)
    } else {
        peer.protocol().is_some() || head.uri.path() == HELLO
    };
    if served {
        return next.run(Request::from_parts(head, body)).await;
    }
    let refused = Status::failed_precondition("say Hello first, once on each connection");
    refused.into_http::<tonic::body::Body>().map(axum::body::Body::new).into_response()
}
