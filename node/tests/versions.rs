//! Nodes of several releases in one cluster: what they speak with each other, when they refuse to, and what
//! becomes of what one of them does not know.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod mesh;

use std::ops::RangeInclusive;

use axum::body::Body;
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use mesh::{Bounds, Mesh, Node, PATIENCE, tenant};
use ocmt::{
    peers::{AskError, Lane, Route},
    software::Software,
};
use ocmt_types::{Deadline, SystemClock};
use prost::Message as _;
use tokio::time::timeout;

async fn node_of(mesh: &Mesh, n: u8, protocols: RangeInclusive<u32>) -> Node {
    let software = Software { version: format!("0.{}.0", protocols.end()), protocols };
    mesh.node_with(n, Bounds { software, ..Bounds::default() }).await
}

/// Two nodes of these releases; tenant 1 lives at the second, tenant 2 at the first, and both know.
async fn pair(mesh: &Mesh, first: RangeInclusive<u32>, second: RangeInclusive<u32>) -> [Node; 2] {
    let (one, two) = (node_of(mesh, 1, first).await, node_of(mesh, 2, second).await);
    one.knows(&two);
    two.knows(&one);
    one.where_to.put(tenant(1), Route::There(two.peer.clone()));
    two.where_to.put(tenant(2), Route::There(one.peer.clone()));
    [one, two]
}

fn soon() -> Deadline {
    Deadline::after(&SystemClock, PATIENCE)
}

/// A message in its gRPC frame.
fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    Bytes::from([&[0], length.as_slice(), message].concat())
}

/// Field 1999, a string: no message of ours has one.
fn field_of_tomorrow() -> Vec<u8> {
    let mut field = Vec::new();
    prost::encoding::string::encode(1999, &"new".to_owned(), &mut field);
    field
}

#[tokio::test]
async fn neighbours_speak_the_highest_version_that_both_know_in_both_directions() {
    for (first, second, spoken) in [(1..=1, 1..=2, 1), (1..=2, 2..=2, 2), (1..=2, 1..=2, 2)] {
        let mesh = Mesh::new();
        let nodes = pair(&mesh, first, second).await;
        for (here, there, of) in [(&nodes[0], &nodes[1], 1), (&nodes[1], &nodes[0], 2)] {
            assert_eq!(here.pool.protocol(&there.peer).await, Ok(spoken));
            let said = here.pool.deliver(&there.peer, tenant(5), b"letter".to_vec(), soon()).await.unwrap();
            assert!(said.ends_with(b"letter"));
            let answer = mesh.client(here).await.send(mesh::call_of(of, "/count", "four")).await;
            assert_eq!(answer.headers()["ocmt-owner"], there.peer.endpoint.as_str());
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "4");
        }
    }
}

#[tokio::test]
async fn releases_too_far_apart_refuse_each_other_and_callers_hear_that_the_owner_is_away() {
    let mesh = Mesh::new();
    let nodes = pair(&mesh, 1..=1, 2..=2).await;
    for (here, there, of) in [(&nodes[0], &nodes[1], 1), (&nodes[1], &nodes[0], 2)] {
        let why = here.pool.node(&there.peer).await.err().expect("they speak with each other");
        for said in ["(protocol 1)", "(protocol 2)", "0.1.0", "0.2.0", "upgrade one release at a time"] {
            assert!(why.contains(said), "{said} is not in: {why}");
        }
        assert!(here.pool.protocol(&there.peer).await.is_err());
        let letter = here.pool.deliver(&there.peer, tenant(5), b"letter".to_vec(), soon()).await;
        assert!(matches!(letter, Err(AskError::Unsent(_))), "{letter:?}");
        let call = async { mesh.client(here).await.send(mesh::call_of(of, "/count", "x")).await };
        let answer = timeout(PATIENCE, call).await.expect("the caller hangs");
        assert_eq!(answer.headers()["grpc-status"], "14");
        assert_eq!(there.app.asked(), 0, "it was served all the same");
    }
}

#[tokio::test]
async fn a_method_that_the_owner_does_not_know_is_asked_once_and_its_answer_passes_unchanged() {
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair().await;
    let client = mesh.client(&edge).await;
    let straight = mesh.client(&owner).await.call("/ocmt.v1.AuthService/OfTomorrow", framed(b"")).await;
    let asked = owner.app.asked();
    let answer = client.call("/ocmt.v1.AuthService/OfTomorrow", framed(b"")).await;
    for name in ["grpc-status", "grpc-message", "grpc-status-details-bin", "x-of-ours", "content-type"] {
        assert_eq!(answer.headers().get(name), straight.headers().get(name), "{name}");
    }
    assert_eq!(answer.headers()["grpc-status"], "12");
    assert_eq!(owner.app.asked() - asked, 1, "it was sent again");
    assert_eq!(*edge.where_to.forgotten.lock().unwrap(), 0, "the owner was taken for another");
}

#[tokio::test]
async fn fields_of_tomorrow_pass_between_clients_and_owners_and_are_ignored_among_nodes() {
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair().await;
    // an edge passes on what it cannot read
    let message = framed(&field_of_tomorrow());
    let answer = mesh.client(&edge).await.call("/ocmt.v1.AuthService/WhoAmI", message.clone()).await;
    assert_eq!(answer.into_body().collect().await.unwrap().trailers().unwrap()["grpc-status"], "0");
    assert_eq!(owner.app.messages(), [message]);
    // and a node takes from another what it knows
    let ping = ocmt_proto::v1::PingRequest { payload: Bytes::from_static(b"known") };
    let ping = [ping.encode_to_vec(), field_of_tomorrow()].concat();
    let answer = among_nodes(&edge, &owner, "Ping", &ping).await;
    assert_eq!((answer.0.as_str(), answer.1.payload.as_ref()), ("0", b"known".as_slice()));
    // what it does not know at all it says
    assert_eq!(among_nodes(&edge, &owner, "OfTomorrow", &ping).await.0, "12");
}

/// A call of NodeService past the generated client: its status and, of a Ping, the answer.
async fn among_nodes(
    from: &Node,
    to: &Node,
    method: &str,
    message: &[u8],
) -> (String, ocmt_proto::v1::PingResponse) {
    let request = Request::post(format!("https://node.ocmt.invalid/ocmt.v1.NodeService/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::from(framed(message)))
        .unwrap();
    let answer = from.pool.request(&to.peer, Lane::Control, request).await.unwrap();
    let (head, body) = answer.into_parts();
    let whole = timeout(PATIENCE, body.collect()).await.unwrap().unwrap();
    let status = whole.trailers().and_then(|trailers| trailers.get("grpc-status")).cloned();
    let status = status.or_else(|| head.headers.get("grpc-status").cloned()).unwrap();
    let bytes = whole.to_bytes();
    let answer = bytes.get(5..).map(|message| ocmt_proto::v1::PingResponse::decode(message).unwrap());
    (status.to_str().unwrap().to_owned(), answer.unwrap_or_default())
}
