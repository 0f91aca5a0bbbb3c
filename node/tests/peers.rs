//! Who gets onto the peer listener, who stays on it, and what a peer can make it do.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod mesh;

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use mesh::{Client, H2, Mesh, PATIENCE, empty, node_id, read_h2_frames, tenant, until};
use ocmt::{
    peers::{AskError, Lane, Peer, PoolError},
    pki::testing::{Minted, Odd},
    software::Software,
};
use ocmt_actors::ActorError;
use ocmt_proto::v1::HelloRequest;
use ocmt_types::{Deadline, Incarnation, SystemClock};
use prost::Message as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

const HELLO: &str = "/ocmt.v1.NodeService/Hello";
const PING: &str = "/ocmt.v1.NodeService/Ping";
const DELIVER: &str = "/ocmt.v1.NodeService/Deliver";
const TAKE_KEYS: &str = "/ocmt.v1.NodeService/TakeSealingKeys";
const RENEW: &str = "/ocmt.v1.NodeService/RenewCertificate";

fn soon() -> Deadline {
    Deadline::after(&SystemClock, PATIENCE)
}

fn grpc(path: &str, message: &[u8]) -> Request<Body> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    Request::post(format!("https://node.ocmt.invalid{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::from([&[0], length.as_slice(), message].concat()))
        .unwrap()
}

/// The status of a call, wherever it stands.
async fn status(connection: &H2, request: Request<Body>) -> String {
    let answer = connection.send(request).await;
    let mut status = answer.headers().get("grpc-status").cloned();
    if status.is_none() {
        let whole = timeout(PATIENCE, answer.into_body().collect()).await.unwrap().unwrap();
        status = whole.trailers().and_then(|trailers| trailers.get("grpc-status").cloned());
    }
    status.unwrap().to_str().unwrap().to_owned()
}

fn hello(from: &Peer, min: u32, max: u32) -> HelloRequest {
    let local = mesh::local(from, Software::this());
    HelloRequest {
        cluster_id: local.cluster.to_string(),
        node_id: local.node.to_string(),
        incarnation: Bytes::copy_from_slice(&local.incarnation.0),
        min_protocol: min,
        max_protocol: max,
        version: "0.1.0".to_owned(),
        view_version: 1,
    }
}

/// Whether a request gets an answer over a connection with this certificate.
async fn is_let_in(node: &mesh::Node, paper: Option<&Minted>) -> bool {
    let Ok(mut stream) = Client::as_peer(&node.peer.addr, paper, b"http/1.1").await else { return false };
    let asked = stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    // in TLS 1.3 the dialling side learns of its refusal when it reads
    let mut answer = [0; 8];
    let read = timeout(PATIENCE, stream.read_exact(&mut answer)).await.expect("neither served nor refused");
    asked.is_ok() && read.is_ok()
}

#[tokio::test]
async fn n1_only_a_lawful_node_certificate_gets_onto_the_listener() {
    let mesh = Mesh::new();
    let node = mesh.node(1).await;
    assert!(is_let_in(&node, Some(&mesh.papers.node(node_id(2)))).await, "a lawful node is refused");
    assert!(!is_let_in(&node, None).await, "no certificate");
    for odd in Odd::REFUSED {
        assert!(!is_let_in(&node, Some(&mesh.papers.odd(node_id(2), odd))).await, "{odd:?}");
    }
    // and the client listener has no use for one: it asks for none
    let client = mesh.client(&node).await;
    assert_eq!(client.text("/count", "x").await, "1");
}

#[tokio::test]
async fn n1_only_exactly_the_node_that_was_dialled_is_spoken_to() {
    let mesh = Mesh::new();
    let (here, there) = (mesh.node(1).await, mesh.node(2).await);
    assert!(here.pool.node(&there.peer).await.is_ok());
    // another lawful node at the address
    let mistaken = Peer { node_id: node_id(3), ..there.peer.clone() };
    mesh.change(|nodes, _| {
        nodes.insert(mistaken.node_id, mistaken.clone());
    });
    let refused = here.pool.node(&mistaken).await.err().unwrap();
    assert!(refused.contains("certificate"), "{refused}");
    // a listener with each wrong certificate
    for odd in Odd::REFUSED.into_iter().chain([Odd::OtherNode]) {
        let shown = mesh.papers.odd(there.peer.node_id, odd);
        there.shown.replace_key(shown.chain, &shown.key).unwrap();
        let fresh = mesh.node(4).await;
        assert!(fresh.pool.node(&there.peer).await.is_err(), "{odd:?}");
    }
    // and again with a lawful one: renewed without a restart
    let shown = mesh.papers.node(there.peer.node_id);
    there.shown.replace_key(shown.chain, &shown.key).unwrap();
    assert!(mesh.node(5).await.pool.node(&there.peer).await.is_ok());
}

#[tokio::test]
async fn a_revoked_node_is_refused_and_its_live_links_are_cut() {
    let mesh = Mesh::new();
    let (good, bad) = (mesh.node(1).await, mesh.node(2).await);
    let paper = mesh.papers.node(bad.peer.node_id);
    let ours = good.pool.node(&bad.peer).await.unwrap();
    // a link of the revoked one, by a program of its own that keeps to no rule
    let theirs = Client::as_peer(&good.peer.addr, Some(&paper), b"h2").await.unwrap();
    let theirs = H2::over(theirs).await;
    assert_eq!(status(&theirs, grpc(HELLO, &hello(&bad.peer, 1, 1).encode_to_vec())).await, "0");
    assert_eq!(status(&theirs, grpc(PING, &[])).await, "0");
    mesh.change(|_, revoked| {
        revoked.insert(bad.peer.node_id);
    });
    until("its link is cut", || theirs.sender.is_closed()).await;
    assert!(!is_let_in(&good, Some(&paper)).await, "it came back");
    // nor does anybody speak to it
    assert!(good.pool.node(&bad.peer).await.is_err());
    let mut ours = ours;
    assert!(ours.ping(ocmt_proto::v1::PingRequest::default()).await.is_err(), "our link to it lives");
}

#[tokio::test]
async fn a_session_is_never_resumed_where_certificates_are_revoked() {
    let mesh = Mesh::new();
    let node = mesh.node(1).await;
    let same = mesh.papers.node(node_id(2)).client().unwrap();
    for _ in 0..2 {
        let mut stream = Client::over(&node.peer.addr, same.clone(), b"http/1.1").await.unwrap();
        // a ticket would come with the first answer
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        timeout(PATIENCE, stream.read_exact(&mut [0; 8])).await.expect("no answer").unwrap();
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(rustls::HandshakeKind::Full));
    }
}

#[tokio::test]
async fn a_link_to_a_life_that_is_over_is_dropped() {
    let mesh = Mesh::new();
    let (here, there) = (mesh.node(1).await, mesh.node(2).await);
    let mut node = here.pool.node(&there.peer).await.unwrap();
    assert!(node.ping(ocmt_proto::v1::PingRequest::default()).await.is_ok());
    let reborn = Peer { incarnation: Incarnation([7; 16]), ..there.peer.clone() };
    mesh.change(|nodes, _| {
        nodes.insert(reborn.node_id, reborn.clone());
    });
    assert!(node.ping(ocmt_proto::v1::PingRequest::default()).await.is_err(), "it is spoken to still");
    assert!(here.pool.node(&there.peer).await.is_err(), "a life that no view knows");
    // the process at that address is the old life yet
    let refused = here.pool.node(&reborn).await.err().unwrap();
    assert!(refused.contains("another life"), "{refused}");
}

#[tokio::test]
async fn nothing_is_served_on_a_link_before_hello() {
    let mesh = Mesh::new();
    let (node, peer) = (mesh.node(1).await, mesh.node(2).await);
    let link = || async {
        let paper = mesh.papers.node(peer.peer.node_id);
        H2::over(Client::as_peer(&node.peer.addr, Some(&paper), b"h2").await.unwrap()).await
    };
    let silent = link().await;
    assert_eq!(status(&silent, grpc(PING, &[])).await, "9");
    let mut forwarded = grpc("/count", b"x");
    forwarded.headers_mut().insert("ocmt-hop", "1".parse().unwrap());
    assert_eq!(status(&silent, forwarded).await, "9");
    // as another than the certificate says
    let lie = hello(&node.peer, 1, 1).encode_to_vec();
    assert_eq!(status(&silent, grpc(HELLO, &lie)).await, "7");
    // of another cluster
    let stranger = HelloRequest { cluster_id: node_id(1).to_string(), ..hello(&peer.peer, 1, 1) };
    assert_eq!(status(&silent, grpc(HELLO, &stranger.encode_to_vec())).await, "9");
    // two releases ahead: refused, and the connection ends
    let ahead = link().await;
    assert_eq!(status(&ahead, grpc(HELLO, &hello(&peer.peer, 2, 3).encode_to_vec())).await, "9");
    until("the connection ends", || ahead.sender.is_closed()).await;
    // one release ahead: the common version is spoken
    let next = link().await;
    assert_eq!(status(&next, grpc(HELLO, &hello(&peer.peer, 1, 2).encode_to_vec())).await, "0");
    assert_eq!(status(&next, grpc(PING, &[])).await, "0");
}

#[tokio::test]
async fn a_forwarded_call_says_its_hop_and_its_client() {
    let mesh = Mesh::new();
    let (node, peer) = (mesh.node(1).await, mesh.node(2).await);
    let send = async |hop: &str, client: &str| {
        let mut request = grpc("/seen", b"x");
        request.headers_mut().insert("ocmt-hop", hop.parse().unwrap());
        request.headers_mut().insert("ocmt-client-addr", client.parse().unwrap());
        peer.pool.request(&node.peer, Lane::Bulk, request).await.unwrap().status().as_u16()
    };
    assert_eq!(send("2", "203.0.113.7:1").await, 200);
    for (hop, client) in [("0", "203.0.113.7:1"), ("3", "203.0.113.7:1"), ("x", "203.0.113.7:1"), ("1", "x")]
    {
        assert_eq!(send(hop, client).await, 400, "{hop} {client}");
    }
    let bare = peer.pool.request(&node.peer, Lane::Bulk, grpc("/seen", b"x")).await.unwrap();
    assert_eq!(bare.status(), 400, "the routes of clients are open to any node as itself");
}

#[tokio::test]
async fn letters_orders_and_releases_reach_the_other_nodes_actors() {
    let mesh = Mesh::new();
    let (here, there) = (mesh.node(1).await, mesh.node(2).await);
    let (pool, peer) = (&here.pool, &there.peer);
    let answer = pool.deliver(peer, tenant(5), b"letter".to_vec(), soon()).await.unwrap();
    assert_eq!(answer, [tenant(5).as_bytes().as_slice(), b"letter"].concat());
    let refused = pool.deliver(peer, tenant(5), b"!".to_vec(), soon()).await;
    let owner = Some(node_id(9));
    assert!(matches!(refused, Err(AskError::Refused(ActorError::NotOwner { owner: it })) if it == owner));
    assert_eq!(pool.order(peer, b"order".to_vec(), soon()).await.unwrap(), b"order");
    pool.release(peer, tenant(5), Duration::from_secs(1)).await.unwrap();
    let (peer, id) = (peer.clone(), there.peer.node_id);
    there.kill();
    let unsent = async || pool.deliver(&peer, tenant(5), b"letter".to_vec(), soon()).await;
    // the first may have been on its way when the link broke
    let _ = unsent().await;
    assert!(matches!(unsent().await, Err(AskError::Unsent(_))), "{id}");
}

#[tokio::test]
async fn letters_that_are_held_keep_nothing_else_waiting() {
    let mesh = Mesh::new();
    let (here, there) = (mesh.node(1).await, mesh.node(2).await);
    let mut held = tokio::task::JoinSet::new();
    for _ in 0..1024 {
        let (pool, peer) = (here.pool.clone(), there.peer.clone());
        held.spawn(async move { pool.deliver_held(&peer, tenant(5), b"?".to_vec(), soon()).await.is_ok() });
    }
    until("they are held", || there.app.open() == 1024).await;
    let order = here.pool.order(&there.peer, b"order".to_vec(), soon());
    // the letters are held for as long as it may take
    assert!(timeout(PATIENCE / 2, order).await.is_ok_and(|answer| answer.is_ok()));
}

#[tokio::test]
async fn a_channel_carries_frames_both_ways_and_ends_with_either_side() {
    let mesh = Mesh::new();
    let (here, there) = (mesh.node(1).await, mesh.node(2).await);
    let mut channel = here.pool.channel(&there.peer, b"which".to_vec(), soon()).await.unwrap();
    assert_eq!(channel.opened, b"which");
    for n in 0..100_u8 {
        channel.to_host.send(Bytes::from(vec![n; 1000])).await.unwrap();
        let back = timeout(PATIENCE, channel.from_host.recv()).await.unwrap().unwrap();
        assert_eq!(back, vec![n; 1000]);
    }
    drop(channel.to_host);
    assert!(timeout(PATIENCE, channel.from_host.recv()).await.unwrap().is_none());
    let refused = here.pool.channel(&there.peer, b"!".to_vec(), soon()).await.err().unwrap();
    assert!(matches!(refused, AskError::Refused(ActorError::NotFound)), "{refused}");
    // a host that is gone ends it at this side
    let mut channel = here.pool.channel(&there.peer, b"which".to_vec(), soon()).await.unwrap();
    there.kill();
    assert!(timeout(PATIENCE, channel.from_host.recv()).await.unwrap().is_none());
    until("the other half is closed", || channel.to_host.is_closed()).await;
}

#[tokio::test]
async fn a_peer_that_is_away_is_known_to_be_within_a_second_or_so() {
    let mesh = Mesh::new();
    let here = mesh.node(1).await;
    // an address where connections wait for ever: nobody accepts, the backlog is full
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let peer =
        Peer { node_id: node_id(2), addr: silent.local_addr().unwrap().to_string(), ..here.peer.clone() };
    mesh.change(|nodes, _| {
        nodes.insert(peer.node_id, peer.clone());
    });
    let asked = here.pool.request(&peer, Lane::Bulk, Request::new(empty()));
    let refused = timeout(Duration::from_secs(5), asked).await.expect("it waits for ever");
    assert!(matches!(refused, Err(PoolError::Unsent(_))));
}

/// A connection of a node that has said hello, and what follows is up to the test.
async fn raw(mesh: &Mesh, node: &mesh::Node) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
    let paper = mesh.papers.node(node_id(2));
    let mut stream = Client::as_peer(&node.peer.addr, Some(&paper), b"h2").await.unwrap();
    // preface and empty SETTINGS
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    stream
}

/// HEADERS of `POST https://a/`, no end of stream.
fn headers(stream: u32) -> Vec<u8> {
    let block = [0x83, 0x87, 0x84, 0x41, 1, b'a'];
    [&[0, 0, 6, 1, 4], stream.to_be_bytes().as_slice(), &block].concat()
}

fn reset(stream: u32) -> Vec<u8> {
    [&[0, 0, 4, 3, 0], stream.to_be_bytes().as_slice(), &[0, 0, 0, 8]].concat()
}

const GOAWAY: u8 = 7;
const RST_STREAM: u8 = 3;
const ENHANCE_YOUR_CALM: [u8; 4] = [0, 0, 0, 0xb];

#[tokio::test]
async fn x1_rapid_resets_of_a_peer_end_its_connection() {
    let mesh = Mesh::new();
    let node = mesh.node(1).await;
    let (from, mut to) = tokio::io::split(raw(&mesh, &node).await);
    let storm: Vec<u8> = (0..20_000).flat_map(|n| [headers(2 * n + 1), reset(2 * n + 1)].concat()).collect();
    let told = read_h2_frames(from, |kind, _, payload| kind == GOAWAY && payload[4..8] == ENHANCE_YOUR_CALM);
    let (told, _) = tokio::join!(told, to.write_all(&storm));
    assert!(told, "the storm was taken");
}

#[tokio::test]
async fn x3_streams_of_a_peer_are_bounded() {
    let mesh = Mesh::new();
    let node = mesh.node(1).await;
    let (from, mut to) = tokio::io::split(raw(&mesh, &node).await);
    let many: Vec<u8> = (0..10_000).flat_map(|n| headers(2 * n + 1)).collect();
    let mut advertised = None;
    let refused = read_h2_frames(from, |kind, _, payload| {
        if kind == 4 {
            let limit = payload.chunks(6).find(|setting| setting[..2] == [0, 3]);
            advertised =
                limit.map(|limit| u32::from_be_bytes(limit[2..6].try_into().unwrap())).or(advertised);
        }
        // a stream too many is refused, or the connection is ended for it
        (kind == RST_STREAM && payload == [0, 0, 0, 7]) || kind == GOAWAY
    });
    let (refused, _) = tokio::join!(refused, to.write_all(&many));
    assert!(refused, "ten thousand streams were taken");
    assert_eq!(advertised, Some(1024));
}

#[tokio::test]
async fn x4_a_letter_past_its_bound_is_refused_without_being_taken() {
    let mesh = Mesh::new();
    let (node, peer) = (mesh.node(1).await, mesh.node(2).await);
    let paper = mesh.papers.node(peer.peer.node_id);
    let link = H2::over(Client::as_peer(&node.peer.addr, Some(&paper), b"h2").await.unwrap()).await;
    assert_eq!(status(&link, grpc(HELLO, &hello(&peer.peer, 1, 1).encode_to_vec())).await, "0");
    assert_eq!(status(&link, grpc(DELIVER, &vec![0; 33 << 20])).await, "11");
    let lie = Request::post(format!("https://x{DELIVER}"))
        .header("content-type", "application/grpc")
        .body(Body::from(Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff, 1])))
        .unwrap();
    assert_eq!(status(&link, lie).await, "11");
    // a bomb: nobody agreed to compression
    let mut packed = grpc(DELIVER, &[0; 100]);
    packed.headers_mut().insert("grpc-encoding", "gzip".parse().unwrap());
    *packed.body_mut() = Body::from(Bytes::from_static(&[1, 0, 0, 0, 1, 0]));
    assert_eq!(status(&link, packed).await, "12");
}

#[tokio::test]
async fn a_certificate_opens_nothing_to_who_is_not_among_the_living() {
    let mesh = Mesh::new();
    let node = mesh.node(1).await;
    let link = async || {
        let paper = mesh.papers.node(node_id(2));
        H2::over(Client::as_peer(&node.peer.addr, Some(&paper), b"h2").await.unwrap()).await
    };
    let life = |n: u8| Peer { node_id: node_id(2), incarnation: Incarnation([n; 16]), ..node.peer.clone() };
    let said =
        async |link: &H2, n: u8| status(link, grpc(HELLO, &hello(&life(n), 1, 1).encode_to_vec())).await;
    // it was let in and has never registered
    let stranger = link().await;
    assert_eq!(said(&stranger, 7).await, "9");
    until("its link is cut", || stranger.sender.is_closed()).await;
    for unheard in [PING, DELIVER, TAKE_KEYS, RENEW] {
        assert_eq!(status(&link().await, grpc(unheard, &[])).await, "9", "{unheard}");
    }
    // another life of it is the present one
    mesh.change(|nodes, _| {
        nodes.insert(node_id(2), life(8));
    });
    assert_eq!(said(&link().await, 7).await, "9", "a life that is over");
    let lawful = link().await;
    assert_eq!(said(&lawful, 8).await, "0");
    assert_eq!(status(&lawful, grpc(PING, &[])).await, "0");
}
