//! The peer listener: who is let in, and what is served there.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, Version},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use ocmt_crypto::sign::VerifyKey;
use ocmt_proto::v1::node_service_server::NodeServiceServer;
use ocmt_types::NodeId;
use tokio_util::sync::CancellationToken;
use tonic::{Status, service::Routes};
use tower::ServiceExt as _;

use super::{
    NodeRpc, Views,
    link::{STREAMS, WINDOW},
    node_of,
};
use crate::{
    pki::verify_key_of,
    server::listen::{Admitted, BoxError, Doorman, ListenLimits},
};

/// Bounds of the peer listener.
pub const PEER_LIMITS: ListenLimits =
    ListenLimits { connections: 4096, per_address: 2048, streams: STREAMS, window: Some(WINDOW) };

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

/// Lets nodes of the cluster in. The handshake has checked their certificates already.
pub struct PeerDoor {
    views: Views,
}

impl PeerDoor {
    /// A door that revoked nodes do not pass, nor stay behind.
    pub fn new(views: Views) -> Self {
        Self { views }
    }
}

impl Doorman for PeerDoor {
    fn admit(&self, tls: &rustls::ServerConnection) -> Result<Admitted, BoxError> {
        let leaf = tls.peer_certificates().and_then(<[_]>::first).ok_or("no certificate")?;
        let id = node_of(leaf).ok_or("the certificate names no node")?;
        let (mut views, hang_up) = (self.views.clone(), CancellationToken::new());
        let hung_up = hang_up.clone();
        let cut = async move {
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
        .layer(middleware::from_fn(introduced))
}

/// Nothing is served on a link before its Hello. An HTTP/1.1 connection carries one upgrade of a node that
/// has said Hello on a link.
async fn introduced(request: Request, next: Next) -> Response {
    let Some(peer) = request.extensions().get::<PeerNode>() else {
        return StatusCode::FORBIDDEN.into_response();
    };
    let agreed = peer.agreed.get().is_some();
    if agreed || request.uri().path() == HELLO || request.version() < Version::HTTP_2 {
        return next.run(request).await;
    }
    let refused = Status::failed_precondition("say Hello first, once on each connection");
    refused.into_http::<tonic::body::Body>().map(axum::body::Body::new).into_response()
}
