//! H1: whatever the answer, whichever the listener.

use std::collections::BTreeSet;

use http::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet};

use crate::kit::{Answer, Edge, framed};

const WANTED: [&str; 10] = [
    "content-security-policy",
    "x-content-type-options",
    "x-frame-options",
    "referrer-policy",
    "permissions-policy",
    "cross-origin-opener-policy",
    "cross-origin-embedder-policy",
    "cross-origin-resource-policy",
    "cache-control",
    "strict-transport-security",
];

fn assert_dressed(what: &str, headers: &HeaderMap, tls: bool) {
    for name in WANTED {
        let wanted = usize::from(tls || name != "strict-transport-security");
        assert_eq!(headers.get_all(name).iter().count(), wanted, "{what}: {name}");
    }
    assert_eq!(headers["cache-control"], "no-store", "{what}");
    let csp = headers["content-security-policy"].to_str().unwrap();
    assert!(csp.contains("frame-ancestors 'none'") && csp.contains("default-src 'none'"), "{what}");
    assert!(!csp.contains("unsafe") && !csp.contains('*'), "{what}");
    if tls {
        let hsts = headers["strict-transport-security"].to_str().unwrap();
        let seconds: u32 = hsts.strip_prefix("max-age=").unwrap().split(';').next().unwrap().parse().unwrap();
        assert!(seconds >= 31_536_000 && hsts.contains("includeSubDomains"), "{what}");
    }
    for told in ["server", "x-powered-by", "via"] {
        assert!(!headers.contains_key(told), "{what} names its software");
    }
}

/// A refusal is a problem with the id of its request and says nothing of our insides.
fn assert_problem(what: &str, answer: &Answer) {
    assert_eq!(answer.headers["content-type"], "application/problem+json", "{what}: {}", answer.body);
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["status"], answer.status.as_u16(), "{what}");
    assert_eq!(body["request_id"], answer.headers["ocmt-request-id"].to_str().unwrap(), "{what}");
    assert!(body["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{what}");
    for inside in ["axum", "serde", "hyper", "tonic", "panic", "src/", "line "] {
        assert!(!answer.body.contains(inside), "{what} tells of {inside}: {}", answer.body);
    }
}

#[tokio::test]
async fn h1_every_status_carries_the_headers_and_an_id_of_its_own() {
    let edge = Edge::start(|_| {}).await;
    let own = edge.origin();
    let form = "application/x-www-form-urlencoded";
    let post = |path: &str| Request::post(path).header("content-type", form).header("origin", &own);
    let long = format!("/{}", "a".repeat(9 << 10));
    let web =
        Request::post("/ocmt.v1.AuthService/WhoAmI").header("content-type", "application/grpc-web+proto");
    let preflight = Request::options("/ocmt.v1.AuthService/WhoAmI")
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "POST");
    let gateway = "/gateway/7f1c2d3e-0000-4000-8000-000000000000";
    let cases = [
        (200, Request::get("/"), vec![]),
        (200, Request::head("/"), vec![]),
        (200, Request::get("/auth/sign-up"), vec![]),
        (200, Request::get("/auth/link/x"), vec![]),
        (200, web.header("x-grpc-web", "1"), framed(&[])),
        (403, preflight, vec![]),
        (
            403,
            Request::post("/auth/link").header("content-type", form),
            b"email=a%40b.example&csrf=x".to_vec(),
        ),
        (404, Request::get("/nope"), vec![]),
        (404, Request::get("/static/../../etc/passwd"), vec![]),
        (405, Request::post("/"), vec![]).with_origin(&own),
        (405, Request::delete("/auth/sign-out"), vec![]).with_origin(&own),
        (413, post("/auth/link"), vec![b'a'; 9 << 10]),
        (414, Request::get(&long), vec![]),
        (
            415,
            Request::post("/auth/link").header("content-type", "application/json").header("origin", &own),
            b"{}".to_vec(),
        ),
        (422, post("/auth/link"), b"email=a%40b.example".to_vec()),
        (422, post("/auth/link"), b"email=a%40b.example&email=c%40d.example&csrf=x".to_vec()),
        (431, Request::get("/").header("x-large", "a".repeat(33 << 10)), vec![]),
        (401, Request::get(gateway), vec![]),
    ];
    let (mut ids, mut asked) = (BTreeSet::new(), 0);
    for (status, request, body) in cases {
        let what = format!("{status} {:?}", request.uri_ref().unwrap().path().get(..20));
        let answer = edge.ask(request.header("ocmt-request-id", "mine"), body).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.body);
        assert_dressed(&what, &answer.headers, true);
        let is_page =
            answer.headers.get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        if status >= 400 && !is_page {
            assert_problem(&what, &answer);
        }
        ids.insert(answer.headers["ocmt-request-id"].to_str().unwrap().to_owned());
        asked += 1;
    }
    assert!(ids.len() == asked && !ids.contains("mine"), "request ids repeat, or a client chose its own");
    edge.node.stop().await;
}

/// Reads better in a table.
trait WithOrigin {
    fn with_origin(self, origin: &str) -> Self;
}

impl WithOrigin for (u16, http::request::Builder, Vec<u8>) {
    fn with_origin(self, origin: &str) -> Self {
        (self.0, self.1.header("origin", origin), self.2)
    }
}

#[tokio::test]
async fn h1_grpc_answers_carry_them_whatever_their_status_over_either_protocol() {
    let edge = Edge::start(|_| {}).await;
    for (path, status) in [
        ("/ocmt.v1.AuthService/WhoAmI", "16"),
        ("/ocmt.v1.GroupService/OfTomorrow", "12"),
        ("/ocmt.v1.ClusterService/ListNodes", "16"),
        ("/grpc.health.v1.Health/Check", "0"),
    ] {
        let request = || Request::post(path).header("content-type", "application/grpc");
        let answer = edge.ask(request(), framed(&[])).await;
        let said = answer.headers.get("grpc-status").or_else(|| answer.trailers.get("grpc-status"));
        assert_eq!(said.unwrap(), status, "{path}");
        assert_dressed(path, &answer.headers, true);
        assert!(answer.headers.contains_key("ocmt-request-id"), "{path}");
    }
    let web =
        Request::post("/ocmt.v1.AuthService/WhoAmI").header("content-type", "application/grpc-web-text");
    assert_dressed("gRPC-Web over HTTP/1.1", &edge.ask_h1(web, "AAAAAAA=").await.headers, true);
    edge.node.stop().await;
}

async fn in_clear(address: &str, request: http::request::Builder) -> Answer {
    let stream = TokioIo::new(TcpStream::connect(address.strip_prefix("http://").unwrap()).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    let driver = JoinSet::from_iter([connection]);
    let answer = sender.send_request(request.body(crate::kit::full("")).unwrap()).await.unwrap();
    let (head, body) = answer.into_parts();
    let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
    drop(driver);
    let body = String::from_utf8_lossy(&body).into_owned();
    Answer { status: head.status, headers: head.headers, body, trailers: HeaderMap::new() }
}

#[tokio::test]
async fn h1_listeners_in_clear_carry_them_too_and_only_send_browsers_on() {
    let edge = Edge::start(|config| {
        config.listen.redirect = "127.0.0.1:0".to_owned();
        config.listen.hosts = vec!["node.example".to_owned()];
    })
    .await;
    let endpoints = edge.node.endpoints().clone();
    for (path, status) in [("/healthz", 200), ("/nope", 404), ("/readyz", 200)] {
        let answer = in_clear(&endpoints.telemetry, Request::get(path).header("host", "x")).await;
        assert_eq!(answer.status, status, "{path}");
        assert_dressed(path, &answer.headers, false);
    }
    let redirect = endpoints.redirect.unwrap();
    let cases = [
        (301, Request::get("/auth/link/x").header("host", "node.example")),
        (421, Request::get("/").header("host", "evil.example")),
        (405, Request::post("/auth/link").header("host", "node.example")),
        (400, Request::get("/")),
    ];
    for (status, request) in cases {
        let answer = in_clear(&redirect, request).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert_dressed(&format!("{status} in clear"), &answer.headers, false);
        let to = answer.headers.get("location").map(|to| to.to_str().unwrap());
        let there = format!("https://node.example:{}/auth/link/x", edge.address.port());
        assert_eq!(to, (status == 301).then_some(there.as_str()));
        if status != 301 {
            assert_problem(&format!("{status} in clear"), &answer);
        }
    }
    edge.node.stop().await;
}
