//! Nodes as they change, as server-sent events. An event's id is the resume token of WatchCluster: a browser that lost its connection
//! repeats it, here or at another node, and is told what changed meanwhile.

use axum::{
    extract::State,
    http::HeaderMap,
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use ocmt_proto::v1::{
    self as pb, cluster_service_server::ClusterService as _, watch_cluster_response::Change,
};
use tokio_stream::StreamExt as _;
use tonic::Status;

use super::{super::frame::Frame, Console, at::At, nodes::said};

const LAST_EVENT: &str = "last-event-id";

pub(super) async fn stream(State(console): State<Console>, headers: HeaderMap, who: At) -> Response {
    let Ok(held) = console.streams.clone().try_acquire_owned() else {
        return who.refused(&Status::resource_exhausted(
            "as many browsers as may be are told of changes: close one, or load the page again to see them",
        ));
    };
    let Some(resume_token) = last(&headers) else {
        return who.refused(&Status::invalid_argument("Last-Event-ID is none of this stream"));
    };
    let changes = match console.rpc.watch_cluster(who.call(pb::WatchClusterRequest { resume_token })).await {
        Ok(changes) => changes.into_inner(),
        Err(status) => return who.refused(&status),
    };
    let frame = who.frame();
    // one that is refused later on, as its operator was revoked, ends: asked for again, the browser is told why
    let told = changes.map_while(move |change| {
        let _held = &held;
        change.ok()
    });
    let events = told.filter_map(move |change| event(&frame, change).map(Ok::<_, axum::Error>));
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

/// What the browser had last, empty if nothing; none if it is nothing that was given out.
fn last(headers: &HeaderMap) -> Option<String> {
    match headers.get(LAST_EVENT) {
        None => Some(String::new()),
        Some(last) => last.to_str().ok().filter(|last| last.len() <= 512).map(str::to_owned),
    }
}

/// Who owns a tenant is not told here: how many a node owns is.
fn event(frame: &Frame, change: pb::WatchClusterResponse) -> Option<Event> {
    let Some(Change::Node(node)) = change.change else { return None };
    Event::default().event("node").id(change.resume_token).json_data(said(frame, &node)).ok()
}
