//! A stranger with calls and connections to spare keeps nobody else from what this node forwards.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod mesh;

use std::time::Duration;

use axum::body::Body;
use http::Request;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use mesh::{Bounds, Client, H2, Mesh, Node, PATIENCE, call, call_of, empty, node_id, tenant, until};
use ocmt::{
    forward::Room,
    peers::{Lane, PEER_LIMITS, Route, Upgrades},
};
use ocmt_crypto::token::{Token, TokenKind};
use ocmt_types::{Deadline, SystemClock};
use tokio::{io::AsyncWriteExt as _, task::JoinSet, time::timeout};

/// Places of a link.
const PLACES: usize = 1024;

/// Calls that are kept open, on as many connections as it takes.
async fn calls(
    mesh: &Mesh,
    edge: &Node,
    count: usize,
    call: impl Fn() -> Request<Body>,
) -> (JoinSet<()>, Vec<H2>) {
    let (mut calls, mut connections) = (JoinSet::new(), Vec::new());
    for begun in 0..count {
        // one stream of each is left free
        if begun % 199 == 0 {
            connections.push(mesh.client(edge).await);
        }
        let (mut sender, request) = (connections.last().unwrap().sender.clone(), call());
        calls.spawn(async move {
            let _answer = sender.send_request(request).await;
            std::future::pending::<()>().await;
        });
    }
    // what came before on the same connection has been taken up
    for connection in &connections {
        let own = Request::post("https://localhost/early").body(empty()).unwrap();
        timeout(PATIENCE, connection.send(own)).await.expect("the edge does not answer");
    }
    (calls, connections)
}

/// Waits until calls have ceased to come to the owner.
async fn until_quiet(owner: &Node) {
    let mut looks = Vec::new();
    until("the owner is quiet", || {
        looks.push(owner.app.asked());
        looks.iter().rev().take(20).filter(|look| **look == owner.app.asked()).count() == 20
    })
    .await;
}

fn silent() -> Body {
    Body::new(StreamBody::new(futures_util::stream::pending::<Result<Frame<bytes::Bytes>, std::io::Error>>()))
}

/// A tenant's call from elsewhere than the stranger's.
async fn is_served(mesh: &Mesh, edge: &Node, from: u8, of: u8) -> bool {
    let client = Client::new(&mesh.papers, edge.client_address).from(from).h2().await;
    let answer = timeout(PATIENCE, client.send(call_of(of, "/count", "four"))).await;
    let Ok(answer) = answer else { return false };
    answer.into_body().collect().await.unwrap().to_bytes() == "4"
}

#[tokio::test]
async fn calls_that_never_begin_take_no_place_on_a_link() {
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair().await;
    edge.where_to.put(tenant(2), Route::There(owner.peer.clone()));
    let (_open, _connections) = calls(&mesh, &edge, PLACES + 100, || call("/hang", silent())).await;
    until_quiet(&owner).await;
    assert!(is_served(&mesh, &edge, 2, 2).await, "another tenant's call finds no place");
    assert_eq!(owner.app.asked(), 1);
}

#[tokio::test]
async fn channels_to_cells_have_places_of_their_own() {
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair().await;
    let (_open, _connections) = calls(&mesh, &edge, PLACES, || call("/hang", "x")).await;
    until("the link for calls is full", || owner.app.open() == PLACES).await;
    assert!(!is_served(&mesh, &edge, 2, 1).await, "there is more room than was thought");
    let soon = Deadline::after(&SystemClock, PATIENCE);
    edge.pool.channel(&owner.peer, b"which".to_vec(), soon).await.expect("no place for a channel");
}

#[tokio::test]
async fn neither_a_tenant_nor_an_address_has_all_places() {
    let mesh = Mesh::new();
    let calls_at_once = Room { known: 1, strangers: 12, address: 8 };
    let (edge, owner) = mesh.pair_with(Bounds { calls: calls_at_once, ..Bounds::default() }).await;
    edge.where_to.put(tenant(2), Route::There(owner.peer.clone()));
    let (first, _connections) = calls(&mesh, &edge, 20, || call("/hang", "x")).await;
    until("the address has its share", || owner.app.open() == 8).await;
    until_quiet(&owner).await;
    assert_eq!(owner.app.open(), 8, "one address has more");
    let same = mesh.client(&edge).await;
    let refused = same.send(call_of(2, "/count", "x")).await;
    assert_eq!(refused.headers()["grpc-status"], "8");
    assert!(refused.headers().contains_key("grpc-status-details-bin"), "says when to come back");
    // from elsewhere the same tenant has what is left of its share
    let elsewhere = Client::new(&mesh.papers, edge.client_address).from(2).h2().await;
    let mut second = JoinSet::new();
    for _ in 0..6 {
        let mut sender = elsewhere.sender.clone();
        second.spawn(async move { sender.send_request(call("/hang", "x")).await.is_ok() });
    }
    until("the tenant has its share", || owner.app.open() == 12).await;
    until_quiet(&owner).await;
    assert_eq!(owner.app.open(), 12, "one tenant has more");
    assert!(!is_served(&mesh, &edge, 3, 1).await);
    assert!(is_served(&mesh, &edge, 3, 2).await, "another tenant has none");
    // and it comes back
    drop((first, _connections));
    until("the first are gone", || owner.app.open() <= 6).await;
    assert!(is_served(&mesh, &edge, 1, 1).await);
}

/// Eight calls of tenant 1 that hang, from an address of their own.
async fn eight(mesh: &Mesh, edge: &Node, from: u8, body: fn() -> Body) -> (JoinSet<()>, H2) {
    let client = Client::new(&mesh.papers, edge.client_address).from(from).h2().await;
    let mut open = JoinSet::new();
    for _ in 0..8 {
        let mut sender = client.sender.clone();
        open.spawn(async move {
            let _answer = sender.send_request(call("/hang", body())).await;
            std::future::pending::<()>().await;
        });
    }
    // they have been taken up
    let own = Request::post("https://localhost/early").body(empty()).unwrap();
    timeout(PATIENCE, client.send(own)).await.expect("the edge does not answer");
    (open, client)
}

/// Room for few.
fn few() -> Bounds {
    Bounds { calls: Room { known: 12, strangers: 4, address: 8 }, ..Bounds::default() }
}

#[tokio::test]
async fn calls_that_never_begin_take_no_place_of_their_tenants() {
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair_with(few()).await;
    let _silent = [eight(&mesh, &edge, 1, silent).await, eight(&mesh, &edge, 2, silent).await];
    until_quiet(&owner).await;
    assert!(is_served(&mesh, &edge, 3, 1).await, "the tenant is shut out");
}

#[tokio::test]
async fn strangers_leave_room_for_whom_the_owner_knows() {
    const WHO: &str = "/ocmt.v1.AuthService/WhoAmI";
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair_with(few()).await;
    let client = Client::new(&mesh.papers, edge.client_address).from(3).h2().await;
    let shows = |path: &str, token: &Token| {
        let bearer = format!("Bearer {}", token.expose()).parse().unwrap();
        let mut request = call(path, "x");
        request.headers_mut().insert("authorization", bearer);
        // it counts when the owner says it
        request.headers_mut().insert("ocmt-token-good", "1".parse().unwrap());
        request
    };
    let [known, unseen, ended] =
        [(); 3].map(|()| Token::issue(TokenKind::Session, tenant(1), &mut rand::rng()));
    for token in [&known, &ended] {
        let answer = client.send(shows(WHO, token)).await;
        assert_eq!((answer.status().as_u16(), answer.headers().get("ocmt-token-good")), (200, None));
    }
    let mut once_more = shows(WHO, &ended);
    once_more.headers_mut().insert("x-ended", "1".parse().unwrap());
    client.send(once_more).await;
    // whoever calls a method that asks for no sign-in is answered, and nobody has looked at the token
    assert!(!client.send(shows("/count", &unseen)).await.headers().contains_key("grpc-status"));
    let _strangers =
        [eight(&mesh, &edge, 1, || "x".into()).await, eight(&mesh, &edge, 2, || "x".into()).await];
    until("they have their share", || owner.app.open() >= 4).await;
    until_quiet(&owner).await;
    assert_eq!(owner.app.open(), 4, "strangers have more than their share");
    for (token, status) in [(&unseen, Some("8")), (&ended, Some("8")), (&known, None)] {
        let answer = client.send(shows("/count", token)).await;
        let said = answer.headers().get("grpc-status").map(|said| said.to_str().unwrap());
        assert_eq!(said, status);
    }
}

#[tokio::test]
async fn a_node_has_room_for_a_link_however_many_websockets_it_carries() {
    let mesh = Mesh::new();
    let peers = mesh_limits(12, 8);
    let upgrades = Upgrades { of_node: 4, all: 6 };
    let node = mesh.node_with(1, Bounds { peers, upgrades, ..Bounds::default() }).await;
    let other = mesh.node(2).await;
    let mut open = Vec::new();
    for of in [2, 3, 4] {
        for _ in 0..8 {
            let paper = mesh.papers.node(node_id(of));
            open.extend(Client::as_peer(&node.peer.addr, Some(&paper), b"http/1.1").await);
        }
    }
    // those that were refused are gone soon; the others stay until their first request is late
    let linked = async {
        while other.pool.node(&node.peer).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await; // why: a level is looked at now and then; the bound is around the loop
        }
    };
    // before the others are late
    timeout(Duration::from_secs(8), linked).await.expect("no room for a link");
    let mut link = other.pool.node(&node.peer).await.unwrap();
    assert!(link.ping(ocmt_proto::v1::PingRequest::default()).await.is_ok());
    assert!(open.len() > 6, "{}", open.len());
}

fn mesh_limits(connections: usize, per_address: usize) -> ocmt::server::listen::ListenLimits {
    ocmt::server::listen::ListenLimits { connections, per_address, ..PEER_LIMITS }
}

#[tokio::test]
async fn a_wish_for_an_upgrade_is_passed_over_where_there_are_no_websockets() {
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair().await;
    let client = Client::new(&mesh.papers, edge.client_address);
    let request = Request::post("/count")
        .header("host", "localhost")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("ocmt-route", tenant(1).to_string())
        .body(Body::from("ten bytes."))
        .unwrap();
    let answer = timeout(PATIENCE, client.h1(request)).await.expect("the owner waits for a body");
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "10");
    assert_eq!(owner.app.asked(), 1);
}

#[tokio::test]
async fn nodes_say_nothing_to_each_other_below_http_2() {
    let mesh = Mesh::new();
    let node = mesh.node(1).await;
    let registered = mesh.node(2).await.peer.node_id;
    for (method, path, upgrade, by) in [
        ("POST", "/ocmt.v1.NodeService/Deliver", None, registered),
        ("POST", "/ocmt.v1.NodeService/Deliver", Some("websocket"), registered),
        ("POST", "/ocmt.v1.NodeService/Hello", None, registered),
        ("POST", "/count", None, registered),
        ("POST", "/count", Some("x"), registered),
        ("POST", "/count", Some("websocket"), registered),
        // one that was let in and has no life here
        ("GET", "/gateway/x", Some("websocket"), node_id(9)),
    ] {
        let paper = mesh.papers.node(by);
        let stream = Client::as_peer(&node.peer.addr, Some(&paper), b"http/1.1").await.unwrap();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "node")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("ocmt-hop", "1")
            .header("ocmt-client-addr", "203.0.113.7:1");
        if let Some(upgrade) = upgrade {
            request = request.header("connection", "upgrade").header("upgrade", upgrade);
        }
        let request = request.body(Body::from(vec![0_u8; 5])).unwrap();
        let answer = mesh::h1_over(stream, request).await;
        let refused = answer.headers().get("grpc-status").is_some_and(|status| status == "9");
        assert!(refused, "{method} {path} {upgrade:?} {by}: {answer:?}");
    }
    assert_eq!(node.app.asked(), 0);
}

#[tokio::test]
async fn a_listener_that_is_full_hears_that_it_is_to_stop() {
    let mesh = Mesh::new();
    let clients = Bounds::default().clients;
    let clients = ocmt::server::listen::ListenLimits { connections: 1, ..clients };
    let node = mesh.node_with(1, Bounds { clients, ..Bounds::default() }).await;
    let idle = mesh.client(&node).await;
    assert_eq!(idle.text("/count", "four").await, "4");
    timeout(PATIENCE, node.stop()).await.expect("it goes on");
    until("the connection is told too", || idle.sender.is_closed()).await;
}

/// Another tenant's call, held open over the link that strangers' calls share.
async fn held(mesh: &Mesh, edge: &Node, owner: &Node) -> (JoinSet<()>, H2) {
    edge.where_to.put(tenant(2), Route::There(owner.peer.clone()));
    let client = Client::new(&mesh.papers, edge.client_address).from(2).h2().await;
    let (mut call, mut sender) = (JoinSet::new(), client.sender.clone());
    call.spawn(async move {
        let _ended = sender.send_request(call_of(2, "/hang", "x")).await;
    });
    until("the owner has the call", || owner.app.open() == 1).await;
    (call, client)
}

fn chunks(chunks: impl Iterator<Item = &'static [u8]> + Send + 'static) -> Body {
    let frames = chunks.map(|chunk| Ok::<_, std::io::Error>(Frame::data(bytes::Bytes::from_static(chunk))));
    Body::new(StreamBody::new(futures_util::stream::iter(frames)))
}

#[tokio::test]
async fn calls_that_are_answered_unread_end_no_link() {
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair().await;
    let (mut held, _client) = held(&mesh, &edge, &owner).await;
    let mut strangers = JoinSet::new();
    // each of their connections may have few resets of its own
    for _ in 0..25 {
        let client = mesh.client(&edge).await;
        strangers.spawn(async move {
            let (client, mut calls) = (&client, JoinSet::new());
            for _ in 0..20 {
                let mut sender = client.sender.clone();
                let body = chunks(std::iter::repeat_n([7; 1024].as_slice(), 256));
                calls.spawn(async move { sender.send_request(call("/unread", body)).await.is_ok() });
            }
            calls.join_all().await.into_iter().filter(|answered| *answered).count()
        });
    }
    let answered: usize = strangers.join_all().await.into_iter().sum();
    assert!(owner.app.asked() >= 400 && answered >= 400, "{answered} of {}", owner.app.asked());
    assert_eq!((held.try_join_next().is_none(), owner.app.open()), (true, 1), "the link broke");
}

#[tokio::test]
async fn answers_that_nobody_waits_for_end_no_link() {
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair().await;
    let (mut held, _client) = held(&mesh, &edge, &owner).await;
    for _ in 0..4 {
        let mut strangers = JoinSet::new();
        for _ in 0..1000 {
            let (pool, peer, mut request) = (edge.pool.clone(), owner.peer.clone(), call("/flood", "x"));
            request.headers_mut().insert("ocmt-hop", 1.into());
            request.headers_mut().insert("ocmt-client-addr", "203.0.113.7:1".parse().unwrap());
            // its body is not read
            strangers.spawn(async move { pool.request(&peer, Lane::Bulk, request).await.is_ok() });
        }
        assert!(strangers.join_all().await.into_iter().all(|answered| answered), "the link broke");
    }
    assert_eq!((held.try_join_next().is_none(), owner.app.open()), (true, 1), "the link broke");
}

/// Streams that are begun and given up at once, in one packet.
fn given_up(count: u32) -> Vec<u8> {
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    let mut sent = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[])].concat();
    for stream in (0..count).map(|n| 2 * n + 1) {
        // POST https / of authority "x", by the static table of HPACK; then CANCEL
        sent.extend(frame(1, 4, stream, &[0x83, 0x87, 0x84, 0x41, 1, b'x']));
        sent.extend(frame(3, 0, stream, &[0, 0, 0, 8]));
    }
    sent.extend(frame(6, 0, 0, &[1; 8]));
    sent
}

#[tokio::test]
async fn calls_that_are_given_up_before_they_are_taken_end_a_clients_connection_and_no_link() {
    let mesh = Mesh::new();
    let node = mesh.node(1).await;
    let paper = mesh.papers.node(mesh.node(2).await.peer.node_id);
    let link = Client::as_peer(&node.peer.addr, Some(&paper), b"h2").await.unwrap();
    let client = Client::new(&mesh.papers, node.client_address).tls(b"h2").await.unwrap();
    for (mut stream, goes_on) in [(link, true), (client, false)] {
        stream.write_all(&given_up(30)).await.unwrap();
        let (mut pong, mut goodbye) = (false, false);
        mesh::read_h2_frames(&mut stream, |kind, _, _| {
            (pong, goodbye) = (pong || kind == 6, goodbye || kind == 7);
            pong || goodbye
        })
        .await;
        assert_eq!((pong, goodbye), (goes_on, !goes_on));
    }
}
