//! Proxies before the node.

use http::Request;
use ocmt_proto::v1::JoinClusterRequest;
use prost::Message as _;

use crate::kit::{Edge, PATIENCE, framed};

/// How often of `n` tries to join, each said to be of another address, were not refused for too many.
async fn heard(edge: &Edge, n: u32) -> u32 {
    let mut heard = 0;
    // well-formed, and no invitation
    let join = JoinClusterRequest {
        token: "ocmt_join_x".to_owned(),
        certificate_request_der: vec![1; 64].into(),
        listener_request_der: vec![1; 64].into(),
        sealing_recipient_key: vec![1; 32].into(),
        address: "node.example:7444".to_owned(),
        idempotency_key: vec![1; 16].into(),
    };
    for client in 0..n {
        let address = std::net::Ipv4Addr::from_bits(0xc633_6400 + client);
        let request = Request::post("/ocmt.v1.ClusterService/JoinCluster")
            .header("content-type", "application/grpc")
            .header("x-forwarded-for", address.to_string());
        let answer = edge.ask(request, framed(&join.encode_to_vec())).await;
        let status = answer.headers.get("grpc-status").or_else(|| answer.trailers.get("grpc-status"));
        heard += u32::from(status.unwrap() != "8");
    }
    heard
}

#[tokio::test]
async fn a_client_does_not_choose_its_address_and_a_trusted_proxy_says_it() {
    // JoinCluster answers thirty failures of one address
    let direct = Edge::start(|_| {}).await;
    assert_eq!(heard(&direct, 40).await, 30, "a client's own header was believed");
    direct.node.stop().await;
    let behind = Edge::start(|config| config.listen.trusted_proxies = vec!["127.0.0.1/32".to_owned()]).await;
    assert_eq!(heard(&behind, 40).await, 40, "the proxy was not believed");
    behind.node.stop().await;
}

#[tokio::test]
async fn a_proxys_connections_are_not_counted_as_one_clients() {
    let edge = Edge::start(|config| {
        config.limits.connections_per_address = 2;
        config.listen.trusted_proxies = vec!["127.0.0.1/32".to_owned()];
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(tokio::time::timeout(PATIENCE, edge.connect()).await.unwrap().unwrap());
    }
    drop(held);
    edge.node.stop().await;
}
