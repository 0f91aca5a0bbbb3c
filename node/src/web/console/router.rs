//! The console's routes. They stand in a file of their own: no client reaches them, and the tests that walk the routes read it.

use std::sync::Arc;

use axum::{Router, extract::DefaultBodyLimit, middleware, response::Response, routing::get};
use tokio::sync::Semaphore;

use super::{
    super::{FORM_BYTES, answer::see_other, assets, in_time, words},
    Console, Ground, MOST_STREAMS, acts,
    at::At,
    events, findings, nodes, overview, placement, tenants, trail, work,
};
use crate::operator::OperatorRpc;

/// Its routes.
pub fn console(rpc: OperatorRpc, ground: Ground) -> Router {
    let forms = Arc::new(super::Forms::new(ground.clock.clone()));
    let streams = Arc::new(Semaphore::new(MOST_STREAMS));
    Router::new()
        .route("/", get(home))
        .route("/console", get(overview::show))
        .route("/console/nodes", get(nodes::list))
        .route("/console/nodes/{id}", get(nodes::show))
        .route("/console/nodes/{id}/{act}", get(acts::ask).post(acts::act))
        .route("/console/events", get(events::stream))
        .route("/console/placement", get(placement::list))
        .route("/console/tenants", get(tenants::list))
        .route("/console/tenants/{id}", get(tenants::show))
        .route("/console/work", get(work::show))
        .route("/console/alerts", get(trail::alerts))
        .route("/console/audit", get(trail::audit))
        .route("/console/audit/heads", get(trail::heads))
        .route("/console/findings", get(findings::show))
        .route("/console/{*rest}", get(missing))
        .layer(middleware::from_fn(words::keep))
        .route("/static/{version}/{*name}", get(assets::serve))
        .layer(DefaultBodyLimit::max(FORM_BYTES))
        .layer(middleware::from_fn(in_time))
        .with_state(Console { rpc, ground: Arc::new(ground), forms, streams, looked: Arc::default() })
}

/// Whether a path of the operator listener is a page's.
pub fn is_console(path: &str) -> bool {
    let folder =
        |name: &str| path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    path == "/" || folder("/console") || folder("/static")
}

/// Else it would be answered as a method that is not there, in gRPC.
async fn missing(who: At) -> Response {
    who.missing()
}

async fn home() -> Response {
    see_other("/console", [])
}
