//! A WebSocket to any node reaches the tenant's gateway, and hears of it when a node on its way goes.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod mesh;

use mesh::{Client, Mesh, PATIENCE, tenant};
use tokio::time::timeout;

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

type Socket = tokio_tungstenite::WebSocketStream<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>;

async fn websocket(mesh: &Mesh, edge: &mesh::Node) -> Socket {
    use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
    let stream = Client::new(&mesh.papers, edge.client_address).tls(b"http/1.1").await.unwrap();
    let mut request = "wss://localhost/gateway/x".into_client_request().unwrap();
    let key = ocmt_crypto::sign::SigningKey::from_bytes(&[9; 32]);
    let claims = ocmt_crypto::gateway_token::GatewayClaims {
        container: ocmt_types::Id::from_bytes([1; 16]),
        tenant: tenant(1),
        user: ocmt_types::Id::from_bytes([2; 16]),
        session: ocmt_types::Id::from_bytes([3; 16]),
        issued_at: ocmt_types::Timestamp(0),
        expires_at: ocmt_types::Timestamp(60_000),
    };
    let token = ocmt_crypto::gateway_token::issue(&claims, &key, &mut rand::rng()).unwrap();
    let offered = format!("ocmt.v1, ocmt.token.{token}");
    request.headers_mut().insert("sec-websocket-protocol", offered.parse().unwrap());
    let (socket, answer) =
        timeout(PATIENCE, tokio_tungstenite::client_async(request, stream)).await.unwrap().unwrap();
    assert_eq!(answer.headers()["ocmt-wake-kind"], "start");
    assert!(answer.headers().contains_key("ocmt-owner"), "it was not forwarded");
    socket
}

async fn closed(socket: &mut Socket) -> u16 {
    use futures_util::StreamExt as _;
    use tokio_tungstenite::tungstenite::Message;
    match timeout(PATIENCE, socket.next()).await.expect("it hangs") {
        Some(Ok(Message::Close(Some(close)))) => close.code.into(),
        other => panic!("{other:?}"),
    }
}
