//! WebSockets.

use std::time::Duration;

use ::http::StatusCode;
use futures_util::SinkExt as _;
use ocmt_client::container::State;
use ocmt_testkit::{
    pace,
    plain::{Socket, is_problem},
};
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::{
        CloseFrame,
        frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};

use super::{Stage, now};

const MESSAGE: usize = 1 << 20;

#[tokio::test]
async fn text_stays_text_and_binary_binary_in_fragments_or_whole() {
    let stage = Stage::open().await;
    let mut socket = stage.visitor.socket("/ws?a=b").await.unwrap();
    assert_eq!(socket.wake, "none");
    assert_eq!(socket.talk("gr\u{fc}n").await.unwrap(), "gr\u{fc}n");
    let binary = Message::Binary(vec![0, 159, 255].into());
    socket.stream.send(binary.clone()).await.unwrap();
    assert_eq!(socket.hear().await.unwrap(), binary);
    for size in [0, 125, 126, 65_535, 65_536, MESSAGE] {
        let message = Message::Binary(vec![7; size].into());
        socket.stream.send(message.clone()).await.unwrap();
        assert_eq!(socket.hear().await.unwrap(), message, "{size} bytes");
    }
    // a text in three, with a letter cut in two and a ping in between
    let letter = "\u{fc}".as_bytes();
    for (piece, opcode, last) in [
        (&letter[..1], Data::Text, false),
        (&letter[1..], Data::Continue, false),
        (b"!", Data::Continue, true),
    ] {
        let frame = Frame::message(piece.to_vec(), OpCode::Data(opcode), last);
        socket.stream.send(Message::Frame(frame)).await.unwrap();
        socket.stream.send(Message::Ping("x".into())).await.unwrap();
    }
    assert_eq!(socket.hear().await.unwrap(), Message::Text("\u{fc}!".into()));
}

#[tokio::test]
async fn a_close_comes_with_its_code_both_ways_and_what_breaks_is_told_apart() {
    let stage = Stage::open().await;
    let open = async || stage.visitor.socket("/ws").await.unwrap();
    for (code, reason) in [(1000, "bye"), (1001, ""), (3000, "a registered one"), (4999, "my own")] {
        let mut socket = open().await;
        socket.say(&format!("close {code} {reason}")).await.unwrap();
        assert_eq!(socket.closed().await.unwrap(), (code, reason.to_owned()));
    }
    for code in [1000, 4321] {
        let mut socket = open().await;
        assert_eq!(socket.talk("hello").await.unwrap(), "hello");
        let close = CloseFrame { code: code.into(), reason: "done".into() };
        socket.stream.close(Some(close)).await.unwrap();
        assert_eq!(socket.closed().await.unwrap().0, code);
        heard_close(&stage, &code.to_string()).await;
    }
    let mut socket = open().await;
    socket.say("drop").await.unwrap();
    assert_eq!(socket.closed().await.unwrap(), (1011, "the workload broke off".to_owned()));
    let mut socket = open().await;
    socket.say("unlawful").await.unwrap();
    assert_eq!(socket.closed().await.unwrap().0, 1011);
    // a client that goes without a word is gone for the workload too
    let socket = open().await;
    drop(socket);
    heard_close(&stage, "1001").await;
}

/// Waits until the workload has heard this close.
async fn heard_close(stage: &Stage, what: &str) {
    let heard = async || {
        let heard = stage.visitor.get("/closed").await.unwrap().body;
        heard.lines().any(|code| code == what).then_some(())
    };
    let heard = ocmt::local::wait_for(Duration::from_secs(60), heard).await;
    heard.unwrap_or_else(|| panic!("the workload never heard {what}"));
}

#[tokio::test]
async fn w4_what_is_too_large_or_compressed_is_closed_on_either_side() {
    let stage = Stage::open().await;
    let open = async || stage.visitor.socket("/ws").await.unwrap();
    let mut socket = open().await;
    // refused by its head: none of it needs to come
    let length = u64::try_from(MESSAGE + 1).unwrap().to_be_bytes();
    let head = [&[0x82, 0xff], length.as_slice(), &[0; 4]].concat();
    socket.stream.get_mut().write_all(&head).await.unwrap();
    socket.stream.get_mut().flush().await.unwrap();
    assert_eq!(socket.closed().await.unwrap().0, 1009);
    let mut socket = open().await;
    for _ in 0..3 {
        let frame = Frame::message(vec![0; MESSAGE / 2], OpCode::Data(Data::Continue), false);
        let first = Frame::message(vec![0; MESSAGE / 2], OpCode::Data(Data::Binary), false);
        let frame = if socket.wake.is_empty() { frame } else { first };
        socket.wake.clear();
        drop(socket.stream.send(Message::Frame(frame)).await);
    }
    assert_eq!(socket.closed().await.unwrap().0, 1009, "a message in fragments without end");
    let mut socket = open().await;
    socket.say(&format!("big {}", MESSAGE + 1)).await.unwrap();
    assert_eq!(socket.closed().await.unwrap().0, 1011);
    for (what, raw) in [
        ("a compressed frame nobody agreed to", [0xc2, 0x81, 0, 0, 0, 0, 7].as_slice()),
        ("a frame without a mask", &[0x82, 1, 7]),
        ("an unknown opcode", &[0x83, 0x81, 0, 0, 0, 0, 7]),
    ] {
        let mut socket = open().await;
        socket.stream.get_mut().write_all(raw).await.unwrap();
        socket.stream.get_mut().flush().await.unwrap();
        assert_eq!(socket.closed().await.unwrap().0, 1002, "{what}");
    }
    // whatever others do, the workload is served
    assert_eq!(open().await.talk("still here").await.unwrap(), "still here");
}

#[tokio::test]
async fn it_stays_open_while_its_container_sleeps_and_the_next_message_wakes_that() {
    let stage = Stage::open().await;
    let client = &stage.ada.client;
    let mut socket = stage.visitor.socket("/ws").await.unwrap();
    assert_eq!(socket.talk("ping").await.unwrap(), "pong", "the workload's ping was not answered");
    client.pause_container(stage.container).await.unwrap();
    for _ in 0..3 {
        socket.stream.send(Message::Ping("are you there".into())).await.unwrap();
        let pong = async {
            loop {
                use futures_util::StreamExt as _;
                if let Some(Ok(Message::Pong(said))) = socket.stream.next().await {
                    return said;
                }
            }
        };
        let said = tokio::time::timeout(Duration::from_secs(30), pong).await.expect("no answer to a ping");
        assert_eq!(said, "are you there");
    }
    let asleep = client.container(stage.container).await.unwrap();
    assert_eq!(asleep.state, State::Paused, "a ping woke it");
    assert_eq!(socket.talk("good morning").await.unwrap(), "good morning");
    assert_eq!(client.container(stage.container).await.unwrap().state, State::Running);
    client.pause_container(stage.container).await.unwrap();
    let mut another = stage.visitor.socket("/ws").await.unwrap();
    assert_eq!(another.wake, "unpause");
    assert_eq!(another.talk("x").await.unwrap(), "x");
    assert_eq!(socket.talk("both").await.unwrap(), "both");
}

#[tokio::test]
async fn pings_of_the_workload_and_of_the_client_are_no_use_of_it_and_messages_both_ways_are() {
    let stage = Stage::open_with(|spec| {
        spec.pause_after = Some(Duration::from_secs(4));
        spec.stop_after = Some(Duration::from_secs(3600));
    })
    .await;
    let mut socket = stage.visitor.socket("/ws").await.unwrap();
    let state = async || stage.ada.client.container(stage.container).await.unwrap().state;
    // the workload pings for longer than the idle time, and says so in messages nowhere
    let began = now();
    socket.say("pings 1200 50").await.unwrap();
    let mut pinged = 0;
    while state().await != State::Paused {
        // they go on for twice as long
        assert!(now() - began < Duration::from_secs(30), "kept awake by pings: {pinged}");
        socket.stream.send(Message::Ping("x".into())).await.unwrap();
        pinged += 1;
        tokio::time::sleep(Duration::from_millis(100)).await; // why: a client that pings ten times a second
    }
    assert!(now() - began >= Duration::from_secs(4), "slept early");
    // what the workload says by itself keeps it awake, at another connection: at the first one it pings yet
    let mut other = stage.visitor.socket("/ws").await.unwrap();
    other.say("drops 16 500").await.unwrap();
    for _ in 0..16 {
        assert_eq!(hear_text(&mut other).await, "drop");
        assert_eq!(state().await, State::Running);
    }
}

async fn hear_text(socket: &mut Socket) -> String {
    socket.hear().await.unwrap().into_text().unwrap().as_str().to_owned()
}

#[tokio::test]
async fn it_ends_with_the_session_within_a_second_and_with_lock_and_stop() {
    let stage = Stage::open().await;
    let mut sockets =
        [stage.visitor.socket("/ws").await.unwrap(), stage.visitor.socket("/ws").await.unwrap()];
    for socket in &mut sockets {
        assert_eq!(socket.talk("x").await.unwrap(), "x");
    }
    let began = now();
    let closed = async {
        stage.ada.client.sign_out().await.unwrap();
        for socket in &mut sockets {
            assert_eq!(socket.closed().await.unwrap().0, 4401);
        }
        now() - began
    };
    let (took, machine) = pace::beside(closed).await.unwrap();
    println!("closed {took:?} after the sign-out, {machine:?} of it the machine's");
    assert!(took < Duration::from_secs(1) + machine, "{took:?}, {machine:?} of it the machine's");
    let stage = Stage::open().await;
    let mut socket = stage.visitor.socket("/ws").await.unwrap();
    stage.ada.client.lock_container(stage.container).await.unwrap();
    let (code, why) = socket.closed().await.unwrap();
    assert_eq!(code, 4423, "{why}");
    let refused = stage.visitor.try_socket("/ws", &[]).await.unwrap().err().unwrap();
    assert!(is_problem(&refused, StatusCode::CONFLICT, "VAULT_LOCKED"), "{}", refused.body);
}

#[tokio::test]
async fn who_may_not_have_one_is_told_before_the_upgrade() {
    let stage = Stage::open().await;
    let visitor = &stage.visitor;
    let evil = visitor.try_socket("/ws", &[("origin", "https://evil.example")]).await.unwrap();
    assert_eq!(evil.err().unwrap().status, StatusCode::FORBIDDEN);
    let own = format!("https://{}", visitor.target.authority().unwrap());
    assert!(visitor.try_socket("/ws", &[("origin", &own)]).await.unwrap().is_ok());
    let none = visitor.try_socket("/healthz", &[]).await.unwrap().err().unwrap();
    assert!(is_problem(&none, StatusCode::BAD_GATEWAY, "WORKLOAD_NO_WEBSOCKET"), "{}", none.body);
    let mut other = visitor.clone();
    other.token.pop();
    assert_eq!(other.try_socket("/ws", &[]).await.unwrap().err().unwrap().status, StatusCode::UNAUTHORIZED);
}
