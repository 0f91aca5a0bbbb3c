//! Pages of other origins.

use http::Request;

use crate::kit::{Edge, framed};

const LISTED: &str = "https://app.example";

async fn edge() -> Edge {
    Edge::start(|config| config.listen.origins = vec![LISTED.to_owned()]).await
}

fn preflight(origin: &str) -> http::request::Builder {
    Request::options("/ocmt.v1.AuthService/WhoAmI")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "x-grpc-web")
}

#[tokio::test]
async fn only_listed_origins_are_told_that_they_may_ask() {
    let edge = edge().await;
    let may = edge.ask(preflight(LISTED), "").await;
    assert_eq!(may.status, 204);
    assert_eq!(may.headers["access-control-allow-origin"], LISTED);
    assert_eq!(may.headers["vary"], "origin");
    for bad in
        ["https://app.example:8443", "https://app.example.evil.example", "http://app.example", "null", "*"]
    {
        let may_not = edge.ask(preflight(bad), "").await;
        assert_eq!(may_not.status, 403, "{bad}");
        let told: Vec<_> =
            may_not.headers.keys().filter(|name| name.as_str().starts_with("access-control")).collect();
        assert!(told.is_empty(), "{bad}: {told:?}");
    }
    edge.node.stop().await;
}

#[tokio::test]
async fn answers_are_shared_with_listed_origins_and_never_with_cookies() {
    let edge = edge().await;
    let ask = |origin: &str| {
        Request::post("/ocmt.v1.AuthService/WhoAmI")
            .header("content-type", "application/grpc-web+proto")
            .header("origin", origin)
    };
    let shared = edge.ask(ask(LISTED), framed(&[])).await;
    assert_eq!(shared.headers["access-control-allow-origin"], LISTED);
    assert!(shared.headers["access-control-expose-headers"].to_str().unwrap().contains("grpc-status"));
    assert!(!shared.headers.contains_key("access-control-allow-credentials"));
    let kept = edge.ask(ask("https://evil.example"), framed(&[])).await;
    assert!(!kept.headers.contains_key("access-control-allow-origin"));
    edge.node.stop().await;
}

#[tokio::test]
async fn what_a_foreign_page_sends_without_asking_is_not_done() {
    let edge = edge().await;
    // no message, so that whoever may ask is told what it lacks
    let ask = |headers: &[(&str, &str)]| {
        let request = Request::post("/ocmt.v1.AuthService/RequestMagicLink");
        let request = request.header("content-type", "application/grpc");
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
    };
    let own = edge.origin();
    for (headers, may) in [
        (&[][..], true),
        (&[("origin", LISTED), ("sec-fetch-site", "cross-site")], true),
        (&[("origin", own.as_str()), ("sec-fetch-site", "same-origin")], true),
        (&[("origin", "https://evil.example")], false),
        (&[("origin", "null")], false),
        (&[("origin", own.as_str()), ("sec-fetch-site", "cross-site")], false),
        (&[("origin", own.as_str()), ("origin", "https://evil.example")], false),
        (&[("sec-fetch-site", "cross-site")], false),
        (&[("sec-fetch-site", "same-site")], false),
        (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], false),
    ] {
        let answer = edge.ask(ask(headers), framed(&[])).await;
        let status = answer.headers.get("grpc-status").or_else(|| answer.trailers.get("grpc-status"));
        assert_eq!(status.unwrap() != "7", may, "{headers:?}: {status:?}");
    }
    edge.node.stop().await;
}
