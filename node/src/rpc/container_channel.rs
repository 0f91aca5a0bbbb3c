//! The sealed channel over gRPC: the same frames as over the WebSocket, one message each.

use futures_util::{StreamExt as _, stream};
use ocmt_actors::{CallMeta, api::container::Gateway};
use ocmt_proto::v1::{self as pb, open_channel_request, open_channel_response::Part};
use ocmt_types::ContainerId;
use tonic::{Request, Response, Status, Streaming, codegen::BoxStream};

use super::{Answer, Rpc, container_wire as wire, convert, refuse};
use crate::{edge::call, tasks};

/// What opening a channel costs the tenant's admission, in bytes.
const OPENING: usize = 1024;

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
    let Gateway { wake, to_cell, from_cell, .. } = gateway;
    tasks::spawn(async move {
        while let Ok(Some(message)) = incoming.message().await {
            let Some(open_channel_request::Part::Frame(frame)) = message.part else { return };
            if to_cell.send(frame).await.is_err() {
                return;
            }
        }
    });
    let opened = pb::ChannelOpened {
        wake_kind: wire::wake_kind(wake.kind).into(),
        wake_time: Some(wire::span(wake.time)),
    };
    let first = stream::once(async move { answer(Part::Opened(opened)) });
    let rest = stream::unfold(from_cell, |mut from_cell| async move {
        from_cell.recv().await.map(|frame| (answer(Part::Frame(frame)), from_cell))
    });
    first.chain(rest).boxed()
}

#[expect(clippy::unnecessary_wraps, reason = "what a stream of answers is made of")]
fn answer(part: Part) -> Result<pb::OpenChannelResponse, Status> {
    Ok(pb::OpenChannelResponse { part: Some(part) })
}
