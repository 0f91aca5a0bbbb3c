//! Headers on every answer: a request id, and what browsers need to be told.

use std::{panic::AssertUnwindSafe, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use futures_util::FutureExt as _;
use ocmt_actors::ActorError;
use ocmt_types::{IdGen, RequestId};

use super::{
    error,
    speech::{self, Speech},
};
use crate::{forward::Hopped, web::OfAsset};

/// Names the request in answers, logs and audit records.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("ocmt-request-id");

/// Nothing inline, nothing from elsewhere, no framing.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                   form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Of the worker that computes Argon2id, and of nothing else: it may compile WebAssembly, and fetch modules from here.
const COMPILES: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; base-uri 'none'; frame-ancestors 'none'",
);

/// What no page of ours uses.
const PERMISSIONS: &str = "accelerometer=(), autoplay=(), camera=(), display-capture=(), encrypted-media=(), \
                           geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), \
                           usb=(), xr-spatial-tracking=()";

/// Two years, longer than any browser list asks for.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000; includeSubDomains");

const FIXED: [(HeaderName, &str); 9] = [
    (header::CONTENT_SECURITY_POLICY, CSP),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("permissions-policy"), PERMISSIONS),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

/// For pages: under `no-referrer` a browser names no origin when it sends a form, and we ask for it. This one
/// names the origin and never a path.
const PAGES_REFERRER: HeaderValue = HeaderValue::from_static("strict-origin");

/// Gives each request an id (never the client's own, but that of the node that forwarded it) and each answer
/// the fixed headers; an answer that does not come because its maker panicked is made here.
pub async fn stamp(State(ids): State<Arc<dyn IdGen>>, mut request: Request, next: Next) -> Response {
    let said = request.extensions().get::<Hopped>().and_then(|_| request.headers().get(&REQUEST_ID));
    let said = said.and_then(|id| id.to_str().ok()?.parse().ok());
    let id: RequestId = said.unwrap_or_else(|| ids.id());
    request.headers_mut().remove(&REQUEST_ID);
    request.extensions_mut().insert(id);
    let kind = request.headers().get(header::CONTENT_TYPE).cloned();
    let speech = Speech::of(request.headers());
    let mut response = match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            tracing::error!(request = %id, "a request's own code panicked");
            speech::refusal_to(speech, kind.as_ref(), &ActorError::Internal(id))
        }
    };
    error::finish(&mut response, id);
    secure(response.headers_mut());
    if let Some(asset) = response.extensions().get::<OfAsset>().copied() {
        response.headers_mut().insert(header::CACHE_CONTROL, asset.cache());
        if asset.compiles() {
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, COMPILES);
        }
    }
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// The fixed headers alone.
pub(crate) fn secure(headers: &mut HeaderMap) {
    in_clear(headers);
    headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
}

/// The fixed headers of an answer in clear, where HSTS must not be said (RFC 6797, 7.2).
pub(crate) fn in_clear(headers: &mut HeaderMap) {
    for (name, value) in FIXED {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html")) {
        headers.insert(header::REFERRER_POLICY, PAGES_REFERRER);
    }
    headers.remove(header::SERVER);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::{Router, body::Body, http::StatusCode, middleware, response::IntoResponse as _, routing::get};
    use ocmt_types::RandomIds;
    use tower::ServiceExt as _;

    use super::*;
    use crate::telemetry::heard::Log;

    async fn answer(
        make: impl Fn() -> Response + Clone + Send + Sync + 'static,
        grpc: bool,
    ) -> (Response, String) {
        let ids: Arc<dyn IdGen> = Arc::new(RandomIds);
        let app = Router::new()
            .route("/", get(move || async move { make() }))
            .layer(middleware::from_fn_with_state(ids, stamp));
        let mut request = Request::new(Body::empty());
        if grpc {
            request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        }
        let (head, body) = app.oneshot(request).await.unwrap().into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        (Response::from_parts(head, Body::empty()), String::from_utf8_lossy(&body).into_owned())
    }

    fn assert_dressed(answer: &Response, what: &str) {
        for (name, value) in FIXED {
            assert_eq!(answer.headers()[&name], value, "{what}: {name}");
        }
        assert!(answer.headers().contains_key(header::STRICT_TRANSPORT_SECURITY), "{what}");
        assert!(answer.headers().contains_key(REQUEST_ID), "{what}");
    }

    #[tokio::test]
    async fn h1_every_error_of_the_table_is_a_problem_with_the_requests_id() {
        let ids: &dyn IdGen = &RandomIds;
        for error in [
            ActorError::NotFound,
            ActorError::Unauthenticated("x"),
            ActorError::PermissionDenied("x"),
            ActorError::StepUpRequired,
            ActorError::invalid("email", "x"),
            ActorError::precondition("VAULT_LOCKED", "x"),
            ActorError::ResourceExhausted { reason: "BUSY", why: "x".to_owned(), retry_after: None },
            ActorError::DeadlineExceeded,
            ActorError::unavailable("NODE_BUSY", "x"),
            ActorError::OutcomeUnknown,
            ActorError::Internal(ids.id()),
        ] {
            let (what, made) = (error.to_string(), error.clone());
            let (answer, body) = answer(move || error::problem(&made), false).await;
            assert_dressed(&answer, &what);
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(body["status"], answer.status().as_u16(), "{what}");
            assert_eq!(body["reason"], error.reason(), "{what}");
            assert_eq!(body["request_id"], answer.headers()[REQUEST_ID].to_str().unwrap(), "{what}");
        }
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_that_says_nothing_of_it() {
        #[expect(clippy::panic, reason = "it is what is tested")]
        fn panics() -> Response {
            panic!("a secret of ours")
        }
        let (http, body) = answer(panics, false).await;
        assert_eq!(http.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_dressed(&http, "500");
        assert!(!body.contains("secret") && body.contains("INTERNAL"), "{body}");
        let (grpc, _) = answer(panics, true).await;
        assert_dressed(&grpc, "gRPC");
        assert_eq!(grpc.headers()["grpc-status"], "13");
    }

    #[tokio::test]
    async fn a_panic_is_written_down_with_the_requests_id() {
        #[expect(clippy::panic, reason = "it is what is tested")]
        fn panics() -> Response {
            panic!("broken")
        }
        let log = Log::default();
        let to = log.clone();
        let logs = tracing_subscriber::fmt().with_writer(move || to.clone()).with_ansi(false).finish();
        // of this thread, on which all of the test runs
        let _heard = tracing::subscriber::set_default(logs);
        let (answer, _) = answer(panics, false).await;
        let text = log.text();
        let id = answer.headers()[REQUEST_ID].to_str().unwrap();
        let line = text.lines().find(|line| line.contains("ERROR")).unwrap();
        assert!(line.contains(id) && line.contains("panicked"), "{line}");
    }

    #[tokio::test]
    async fn words_of_libraries_are_not_told() {
        let bare = || (StatusCode::UNPROCESSABLE_ENTITY, "serde: at line 3 of src/x.rs").into_response();
        let (answer, body) = answer(bare, false).await;
        assert_dressed(&answer, "422");
        assert!(!body.contains("serde") && body.contains("INVALID_REQUEST"), "{body}");
    }
}
