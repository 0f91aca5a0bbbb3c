//! `/healthz`, `/readyz` and `/metrics` on the telemetry listener: loopback, in clear, nothing secret.
//!
//! The listener is the process's, not one life's: who watches a node that waits for its database, or that joins
//! again, is told so instead of being left without an answer.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use ocmt_store::tables::NodeState;
use serde_json::json;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    StartError, plain,
    ready::{Readiness, Report},
};
use crate::{
    edge::headers,
    meters::{self, Meters},
    tasks,
};

/// What is asked; none between two lives.
type Asked = watch::Sender<Option<Arc<Shown>>>;

/// What one life shows of itself.
pub(super) struct Shown {
    pub(super) readiness: Readiness,
    pub(super) meters: Meters,
}

/// The telemetry listener, for as long as a clone of this is held.
#[derive(Clone)]
pub(super) struct Telemetry(Arc<Open>);

struct Open {
    address: SocketAddr,
    asked: Asked,
    _stop: DropGuard,
}

impl Telemetry {
    /// Listens there; `/readyz` says no until a life is shown.
    ///
    /// # Errors
    /// The address is taken.
    pub(super) async fn open(address: SocketAddr) -> Result<Self, StartError> {
        let refused = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let (asked, stop) = (watch::Sender::new(None), CancellationToken::new());
        tasks::spawn(serve(listener, asked.clone(), stop.clone()));
        Ok(Self(Arc::new(Open { address, asked, _stop: stop.drop_guard() })))
    }

    /// Where it is.
    pub(super) fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// From now on this life's parts are asked; none for no life at all.
    pub(super) fn show(&self, life: Option<Arc<Shown>>) {
        self.0.asked.send_replace(life);
    }
}

async fn serve(listener: TcpListener, asked: Asked, stop: CancellationToken) {
    let app = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(asked)
        .layer(middleware::map_response(in_clear));
    plain::serve(listener, app, stop).await;
}

async fn in_clear(mut answer: Response) -> Response {
    headers::in_clear(answer.headers_mut());
    answer
}

/// The process runs its event loop: nothing more.
async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether calls would be served: what each part that they need answers right now.
async fn readyz(State(asked): State<Asked>) -> (StatusCode, Json<serde_json::Value>) {
    let life = asked.borrow().clone();
    let report = match life {
        Some(life) => life.readiness.report().await,
        None => between_lives(),
    };
    let status = if report.ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let said = json!({
        "ready": report.ready(),
        "state": report.state,
        "store": report.store,
        "containers": report.containers,
    });
    (status, Json(said))
}

/// What the life of now has counted; nothing between two lives.
async fn metrics(State(asked): State<Asked>) -> Result<impl IntoResponse, StatusCode> {
    let life = asked.borrow().clone().ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
    let text = life.meters.text().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(header::CONTENT_TYPE, meters::CONTENT_TYPE)], text))
}

fn between_lives() -> Report {
    let unasked = || "not asked: the node has no place in its cluster yet".to_owned();
    Report { store: unasked(), containers: unasked(), state: NodeState::Joining.as_str() }
}
