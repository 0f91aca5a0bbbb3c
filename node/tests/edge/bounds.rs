//! Connections, messages and times.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::{Request, body::Frame};
use hyper_util::rt::{TokioExecutor, TokioIo};
use ocmt_crypto::token::{Token, TokenKind};
use ocmt_types::{Id as _, TenantId};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
    time::timeout,
};

use crate::kit::{Edge, PATIENCE, Sent, message};

/// A body whose first byte never comes.
fn never() -> Sent {
    let silence = futures_util::stream::pending::<Result<Frame<Bytes>, std::convert::Infallible>>();
    BodyExt::boxed(StreamBody::new(silence))
}

const UNAUTHENTICATED: &str = "16";

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let edge = Edge::start(|_| {}).await;
    let mut silent = edge.connect().await.unwrap();
    let read = timeout(PATIENCE, silent.read_to_end(&mut Vec::new())).await;
    assert!(read.is_ok(), "the connection was left open");
    edge.node.stop().await;
}

#[tokio::test]
async fn an_address_has_only_so_many_connections() {
    let edge = Edge::start(|config| config.limits.connections_per_address = 2).await;
    let held = (edge.connect().await.unwrap(), edge.connect().await.unwrap());
    assert!(edge.connect().await.is_err(), "a third connection was taken");
    drop(held);
    // its places are free as soon as the node has noticed
    let again = async { while edge.connect().await.is_err() {} };
    timeout(PATIENCE, again).await.expect("the places were never given back");
    edge.node.stop().await;
}

#[tokio::test]
async fn of_many_that_connect_at_once_exactly_as_many_as_may_get_in() {
    const MOST: u32 = 7;
    let edge = Arc::new(Edge::start(|config| config.limits.connections_per_address = MOST).await);
    let mut all = JoinSet::new();
    for _ in 0..60 {
        let edge = edge.clone();
        all.spawn(async move { edge.connect().await.ok() });
    }
    let held: Vec<_> = all.join_all().await.into_iter().flatten().collect();
    assert_eq!(held.len(), MOST as usize);
    drop(held);
    Arc::into_inner(edge).unwrap().node.stop().await;
}

#[tokio::test]
async fn d2_operators_services_are_not_on_the_client_listener() {
    let edge = Edge::start(|_| {}).await;
    for method in ocmt_proto::methods::all() {
        let operators = ["ocmt.v1.ClusterService", "ocmt.v1.OperatorService"].contains(&method.service);
        let served =
            method.path != ocmt::operator::JOIN && ocmt::rpc::unimplemented::reason(method.path).is_none();
        if operators && served {
            assert_eq!(edge.call(method.path, message(&[])).await, UNAUTHENTICATED, "{}", method.path);
        }
    }
    edge.node.stop().await;
}

#[tokio::test]
async fn headers_that_do_not_come_to_an_end_end_their_connection() {
    let edge = Edge::start(|_| {}).await;
    let mut slow = edge.connect_as(b"http/1.1").await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nx-never: ").await.unwrap();
    let read = timeout(PATIENCE, slow.read_to_end(&mut Vec::new())).await;
    assert!(read.is_ok(), "the connection was left open");
    edge.node.stop().await;
}

#[tokio::test]
async fn a_form_that_does_not_come_to_an_end_is_given_up() {
    let edge = Edge::start(|_| {}).await;
    let request = Request::post("/auth/link").header("content-type", "application/x-www-form-urlencoded");
    let request = request.header("origin", edge.origin()).body(never()).unwrap();
    let answer = edge.send(request).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    edge.node.stop().await;
}

#[tokio::test]
async fn x4_what_is_compressed_is_not_taken() {
    let edge = Edge::start(|_| {}).await;
    // 64 MiB of zeros in a few bytes would be a message of 64 MiB
    for encoding in ["gzip", "deflate", "zstd"] {
        let bomb = [&[1u8, 0, 0, 0, 4], [0x1f, 0x8b, 8, 0].as_slice()].concat();
        let request = Request::post("/ocmt.v1.AuthService/SignUp")
            .header("content-type", "application/grpc")
            .header("grpc-encoding", encoding);
        let answer = edge.ask(request, bomb).await;
        let status = answer.headers.get("grpc-status").or_else(|| answer.trailers.get("grpc-status"));
        assert_eq!(status.unwrap(), "12", "{encoding}");
    }
    edge.node.stop().await;
}

#[tokio::test]
async fn a_sign_in_by_passkey_needs_no_session() {
    let edge = Edge::start(|_| {}).await;
    for method in ["BeginPasskeyAssertion", "FinishPasskeyAssertion"] {
        let status = edge.call(&format!("/ocmt.v1.AuthService/{method}"), message(&[])).await;
        assert_eq!(status, "3", "{method}: what it lacks is in its message");
    }
    edge.node.stop().await;
}

#[tokio::test]
async fn a_call_without_a_session_is_refused_before_its_message_is_read() {
    let edge = Edge::start(|_| {}).await;
    for method in ocmt_proto::methods::all().iter().filter(|method| method.service == "ocmt.v1.VaultService")
    {
        if ocmt::rpc::unimplemented::reason(method.path).is_none() {
            assert_eq!(edge.call(method.path, never()).await, UNAUTHENTICATED, "{}", method.path);
        }
    }
    edge.node.stop().await;
}

/// A message that says it is as long as it may be, with so little of it, and never more.
fn begun(pieces: &[&[u8]]) -> Sent {
    let begun = pieces.concat();
    let begun = futures_util::stream::iter([Ok(Frame::data(Bytes::from(begun)))]);
    BodyExt::boxed(StreamBody::new(StreamExt::chain(begun, futures_util::stream::pending())))
}

#[tokio::test]
async fn of_a_long_message_under_a_made_up_token_only_the_length_is_read() {
    const LONGEST: &[u8] = &[0, 0, 0x40, 0, 0];
    let edge = Edge::start(|_| {}).await;
    let stream = TokioIo::new(edge.connect().await.unwrap());
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let driver = JoinSet::from_iter([connection]);
    let mut calls = JoinSet::new();
    for n in 0..200_usize {
        let made_up = Token::issue(TokenKind::Session, TenantId::from_bytes([7; 16]), &mut rand::rng());
        // a short one, and behind it what is long
        let more = [0; 65 << 10];
        let body = if n == 0 { begun(&[&[0; 5], LONGEST, &more]) } else { begun(&[LONGEST, &[1]]) };
        let request = Request::post("https://localhost/ocmt.v1.VaultService/PutEntry")
            .header("content-type", "application/grpc")
            .header("authorization", format!("Bearer {}", made_up.expose()))
            .body(body)
            .unwrap();
        let mut sender = sender.clone();
        calls.spawn(async move {
            let answer = timeout(PATIENCE, sender.send_request(request)).await;
            let answer = answer.expect("the message is waited for").unwrap();
            answer.headers().get("grpc-status").map(|status| (n, status.to_str().unwrap().to_owned()))
        });
    }
    for (n, status) in calls.join_all().await.into_iter().flatten() {
        let refused = [UNAUTHENTICATED, "8"].contains(&status.as_str());
        assert!(n == 0 || refused, "call {n}: {status}");
    }
    drop(driver);
    edge.node.stop().await;
}

#[tokio::test]
async fn a_client_whose_session_has_ended_keeps_its_connection() {
    let edge = Edge::start(|_| {}).await;
    let stream = TokioIo::new(edge.connect().await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let driver = JoinSet::from_iter([connection]);
    for _ in 0..400 {
        let request = Request::post("https://localhost/ocmt.v1.AuthService/WhoAmI")
            .header("content-type", "application/grpc")
            .header("authorization", "Bearer ocmt_ses_gone")
            .body(message(&[0; 200]))
            .unwrap();
        let answer = timeout(PATIENCE, sender.send_request(request)).await.unwrap();
        assert_eq!(answer.unwrap().headers()["grpc-status"], UNAUTHENTICATED);
    }
    drop(driver);
    edge.node.stop().await;
}

#[tokio::test]
async fn x4_a_message_past_its_bound_is_refused_without_being_taken() {
    let edge = Edge::start(|_| {}).await;
    let path = "/ocmt.v1.AuthService/SignUp";
    let too_long = edge.call(path, message(&vec![0; 65 << 10])).await;
    assert_eq!(too_long, "11", "longer than the service takes");
    // a length of 4 GiB and one byte of it
    let lie = BodyExt::boxed(Full::new(Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff, 1])));
    assert_eq!(edge.call(path, lie).await, "11");
    edge.node.stop().await;
}

#[tokio::test]
async fn a_unary_call_whose_message_never_comes_is_ended() {
    let edge = Edge::start(|config| config.limits.call = ocmt::config::HumanDuration::seconds(1)).await;
    let status = edge.call("/ocmt.v1.AuthService/SignUp", never()).await;
    assert_eq!(status, "4", "the call was not ended by its deadline");
    edge.node.stop().await;
}
