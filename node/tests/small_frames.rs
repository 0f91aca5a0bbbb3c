//! How a client cuts its bytes is felt by its own call alone, and never by the link that carries everybody's.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod mesh;

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use mesh::{Client, H2, Mesh, Node, PATIENCE, call, call_of, tenant, until};
use ocmt::peers::Route;
use tokio::{sync::mpsc, task::JoinSet, time::timeout};
use tokio_stream::wrappers::ReceiverStream;

type Feed = mpsc::Sender<Result<Frame<Bytes>, std::io::Error>>;

/// Frames that are sent before the edge is given a moment: a client's own connection bears 2,000 unread.
const AT_ONCE: usize = 100;

/// A call to a program that reads nothing, on a connection of its own.
async fn unread(mesh: &Mesh, edge: &Node) -> (Feed, H2, JoinSet<()>) {
    let (feed, frames) = mpsc::channel(AT_ONCE);
    let client = mesh.client(edge).await;
    let mut sender = client.sender.clone();
    let mut waiting = JoinSet::new();
    waiting.spawn(async move {
        let body = Body::new(StreamBody::new(ReceiverStream::new(frames)));
        let _answer = sender.send_request(call("/hang", body)).await;
    });
    (feed, client, waiting)
}

/// Together they are more than a link bears unread, as long as each is a frame there.
const CALLS: usize = 8;
const BYTES: usize = 30_000;

#[tokio::test]
async fn bytes_sent_one_by_one_to_who_does_not_read_break_no_link() {
    let mesh = Mesh::new();
    let (edge, owner) = mesh.pair().await;
    edge.where_to.put(tenant(2), Route::There(owner.peer.clone()));
    let (mut floods, mut held) = (JoinSet::new(), Vec::new());
    for _ in 0..CALLS {
        let (feed, client, waiting) = unread(&mesh, &edge).await;
        feed.send(Ok(Frame::data(Bytes::from_static(b"begun")))).await.unwrap();
        held.push((client, waiting));
        floods.spawn(async move {
            for sent in 0..BYTES {
                if sent % AT_ONCE == 0 {
                    tokio::time::sleep(Duration::from_millis(10)).await; // why: the attack's own pace; what the edge has passed on shows nowhere
                }
                feed.send(Ok(Frame::data(Bytes::from_static(b"x")))).await.expect("the client was cut off");
            }
            feed
        });
    }
    until("the owner has all calls", || owner.app.open() == CALLS).await;
    let feeds = timeout(2 * PATIENCE, floods.join_all()).await.expect("the edge takes no more");
    let other = Client::new(&mesh.papers, edge.client_address).from(2).h2().await;
    for _ in 0..2 {
        let answer = timeout(PATIENCE, other.send(call_of(2, "/count", "four"))).await.expect("no answer");
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "4");
    }
    assert_eq!(owner.app.open(), CALLS, "the link broke, and with it the calls on it");
    assert!(feeds.iter().all(|feed| !feed.is_closed()), "a call broke");
}
