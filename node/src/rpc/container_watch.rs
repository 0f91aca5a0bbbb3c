//! Watches of ContainerService: one message for each event, with where to go on behind it.

use futures_util::StreamExt as _;
use ocmt_actors::{
    Told,
    api::container_watch::{
        ChangedContainer, ContainerChange, EventAt, UnlockRequest, WakeCause, WatchContainers,
        WatchUnlockRequests,
    },
};
use ocmt_proto::v1 as pb;
use ocmt_types::Timestamp;
use tonic::{Request, Response, Status, codegen::BoxStream};

use super::{Answer, Rpc, container_wire as wire, convert, refuse};

pub(super) async fn containers(
    rpc: &Rpc,
    request: Request<pb::WatchContainersRequest>,
) -> Answer<BoxStream<pb::WatchContainersResponse>> {
    let it = request.get_ref();
    let ask = WatchContainers {
        container: convert::optional_id(&it.container_id, "container_id")?,
        from: place(&it.resume_token)?,
    };
    let caller = rpc.caller(&request).await?;
    let events = rpc.system.watch_containers(caller, rpc.meta(&request, &[]), ask).await;
    Ok(stream(events.map_err(|error| refuse(&error))?, changed))
}

pub(super) async fn unlock_requests(
    rpc: &Rpc,
    request: Request<pb::WatchUnlockRequestsRequest>,
) -> Answer<BoxStream<pb::WatchUnlockRequestsResponse>> {
    let ask = WatchUnlockRequests { from: place(&request.get_ref().resume_token)? };
    let caller = rpc.caller(&request).await?;
    let events = rpc.system.watch_unlock_requests(caller, rpc.meta(&request, &[]), ask).await;
    Ok(stream(events.map_err(|error| refuse(&error))?, waiting))
}

fn stream<E: Send + 'static, M: Send + 'static>(
    events: Told<E>,
    message: fn(E) -> M,
) -> Response<BoxStream<M>> {
    let events = events.map(move |event| event.map(message).map_err(|error| refuse(&error)));
    Response::new(events.boxed())
}

fn changed(change: ContainerChange) -> pb::WatchContainersResponse {
    pb::WatchContainersResponse {
        container: change.changed.map(container),
        at: Some(convert::time(change.at.at)),
        resume_token: token(change.at),
    }
}

fn container(changed: ChangedContainer) -> pb::Container {
    let told = changed.info.map(|info| wire::container(&info)).unwrap_or_default();
    pb::Container {
        container_id: changed.id.to_string(),
        user_id: changed.user.to_string(),
        state: wire::state(changed.state).into(),
        generation: changed.generation,
        ..told
    }
}

fn waiting(request: UnlockRequest) -> pb::WatchUnlockRequestsResponse {
    let resume_token = token(request.at);
    let Some(waits) = request.waits else {
        return pb::WatchUnlockRequestsResponse { resume_token, ..Default::default() };
    };
    let cause = match waits.cause {
        WakeCause::Call => pb::WakeCause::Call,
        WakeCause::Gateway => pb::WakeCause::Gateway,
        WakeCause::Schedule => pb::WakeCause::Schedule,
    };
    pb::WatchUnlockRequestsResponse {
        container_id: waits.container.to_string(),
        cause: cause.into(),
        woken_at: Some(convert::time(request.at.at)),
        wait_until: Some(convert::time(waits.wait_until)),
        resume_token,
    }
}

pub(super) fn token(at: EventAt) -> String {
    format!("{}.{}", at.seq, at.at.0)
}

/// Resume tokens are the number of the event and when it was committed.
pub(super) fn place(token: &str) -> Result<Option<EventAt>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let parse = || {
        let (seq, at) = token.split_once('.')?;
        let seq: i64 = seq.parse().ok().filter(|seq| *seq >= 0)?;
        Some(EventAt { seq, at: Timestamp(at.parse().ok()?) })
    };
    parse().map(Some).ok_or_else(|| convert::invalid("resume_token", "is not one of ours"))
}
