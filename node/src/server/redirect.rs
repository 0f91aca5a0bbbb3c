//! The listener in clear that sends browsers to HTTPS, and does nothing else.
//!
//! Only GET and HEAD are sent on: whoever posts in clear has shown what he posts already, and must hear of it. Where to
//! go is a configured name, whatever the request says of itself.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, Method, StatusCode, header};
use ocmt_types::IdGen;

use crate::edge::{headers, site::Site};

/// What it serves.
pub(super) fn app(site: Arc<Site>, ids: Arc<dyn IdGen>) -> Router {
    Router::new()
        .fallback(send_on)
        .with_state(site)
        .layer(middleware::from_fn_with_state(ids, headers::stamp))
        .layer(middleware::from_fn(in_clear))
}

async fn send_on(State(site): State<Arc<Site>>, request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let allow = [(header::ALLOW, HeaderValue::from_static("GET, HEAD")), CLOSE];
        return (StatusCode::METHOD_NOT_ALLOWED, allow).into_response();
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        _ => None,
    };
    let Some(host) = host else { return (StatusCode::BAD_REQUEST, [CLOSE]).into_response() };
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let to = site.in_https(host).and_then(|to| HeaderValue::from_str(&format!("https://{to}{path}")).ok());
    match to {
        Some(to) if path.starts_with('/') => {
            (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, to), CLOSE]).into_response()
        }
        Some(_) | None => (StatusCode::MISDIRECTED_REQUEST, [CLOSE]).into_response(),
    }
}

/// Nothing follows on this connection.
const CLOSE: (header::HeaderName, HeaderValue) = (header::CONNECTION, HeaderValue::from_static("close"));

/// HSTS is not said in clear (RFC 6797, 7.2).
async fn in_clear(request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    answer.headers_mut().remove(header::STRICT_TRANSPORT_SECURITY);
    answer
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::body::Body;
    use ocmt_types::RandomIds;
    use tower::ServiceExt as _;

    use super::*;
    use crate::config::Listen;

    async fn answer(method: &str, uri: &str, hosts: &[&str]) -> (u16, Option<String>) {
        let site =
            Site::of(&Listen { public_url: "https://node.example".to_owned(), ..Listen::default() }, 7443);
        let mut request = Request::builder().method(method).uri(uri);
        for host in hosts {
            request = request.header("host", *host);
        }
        let answer = app(Arc::new(site), Arc::new(RandomIds))
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        for name in ["content-security-policy", "x-content-type-options", "cache-control", "ocmt-request-id"]
        {
            assert!(answer.headers().contains_key(name), "{method} {uri} has no {name}");
        }
        assert!(!answer.headers().contains_key("strict-transport-security"));
        let to = answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        (answer.status().as_u16(), to)
    }

    #[tokio::test]
    async fn only_configured_names_are_redirected_and_only_to_ourselves() {
        let to = |path: &str| Some(format!("https://node.example{path}"));
        assert_eq!(answer("GET", "/auth/link/x?y=1", &["node.example"]).await, (301, to("/auth/link/x?y=1")));
        assert_eq!(answer("HEAD", "/", &["NODE.example:80"]).await, (301, to("/")));
        // what begins like another host stays a path of ours
        assert_eq!(answer("GET", "//evil.example/", &["node.example"]).await, (301, to("//evil.example/")));
        assert_eq!(answer("GET", "http://evil.example/x", &["node.example"]).await, (301, to("/x")));
        for host in [
            "evil.example",
            "node.example@evil.example",
            "node.example.evil.example",
            "evil.example/node.example",
        ] {
            assert_eq!(answer("GET", "/", &[host]).await, (421, None), "{host}");
        }
        assert_eq!(answer("GET", "/", &[]).await, (400, None));
        assert_eq!(answer("GET", "/", &["node.example", "node.example"]).await, (400, None));
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"] {
            assert_eq!(answer(method, "/auth/link", &["node.example"]).await, (405, None), "{method}");
        }
    }
}
