//! `/healthz` and `/readyz` on the telemetry listener: loopback, in clear, nothing secret.
//!
//! The listener is the process's, not one life's: who watches a node that waits for its database, or that joins
//! again, is told so instead of being left without an answer.

use std::{net::SocketAddr, sync::Arc};

use axum::{Json, Router, extract::State, http::StatusCode, middleware, response::Response, routing::get};
use ocmt_store::tables::NodeState;
use serde_json::json;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    StartError, plain,
    ready::{Readiness, Report},
};
use crate::{edge::headers, tasks};

/// What `/readyz` asks; none between two lives.
type Asked = watch::Sender<Option<Arc<Readiness>>>;

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
    pub(super) fn show(&self, life: Option<Arc<Readiness>>) {
        self.0.asked.send_replace(life);
    }
}

async fn serve(listener: TcpListener, asked: Asked, stop: CancellationToken) {
    let app = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
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
        Some(readiness) => readiness.report().await,
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

fn between_lives() -> Report {
    let unasked = || "not asked: the node has no place in its cluster yet".to_owned();
    Report { store: unasked(), containers: unasked(), state: NodeState::Joining.as_str() }
}
