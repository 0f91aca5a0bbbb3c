//! `/healthz` and `/readyz` on the telemetry listener: loopback, in clear, nothing secret.

use std::sync::Arc;

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::ready::Readiness;

/// Serves both until `stop`.
pub(super) async fn serve(listener: TcpListener, readiness: Arc<Readiness>, stop: CancellationToken) {
    let app =
        Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz)).with_state(readiness);
    if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned()).await {
        tracing::warn!(%error, "telemetry listener ended");
    }
}

/// The process runs its event loop: nothing more.
async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether calls would be served: what each part that they need answers right now.
async fn readyz(State(readiness): State<Arc<Readiness>>) -> (StatusCode, Json<serde_json::Value>) {
    let report = readiness.report().await;
    let status = if report.ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let said = json!({
        "ready": report.ready(),
        "state": report.state,
        "store": report.store,
        "containers": report.containers,
    });
    (status, Json(said))
}
