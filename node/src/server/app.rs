//! Everything on the client listener; the same is served to other nodes that forward their clients' calls.

use std::sync::Arc;

use axum::{Router, middleware};
use ocmt_actors::System;
use ocmt_client::ca::ClusterCa;
use ocmt_types::{Clock, IdGen};
use tokio_rustls::TlsConnector;

use super::StartError;
use crate::{
    config::{Config, RuntimeKind},
    edge::{
        door::{self, Door},
        guard::{self, Guard},
        headers,
        site::Site,
    },
    forward::ForwardLayer,
    limits::{Limiter, tally},
    meters::{Requests, measure},
    operator::OperatorRpc,
    pki::CaCertificate,
    rpc::Rpc,
    sso::{Fetch, Providers},
    tls,
    web::{self, Pages},
};

/// What the routes stand on.
pub(super) struct Routes<'a> {
    pub(super) config: &'a Config,
    pub(super) system: &'a System,
    pub(super) operators: &'a OperatorRpc,
    pub(super) gateway: Router,
    pub(super) forward: ForwardLayer,
    pub(super) limiter: &'a Limiter,
    pub(super) requests: Requests,
    pub(super) site: Arc<Site>,
    pub(super) clock: &'a Arc<dyn Clock>,
    pub(super) ids: Arc<dyn IdGen>,
    /// Who vouches for nodes.
    pub(super) ca: &'a CaCertificate,
    /// What people call the node.
    pub(super) public_url: &'a str,
}

/// The routes.
pub(super) fn app(routes: Routes<'_>) -> Result<Router, StartError> {
    let Routes {
        config,
        system,
        operators,
        gateway,
        forward,
        limiter,
        requests,
        site,
        clock,
        ids,
        ca,
        public_url,
    } = routes;
    let message_bytes = usize::try_from(config.limits.message_bytes).unwrap_or(usize::MAX);
    let at_once = usize::try_from(config.limits.connections_per_address).unwrap_or(usize::MAX);
    let ca = ClusterCa::from_pem(ca.pem())
        .map_err(|error| StartError::Setting(format!("the cluster's authority: {error}")))?;
    let ca = Arc::new(ca);
    let pages = Pages::new(system.clone(), clock.clone(), config.limits.call.0, ca);
    let guard = Guard { system: system.clone(), clock: clock.clone(), longest: config.limits.call.0 };
    let providers = Arc::new(providers(config, public_url)?);
    let (longest, image) = (config.limits.call.0, default_image(config));
    let grpc = Rpc::new(system.clone(), clock.clone(), longest, image, providers, public_url);
    let grpc = grpc
        .routes(message_bytes, config.node.mode.is_relaxed())
        .map_err(|error| StartError::Setting(format!("server reflection: {error}")))?
        .add_service(operators.joining())
        .prepare()
        .into_axum_router()
        .layer((middleware::from_fn_with_state(guard, guard::stand), tonic_web::GrpcWebLayer::new()));
    Ok(web::routes(pages)
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
        // all as one, the first outermost: of those put on one by one each is boxed, and for each request copied with all that
        // is within
        .layer((
            // outermost: what is forwarded carries the id that this node gave it
            middleware::from_fn_with_state(ids, headers::stamp),
            middleware::from_fn_with_state(requests, measure),
            middleware::from_fn_with_state(Door::new(site, at_once).counting(limiter.clone()), door::enter),
            // before it is forwarded: a call that is tried again at another node is one call
            middleware::from_fn_with_state(limiter.clone(), tally::stand),
            forward,
        )))
}

/// The way to tenants' own providers: to public addresses alone, but for a developer's.
fn providers(config: &Config, public_url: &str) -> Result<Providers, StartError> {
    let tls = tls::trusting(&config.sso.ca_file)
        .map_err(|problem| StartError::Setting(format!("sso.ca_file: {problem}")))?;
    let fetch = Fetch::new(TlsConnector::from(Arc::new(tls)), config.node.mode.is_relaxed())
        .only(&config.outbound.hosts);
    Ok(Providers::new(fetch, public_url))
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
