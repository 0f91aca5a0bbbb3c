//! Cells over gRPC: how the container actors reach the inside of a container.
//!
//! h2c on the container's own network; what matters goes through it sealed. Each start of a cell has a
//! control token of its own, so connections are kept by address and thrown away with the first error.

mod connections;
mod open;
pub mod outgoing;
mod plain;
mod transcripts;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt as _;
use ocmt_actors::{
    CellCall, CellChannel, CellConnection, CellError, CellInboxItem, CellInboxSettled, CellLink, CellPass,
    CellPolicy, CellStatus, CellTarget, CellUnlock, LockReason,
    api::container::{Unsealed, VolumeFault},
};
use ocmt_proto::cell::v1::{self as pb, cell_service_client::CellServiceClient};
use ocmt_types::Timestamp;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

use self::{open::Open, outgoing::Outgoing};
use crate::tasks;

/// Metadata with the control token, on every call.
const AUTH: &str = "ocmt-cell-auth";
/// Metadata of a refusal: its stable word.
const REASON: &str = "ocmt-cell-reason";
const CONNECT: Duration = Duration::from_secs(2);
/// Frames that wait in each direction of a channel: with the sockets' buffers, what back-pressure allows.
const FRAMES: usize = 16;
/// Items of one answer.
const INBOX_ITEMS: usize = 48;
/// The last second of the year 9999.
const LATEST: i64 = 253_402_300_799;
/// An unlock carries up to 256 bodies of 68 KiB; one by several together, what its vault is proven by too.
const UNLOCK_BYTES: usize = 25 << 20;

/// Dials cells on the containers' own networks.
pub struct GrpcCells {
    outgoing: Arc<Outgoing>,
    open: Open,
    /// To workloads.
    plain: Open,
}

impl GrpcCells {
    /// Cells that are carried to `outgoing`.
    pub fn new(outgoing: Outgoing) -> Self {
        Self { outgoing: Arc::new(outgoing), open: Open::default(), plain: Open::default() }
    }

    async fn client(&self, cell: &CellTarget) -> Result<CellServiceClient<Channel>, CellError> {
        let channel = self.open.of(cell.address.0, connect(cell.address.0)).await?;
        Ok(CellServiceClient::new(channel).max_encoding_message_size(UNLOCK_BYTES))
    }

    fn failed(&self, cell: &CellTarget, status: &Status) -> CellError {
        self.open.failed(cell.address.0, status)
    }
}

fn endpoint(address: SocketAddr) -> Result<Endpoint, CellError> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"));
    Ok(endpoint.map_err(|error| CellError::Unreachable(error.to_string()))?.tcp_nodelay(true))
}

async fn connect(address: SocketAddr) -> Result<Channel, CellError> {
    let connected = endpoint(address)?.connect_timeout(CONNECT).connect().await;
    connected.map_err(|error| CellError::Unreachable(error.to_string()))
}

fn with_token<T>(cell: &CellTarget, message: T) -> Result<Request<T>, CellError> {
    let mut request = Request::new(message);
    let mut token: MetadataValue<Ascii> = cell
        .token
        .expose()
        .parse()
        .map_err(|_| CellError::Unreachable("the control token is no header value".to_owned()))?;
    token.set_sensitive(true);
    request.metadata_mut().insert(AUTH, token);
    Ok(request)
}

/// One unary call.
macro_rules! call {
    ($self:ident, $cell:ident, $method:ident, $message:expr) => {{
        let request = with_token($cell, $message)?;
        let answer = $self.client($cell).await?.$method(request).await;
        answer.map(tonic::Response::into_inner).map_err(|status| $self.failed($cell, &status))
    }};
}

use call;

impl CellLink for GrpcCells {
    fn get_key<'a>(&'a self, cell: &'a CellTarget) -> CellCall<'a, Vec<u8>> {
        Box::pin(async move { Ok(call!(self, cell, get_key, pb::GetKeyRequest {})?.offer.to_vec()) })
    }

    fn hold_key<'a>(&'a self, cell: &'a CellTarget, keep: Duration) -> CellCall<'a, Vec<u8>> {
        let keep_ms = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
        let message = pb::HoldKeyRequest { keep_ms };
        Box::pin(async move { Ok(call!(self, cell, hold_key, message)?.offer.to_vec()) })
    }

    fn put_policy<'a>(&'a self, cell: &'a CellTarget, policy: CellPolicy) -> CellCall<'a, ()> {
        Box::pin(async move {
            let message = pb::PutAgentPolicyRequest {
                document: policy.document.into(),
                statement: policy.statement.into(),
                signer: policy.signer.0.to_vec().into(),
                voucher: policy.voucher.to_vec().into(),
            };
            call!(self, cell, put_agent_policy, message).map(drop)
        })
    }

    fn unlock<'a>(&'a self, cell: &'a CellTarget, unlock: CellUnlock) -> CellCall<'a, Duration> {
        Box::pin(async move {
            if unlock.together {
                let message = pb::UnlockTogetherRequest { handover: unlock.sealed_payload.into() };
                return Ok(time(call!(self, cell, unlock_together, message)?.lease_remaining));
            }
            let objects = unlock.objects.into_iter().map(|(id, version, body)| pb::SealedObject {
                object_id: id.0.to_vec().into(),
                version,
                body: body.into(),
            });
            let message = pb::UnlockRequest {
                unlock_id: unlock.unlock.to_string(),
                sealed_payload: unlock.sealed_payload.into(),
                objects: objects.collect(),
            };
            Ok(time(call!(self, cell, unlock, message)?.lease_remaining))
        })
    }

    fn extend<'a>(&'a self, cell: &'a CellTarget, extension: Vec<u8>) -> CellCall<'a, Duration> {
        Box::pin(async move {
            let message = pb::ExtendRequest { extension: extension.into() };
            Ok(time(call!(self, cell, extend, message)?.lease_remaining))
        })
    }

    fn lock<'a>(&'a self, cell: &'a CellTarget, reason: LockReason) -> CellCall<'a, ()> {
        Box::pin(async move {
            let reason = match reason {
                LockReason::User => pb::LockReason::User,
                LockReason::Lease => pb::LockReason::Lease,
                LockReason::Pause => pb::LockReason::Pause,
                LockReason::Stop => pb::LockReason::Stop,
                LockReason::Rotated => pb::LockReason::Rotated,
            };
            call!(self, cell, lock, pb::LockRequest { reason: reason.into() }).map(drop)
        })
    }

    fn status<'a>(&'a self, cell: &'a CellTarget) -> CellCall<'a, CellStatus> {
        Box::pin(async move { status(&call!(self, cell, status, pb::StatusRequest {})?) })
    }

    fn take_inbox<'a>(
        &'a self,
        cell: &'a CellTarget,
        settled: CellInboxSettled,
        wait: Duration,
    ) -> CellCall<'a, Vec<CellInboxItem>> {
        Box::pin(async move {
            let refused = settled.refused.into_iter();
            let message = pb::TakeInboxItemsRequest {
                stored_item_ids: settled.stored.iter().map(ToString::to_string).collect(),
                refused: refused
                    .map(|(item, why)| pb::RefusedInboxItem { item_id: item.to_string(), why })
                    .collect(),
                wait: prost_types::Duration::try_from(wait).ok(),
            };
            let items = call!(self, cell, take_inbox_items, message)?.items;
            // what has no id cannot be confirmed: a cell that sends such a thing is broken
            let item = |item: pb::SealedInboxItem| {
                let connection =
                    item.connection.map(|it| CellConnection { provider: it.provider, scopes: it.scopes });
                Some(CellInboxItem {
                    item: item.item_id.parse().ok()?,
                    sealed: item.sealed.into(),
                    connection,
                })
            };
            Ok(items.into_iter().take(INBOX_ITEMS).filter_map(item).collect())
        })
    }

    fn open_plain<'a>(&'a self, cell: &'a CellTarget, pass: CellPass) -> CellCall<'a, CellChannel> {
        Box::pin(async move { plain::open(self, cell, &pass).await })
    }

    fn open_channel<'a>(&'a self, cell: &'a CellTarget) -> CellCall<'a, CellChannel> {
        Box::pin(async move {
            let client = self.client(cell).await?;
            let (to_cell, outgoing) = mpsc::channel::<Bytes>(FRAMES);
            let (incoming, from_cell) = mpsc::channel::<Bytes>(FRAMES);
            let frames = ReceiverStream::new(outgoing).map(|frame| pb::ChannelRequest { data: frame });
            let request = with_token(cell, frames)?;
            // the cell answers only after the first frame: whoever waits for the answer here waits for ever
            tasks::spawn(carry(client, request, incoming));
            Ok(CellChannel { to_cell, from_cell })
        })
    }
}

/// Carries the cell's frames until either end is dropped.
async fn carry<S>(mut client: CellServiceClient<Channel>, request: Request<S>, incoming: mpsc::Sender<Bytes>)
where
    S: futures_util::Stream<Item = pb::ChannelRequest> + Send + 'static,
{
    let mut frames = match client.channel(request).await {
        Ok(answer) => answer.into_inner(),
        Err(error) => return tracing::debug!(code = ?error.code(), "the cell did not take a channel"),
    };
    while let Ok(Some(message)) = frames.message().await {
        if incoming.send(message.data).await.is_err() {
            return;
        }
    }
}

fn status(answer: &pb::StatusResponse) -> Result<CellStatus, CellError> {
    let wrong = |what: &str| CellError::Unreachable(format!("its status has no {what}"));
    let unlocked = if answer.locked {
        None
    } else {
        Some((answer.unlock_id.parse().map_err(|_| wrong("unlock"))?, time(answer.lease_remaining)))
    };
    Ok(CellStatus {
        unlocked,
        boot_nonce: answer.boot_nonce.as_ref().try_into().map_err(|_| wrong("boot nonce"))?,
        channels: answer.channels,
        execs: answer.execs,
        log_followers: answer.log_followers,
        activity: answer.activity,
        idle_for: answer.idle_for.map(|idle| time(Some(idle))),
        exit: (answer.workload_state() == pb::WorkloadState::Exited).then(|| match answer.exit_signal {
            0 => i64::from(answer.exit_code),
            signal => 128 + i64::from(signal),
        }),
        unsealed: answer.volume_unsealed.as_ref().map(unsealed),
    })
}

fn unsealed(said: &pb::VolumeUnsealed) -> Unsealed {
    let since = said.since.unwrap_or_default();
    // what people are shown as a time
    let seconds = since.seconds.clamp(0, LATEST);
    Unsealed {
        since: Timestamp(seconds * 1000 + i64::from(since.nanos.clamp(0, 999_999_999) / 1_000_000)),
        why: match said.why() {
            pb::VolumeFault::Unspecified => VolumeFault::Unknown,
            pb::VolumeFault::HostFull => VolumeFault::HostFull,
            pb::VolumeFault::Names => VolumeFault::Names,
            pb::VolumeFault::Restless => VolumeFault::Restless,
            pb::VolumeFault::File => VolumeFault::File,
        },
        lost: said.lost,
    }
}

fn time(duration: Option<prost_types::Duration>) -> Duration {
    duration.and_then(|duration| Duration::try_from(duration).ok()).unwrap_or_default()
}
