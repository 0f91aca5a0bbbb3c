//! What a client is told when its workload does not do its part.

use axum::{http::StatusCode, response::Response};
use ocmt_actors::{ActorError, api::container::GatewayEnd};

use crate::edge::error::{problem, problem_because};

/// It broke off, or speaks no lawful HTTP.
pub(super) fn broke() -> Response {
    problem_because(
        StatusCode::BAD_GATEWAY,
        "WORKLOAD_BROKE",
        "the workload gave no lawful answer: look into its logs",
    )
}

/// It may not be waited for any more.
pub(super) fn revoked(end: GatewayEnd) -> Response {
    match end {
        GatewayEnd::SessionOver => problem(&ActorError::Unauthenticated("the session has ended")),
        _ => broke(),
    }
}

/// It answered a WebSocket's handshake with something else.
pub(super) fn no_websocket(status: Option<StatusCode>) -> Response {
    let why = match status {
        Some(status) => format!("the workload answers {} to a WebSocket here", status.as_u16()),
        None => "the workload speaks no WebSocket here".to_owned(),
    };
    problem_because(StatusCode::BAD_GATEWAY, "WORKLOAD_NO_WEBSOCKET", &why)
}

/// It did not answer.
pub(super) fn late() -> Response {
    problem_because(
        StatusCode::GATEWAY_TIMEOUT,
        "WORKLOAD_LATE",
        "the workload did not answer in time; whether it did what was asked is not known",
    )
}

/// What the client sent is too long.
pub(super) fn too_long() -> Response {
    problem_because(
        StatusCode::PAYLOAD_TOO_LARGE,
        "BODY_TOO_LARGE",
        "a request to a workload is at most 32 MiB long",
    )
}

/// The client did not go on.
pub(super) fn stalled() -> Response {
    problem_because(StatusCode::REQUEST_TIMEOUT, "REQUEST_STALLED", "the request did not come in time")
}

/// It is nothing that is carried.
pub(super) fn no_method() -> Response {
    problem_because(
        StatusCode::METHOD_NOT_ALLOWED,
        "METHOD_NOT_ALLOWED",
        "GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS go to workloads",
    )
}
