//! A call to any node reaches the node where its tenant lives, unchanged: two nodes in one process, mutual
//! TLS between them.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod mesh;

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use mesh::{Bounds, Client, Mesh, PATIENCE, bytes, call, empty, node_id, tenant, until};
use ocmt::{forward::Times, peers::Route};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;

const UNAVAILABLE: &str = "14";

/// A body that the test feeds.
fn fed() -> (mpsc::Sender<Result<Frame<Bytes>, std::io::Error>>, Body) {
    let (feed, chunks) = mpsc::channel(1);
    (feed, Body::new(StreamBody::new(ReceiverStream::new(chunks))))
}

fn chunk(text: &'static str) -> Result<Frame<Bytes>, std::io::Error> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

#[tokio::test]
async fn a_call_for_a_tenant_elsewhere_is_answered_by_its_owner() {
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair().await;
    let client = mesh.client(&edge).await;
    let answer = client.call("/seen", "x").await;
    assert_eq!(answer.headers()["ocmt-owner"], owner.peer.endpoint.as_str());
    let id = answer.headers()["ocmt-request-id"].to_str().unwrap().to_owned();
    let seen: serde_json::Value =
        serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(seen["hop"], 1);
    assert_eq!(seen["client"], "127.0.0.1");
    assert_eq!(seen["id"], id.as_str(), "one call, one id on both nodes");
    assert_eq!(seen["uri"], "https://localhost/seen");
    for gone in ["ocmt-hop", "ocmt-client-addr", "connection"] {
        assert!(seen["headers"].get(gone).is_none(), "{gone} reached the routes");
    }
    assert_eq!((edge.app.asked(), owner.app.asked()), (0, 1));
    // a call of nobody in particular stays
    let answer = client.send(Request::get("https://localhost/seen").body(empty()).unwrap()).await;
    assert!(!answer.headers().contains_key("ocmt-owner"));
}

#[tokio::test]
async fn both_directions_of_a_stream_flow_beside_each_other_and_trailers_follow() {
    let mesh = Mesh::new();
    let (edge, _owner) = mesh.pair().await;
    let (feed, body) = fed();
    feed.try_send(chunk("one")).unwrap();
    let mut answer = mesh.client(&edge).await.call("/echo", body).await.into_body();
    for said in ["one", "two", "three"] {
        if said != "one" {
            feed.send(chunk(said)).await.unwrap();
        }
        let heard = timeout(PATIENCE, answer.frame()).await.expect("held back").unwrap().unwrap();
        assert_eq!(heard.into_data().unwrap(), said);
    }
    drop(feed);
    let trailers = answer.frame().await.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(
        (&trailers["grpc-status"], &trailers["x-of-ours"]),
        (&"0".parse().unwrap(), &"kept".parse().unwrap())
    );
}

#[tokio::test]
async fn a_clients_stream_and_an_error_in_trailers_pass() {
    let mesh = Mesh::new();
    let (edge, _owner) = mesh.pair().await;
    let client = mesh.client(&edge).await;
    // far more than any window
    assert_eq!(client.text("/count", bytes(5 << 20)).await, (5 << 20).to_string());
    let failed = client.call("/fail", empty()).await.into_body().collect().await.unwrap();
    let trailers = failed.trailers().unwrap().clone();
    assert_eq!(
        (failed.to_bytes().as_ref(), &trailers["grpc-status"]),
        (b"some".as_slice(), &"5".parse().unwrap())
    );
    assert_eq!(trailers["grpc-message"], "as%20said");
}

#[tokio::test]
async fn the_deadline_is_lessened_by_the_time_spent() {
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair().await;
    let client = mesh.client(&edge).await;
    let timed = |path: &str, time: &str| {
        let mut request = call(path, "x");
        request.headers_mut().insert("grpc-timeout", time.parse().unwrap());
        request
    };
    // the tenant comes back to its owner after two refusals: what was waited is not there any more
    owner.app.refuse(2);
    let seen = client.seen(timed("/seen", "60S")).await;
    let left = seen["headers"]["grpc-timeout"].as_str().unwrap();
    let micros: u64 = left.strip_suffix('u').unwrap().parse().unwrap();
    assert!((1_000_000..59_995_000).contains(&micros), "{left} of 60 s");
    // an owner that never answers does not keep the caller, nor a request that never ends the owner
    let (feed, body) = fed();
    feed.try_send(chunk("begun")).unwrap();
    let late = client.send(timed("/hang", "100m").map(|_| body)).await;
    assert_eq!(late.headers()["grpc-status"], "4");
    until("the owner gave the call up", || owner.app.open() == 0).await;
    drop(feed);
}

#[tokio::test]
async fn a_call_that_is_dropped_is_dropped_at_the_owner() {
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair().await;
    let client = mesh.client(&edge).await;
    // waiting for an answer, with a request that never ends
    let (feed, body) = fed();
    feed.try_send(chunk("begun")).unwrap();
    let mut waiting = tokio::task::JoinSet::new();
    let sender = client.sender.clone();
    waiting.spawn(async move { sender.clone().send_request(call("/hang", body)).await.is_ok() });
    until("the owner has the call", || owner.app.open() == 1).await;
    waiting.abort_all();
    until("the owner gave the call up", || owner.app.open() == 0).await;
    drop(feed);
    // in the middle of the answer
    let mut answer = client.call("/breaks", "x").await.into_body();
    assert!(answer.frame().await.unwrap().is_ok());
    assert_eq!(owner.app.open(), 1);
    drop(answer);
    until("the owner gave the answer up", || owner.app.open() == 0).await;
    // in the middle of a request, the answer begun
    let (feed, body) = fed();
    feed.try_send(chunk("begun")).unwrap();
    let answer = client.call("/early", body).await;
    assert_eq!(owner.app.open(), 1);
    feed.send(Err(std::io::Error::other("the caller resets its stream"))).await.unwrap();
    until("the owner gave the request up", || owner.app.open() == 0).await;
    drop(answer);
}

#[tokio::test]
async fn a_slow_reader_holds_back_its_owner_and_nobody_else() {
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair().await;
    let mut slow = Vec::new();
    for _ in 0..20 {
        // each on a connection of its own: between the nodes they share one
        let client = mesh.client(&edge).await;
        slow.push((client.call("/flood", "x").await.into_body(), client));
    }
    // it stands still once every buffer on the way is full
    let mut before = u64::MAX;
    until("the owner waits", || {
        let now = owner.app.produced();
        std::mem::replace(&mut before, now) == now && now > 0
    })
    .await;
    // windows of 64 KiB between the nodes and of 2 MiB at this client, and what hyper keeps to send
    assert!(
        owner.app.produced() < 20 * (4 << 20),
        "{} bytes for readers that read nothing",
        owner.app.produced()
    );
    let other = mesh.client(&edge).await;
    assert_eq!(other.text("/count", bytes(1 << 20)).await, (1 << 20).to_string());
    // and it goes on as they read
    let stood = owner.app.produced();
    for (answer, _) in &mut slow {
        let mut read = 0;
        while read < 4 << 20 {
            read += answer.frame().await.unwrap().unwrap().into_data().unwrap().len();
        }
    }
    assert!(owner.app.produced() > stood);
}

#[tokio::test]
async fn grpc_web_and_plain_http_pass_from_http_1() {
    let mesh = Mesh::new();
    let (edge, _owner) = mesh.pair().await;
    let client = Client::new(&mesh.papers, edge.client_address);
    let request = Request::post("/seen")
        .header("host", "localhost")
        .header("connection", "keep-alive, x-mine")
        .header("x-mine", "1")
        .header("content-type", "application/grpc-web+proto")
        .header("ocmt-route", tenant(1).to_string())
        .body(Body::from("x"))
        .unwrap();
    let answer = client.h1(request).await;
    assert!(answer.headers().contains_key("ocmt-owner"));
    let seen: serde_json::Value =
        serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(seen["uri"], "https://localhost/seen");
    assert_eq!(seen["headers"]["content-type"], "application/grpc-web+proto");
    assert!(seen["headers"].get("x-mine").is_none(), "a header of one connection passed to the next");
    // a refusal is in the caller's own protocol
    edge.where_to.put(tenant(2), Route::Nobody);
    let request = Request::get("/seen")
        .header("host", "localhost")
        .header("ocmt-route", tenant(2).to_string())
        .body(empty())
        .unwrap();
    let refused = client.h1(request).await;
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"1".parse().unwrap()));
}

#[tokio::test]
async fn a_client_cannot_say_what_only_nodes_may() {
    let mesh = Mesh::new();
    let node = mesh.node(1).await;
    let lies = |mut request: Request<Body>| {
        for (name, value) in
            [("ocmt-hop", "1"), ("ocmt-client-addr", "203.0.113.7:1"), ("ocmt-not-owner", "-")]
        {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        request
    };
    let client = mesh.client(&node).await;
    for request in [call("/seen", "x"), Request::get("https://localhost/seen").body(empty()).unwrap()] {
        let seen = client.seen(lies(request)).await;
        assert_eq!((&seen["client"], &seen["hop"]), (&"127.0.0.1".into(), &serde_json::Value::Null));
        for gone in ["ocmt-hop", "ocmt-client-addr", "ocmt-not-owner"] {
            assert!(seen["headers"].get(gone).is_none(), "{gone} of a client reached the routes");
        }
    }
    // nor does it get further with them
    let owner = mesh.node(2).await;
    node.where_to.put(tenant(1), Route::There(owner.peer.clone()));
    let seen = client.seen(lies(call("/seen", "x"))).await;
    assert_eq!((&seen["client"], &seen["hop"]), (&"127.0.0.1".into(), &1.into()));
}

#[tokio::test]
async fn nodes_that_each_think_the_other_owns_end_it_after_two_hops() {
    let mesh = Mesh::new();
    let (a, b) = mesh.pair().await;
    b.where_to.put(tenant(1), Route::There(a.peer.clone()));
    b.app.disown();
    let answer = mesh.client(&a).await.call("/seen", "x").await;
    assert_eq!(answer.headers()["grpc-status"], UNAVAILABLE);
    assert!(!answer.headers().contains_key("ocmt-not-owner"), "clients are not told");
    assert!(!a.app.hops().is_empty() && a.app.hops().iter().all(|hop| *hop == 2), "{:?}", a.app.hops());
    assert_eq!(b.app.asked(), 0);
}

#[tokio::test]
async fn a_call_that_nobody_read_goes_to_whoever_is_named() {
    let mesh = Mesh::new();
    let (edge, old, new) = (mesh.node(1).await, mesh.node(2).await, mesh.node(3).await);
    edge.knows(&new);
    edge.where_to.put(tenant(1), Route::There(old.peer.clone()));
    old.app.disown();
    old.app.name(Some(new.peer.node_id));
    let client = mesh.client(&edge).await;
    assert_eq!(client.text("/count", bytes(60 << 10)).await, (60 << 10).to_string());
    assert_eq!((old.app.asked(), new.app.asked()), (1, 1));
    // learnt
    assert_eq!(client.text("/count", "x").await, "1");
    assert_eq!((old.app.asked(), new.app.asked()), (1, 2));
    // a call without a tag that this node's own actors know to be another's
    edge.app.disown();
    edge.app.name(Some(new.peer.node_id));
    let untagged = Request::post("https://localhost/count").body(Body::from("four")).unwrap();
    let answer = client.send(untagged).await.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(answer, "4");
}

#[tokio::test]
async fn a_tenant_between_two_nodes_is_waited_for_but_not_for_ever() {
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair().await;
    let client = mesh.client(&edge).await;
    owner.app.refuse(3);
    assert_eq!(client.text("/count", "x").await, "1");
    assert_eq!(owner.app.asked(), 4);
    owner.app.disown();
    let refused = client.call("/count", "x").await;
    assert_eq!(refused.headers()["grpc-status"], UNAVAILABLE);
    assert!(refused.headers().contains_key("grpc-status-details-bin"), "says when to come back");
}

#[tokio::test]
async fn a_tenant_that_has_left_is_looked_for_anew() {
    let mesh = Mesh::new();
    let (edge, old) = (mesh.node(1).await, mesh.node(2).await);
    edge.knows(&old);
    edge.where_to.put(tenant(1), Route::There(old.peer.clone()));
    // the old owner reads nothing and names nobody; a fresh look finds the tenant here
    old.app.disown();
    *edge.where_to.comes_home.lock().unwrap() = true;
    assert_eq!(mesh.client(&edge).await.text("/count", "x").await, "1");
    assert_eq!((old.app.asked(), edge.app.asked()), (1, 1));
}

#[tokio::test]
async fn a_node_that_takes_no_work_hands_on_what_is_about_no_tenant_but_for_joining() {
    let mesh = Mesh::new();
    let (edge, live) = (mesh.node(1).await, mesh.node(2).await);
    *edge.where_to.elsewhere.lock().unwrap() = Some(live.peer.clone());
    // two that both leave do not play ball with it
    *live.where_to.elsewhere.lock().unwrap() = Some(edge.peer.clone());
    for (path, asked) in [("/count", (0, 1)), (ocmt::operator::JOIN, (1, 1))] {
        let untagged = Request::post(format!("https://localhost{path}")).body(Body::from("four")).unwrap();
        let answer = mesh.client(&edge).await.send(untagged).await.into_body().collect().await.unwrap();
        assert_eq!(answer.to_bytes(), "4");
        assert_eq!((edge.app.asked(), live.app.asked()), asked, "{path}");
    }
}

#[tokio::test]
async fn what_was_streamed_away_is_not_sent_twice() {
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair().await;
    let client = mesh.client(&edge).await;
    // refused, but more came than is kept
    owner.app.refuse(1);
    let refused = client.call("/count", bytes(65 << 10)).await;
    assert_eq!((&refused.headers()["grpc-status"], owner.app.asked()), (&UNAVAILABLE.parse().unwrap(), 1));
    // taken, and then the owner is gone: nobody knows what it did
    let mut waiting = tokio::task::JoinSet::new();
    let sender = client.sender.clone();
    waiting.spawn(async move { sender.clone().send_request(call("/hang", "x")).await.unwrap() });
    until("the owner has the call", || owner.app.open() == 1).await;
    let asked = owner.app.asked();
    let app = owner.app.clone();
    owner.kill();
    let unknown = timeout(PATIENCE, waiting.join_next()).await.expect("it hangs").unwrap().unwrap();
    assert_eq!(unknown.headers()["grpc-status"], UNAVAILABLE);
    assert_eq!(app.asked(), asked, "sent again");
    assert!(edge.app.asked() == 0, "acted on elsewhere");
}

#[tokio::test]
async fn an_answer_that_breaks_off_ends_with_a_status() {
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair().await;
    let mut answer = mesh.client(&edge).await.call("/breaks", "x").await.into_body();
    assert_eq!(answer.frame().await.unwrap().unwrap().into_data().unwrap(), "begun");
    owner.kill();
    let end = timeout(PATIENCE, answer.frame()).await.expect("it hangs").unwrap().unwrap();
    assert_eq!(end.into_trailers().unwrap()["grpc-status"], UNAVAILABLE);
}

#[tokio::test]
async fn an_owner_killed_under_load_leaves_nobody_hanging_and_the_next_one_serves() {
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair().await;
    let client = mesh.client(&edge).await;
    let next = mesh.node(3).await;
    edge.knows(&next);
    let mut load = tokio::task::JoinSet::new();
    let (tell, told) = tokio::sync::watch::channel(false);
    for _ in 0..32 {
        let (sender, told) = (client.sender.clone(), told.clone());
        load.spawn(async move {
            let (mut good, mut bad) = (0, 0);
            while !*told.borrow() {
                let answer = timeout(PATIENCE, sender.clone().send_request(call("/count", "x")));
                let answer = answer.await.expect("a call hangs").unwrap();
                if answer.headers().contains_key("grpc-status") { bad += 1 } else { good += 1 }
            }
            (good, bad)
        });
    }
    until("load", || owner.app.asked() > 200).await;
    owner.kill();
    edge.where_to.put(tenant(1), Route::There(next.peer.clone()));
    until("the next owner serves", || next.app.asked() > 200).await;
    tell.send(true).unwrap();
    let all: Vec<(i32, i32)> = load.join_all().await;
    // each task had at most the one call that was on its way
    assert!(all.iter().all(|(good, bad)| *good > 0 && *bad <= 1), "{all:?}");
}

#[tokio::test]
async fn an_owner_that_cannot_be_reached_is_said_to_be_away() {
    let mesh = Mesh::new();
    let times = Times { patience: Duration::from_secs(1), ..Times::default() };
    let edge = mesh.node_with(1, Bounds { times, ..Bounds::default() }).await;
    let gone = mesh.node(2).await;
    edge.where_to.put(tenant(1), Route::There(gone.peer.clone()));
    let peer = gone.peer.node_id;
    gone.kill();
    let refused = mesh.client(&edge).await.call("/count", "x").await;
    assert_eq!((&refused.headers()["grpc-status"], peer), (&UNAVAILABLE.parse().unwrap(), node_id(2)));
    assert!(*edge.where_to.forgotten.lock().unwrap() > 0);
    // where forgetting leads home, the call goes on here
    *edge.where_to.comes_home.lock().unwrap() = true;
    assert_eq!(mesh.client(&edge).await.text("/count", "x").await, "1");
}
