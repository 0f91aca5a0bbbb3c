//! The Rust client goes to the node where its tenant lives, and back when that node fails.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod mesh;

use std::time::Duration;

use mesh::{Bounds, Mesh, PATIENCE, tenant, until};
use ocmt::{forward::Times, peers::Route};
use ocmt_client::{
    Client, ClientError, Identity,
    ca::ClusterCa,
    connect::{Credential, Target},
};
use ocmt_crypto::token::{Token, TokenKind};
use ocmt_proto::v1::{SignOutRequest, WhoAmIRequest};
use ocmt_types::{Id as _, UserId};
use tokio::time::timeout;
use tonic::Code;

async fn signed_in(mesh: &Mesh, endpoints: &[&str]) -> Client {
    let target =
        Target { endpoint: endpoints.join(","), ca: ClusterCa::from_pem(&mesh.papers.pem()).unwrap() };
    let token = Token::issue(TokenKind::Session, tenant(1), &mut rand::rng());
    let identity = Identity { tenant: tenant(1), user: UserId::from_bytes([1; 16]) };
    let client = Client::connect(target).await.unwrap();
    client.signed_in(Credential::new(token.expose().to_owned()), identity)
}

/// How often the call was forwarded.
async fn hops(client: &Client) -> Result<String, ClientError> {
    let asked = timeout(PATIENCE, client.auth().who_am_i(WhoAmIRequest {})).await.expect("it hangs");
    Ok(asked?.into_inner().tenant_name)
}

#[tokio::test]
async fn after_one_detour_calls_go_straight_to_the_owner() {
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair().await;
    let client = signed_in(&mesh, &[&edge.peer.endpoint]).await;
    assert_eq!(hops(&client).await.unwrap(), "1");
    assert_eq!(hops(&client).await.unwrap(), "0");
    assert_eq!(client.endpoints()[0], owner.peer.endpoint);
    // another session of the same connections is another tenant's: it finds its own way
    let mut refused = Vec::new();
    for _ in 0..2 {
        let other = client.signed_in(client.credential().unwrap().clone(), client.identity().unwrap());
        refused.push(hops(&other).await.unwrap());
    }
    assert_eq!(refused, ["0", "0"]);
}

#[tokio::test]
async fn a_node_that_says_it_owns_nothing_is_left_and_the_call_repeated() {
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair().await;
    let client = signed_in(&mesh, &[&edge.peer.endpoint]).await;
    assert_eq!(hops(&client).await.unwrap(), "1");
    // the tenant moves: its old node knows of no other
    let next = mesh.node(3).await;
    owner.app.disown();
    edge.where_to.put(tenant(1), Route::There(next.peer.clone()));
    assert_eq!(hops(&client).await.unwrap(), "1");
    assert_eq!(hops(&client).await.unwrap(), "0");
    assert_eq!(client.endpoints()[0], next.peer.endpoint);
}

#[tokio::test]
async fn the_first_endpoint_that_answers_is_taken_and_a_dead_owner_is_left() {
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair().await;
    // where nothing listens, and nobody is given the port
    let client = signed_in(&mesh, &["https://127.0.0.1:1", &edge.peer.endpoint]).await;
    assert_eq!(hops(&client).await.unwrap(), "1");
    assert_eq!(hops(&client).await.unwrap(), "0");
    let next = mesh.node(3).await;
    edge.where_to.put(tenant(1), Route::There(next.peer.clone()));
    owner.kill();
    // the call may meet the broken connection: it is repeated
    assert_eq!(hops(&client).await.unwrap(), "1");
    until("the new owner is known", || client.endpoints()[0] == next.peer.endpoint).await;
}

#[tokio::test]
async fn a_tenant_that_nobody_takes_is_given_up_after_a_while() {
    let mesh = Mesh::new();
    // the client asks often, and each time the node waits as long as it may
    let times = Times { patience: Duration::from_millis(100), ..Times::default() };
    let (edge, _owner) = mesh.pair_with(Bounds { times, ..Bounds::default() }).await;
    edge.where_to.put(tenant(1), Route::Nobody);
    let client = signed_in(&mesh, &[&edge.peer.endpoint]).await;
    let refused = hops(&client).await.unwrap_err();
    assert_eq!(refused.reason().as_deref(), Some("OWNER_AWAY"));
    assert!(refused.is_retryable());
}

#[tokio::test]
async fn a_read_that_is_cut_off_in_the_middle_is_repeated_at_another_endpoint() {
    let mesh = Mesh::new();
    let (first, second) = (mesh.node(1).await, mesh.node(2).await);
    let client = signed_in(&mesh, &[&first.peer.endpoint, &second.peer.endpoint]).await;
    first.app.hold();
    let (asked, ()) = tokio::join!(hops(&client), async {
        until("the call is in the middle", || first.app.open() == 1).await;
        first.kill();
    });
    assert_eq!(asked.unwrap(), "0");
    assert_eq!(second.app.asked(), 1);
}

#[tokio::test]
async fn a_write_that_is_cut_off_in_the_middle_is_repeated_under_its_idempotency_key() {
    let mesh = Mesh::new();
    let (first, second) = (mesh.node(1).await, mesh.node(2).await);
    let client = signed_in(&mesh, &[&first.peer.endpoint, &second.peer.endpoint]).await;
    first.app.hold();
    let app = first.app.clone();
    let mut auth = client.auth();
    let request = SignOutRequest { idempotency_key: vec![7; 16].into() };
    let (asked, ()) = tokio::join!(timeout(PATIENCE, auth.sign_out(request)), async {
        until("the call is in the middle", || first.app.open() == 1).await;
        first.kill();
    });
    asked.expect("it hangs").unwrap();
    let key = [&[15 << 3 | 2, 16], [7; 16].as_slice()].concat();
    assert!(app.messages()[0].ends_with(&key), "the first carried no key");
    assert_eq!(app.messages(), second.app.messages(), "the repeat is another request");
}

#[tokio::test]
async fn a_call_is_given_up_when_its_time_is_over() {
    let mesh = Mesh::new();
    let (first, second) = (mesh.node(1).await, mesh.node(2).await);
    let client = signed_in(&mesh, &[&first.peer.endpoint, &second.peer.endpoint]).await;
    first.kill();
    second.app.hold();
    let mut request = tonic::Request::new(WhoAmIRequest {});
    request.set_timeout(Duration::from_millis(700));
    let refused = timeout(PATIENCE, client.auth().who_am_i(request)).await;
    let refused = refused.expect("it goes on past its time").unwrap_err();
    assert!(
        matches!(refused.code(), Code::DeadlineExceeded | Code::Cancelled | Code::Unavailable),
        "{refused}"
    );
}
