//! The sealed channel over gRPC: the same frames as over the WebSocket, one message each.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use ocmt_actors::{
    ActorError, CallMeta,
    api::container::{Ending, Gateway, GatewayEnd},
};
use ocmt_proto::v1::{self as pb, open_channel_request, open_channel_response::Part};
use ocmt_types::ContainerId;
use tokio::{sync::mpsc, time::timeout};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Response, Status, Streaming, codegen::BoxStream};

use super::{Answer, Rpc, container_wire as wire, convert, refuse};
use crate::{edge::call, tasks};

/// What opening a channel costs the tenant's admission, in bytes.
const OPENING: usize = 1024;
/// How long the reason of an end may come after the end itself.
const REASON: Duration = Duration::from_secs(1);

pub(super) async fn open(
    rpc: &Rpc,
    request: Request<Streaming<pb::OpenChannelRequest>>,
) -> Answer<BoxStream<pb::OpenChannelResponse>> {
    let caller = rpc.caller(&request).await?;
    let headers = request.metadata().clone().into_headers();
    let mut incoming = request.into_inner();
    let first = incoming.message().await?.and_then(|message| message.part);
    let Some(open_channel_request::Part::Start(start)) = first else {
        return Err(convert::invalid("part", "of the first message is not start"));
    };
    let container: ContainerId = convert::id(&start.container_id, "container_id")?;
    let deadline = call::deadline(&headers, &*rpc.clock, rpc.longest_call);
    let meta = CallMeta { deadline, idempotency: None, bytes: OPENING };
    let gateway = rpc.system.open_channel(container, &caller, meta).await.map_err(|e| refuse(&e))?;
    Ok(Response::new(frames(gateway, incoming)))
}

fn frames(
    gateway: Gateway,
    mut incoming: Streaming<pb::OpenChannelRequest>,
) -> BoxStream<pb::OpenChannelResponse> {
    let Gateway { wake, to_cell, from_cell, ended } = gateway;
    let inwards = AbortOnDropHandle::new(tasks::spawn(async move {
        while let Ok(Some(message)) = incoming.message().await {
            let Some(open_channel_request::Part::Frame(frame)) = message.part else { return };
            if to_cell.send(frame).await.is_err() {
                return;
            }
        }
    }));
    let opened = pb::ChannelOpened {
        wake_kind: wire::wake_kind(wake.kind).into(),
        wake_time: Some(wire::span(wake.time)),
    };
    let first = stream::once(async move { answer(Part::Opened(opened)) });
    first.chain(outwards(from_cell, ended, inwards)).boxed()
}

/// The frames of the cell, as long as the session is good; `inwards` goes on for as long.
fn outwards<T: Send + 'static>(
    from_cell: mpsc::Receiver<Bytes>,
    ended: Ending,
    inwards: T,
) -> impl Stream<Item = Result<pb::OpenChannelResponse, Status>> + Send {
    stream::unfold(Some((from_cell, ended, inwards)), |open| async move {
        let (mut from_cell, mut ended, inwards) = open?;
        let frame = tokio::select! {
            biased;
            _ = ended.revoked() => None,
            frame = from_cell.recv() => frame,
        };
        match frame {
            Some(frame) => Some((answer(Part::Frame(frame)), Some((from_cell, ended, inwards)))),
            None => Some((Err(refuse(&revoked(&mut ended).await?)), None)),
        }
    })
}

/// What the client is told of its session, if that is why there is no more.
async fn revoked(ended: &mut Ending) -> Option<ActorError> {
    match timeout(REASON, ended.why()).await.ok()? {
        Some(GatewayEnd::SessionOver) => Some(ActorError::Unauthenticated("the session has ended")),
        Some(GatewayEnd::Moved) | None => Some(ActorError::unavailable("MOVED", "connect again")),
        Some(_) => None,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what a stream of answers is made of")]
fn answer(part: Part) -> Result<pb::OpenChannelResponse, Status> {
    Ok(pb::OpenChannelResponse { part: Some(part) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_actors::api::container::ending;

    use super::*;

    #[tokio::test]
    async fn what_a_cell_has_said_goes_on_after_its_end_and_not_after_that_of_the_session() {
        for (end, frames, code) in [
            (GatewayEnd::CellClosed, 2, None),
            (GatewayEnd::SessionOver, 0, Some(tonic::Code::Unauthenticated)),
            (GatewayEnd::Moved, 0, Some(tonic::Code::Unavailable)),
        ] {
            let (cell_says, from_cell) = mpsc::channel(2);
            let (tell, ended) = ending();
            for frame in ["one", "two"] {
                cell_says.send(Bytes::from_static(frame.as_bytes())).await.unwrap();
            }
            drop(cell_says);
            tell.tell(end);
            let heard: Vec<_> = outwards(from_cell, ended, ()).collect().await;
            let said = heard.iter().filter(|it| it.is_ok()).count();
            let refused = heard.iter().find_map(|it| it.as_ref().err().map(Status::code));
            assert_eq!((said, refused), (frames, code), "{end:?}");
        }
    }
}
