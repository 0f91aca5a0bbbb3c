//! A WebSocket to any node reaches the tenant's gateway, and hears of it when a node on its way goes.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod mesh;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::Extension;
use mesh::{Client, Mesh, PATIENCE, tenant, until};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn a_forwarded_upgrade_is_a_websocket_with_its_close_codes() {
    let mesh = Mesh::new();
    let (edge, _owner) = mesh.pair().await;
    let mut socket = websocket(&mesh, &edge).await;
    use futures_util::{SinkExt as _, StreamExt as _};
    use tokio_tungstenite::tungstenite::Message;
    for size in [0, 125, 70_000] {
        socket.send(Message::Binary(vec![7; size].into())).await.unwrap();
        let back = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(back.into_data().len(), size);
    }
    socket.send(Message::Text("4401".into())).await.unwrap();
    assert_eq!(closed(&mut socket).await, 4401);
}

#[tokio::test]
async fn a_websocket_whose_node_goes_is_told_to_connect_again() {
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair().await;
    let mut socket = websocket(&mesh, &edge).await;
    // as a revocation does: the link is cut without a word
    mesh.change(|nodes, _| {
        nodes.remove(&owner.peer.node_id);
    });
    assert_eq!(closed(&mut socket).await, 1012);
    mesh.change(|nodes, _| {
        nodes.insert(owner.peer.node_id, owner.peer.clone());
    });
    let mut socket = websocket(&mesh, &edge).await;
    edge.stop().await;
    assert_eq!(closed(&mut socket).await, 1012);
}

/// What it has not taken stands between it and its owner's word.
#[tokio::test]
async fn a_client_that_takes_nothing_is_ended_with_its_session_by_the_node_it_is_connected_to() {
    use futures_util::{SinkExt as _, StreamExt as _};
    use tokio_tungstenite::tungstenite::Message;
    let mesh = Mesh::new();
    let (edge, _owner) = mesh.pair().await;
    let mut socket = websocket(&mesh, &edge).await;
    let mut sent = 0_u64;
    let piece = Message::Binary(vec![7; 64 << 10].into());
    while let Ok(passed) = timeout(Duration::from_secs(5), socket.send(piece.clone())).await {
        passed.unwrap();
        sent += 1;
    }
    edge.where_to.over.cancel();
    tokio::time::sleep(Duration::from_secs(2)).await; // why: a client that begins to read at once may take all of it before its session's last moment is over
    let heard = async {
        let mut heard = 0;
        while let Some(Ok(_)) = socket.next().await {
            heard += 1;
        }
        heard
    };
    let heard = timeout(PATIENCE, heard).await.expect("it goes on");
    assert!(heard < sent, "{heard} of {sent}");
}

#[tokio::test]
async fn requests_to_workloads_take_no_place_of_those_who_have_no_session_yet() {
    let mesh = Mesh::new();
    let calls = ocmt::forward::Room { known: 4, strangers: 4, address: 64 };
    let (edge, owner) = mesh.pair_with(mesh::Bounds { calls, ..mesh::Bounds::default() }).await;
    let client = mesh.client(&edge).await;
    let mut open = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let request =
            http::Request::post("https://localhost/gateway/x/hang").header("ocmt-gateway-token", token());
        let (mut sender, request) =
            (client.sender.clone(), request.body(axum::body::Body::from("x")).unwrap());
        open.spawn(async move { sender.send_request(request).await.is_ok() });
    }
    until("all are with the owner", || owner.app.open() == 8).await;
    let sign_in = timeout(PATIENCE, client.send(mesh::call("/count", "four"))).await;
    assert_eq!(sign_in.expect("it waits for a place").status(), 200);
}

#[tokio::test]
async fn a_listener_that_stops_waits_for_what_its_connections_were_upgraded_to() {
    use ocmt::server::{ConnectionSlot, listen};
    let mesh = Mesh::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(&mesh.papers, listener.local_addr().unwrap());
    // as a WebSocket does that still has something to say
    let held: Arc<Mutex<Option<ConnectionSlot>>> = Arc::default();
    let keep = held.clone();
    let app = axum::Router::new().fallback(async move |Extension(slot): Extension<ConnectionSlot>| {
        keep.lock().unwrap().replace(slot);
    });
    let (limits, stop) = (mesh::Bounds::default().clients, CancellationToken::new());
    let tls = mesh.papers.client_listener();
    let serving = listen::serve(listener, tls, app, limits, Arc::new(listen::Anybody), stop.clone());
    tokio::pin!(serving);
    tokio::select! {
        () = &mut serving => panic!("nobody has told it to stop"),
        answer = client.h1(http::Request::new(mesh::empty())) => assert_eq!(answer.status(), 200),
    }
    stop.cancel();
    assert!(timeout(Duration::from_millis(500), &mut serving).await.is_err(), "it did not wait");
    drop(held.lock().unwrap().take());
    // well before it would have given up
    timeout(Duration::from_secs(4), serving).await.expect("it goes on");
}

#[tokio::test]
async fn no_websocket_begins_on_a_node_that_stops_and_its_client_may_try_another() {
    use tokio_tungstenite::tungstenite::Error;
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair().await;
    let held = owner.app.hold_gateways().await;
    let address = edge.client_address;
    let stops = async {
        until("the owner is asked", || owner.app.open() == 1).await;
        let stopping = edge.stop();
        tokio::pin!(stopping);
        // it waits for what is open; only then is there an answer
        assert!(futures_util::poll!(&mut stopping).is_pending());
        drop(held);
        stopping.await;
    };
    let (asked, ()) = tokio::join!(asked(&mesh, address), stops);
    match asked.map(drop) {
        Err(Error::Http(answer)) => assert_eq!(answer.status(), 503),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_client_whose_node_breaks_off_before_the_answer_may_try_again() {
    let mesh = Mesh::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    let tls = mesh.papers.client_listener();
    // as a node that stops does: the connection is taken, the request is not
    let breaks_off = async {
        let stream = tls.accept(listener.accept().await.unwrap().0).await.unwrap();
        drop(stream);
    };
    let target = ocmt_client::connect::Target {
        endpoint,
        ca: ocmt_client::ca::ClusterCa::from_pem(&mesh.papers.pem()).unwrap(),
    };
    let container = ocmt_types::Id::from_bytes([1; 16]);
    let connect = ocmt_client::gateway::Gateway::connect(&target, container, "a-token", PATIENCE);
    let (_, connected) = tokio::join!(breaks_off, connect);
    let error = connected.err().expect("nobody answered");
    assert!(error.is_retryable(), "{error:?}");
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>;

async fn websocket(mesh: &Mesh, edge: &mesh::Node) -> Socket {
    let (socket, answer) = asked(mesh, edge.client_address).await.unwrap();
    assert_eq!(answer.headers()["ocmt-wake-kind"], "start");
    assert!(answer.headers().contains_key("ocmt-owner"), "it was not forwarded");
    socket
}

/// A gateway token of the first tenant.
fn token() -> String {
    let key = ocmt_crypto::sign::SigningKey::from_bytes(&[9; 32]);
    let claims = ocmt_crypto::gateway_token::GatewayClaims {
        container: ocmt_types::Id::from_bytes([1; 16]),
        tenant: tenant(1),
        user: ocmt_types::Id::from_bytes([2; 16]),
        session: ocmt_types::Id::from_bytes([3; 16]),
        issued_at: ocmt_types::Timestamp(0),
        expires_at: ocmt_types::Timestamp(60_000),
    };
    ocmt_crypto::gateway_token::issue(&claims, &key, &mut rand::rng()).unwrap()
}

type Answer = tokio_tungstenite::tungstenite::handshake::client::Response;

async fn asked(
    mesh: &Mesh,
    node: SocketAddr,
) -> Result<(Socket, Answer), tokio_tungstenite::tungstenite::Error> {
    use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
    let stream = Client::new(&mesh.papers, node).tls(b"http/1.1").await.unwrap();
    let container: ocmt_types::ContainerId = ocmt_types::Id::from_bytes([1; 16]);
    let mut request = format!("wss://localhost/gateway/{container}").into_client_request().unwrap();
    let offered = format!("ocmt.v1, ocmt.token.{}", token());
    request.headers_mut().insert("sec-websocket-protocol", offered.parse().unwrap());
    timeout(PATIENCE, tokio_tungstenite::client_async(request, stream)).await.unwrap()
}

async fn closed(socket: &mut Socket) -> u16 {
    use futures_util::StreamExt as _;
    use tokio_tungstenite::tungstenite::Message;
    match timeout(PATIENCE, socket.next()).await.expect("it hangs") {
        Some(Ok(Message::Close(Some(close)))) => close.code.into(),
        other => panic!("{other:?}"),
    }
}
