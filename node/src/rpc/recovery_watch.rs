//! WatchCeremonies over the wire: one message for each event, with where to go on behind it.

use futures_util::StreamExt as _;
use ocmt_actors::api::recovery::{CeremonyChange, CeremonyEventAt, WatchCeremonies};
use ocmt_proto::v1 as pb;
use ocmt_types::Timestamp;
use tonic::{Request, Response, Status, codegen::BoxStream};

use super::{Answer, Rpc, convert, recovery_wire as wire, refuse};

pub(super) async fn watch(
    rpc: &Rpc,
    request: Request<pb::WatchCeremoniesRequest>,
) -> Answer<BoxStream<pb::WatchCeremoniesResponse>> {
    let ask = WatchCeremonies { from: place(&request.get_ref().resume_token)? };
    let caller = rpc.caller(&request).await?;
    let events = rpc.system.watch_ceremonies(caller, rpc.meta(&request, &[]), ask).await;
    let events = events.map_err(|error| refuse(&error))?;
    let events = events.map(|event| event.map(message).map_err(|error| refuse(&error)));
    Ok(Response::new(events.boxed()))
}

fn message(change: CeremonyChange) -> pb::WatchCeremoniesResponse {
    let CeremonyEventAt { seq, at } = change.at;
    pb::WatchCeremoniesResponse {
        at: change.ceremony.is_some().then(|| convert::time(at)),
        ceremony: change.ceremony.map(wire::ceremony),
        resume_token: format!("{seq}.{}", at.0),
    }
}

/// Resume tokens are the number of the event and when it was committed.
fn place(token: &str) -> Result<Option<CeremonyEventAt>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let parse = || {
        let (seq, at) = token.split_once('.')?;
        let seq: i64 = seq.parse().ok().filter(|seq| *seq >= 0)?;
        Some(CeremonyEventAt { seq, at: Timestamp(at.parse().ok()?) })
    };
    parse().map(Some).ok_or_else(|| convert::invalid("resume_token", "is not one of ours"))
}
