//! Everything on the client listener; the same is served to other nodes that forward their clients' calls.

use std::sync::Arc;

use axum::{Router, middleware};
use ocmt_actors::System;
use ocmt_types::{Clock, IdGen};

use super::StartError;
use crate::{
    config::{Config, RuntimeKind},
    edge::{guard, headers},
    forward::ForwardLayer,
    operator::{self, OperatorRpc},
    rpc::{Rpc, unimplemented},
    web,
};

/// The users' services.
pub(super) fn rpc(config: &Config, system: &System, clock: &Arc<dyn Clock>) -> Rpc {
    Rpc::new(system.clone(), clock.clone(), config.limits.call.0, default_image(config))
}

/// The routes.
pub(super) fn app(
    config: &Config,
    rpc: &Rpc,
    operators: &OperatorRpc,
    gateway: Router,
    forward: ForwardLayer,
    ids: Arc<dyn IdGen>,
) -> Result<Router, StartError> {
    let message_bytes = usize::try_from(config.limits.message_bytes).unwrap_or(usize::MAX);
    let grpc = rpc
        .routes(message_bytes, config.node.mode.is_relaxed())
        .map_err(|error| StartError::Setting(format!("server reflection: {error}")))?
        .add_service(operators.joining())
        .prepare()
        .into_axum_router()
        .layer(tonic_web::GrpcWebLayer::new())
        .layer(middleware::from_fn_with_state(config.limits.call.0, guard::stand))
        .layer(middleware::from_fn(operator::elsewhere))
        .layer(middleware::from_fn(unimplemented::refuse));
    Ok(web::routes()
        .merge(gateway)
        .fallback_service(tower::service_fn(move |request: axum::extract::Request| {
            let grpc = grpc.clone();
            async move {
                // a path that is no method would otherwise be told that it is no gRPC
                let known =
                    request.uri().path().starts_with("/ocmt.") || request.uri().path().starts_with("/grpc.");
                if known { tower::ServiceExt::oneshot(grpc, request).await } else { Ok(not_found()) }
            }
        }))
        .layer(forward)
        // outermost: what is forwarded carries the id that this node gave it
        .layer(middleware::from_fn_with_state(ids, headers::stamp)))
}

/// What containers run that name no image. The `process` runtime has none, and says so by name.
fn default_image(config: &Config) -> &str {
    match config.containers.runtime {
        RuntimeKind::Process if config.containers.image.is_empty() => "process:none",
        RuntimeKind::Process | RuntimeKind::Docker => &config.containers.image,
    }
}

fn not_found() -> axum::response::Response {
    axum::response::IntoResponse::into_response(axum::http::StatusCode::NOT_FOUND)
}
