//! The first thing behind an answer's stamp on the client listener: how large a request's head may be, whose request a
//! proxy brings, which pages of others may ask, and what a browser sends along ([`browser`]).
//!
//! What another node forwards was looked at there.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use ocmt_actors::ActorError;

use super::{
    browser, call,
    error::{problem, problem_of},
    guard, proxies,
    site::Site,
    speech,
};
use crate::{
    forward::Hopped,
    held::Held,
    limits::Limiter,
    server::{PeerAddr, network},
    shares::{Share, Shares},
};

/// Most bytes of a request's headers, counted as HTTP/2 does: 32 more for each.
const HEADER_BYTES: usize = 32 << 10;
/// Most bytes of a path with its query.
const PATH_BYTES: usize = 8 << 10;

/// What pages of listed origins may send besides what needs no leave.
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, grpc-timeout, ocmt-gateway-token, ocmt-route, ocmt-workload-authorization, \
     x-grpc-web, x-user-agent",
);
const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, POST");
/// And read of the answer.
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static(
    "grpc-status, grpc-message, grpc-status-details-bin, ocmt-owner, ocmt-request-id, ocmt-wake-kind, ocmt-wake-ms, \
     ratelimit, ratelimit-policy, retry-after",
);
/// How long a browser may remember that it may ask, in seconds.
const REMEMBERED: HeaderValue = HeaderValue::from_static("600");

/// What it stands on. Cheap to clone.
#[derive(Clone)]
pub struct Door {
    site: Arc<Site>,
    /// Requests at once of each client behind a proxy; the proxy's own connections are not counted.
    behind_proxies: Shares<IpAddr>,
    limiter: Option<Limiter>,
}

impl Door {
    /// Of this site; a client behind a proxy has `at_once` requests at a time.
    pub fn new(site: Arc<Site>, at_once: usize) -> Self {
        Self { site, behind_proxies: Shares::new(at_once), limiter: None }
    }

    /// With a count of each address's requests.
    #[must_use]
    pub fn counting(self, limiter: Limiter) -> Self {
        Self { limiter: Some(limiter), ..self }
    }
}

/// Lets requests in.
pub async fn enter(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    if request.extensions().get::<Hopped>().is_some() {
        return next.run(request).await;
    }
    if let Some(refused) = too_large(request.uri(), request.headers()) {
        return refused;
    }
    let place = match door.client(&mut request) {
        Ok(place) => place,
        Err(busy) => return speech::refusal(&busy, request.headers()),
    };
    if let Err(refused) = door.count(&request) {
        let answer = speech::refusal(&refused, request.headers());
        guard::let_arrive(request).await;
        return answer;
    }
    let listed = door.site.is_listed(request.headers());
    if is_preflight(&request) {
        return preflight(listed.then(|| request.headers().get(header::ORIGIN)).flatten());
    }
    let origin = request.headers().get(header::ORIGIN).filter(|_| listed).cloned();
    // what a browser sends is checked where it sent it, and no cookie of a call goes further
    let (mut head, body) = request.into_parts();
    let mut answer = match browser::check(&door.site, &mut head) {
        Ok(()) => next.run(Request::from_parts(head, body)).await,
        Err(refused) => speech::refusal(&refused, &head.headers),
    };
    if let Some(origin) = origin {
        let headers = answer.headers_mut();
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
        share(headers, origin);
    }
    match place {
        Some(place) => answer.map(|body| Body::new(Held::<_, Share<IpAddr>>::new(body, place))),
        None => answer,
    }
}

impl Door {
    fn count(&self, request: &Request) -> Result<(), ActorError> {
        let (limiter, address) = (self.limiter.as_ref(), call::peer(request.extensions()));
        limiter.zip(address).map_or(Ok(()), |(limiter, address)| limiter.request_of(address))
    }

    /// Writes down whose request a proxy brings, and takes a place for it.
    fn client(&self, request: &mut Request) -> Result<Option<Share<IpAddr>>, ActorError> {
        let direct = request.extensions().get::<PeerAddr>().map(|peer| peer.0.ip());
        let client = direct.map(|direct| self.site.proxies.client(direct, request.headers()));
        proxies::strip(request.headers_mut());
        let (Some(direct), Some(client)) = (direct, client) else { return Ok(None) };
        if !self.site.is_proxy(direct) {
            return Ok(None);
        }
        request.extensions_mut().insert(PeerAddr(SocketAddr::new(client, 0)));
        let place = self.behind_proxies.try_take(network(client));
        place.map(Some).ok_or_else(|| ActorError::ResourceExhausted {
            reason: "TOO_MANY_REQUESTS",
            why: "too many requests of this address at once".to_owned(),
            retry_after: Some(std::time::Duration::from_secs(1)),
        })
    }
}

fn too_large(uri: &Uri, headers: &HeaderMap) -> Option<Response> {
    if uri.path_and_query().is_some_and(|path| path.as_str().len() > PATH_BYTES) {
        return Some(problem_of(StatusCode::URI_TOO_LONG, "the path with its query is longer than 8 KiB"));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
    (bytes > HEADER_BYTES).then(|| {
        problem_of(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the headers are larger than 32 KiB")
    })
}

fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// What a browser asks before it lets a page of another origin ask. Cookies are never for others: nothing says that they
/// may come along.
fn preflight(origin: Option<&HeaderValue>) -> Response {
    let Some(origin) = origin else {
        return problem(&ActorError::PermissionDenied(
            "pages of this origin may not ask here: see listen.origins",
        ));
    };
    let mut answer = StatusCode::NO_CONTENT.into_response();
    let headers = answer.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBERED);
    share(headers, origin.clone());
    answer
}

fn share(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    const VARY: HeaderName = header::VARY;
    headers.append(VARY, HeaderValue::from_static("origin"));
}
