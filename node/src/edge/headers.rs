//! Headers on every answer: a request id, and what browsers need to be told.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use ocmt_types::{IdGen, RequestId};

use crate::forward::Hopped;

/// Names the request in answers, logs and audit records.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("ocmt-request-id");

/// Nothing inline, nothing from elsewhere, no framing.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                   form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const FIXED: [(HeaderName, &str); 8] = [
    (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"),
    (header::CONTENT_SECURITY_POLICY, CSP),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Gives each request an id (never the client's own, but that of the node that forwarded it) and each answer
/// the fixed headers.
pub async fn stamp(State(ids): State<Arc<dyn IdGen>>, mut request: Request, next: Next) -> Response {
    let said = request.extensions().get::<Hopped>().and_then(|_| request.headers().get(&REQUEST_ID));
    let said = said.and_then(|id| id.to_str().ok()?.parse().ok());
    let id: RequestId = said.unwrap_or_else(|| ids.id());
    request.headers_mut().remove(&REQUEST_ID);
    request.extensions_mut().insert(id);
    let mut response = next.run(request).await;
    secure(response.headers_mut());
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// The fixed headers alone.
pub(crate) fn secure(headers: &mut HeaderMap) {
    for (name, value) in FIXED {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.remove(header::SERVER);
}
