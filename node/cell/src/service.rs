//! The gRPC face for the node: thin; each method hands over to the cell.

mod connect;
mod plain;
mod transcripts;

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use ocmt_crypto::{
    cell::{ControlToken, MAX_POLICY_DOCUMENT},
    group_cell::MAX_HANDOVER,
    sign::VerifyKey,
};
use ocmt_proto::cell::v1::{
    BeginAuthorizationRequest, BeginAuthorizationResponse, ChannelRequest, ChannelResponse,
    DisconnectRequest, DisconnectResponse, ExchangeTranscriptsRequest, ExchangeTranscriptsResponse,
    ExtendRequest, ExtendResponse, FinishAuthorizationRequest, FinishAuthorizationResponse, GetKeyRequest,
    GetKeyResponse, HoldKeyRequest, HoldKeyResponse, LockRequest, LockResponse, ProxyRequest, ProxyResponse,
    PutAgentPolicyRequest, PutAgentPolicyResponse, ReachRequest, ReachResponse, SealedInboxItem,
    StatusRequest, StatusResponse, TakeInboxItemsRequest, TakeInboxItemsResponse, UnlockRequest,
    UnlockResponse, UnlockTogetherRequest, UnlockTogetherResponse, VolumeFault, VolumeUnsealed,
    WorkloadState,
    cell_service_server::{CellService, CellServiceServer},
};
use ocmt_types::Digest32;
use tokio::{net::TcpListener, sync::mpsc, time};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{
    Request, Response, Status, Streaming, codegen::BoxStream, transport::Server,
    transport::server::TcpIncoming,
};

use crate::{
    CellError,
    auth::ControlAuth,
    cell::{Cell, CellStatus, Delivered, plain::Shown},
    channels::{Ending, Outbound, Transport},
    children::Exit,
    opening::{MAX_OBJECTS, SealedObject},
    sealed::{Unsealed, VolumeError},
    tasks::Task,
    workload::Phase,
};

/// Longest message taken: an unlock with all its objects, each at most 68 KiB, or with what its vault is proven by.
const MAX_MESSAGE: usize = 25 * 1024 * 1024;
/// Longest sealed payload.
const MAX_PAYLOAD: usize = 256 * 1024;
/// Longest body of an object.
const MAX_BODY: usize = 68 * 1024;
/// Longest statement of a policy.
const MAX_STATEMENT: usize = 1024;
/// Calls at the same time on one connection: the channels, or the ways to the workload, and room for control.
const MAX_STREAMS: u32 = 80;
/// What one call may send ahead of its reader. The connection has the largest window there is, so that a reader
/// that is slow holds up its own call and no other.
const WINDOW: u32 = 64 * 1024;
/// RFC 9113, 6.9.1.
const LARGEST_WINDOW: u32 = (1 << 31) - 1;
/// Frames that wait for the node, at most 64 KiB each.
const FRAMES_AHEAD: usize = 8;
/// How long a transport may stay silent before its first frame.
const FIRST_FRAME_WITHIN: Duration = Duration::from_secs(10);

/// Serves `cell` on `listener` until `stop`, to callers that show `token`.
pub async fn serve(
    listener: TcpListener,
    cell: Arc<Cell>,
    token: ControlToken,
    stop: impl Future<Output = ()>,
) {
    let service = CellServiceServer::new(Face { cell }).max_decoding_message_size(MAX_MESSAGE);
    let service = tonic::service::interceptor::InterceptedService::new(service, ControlAuth::new(token));
    let served = Server::builder()
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(LARGEST_WINDOW)
        // tonic leaves this guard off: a peer that keeps resetting streams
        .http2_max_local_error_reset_streams(Some(256))
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .add_service(service)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), stop)
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "server ended");
    }
}

struct Face {
    cell: Arc<Cell>,
}

#[tonic::async_trait]
impl CellService for Face {
    async fn get_key(&self, _: Request<GetKeyRequest>) -> Result<Response<GetKeyResponse>, Status> {
        Ok(Response::new(GetKeyResponse { offer: self.cell.offer_key()? }))
    }

    async fn unlock(&self, request: Request<UnlockRequest>) -> Result<Response<UnlockResponse>, Status> {
        let UnlockRequest { unlock_id, sealed_payload, objects } = request.into_inner();
        let unlock =
            unlock_id.parse().map_err(|_| CellError::Invalid("unlock_id is not a lower-case UUID"))?;
        bound(sealed_payload.len() <= MAX_PAYLOAD, "sealed_payload is over 256 KiB")?;
        bound(objects.len() <= MAX_OBJECTS, "over 256 objects")?;
        let objects = objects.into_iter().map(sealed_object).collect::<Result<Vec<_>, _>>()?;
        let lease = self.cell.unlock(unlock, sealed_payload, objects).await?;
        Ok(Response::new(UnlockResponse { lease_remaining: duration(lease) }))
    }

    async fn hold_key(&self, request: Request<HoldKeyRequest>) -> Result<Response<HoldKeyResponse>, Status> {
        let keep = Duration::from_millis(request.get_ref().keep_ms);
        Ok(Response::new(HoldKeyResponse { offer: self.cell.hold_key(keep)? }))
    }

    async fn unlock_together(
        &self,
        request: Request<UnlockTogetherRequest>,
    ) -> Result<Response<UnlockTogetherResponse>, Status> {
        let handover = request.into_inner().handover;
        bound(handover.len() <= MAX_HANDOVER, "handover is over 24 MiB")?;
        let lease = self.cell.unlock_together(handover).await?;
        Ok(Response::new(UnlockTogetherResponse { lease_remaining: duration(lease) }))
    }

    async fn put_agent_policy(
        &self,
        request: Request<PutAgentPolicyRequest>,
    ) -> Result<Response<PutAgentPolicyResponse>, Status> {
        let PutAgentPolicyRequest { document, statement, signer, voucher } = request.into_inner();
        bound(document.len() <= MAX_POLICY_DOCUMENT, "document is over 512 KiB")?;
        bound(statement.len() <= MAX_STATEMENT, "statement is over 1 KiB")?;
        let signer =
            VerifyKey::try_from(signer.as_ref()).map_err(|_| CellError::Invalid("signer is not 32 bytes"))?;
        self.cell.put_policy(Delivered { document, statement, signer, voucher }).await?;
        Ok(Response::new(PutAgentPolicyResponse {}))
    }

    async fn extend(&self, request: Request<ExtendRequest>) -> Result<Response<ExtendResponse>, Status> {
        let lease = self.cell.extend(&request.into_inner().extension)?;
        Ok(Response::new(ExtendResponse { lease_remaining: duration(lease) }))
    }

    async fn lock(&self, request: Request<LockRequest>) -> Result<Response<LockResponse>, Status> {
        // why is for the node's audit; a lock is never refused
        tracing::info!(reason = request.get_ref().reason().as_str_name(), "lock asked");
        self.cell.lock().await?;
        Ok(Response::new(LockResponse {}))
    }

    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        Ok(Response::new(status_response(&self.cell.status())))
    }

    async fn channel(
        &self,
        request: Request<Streaming<ChannelRequest>>,
    ) -> Result<Response<BoxStream<ChannelResponse>>, Status> {
        let inbound = request.into_inner();
        let (outbound, frames) = mpsc::channel::<Result<Bytes, Ending>>(FRAMES_AHEAD);
        // the answer's head goes out at once: a node may wait for it before it relays the first frame
        let opening = Task::start(open_channel(Arc::clone(&self.cell), inbound, outbound));
        let frames = ReceiverStream::new(frames).map(move |frame| {
            // a call that is gone opens nothing any more
            let _held = &opening;
            frame.map(|data| ChannelResponse { data }).map_err(Status::from)
        });
        Ok(Response::new(Box::pin(frames)))
    }

    async fn proxy(
        &self,
        request: Request<Streaming<ProxyRequest>>,
    ) -> Result<Response<BoxStream<ProxyResponse>>, Status> {
        let keys = plain::keys(request.metadata())?;
        let shown = Shown { token: plain::token(request.metadata())?, keys: &keys };
        let connection = self.cell.connect_plain(shown).await?;
        Ok(Response::new(plain::carry(connection, request.into_inner())))
    }

    async fn take_inbox_items(
        &self,
        request: Request<TakeInboxItemsRequest>,
    ) -> Result<Response<TakeInboxItemsResponse>, Status> {
        let TakeInboxItemsRequest { stored_item_ids, refused, wait } = request.into_inner();
        let item =
            |id: &str| id.parse().map_err(|_| CellError::Invalid("an item's id is no lower-case UUID"));
        for id in stored_item_ids {
            self.cell.inbox().settle(item(&id)?, Ok(()));
        }
        for refused in refused {
            self.cell.inbox().settle(item(&refused.item_id)?, Err(refused.why));
        }
        let wait = wait.and_then(|wait| Duration::try_from(wait).ok()).unwrap_or_default();
        let items = self.cell.inbox().take(wait).await.into_iter().map(|item| SealedInboxItem {
            item_id: item.item.to_string(),
            sealed: item.sealed,
            made_at: Some(prost_types::Timestamp {
                seconds: item.made_at.0.div_euclid(1000),
                nanos: i32::try_from(item.made_at.0.rem_euclid(1000) * 1_000_000).unwrap_or(0),
            }),
            connection: item.connection.map(connect::of_connection),
        });
        Ok(Response::new(TakeInboxItemsResponse { items: items.collect() }))
    }

    async fn exchange_transcripts(
        &self,
        request: Request<ExchangeTranscriptsRequest>,
    ) -> Result<Response<ExchangeTranscriptsResponse>, Status> {
        transcripts::exchange(&self.cell, request.into_inner()).await
    }

    async fn begin_authorization(
        &self,
        request: Request<BeginAuthorizationRequest>,
    ) -> Result<Response<BeginAuthorizationResponse>, Status> {
        connect::begin(&self.cell, request.into_inner()).await
    }

    async fn finish_authorization(
        &self,
        request: Request<FinishAuthorizationRequest>,
    ) -> Result<Response<FinishAuthorizationResponse>, Status> {
        connect::finish(&self.cell, request.into_inner()).await
    }

    async fn disconnect(
        &self,
        request: Request<DisconnectRequest>,
    ) -> Result<Response<DisconnectResponse>, Status> {
        connect::disconnect(&self.cell, request.into_inner()).await
    }

    async fn reach(
        &self,
        request: Request<Streaming<ReachRequest>>,
    ) -> Result<Response<BoxStream<ReachResponse>>, Status> {
        Ok(connect::reach(&self.cell, request.into_inner()))
    }
}

/// Takes the first frame and connects its channel; what is refused is said in the call's status.
async fn open_channel(cell: Arc<Cell>, mut inbound: Streaming<ChannelRequest>, outbound: Outbound) {
    let first = match time::timeout(FIRST_FRAME_WITHIN, inbound.message()).await {
        Ok(Ok(Some(first))) => Ok(first.data),
        Ok(Ok(None) | Err(_)) => return,
        Err(_) => Err(Ending::Silent),
    };
    // a stream that breaks is a transport that is lost: the driver waits for the next
    let inbound = Box::pin(inbound.map_while(Result::ok).map(|request| request.data));
    let transport = Transport { inbound, outbound: outbound.clone() };
    let connected = match first {
        Ok(first) => cell.connect(first, transport).await,
        Err(ending) => Err(ending),
    };
    if let Err(ending) = connected {
        // the call may be gone meanwhile
        let _ = outbound.send(Err(ending)).await;
    }
}

fn sealed_object(object: ocmt_proto::cell::v1::SealedObject) -> Result<SealedObject, CellError> {
    bound(object.body.len() <= MAX_BODY, "an object's body is over 68 KiB")?;
    let id = Digest32::try_from(object.object_id.as_ref())
        .map_err(|_| CellError::Invalid("object_id is not 32 bytes"))?;
    Ok(SealedObject { object: id, version: object.version, body: object.body })
}

fn bound(holds: bool, otherwise: &'static str) -> Result<(), CellError> {
    if holds { Ok(()) } else { Err(CellError::Invalid(otherwise)) }
}

fn status_response(status: &CellStatus) -> StatusResponse {
    let (workload_state, exit) = match status.workload {
        Phase::Stopped => (WorkloadState::Waiting, None),
        Phase::Starting => (WorkloadState::Running, None),
        Phase::Ready => (WorkloadState::Ready, None),
        Phase::Exited(exit) => (WorkloadState::Exited, Some(exit)),
    };
    let (exit_code, exit_signal) = match exit {
        Some(Exit::Code(code)) => (code.unsigned_abs(), 0),
        Some(Exit::Signal(signal)) => (0, signal.unsigned_abs()),
        None => (0, 0),
    };
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    StatusResponse {
        locked: status.unlocked.is_none(),
        lease_remaining: status.unlocked.and_then(|(_, remaining)| duration(remaining)),
        unlock_id: status.unlocked.map(|(unlock, _)| unlock.to_string()).unwrap_or_default(),
        boot_nonce: Bytes::copy_from_slice(&status.boot_nonce),
        workload_state: workload_state.into(),
        exit_code,
        exit_signal,
        channels: count(status.channels),
        execs: count(status.activity.execs),
        log_followers: count(status.activity.log_followers),
        activity: status.activity.total(),
        idle_for: status.idle_for.and_then(duration),
        inbox_items: count(status.inbox_items),
        volume_unsealed: status.unsealed.map(volume_unsealed),
    }
}

fn volume_unsealed(unsealed: Unsealed) -> VolumeUnsealed {
    let why = match unsealed.why {
        VolumeError::HostFull => VolumeFault::HostFull,
        VolumeError::TooManyNames | VolumeError::File(_, io::ErrorKind::InvalidFilename) => {
            VolumeFault::Names
        }
        VolumeError::Restless => VolumeFault::Restless,
        _ => VolumeFault::File,
    };
    let since = prost_types::Timestamp {
        seconds: unsealed.since.millis().div_euclid(1000),
        nanos: i32::try_from(unsealed.since.millis().rem_euclid(1000)).unwrap_or(0) * 1_000_000,
    };
    VolumeUnsealed { since: Some(since), why: why.into(), lost: unsealed.lost }
}

fn duration(duration: Duration) -> Option<prost_types::Duration> {
    let millis = Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    prost_types::Duration::try_from(millis).ok()
}
