//! Slow readers on either side, and many at once: what waits is bounded, and nobody waits for another.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use ocmt_client::container::State;
use ocmt_testkit::{TestNode, plain::Visitor, usage};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use super::Stage;

/// What the node may hold of one connection whose reader sleeps: sockets, frames ahead, one message each way.
const HELD_KIB: u64 = 24 << 10;
const PIECE: usize = 32 << 10;

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_its_workload_and_nobody_else() {
    let stage = Stage::open().await;
    let node = stage.node.local().pid().unwrap();
    let mut slow = stage.visitor.socket("/ws").await.unwrap();
    usage::forget_peak(node).unwrap();
    let before = usage::of(node).unwrap().now_kib;
    // 128 MiB
    slow.say("flood 4096").await.unwrap();
    for _ in 0..40 {
        let mut other = stage.visitor.socket("/ws").await.unwrap();
        assert_eq!(other.talk("and I?").await.unwrap(), "and I?");
        assert_eq!(stage.visitor.get("/healthz").await.unwrap().body, "ok\n");
        tokio::time::sleep(Duration::from_millis(50)).await; // why: two seconds in which nobody reads
    }
    let peak = usage::of(node).unwrap().peak_kib;
    println!("unread: {} KiB more than before", peak.saturating_sub(before));
    assert!(peak < before + HELD_KIB, "{before} KiB grew to {peak} KiB");
    for heard in 0..4096 {
        assert_eq!(slow.hear().await.unwrap().len(), PIECE, "message {heard}");
    }
}

#[tokio::test]
async fn a_workload_that_does_not_read_holds_up_its_client_and_loses_nothing() {
    let stage = Stage::open().await;
    let node = stage.node.local().pid().unwrap();
    let mut socket = stage.visitor.socket("/ws").await.unwrap();
    usage::forget_peak(node).unwrap();
    let before = usage::of(node).unwrap().now_kib;
    socket.say("deaf 3000").await.unwrap();
    let (mut sink, mut stream) = socket.stream.split();
    let mut work = JoinSet::new();
    work.spawn(async move {
        for _ in 0..2048 {
            sink.send(Message::Binary(vec![7; PIECE].into())).await.unwrap();
        }
        // kept until all has come back
        std::future::pending::<()>().await;
    });
    tokio::time::sleep(Duration::from_secs(2)).await; // why: the workload reads nothing meanwhile
    let peak = usage::of(node).unwrap().peak_kib;
    println!("unread: {} KiB more than before", peak.saturating_sub(before));
    assert!(peak < before + HELD_KIB, "{before} KiB grew to {peak} KiB");
    let (mut heard, mut woke) = (0, false);
    while heard < 2048 {
        let next = tokio::time::timeout(Duration::from_secs(60), stream.next()).await;
        match next.expect("nothing comes").unwrap().unwrap() {
            Message::Binary(piece) => {
                assert_eq!(piece.len(), PIECE);
                heard += 1;
            }
            Message::Text(_) => woke = true,
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(woke);
}

#[tokio::test]
async fn there_are_sixty_four_ways_to_a_workload_and_its_control_stays_free() {
    let stage = Stage::open().await;
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(stage.visitor.socket("/ws").await.unwrap());
    }
    let refused = stage.visitor.try_socket("/ws", &[]).await.unwrap().err().unwrap();
    assert_eq!(refused.status.as_u16(), 429, "{}", refused.body);
    assert!(refused.body.contains("CELL_EXHAUSTED"), "{}", refused.body);
    stage.ada.client.pause_container(stage.container).await.unwrap();
    assert_eq!(open[63].talk("wake").await.unwrap(), "wake");
    drop(open.pop());
    let again = async {
        loop {
            if let Ok(socket) = stage.visitor.try_socket("/ws", &[]).await.unwrap() {
                return socket;
            }
            tokio::time::sleep(Duration::from_millis(20)).await; // why: a place comes back when the cell has heard of it
        }
    };
    tokio::time::timeout(Duration::from_secs(60), again).await.expect("its place did not come back");
    stage.ada.client.lock_container(stage.container).await.unwrap();
    for mut socket in open {
        socket.closed().await.unwrap();
    }
}

#[tokio::test]
async fn a_session_asks_its_workload_so_often_and_one_too_many_wakes_nobody() {
    let node = TestNode::start_with(|config| config.rates.gateway = "4/1h".parse().unwrap());
    let stage = Stage::on(node.await.unwrap(), |_| {}).await;
    let (client, visitor) = (&stage.ada.client, &stage.visitor);
    let mut socket = visitor.socket("/ws").await.unwrap();
    for _ in 0..3 {
        assert_eq!(visitor.get("/healthz").await.unwrap().status.as_u16(), 200);
    }
    client.pause_container(stage.container).await.unwrap();
    let late = visitor.get("/healthz").await.unwrap();
    assert_eq!(late.status.as_u16(), 429);
    assert!(late.body.contains("RATE_LIMITED") && late.body.contains("gateway"), "{}", late.body);
    assert!(late.headers.contains_key("retry-after"));
    // by its session: another token of the same one brings no more
    let again = Visitor::of(client, stage.node.target().unwrap(), stage.container).await.unwrap();
    assert!(again.try_socket("/ws", &[]).await.unwrap().is_err());
    assert_eq!(client.container(stage.container).await.unwrap().state, State::Paused, "it was woken");
    // what is open goes on, and what is no token is not counted
    assert_eq!(socket.talk("still here").await.unwrap(), "still here");
}
