//! `GET /gateway/{container}`: a WebSocket that carries one sealed channel, message by message.
//!
//! The gateway token comes as a subprotocol (`ocmt.token.…`), never in the URL or a cookie, and is never
//! echoed. Everything is refused before the upgrade; a sleeping container is woken before it too, so the
//! 101 says how (`ocmt-wake-kind`, `ocmt-wake-ms`).

mod keys;
mod relay;
mod token;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Path, State, WebSocketUpgrade},
    http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, header, request::Parts},
    response::{IntoResponse as _, Response},
    routing::get,
};
use ocmt_actors::{ActorError, CallMeta, System, api::container::Wake};
use ocmt_types::{Clock, ContainerId, Deadline};
use tokio_util::sync::CancellationToken;

use crate::{
    edge::{call, error::problem},
    server::ConnectionSlot,
};

/// Where gateways are, before the container's id.
pub const PATH: &str = "/gateway/";
/// The keys that tokens are verified with.
pub const KEYS: &str = "/.well-known/ocmt-gateway-keys";
/// The subprotocol of the sealed channel.
const SEALED: &str = "ocmt.v1";
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
    stop: CancellationToken,
}

/// The gateway's route. At `stop` its clients are told to connect again, while there is still somebody to tell
/// them.
pub fn routes(system: System, clock: Arc<dyn Clock>, stop: CancellationToken) -> Router {
    let state = GatewayState { system, clock, stop };
    Router::new().route("/gateway/{container}", get(connect)).route(KEYS, get(keys::keys)).with_state(state)
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
    token::of(headers, SEALED).ok()
}

async fn connect(
    State(state): State<GatewayState>,
    Path(container): Path<String>,
    headers: HeaderMap,
    extensions: Extensions,
    upgrade: WebSocketUpgrade,
) -> Response {
    match open(&state, &container, &headers, &extensions).await {
        Ok(gateway) => {
            let wake = gateway.wake;
            let upgrade = bounded(upgrade).protocols([SEALED]);
            let slot = extensions.get::<ConnectionSlot>().cloned();
            let stop = state.stop.clone();
            let mut answer = upgrade.on_upgrade(move |socket| relay::run(socket, gateway, stop, slot));
            tell(answer.headers_mut(), wake);
            answer
        }
        Err(error) => problem(&error).into_response(),
    }
}

fn bounded(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade.max_message_size(FRAME_BYTES).max_frame_size(FRAME_BYTES)
}

async fn open(
    state: &GatewayState,
    container: &str,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<ocmt_actors::api::container::Gateway, ActorError> {
    let container: ContainerId = container.parse().map_err(|_| ActorError::NotFound)?;
    let token = token::of(headers, SEALED)?;
    let deadline = Deadline::after(&*state.clock, WAKE);
    let meta = CallMeta { deadline, idempotency: None, bytes: OPENING };
    let request = call::request_id(extensions)?;
    state.system.connect_gateway(container, token, meta, request, call::peer(extensions)).await
}

fn tell(headers: &mut HeaderMap, wake: Wake) {
    headers.insert(HeaderName::from_static("ocmt-wake-kind"), HeaderValue::from_static(wake.kind.as_str()));
    let millis = u64::try_from(wake.time.as_millis()).unwrap_or(u64::MAX);
    headers.insert(HeaderName::from_static("ocmt-wake-ms"), HeaderValue::from(millis));
}
