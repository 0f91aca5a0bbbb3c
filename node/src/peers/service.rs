//! NodeService: what other nodes ask of this one. A translation into calls of the actors; nothing is decided.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use ocmt_actors::{ActorError, Answering, RemoteChannel};
use ocmt_proto::v1::{
    self as pb, channel_request::Part as Inwards, channel_response::Part as Outwards,
    node_service_server::NodeService,
};
use ocmt_types::{Clock, Deadline, TenantId};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, async_trait};
use tracing::Instrument as _;

use super::{Local, PeerNode, Views, hello};
use crate::{edge::call, operator::KeyDesk, tasks, telemetry::trace};

/// The longest that a letter or an order may take; a host may have to start a container for one.
const LONGEST: Duration = Duration::from_secs(90);
/// A caller that shares no version with us has so long to read that, then its connection ends.
const PARTING: Duration = Duration::from_secs(1);

/// What this node's actors do for other nodes.
pub trait Inbox: Send + Sync + 'static {
    /// Takes a letter to a tenant that lives here or may be claimed here.
    fn deliver(&self, tenant: TenantId, letter: Vec<u8>, deadline: Deadline) -> Answering<'_>;
    /// Takes an order to a container that runs here.
    fn order(&self, order: Vec<u8>, deadline: Deadline) -> Answering<'_>;
    /// Opens a channel to a cell that runs here.
    fn channel(&self, opening: Vec<u8>, deadline: Deadline) -> Answering<'_, RemoteChannel>;
    /// Finishes a tenant's work within `patience` and gives it up.
    fn release(&self, tenant: TenantId, patience: Duration) -> Answering<'_, ()>;
}

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct NodeRpc {
    local: Local,
    inbox: Arc<dyn Inbox>,
    views: Views,
    clock: Arc<dyn Clock>,
    keys: Option<KeyDesk>,
}

impl NodeRpc {
    /// The service of this node over its actors.
    pub fn new(local: Local, inbox: Arc<dyn Inbox>, views: Views, clock: Arc<dyn Clock>) -> Self {
        Self { local, inbox, views, clock, keys: None }
    }

    /// Gives other nodes keys too.
    #[must_use]
    pub fn with_keys(self, keys: KeyDesk) -> Self {
        Self { keys: Some(keys), ..self }
    }

    /// The cluster as this node sees it.
    pub(super) fn views(&self) -> Views {
        self.views.clone()
    }

    fn keys(&self) -> Result<&KeyDesk, Status> {
        self.keys.as_ref().ok_or_else(|| Status::failed_precondition("this node gives no keys"))
    }

    fn deadline<T>(&self, request: &Request<T>) -> Deadline {
        call::deadline(request.metadata().as_ref(), &*self.clock, LONGEST)
    }
}

#[async_trait]
impl NodeService for NodeRpc {
    async fn hello(&self, request: Request<pb::HelloRequest>) -> Result<Response<pb::HelloResponse>, Status> {
        let peer = peer(&request)?;
        let it = request.get_ref();
        if it.node_id != peer.id.to_string() {
            return Err(Status::permission_denied("the certificate names another node"));
        }
        if it.cluster_id != self.local.cluster.to_string() {
            return Err(part(&peer, "this is another cluster"));
        }
        let Some(incarnation) = hello::incarnation(&it.incarnation) else {
            return Err(Status::invalid_argument("incarnation: is not 16 bytes"));
        };
        if !hello::is_living(&self.views, peer.id, incarnation).await {
            tracing::warn!(peer = %peer.id, %incarnation, "refused a node that is not among the living");
            return Err(part(&peer, "this life of the node is not registered here, or is dead"));
        }
        let software = &self.local.software;
        let protocol = software.agree(&it.version, it.min_protocol..=it.max_protocol).map_err(|why| {
            tracing::warn!(peer = %peer.id, %why, "refused a node of a release that is too far from this one");
            part(&peer, &why.to_string())
        })?;
        // said twice, the first counts
        let protocol = *peer.agreed.get_or_init(|| protocol);
        tracing::debug!(peer = %peer.id, version = %it.version, protocol, "a peer said hello");
        Ok(Response::new(pb::HelloResponse {
            node_id: self.local.node.to_string(),
            incarnation: Bytes::copy_from_slice(&self.local.incarnation.0),
            protocol,
            version: software.version.clone(),
            view_version: u64::try_from(self.views.borrow().version).unwrap_or(0),
        }))
    }

    async fn ping(&self, request: Request<pb::PingRequest>) -> Result<Response<pb::PingResponse>, Status> {
        let incarnation = Bytes::copy_from_slice(&self.local.incarnation.0);
        Ok(Response::new(pb::PingResponse { payload: request.into_inner().payload, incarnation }))
    }

    async fn deliver(
        &self,
        request: Request<pb::DeliverRequest>,
    ) -> Result<Response<pb::DeliverResponse>, Status> {
        let deadline = self.deadline(&request);
        let span = trace::asked("NodeService/Deliver", request.metadata().as_ref());
        let it = request.into_inner();
        let delivered = self.inbox.deliver(tenant(&it.tenant_id)?, it.letter.into(), deadline);
        let (answer, error) = split(delivered.instrument(span).await);
        Ok(Response::new(pb::DeliverResponse { answer, error }))
    }

    async fn order(&self, request: Request<pb::OrderRequest>) -> Result<Response<pb::OrderResponse>, Status> {
        let deadline = self.deadline(&request);
        let span = trace::asked("NodeService/Order", request.metadata().as_ref());
        let order = request.into_inner().order.into();
        let (answer, error) = split(self.inbox.order(order, deadline).instrument(span).await);
        Ok(Response::new(pb::OrderResponse { answer, error }))
    }

    async fn channel(
        &self,
        request: Request<Streaming<pb::ChannelRequest>>,
    ) -> Result<Response<tonic::codegen::BoxStream<pb::ChannelResponse>>, Status> {
        let deadline = self.deadline(&request);
        let mut inwards = request.into_inner();
        let Some(Inwards::Opening(opening)) = inwards.message().await?.and_then(|first| first.part) else {
            return Err(Status::invalid_argument("part: the first message is the opening"));
        };
        let answer: tonic::codegen::BoxStream<_> = match self.inbox.channel(opening.into(), deadline).await {
            Ok(RemoteChannel { opened, to_host, from_host }) => {
                tasks::spawn(carry(inwards, to_host));
                Box::pin(outwards(opened, from_host))
            }
            Err(error) => Box::pin(stream::iter([Ok(response(Outwards::Error(error.to_wire().into())))])),
        };
        Ok(Response::new(answer))
    }

    async fn release(
        &self,
        request: Request<pb::ReleaseRequest>,
    ) -> Result<Response<pb::ReleaseResponse>, Status> {
        let it = request.into_inner();
        let patience = it.patience.unwrap_or_default();
        let patience = Duration::new(
            u64::try_from(patience.seconds).unwrap_or(0),
            u32::try_from(patience.nanos).unwrap_or(0),
        );
        let released = self.inbox.release(tenant(&it.tenant_id)?, patience).await;
        let error = released.err().map(|error| error.to_wire()).unwrap_or_default();
        Ok(Response::new(pb::ReleaseResponse { error: error.into() }))
    }

    async fn renew_certificate(
        &self,
        request: Request<pb::RenewCertificateRequest>,
    ) -> Result<Response<pb::RenewCertificateResponse>, Status> {
        let peer = peer(&request)?;
        self.keys()?.renew(peer.id, &peer.key, request.into_inner()).await.map(Response::new)
    }

    async fn take_sealing_keys(
        &self,
        request: Request<pb::TakeSealingKeysRequest>,
    ) -> Result<Response<pb::TakeSealingKeysResponse>, Status> {
        let peer = peer(&request)?;
        self.keys()?.sealing_keys(peer.id, request.into_inner()).await.map(Response::new)
    }
}

/// Frames of the other node into the host, as fast as the host takes them.
async fn carry(mut inwards: Streaming<pb::ChannelRequest>, to_host: mpsc::Sender<Bytes>) {
    loop {
        let frame = tokio::select! {
            biased;
            () = to_host.closed() => return,
            message = inwards.message() => match message {
                Ok(Some(pb::ChannelRequest { part: Some(Inwards::Frame(frame)) })) => frame,
                Ok(_) => return,
                Err(status) => {
                    tracing::debug!(error = status.message(), "a channel from a peer broke");
                    return;
                }
            },
        };
        if to_host.send(frame).await.is_err() {
            return;
        }
    }
}

fn outwards(
    opened: Vec<u8>,
    from_host: mpsc::Receiver<Bytes>,
) -> impl Stream<Item = Result<pb::ChannelResponse, Status>> + Send {
    let opened = async move { Ok(response(Outwards::Opened(opened.into()))) }.into_stream();
    opened.chain(ReceiverStream::new(from_host).map(|frame| Ok(response(Outwards::Frame(frame)))))
}

fn response(part: Outwards) -> pb::ChannelResponse {
    pb::ChannelResponse { part: Some(part) }
}

fn split(answer: Result<Vec<u8>, ActorError>) -> (Bytes, Bytes) {
    match answer {
        Ok(answer) => (answer.into(), Bytes::new()),
        Err(error) => (Bytes::new(), error.to_wire().into()),
    }
}

fn peer<T>(request: &Request<T>) -> Result<PeerNode, Status> {
    let peer = request.extensions().get::<PeerNode>().cloned();
    peer.ok_or_else(|| Status::internal("the connection came in past the peer listener"))
}

fn tenant(text: &str) -> Result<TenantId, Status> {
    text.parse().map_err(|_| Status::invalid_argument("tenant_id: is not a UUID"))
}

/// Refuses a caller that has no business here, and ends its connection once it can have read why.
fn part(peer: &PeerNode, why: &str) -> Status {
    let hang_up = peer.hang_up.clone();
    tasks::spawn(async move {
        tokio::time::sleep(PARTING).await;
        hang_up.cancel();
    });
    Status::failed_precondition(why)
}
