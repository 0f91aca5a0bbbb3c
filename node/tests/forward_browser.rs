//! A browser at any node reaches its tenant's, with its cookie proven where it was sent and no further; and connections
//! that ask for nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod mesh;

use std::time::Duration;

use axum::body::Body;
use http::{Request, request::Builder};
use http_body_util::BodyExt as _;
use mesh::{Bounds, Client, Mesh, PATIENCE, empty, tenant, until};
use ocmt::{edge::csrf, server::listen::ListenLimits};
use ocmt_crypto::token::{Token, TokenKind};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
    time::timeout,
};

fn session() -> Token {
    Token::issue(TokenKind::Session, tenant(1), &mut rand::rng())
}

/// A call of our own page, with the cookies of this session.
fn with_cookies(request: Builder, session: &Token, csrf: &str) -> Builder {
    request
        .header("origin", "https://localhost")
        .header("sec-fetch-site", "same-origin")
        .header("cookie", format!("__Host-ocmt-session={}", session.expose()))
        .header("cookie", format!("__Host-ocmt-csrf={csrf}"))
}

fn who_am_i() -> Builder {
    Request::post("https://localhost/ocmt.v1.AuthService/WhoAmI")
        .header("content-type", "application/grpc-web+proto")
}

#[tokio::test]
async fn a_call_with_the_cookie_is_answered_by_the_tenants_owner_and_the_cookie_stays_behind() {
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair().await;
    let (client, session) = (mesh.client(&edge).await, session());
    let csrf = csrf::issue(session.expose().as_bytes(), &mut rand::rng());
    let call = with_cookies(who_am_i(), &session, &csrf).header("x-csrf-token", &csrf);
    let answer = client.send(call.body(Body::from(vec![0; 5])).unwrap()).await;
    assert_eq!(answer.headers()["ocmt-owner"], owner.peer.endpoint.as_str());
    let shown = owner.app.shown();
    assert_eq!(shown["authorization"], format!("Bearer {}", session.expose()));
    assert!(!shown.contains_key("cookie"), "the cookie went along");
    // unproven it goes nowhere
    let asked = owner.app.asked();
    let call = with_cookies(who_am_i(), &session, &csrf).body(Body::from(vec![0; 5])).unwrap();
    assert_eq!(client.send(call).await.headers()["grpc-status"], "7");
    assert_eq!((edge.app.asked(), owner.app.asked()), (0, asked));
}

#[tokio::test]
async fn a_page_is_answered_where_its_session_lives_and_judged_where_it_was_asked() {
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair().await;
    let (client, session) = (mesh.client(&edge).await, session());
    let post = || Request::post("https://localhost/auth/sign-out");
    let call = with_cookies(post(), &session, "x").body(empty()).unwrap();
    let answer = client.send(call).await;
    assert_eq!(answer.headers()["ocmt-owner"], owner.peer.endpoint.as_str());
    let asked = owner.app.asked();
    let foreign = post().header("origin", "https://evil.example");
    let foreign = foreign.header("cookie", format!("__Host-ocmt-session={}", session.expose()));
    assert_eq!(client.send(foreign.body(empty()).unwrap()).await.status(), 403);
    assert_eq!(owner.app.asked(), asked);
    // what else it shows counts for nothing: the owner's word on the cookie would be taken for a word on that
    let made_up = Token::issue(TokenKind::Session, tenant(2), &mut rand::rng());
    let call = with_cookies(post(), &session, "x");
    let call = call.header("authorization", format!("Bearer {}", made_up.expose()));
    let answer = client.send(call.body(empty()).unwrap()).await;
    assert_eq!(answer.headers()["ocmt-owner"], owner.peer.endpoint.as_str(), "it went where that leads");
    let seen = answer.into_body().collect().await.unwrap().to_bytes();
    let seen: serde_json::Value = serde_json::from_slice(&seen).unwrap();
    assert!(seen["headers"].get("authorization").is_none(), "{seen}");
    // a link that is used up goes to its own tenant
    let link = Token::issue(TokenKind::Link, tenant(1), &mut rand::rng());
    let call = Request::post(format!("https://localhost/auth/link/{}", link.expose()));
    let answer = client.send(call.header("origin", "https://localhost").body(empty()).unwrap()).await;
    assert_eq!(answer.headers()["ocmt-owner"], owner.peer.endpoint.as_str());
}

#[tokio::test]
async fn a_connection_that_asks_for_nothing_is_ended_and_one_with_a_call_is_not() {
    let mesh = Mesh::new();
    let clients = ListenLimits { idle: Some(Duration::from_secs(1)), ..Bounds::default().clients };
    let node = mesh.node_with(1, Bounds { clients, ..Bounds::default() }).await;
    let (mut call, busy) = (JoinSet::new(), mesh.client(&node).await);
    let mut sender = busy.sender.clone();
    call.spawn(async move { sender.send_request(mesh::call("/hang", "x")).await.is_ok() });
    until("the call is open", || node.app.open() == 1).await;
    // only now, so that neither waits for the other without a call
    let idle = mesh.client(&node).await;
    assert_eq!(idle.text("/count", "four").await, "4");
    until("the idle one is told", || idle.sender.is_closed()).await;
    assert!(!busy.sender.is_closed(), "a call was open");
}

#[tokio::test]
async fn a_forwarded_answer_is_as_long_as_it_says_and_says_it_once() {
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair().await;
    let client = Client::new(&mesh.papers, edge.client_address);
    let cookie = format!("__Host-ocmt-session={}", session().expose());
    for body in ["", "csrf=x"] {
        let mut stream = client.tls(b"http/1.1").await.unwrap();
        let head = format!(
            "POST /auth/sign-out HTTP/1.1\r\nhost: localhost\r\norigin: https://localhost\r\ncookie: {cookie}\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        // a peer that closes without a word of TLS has said all the same
        let _ = timeout(PATIENCE, stream.read_to_end(&mut said)).await.expect("no end");
        let said = String::from_utf8(said).unwrap();
        let (head, rest) = said.split_once("\r\n\r\n").unwrap();
        let values = |name: &str| -> Vec<String> {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.filter(|(is, _)| is.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).collect()
        };
        assert_eq!(values("content-length"), [rest.len().to_string()], "{said}");
        assert!(values("transfer-encoding").is_empty(), "{said}");
    }
    assert_eq!(owner.app.asked(), 2, "they were answered by the owner");
}
