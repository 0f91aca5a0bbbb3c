//! Calls that other nodes forward to this one: what they say of themselves is believed here, and only here.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use ocmt_actors::ActorError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::names::{CLIENT_ADDR, HOP, MAX_HOPS, TOKEN_GOOD};
use crate::{
    edge::{call::Verdict, speech},
    held::Held,
    peers::PeerNode,
    server::PeerAddr,
};

/// A call that came from another node. Only the peer listener makes one.
#[derive(Debug, Clone, Copy)]
pub struct Hopped {
    /// How often it was forwarded, this time included.
    pub hop: u8,
}

/// Serves `app` to forwarded calls, at most `at_once` of them; the node's own clients have their own places.
pub fn arrive(app: Router, at_once: usize) -> Router {
    app.layer(middleware::from_fn_with_state(Arc::new(Semaphore::new(at_once)), take))
}

async fn take(State(places): State<Arc<Semaphore>>, mut request: Request, next: Next) -> Response {
    let Some((hop, client)) = said(&request) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Ok(place) = places.try_acquire_owned() else {
        let busy =
            ActorError::unavailable("NODE_BUSY", "the tenant's node has too many forwarded calls open");
        return speech::refusal(&busy, request.headers());
    };
    request.headers_mut().remove(HOP);
    request.headers_mut().remove(CLIENT_ADDR);
    request.extensions_mut().insert(Hopped { hop });
    request.extensions_mut().insert(PeerAddr(client));
    let verdict = Verdict::default();
    request.extensions_mut().insert(verdict.clone());
    let mut answer = next.run(request).await;
    // a node further on may have said it already
    if let Some(good) = verdict.said() {
        let said = HeaderValue::from_static(if good { "1" } else { "0" });
        answer.headers_mut().insert(TOKEN_GOOD, said);
    }
    answer.map(|body| axum::body::Body::new(Held::<_, OwnedSemaphorePermit>::new(body, place)))
}

/// Hop and client of a forwarded call; none if it is no such call.
fn said(request: &Request) -> Option<(u8, SocketAddr)> {
    request.extensions().get::<PeerNode>()?;
    let hop = one(request.headers(), &HOP)?.parse().ok().filter(|hop| (1..=MAX_HOPS).contains(hop))?;
    Some((hop, one(request.headers(), &CLIENT_ADDR)?.parse().ok()?))
}

fn one<'h>(headers: &'h HeaderMap, name: &http::HeaderName) -> Option<&'h str> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}
