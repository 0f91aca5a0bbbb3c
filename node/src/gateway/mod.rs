//! `/gateway/{container}`: the way to a container, for who has a token of it.
//!
//! A WebSocket of the subprotocol `ocmt.v1` carries one sealed channel, message by message. Where the container
//! opted in, one of `ocmt.plain.v1` carries the workload's own messages, and any other request goes to the workload's
//! own HTTP ([`plain`]); both with the path behind the container's id.
//!
//! The gateway token comes as a subprotocol (`ocmt.token.…`) or, where there is none, as a header, never in the URL or a
//! cookie, and is never echoed. Everything is refused before the upgrade; a sleeping container is woken before it too,
//! so the answer says how (`ocmt-wake-kind`, `ocmt-wake-ms`).

mod keys;
mod plain;
mod relay;
mod token;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{FromRequestParts as _, Request, State, WebSocketUpgrade},
    http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Uri, header, request::Parts},
    response::{IntoResponse as _, Response},
    routing::{any, get},
};
use ocmt_actors::{
    ActorError, CallMeta, System,
    api::container::{Gateway, Shown, Wake, Way},
};
use ocmt_types::{Clock, ContainerId, Deadline};
use tokio_util::sync::CancellationToken;

use self::token::Protocol;
use crate::{
    edge::{call, error::problem},
    limits::{Class, Limiter, Subject},
    server::ConnectionSlot,
};

pub use plain::FROM_WORKLOAD;

/// Where gateways are, before the container's id.
pub const PATH: &str = "/gateway/";
/// The keys that tokens are verified with.
pub const KEYS: &str = "/.well-known/ocmt-gateway-keys";
/// A frame of the channel is at most 64 KiB.
const FRAME_BYTES: usize = 80 << 10;
/// Longest time a connection waits for its container.
const WAKE: Duration = Duration::from_secs(60);
/// What a connection costs the tenant's admission, in bytes.
const OPENING: usize = 1024;

/// What the gateway stands on.
#[derive(Clone)]
pub struct GatewayState {
    system: System,
    clock: Arc<dyn Clock>,
    limiter: Limiter,
    stop: CancellationToken,
}

/// The gateway's routes. At `stop` its clients are told to connect again, while there is still somebody to tell
/// them.
pub fn routes(system: System, clock: Arc<dyn Clock>, limiter: Limiter, stop: CancellationToken) -> Router {
    let state = GatewayState { system, clock, limiter, stop };
    Router::new()
        .route("/gateway/{container}", any(enter))
        .route("/gateway/{container}/", any(enter))
        .route("/gateway/{container}/{*path}", any(enter))
        .route(KEYS, get(keys::keys))
        .with_state(state)
}

/// Whether a request asks for a WebSocket where there are some. Elsewhere the wish is passed over, as RFC 9110
/// has it: a connection between two nodes is not for anybody who says a word.
pub fn is_wanted(request: &Parts) -> bool {
    let upgrade = request.headers.get(header::UPGRADE);
    request.method == Method::GET
        && request.uri.path().starts_with(PATH)
        && upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// The gateway token that a request offers, not looked into.
pub fn token_of(headers: &HeaderMap) -> Option<&str> {
    match token::of(headers) {
        Ok((_, token)) => Some(token),
        Err(_) => token::in_header(headers).ok(),
    }
}

/// The container that a gateway's address names.
pub fn container_of(uri: &Uri) -> Option<ContainerId> {
    target(uri).map(|(container, _)| container)
}

/// Takes away what says who somebody is to other parts of the node: here the gateway token alone does.
pub fn strip_credentials(headers: &mut HeaderMap) {
    headers.remove(header::COOKIE);
    headers.remove(header::AUTHORIZATION);
}

async fn enter(State(state): State<GatewayState>, request: Request) -> Response {
    let (mut head, body) = request.into_parts();
    strip_credentials(&mut head.headers);
    let Some((container, target)) = target(&head.uri) else {
        return problem(&ActorError::NotFound);
    };
    if !is_wanted(&head) {
        return plain::request(&state, (container, target), head, body).await;
    }
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut head, &state).await {
        Ok(upgrade) => upgrade,
        Err(refused) => return refused.into_response(),
    };
    let answer = match token::of(&head.headers) {
        Ok((Protocol::Sealed, token)) if target == "/" => {
            sealed(&state, container, token, &head.extensions, upgrade).await
        }
        Ok((Protocol::Sealed, _)) => Err(ActorError::NotFound),
        Ok((Protocol::Plain, token)) => {
            let token = token.to_owned();
            return plain::socket(&state, (container, target), &token, &head, upgrade).await;
        }
        Err(error) => Err(error),
    };
    answer.unwrap_or_else(|error| problem(&error))
}

/// The container, and what is asked of its workload: path and query as they were sent.
fn target(uri: &Uri) -> Option<(ContainerId, Uri)> {
    let behind = uri.path_and_query()?.as_str().strip_prefix(PATH)?;
    let end = behind.find(['/', '?']).unwrap_or(behind.len());
    let (container, rest) = behind.split_at(end);
    let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
    Some((container.parse().ok()?, rest.parse().ok()?))
}

async fn sealed(
    state: &GatewayState,
    container: ContainerId,
    token: &str,
    extensions: &Extensions,
    upgrade: WebSocketUpgrade,
) -> Result<Response, ActorError> {
    let gateway = open(state, Shown { container, token, way: Way::Sealed, often: false }, extensions).await?;
    let wake = gateway.wake;
    let upgrade = bounded(upgrade).protocols([token::SEALED]);
    let slot = extensions.get::<ConnectionSlot>().cloned();
    let stop = state.stop.clone();
    let mut answer = upgrade.on_upgrade(move |socket| relay::run(socket, gateway, stop, slot));
    tell(answer.headers_mut(), wake);
    Ok(answer)
}

fn bounded(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade.max_message_size(FRAME_BYTES).max_frame_size(FRAME_BYTES)
}

async fn open(
    state: &GatewayState,
    shown: Shown<'_>,
    extensions: &Extensions,
) -> Result<Gateway, ActorError> {
    // before its tenant hears of it: what is too much wakes nobody
    let session = state.system.gateway_session(shown.container, shown.token)?;
    let counted = state.limiter.count(Class::Gateway, &Subject::session(session)).await?;
    if let Some(refusal) = counted.refusal() {
        return Err(refusal);
    }
    let deadline = Deadline::after(&*state.clock, WAKE);
    let meta = CallMeta { deadline, idempotency: None, bytes: OPENING };
    let request = call::request_id(extensions)?;
    state.system.connect_gateway(shown, meta, request, call::peer(extensions)).await
}

fn tell(headers: &mut HeaderMap, wake: Wake) {
    headers.insert(HeaderName::from_static("ocmt-wake-kind"), HeaderValue::from_static(wake.kind.as_str()));
    let millis = u64::try_from(wake.time.as_millis()).unwrap_or(u64::MAX);
    headers.insert(HeaderName::from_static("ocmt-wake-ms"), HeaderValue::from(millis));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_stands_behind_the_container_goes_to_its_workload_as_it_was_sent() {
        let id = "0b8c2a54-6f0e-4a53-9d3c-0b8c2a546f0e";
        for (behind, expected) in [
            ("", "/"),
            ("/", "/"),
            ("?a=/b", "/?a=/b"),
            ("/a/../%2e%2e/b?c=%2F&d", "/a/../%2e%2e/b?c=%2F&d"),
            ("//a", "//a"),
        ] {
            let uri: Uri = format!("https://node/gateway/{id}{behind}").parse().unwrap();
            let (container, target) = target(&uri).unwrap();
            assert_eq!((container.to_string().as_str(), target.to_string().as_str()), (id, expected));
        }
        for bad in ["/gateway/", "/gateway/x", "/gateway/%30b8c2a54-6f0e-4a53-9d3c-0b8c2a546f0e", "/x"] {
            assert!(target(&bad.parse().unwrap()).is_none(), "{bad}");
        }
    }
}
