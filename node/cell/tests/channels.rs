//! The sealed channel end to end: what it carries, its limits, and going on after a lost connection.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{
    Client, Options, Script, TestCell, WORKLOAD,
    channel::{Heard, Talk, Wire},
    children_of, free_port, level, ready, status, status_when,
    user::{Ready, User},
};
use ocmt_crypto::channel::{CloseReason, Message, StreamKind};
use ocmt_proto::cell::v1::{LockReason, LockRequest};
use tonic::Code;

struct Open {
    cell: TestCell,
    client: Client,
    user: User,
    unlock: Ready,
}

async fn unlocked(workload: &[&str], variables: &[(&str, &[u8])]) -> Open {
    let cell = TestCell::start(&Options { workload, ..Options::default() });
    let mut client = cell.client().await;
    let user = User::new();
    let unlock = user.unlock(&cell, &mut client, variables).await.unwrap();
    Open { cell, client, user, unlock }
}

impl Open {
    async fn talk(&mut self, stream: StreamKind) -> Talk {
        self.try_talk(stream).await.unwrap()
    }

    async fn try_talk(&mut self, stream: StreamKind) -> Result<Talk, tonic::Status> {
        Talk::open(&self.user, &self.cell, &mut self.client, &self.unlock, stream).await
    }

    async fn exec(&mut self, argv: &[&str]) -> Heard {
        let mut talk = self.talk(exec(argv)).await;
        talk.say(&Message::Eof).await;
        talk.finish().await
    }
}

fn exec(argv: &[&str]) -> StreamKind {
    StreamKind::Exec { argv: argv.iter().map(ToString::to_string).collect(), tty: false }
}

/// Bytes that show where they are.
fn pattern(len: usize) -> Vec<u8> {
    (0u64..).flat_map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()).take(len).collect()
}

#[tokio::test]
async fn what_goes_into_a_command_comes_out_byte_for_byte() {
    let mut open = unlocked(&[], &[]).await;
    let mut talk = open.talk(exec(&["cat"])).await;
    let sent = pattern(3 * 1024 * 1024 + 5);
    talk.send(&sent).await;
    talk.say(&Message::Eof).await;
    let heard = talk.finish().await;
    assert!(heard.out == sent, "{} of {} bytes", heard.out.len(), sent.len());
    assert_eq!((heard.exit, heard.close), (Some(0), Some(CloseReason::Done)));
    status_when(&mut open.client, "no channel left", |status| status.channels == 0).await;
}

#[tokio::test]
async fn a_command_tells_its_errors_its_code_and_its_signal() {
    let mut open = unlocked(&[], &[]).await;
    let heard = open.exec(&Script::new("echo out; echo err >&2; exit 7").argv()).await;
    assert_eq!(
        (heard.out.as_slice(), heard.err.as_slice(), heard.exit),
        (&b"out\n"[..], &b"err\n"[..], Some(7))
    );
    assert_eq!(open.exec(&Script::new("kill -TERM $$").argv()).await.exit, Some(128 + 15));
    let heard = open.exec(&["/no/such/program"]).await;
    assert_eq!((heard.exit, heard.close), (None, Some(CloseReason::Refused)));
    assert!(String::from_utf8_lossy(&heard.err).contains("No such file"), "{heard:?}");
}

#[tokio::test]
async fn a_command_does_not_get_the_workloads_secrets() {
    let mut open = unlocked(&["sleep", "600"], &[("TOKEN", b"marked-value-55aa")]).await;
    let heard = open.exec(&["env"]).await;
    let environment = String::from_utf8(heard.out).unwrap();
    assert!(
        environment.contains("PATH=") && !environment.contains("TOKEN") && !environment.contains("marked"),
        "{environment}"
    );
}

#[tokio::test]
async fn a_command_gets_a_terminal_with_a_size_and_its_keys() {
    let mut open = unlocked(&[], &[]).await;
    let script = Script::new("tty -s && echo is a tty; read go; stty size; exec cat");
    let argv = script.argv().map(str::to_owned).to_vec();
    let mut talk = open.talk(StreamKind::Exec { argv, tty: true }).await;
    talk.hear_until(|heard| heard.out.ends_with(b"is a tty\r\n")).await;
    talk.say(&Message::Resize { rows: 41, cols: 107 }).await;
    talk.send(b"\n").await;
    talk.hear_until(|heard| heard.out.ends_with(b"41 107\r\n")).await;
    // the interrupt key reaches the command only through a controlling terminal
    talk.send(b"\x03").await;
    assert_eq!(talk.finish().await.exit, Some(128 + 2));
    let argv = vec!["/no/such/program".to_owned()];
    assert_eq!(open.talk(StreamKind::Exec { argv, tty: true }).await.finish().await.exit, Some(127));
}

#[tokio::test]
async fn a_command_ends_with_its_channel() {
    let mut open = unlocked(&[], &[]).await;
    let mut talk = open.talk(exec(&["sleep", "600"])).await;
    status_when(&mut open.client, "the command", |status| status.execs == 1).await;
    talk.say(&Message::Close(CloseReason::Done)).await;
    status_when(&mut open.client, "no command left", |status| status.execs == 0 && status.channels == 0)
        .await;
    level("its process to be gone", || open.cell.children().is_empty().then_some(())).await;
}

#[tokio::test]
async fn the_workloads_output_is_kept_without_its_secrets() {
    let script = Script::new(
        "echo begin $TOKEN; printf %s $TOKEN | od -An -tx1 | tr -d ' \\n'; echo; echo end; sleep 600",
    );
    let mut open = unlocked(&script.argv(), &[("TOKEN", b"marked-value-55aa")]).await;
    let mut talk = open.talk(StreamKind::Logs { follow: true }).await;
    talk.hear_until(|heard| heard.out.ends_with(b"end\n")).await;
    assert_eq!(String::from_utf8_lossy(&talk.heard.out), "begin [redacted]\n[redacted]\nend\n");
    assert_eq!(status(&mut open.client).await.log_followers, 1);
    let kept = open.talk(StreamKind::Logs { follow: false }).await.finish().await;
    assert_eq!((kept.out, kept.close), (talk.heard.out, Some(CloseReason::Done)));
}

#[tokio::test]
async fn a_port_where_nothing_listens_is_refused_and_says_so() {
    let mut open = unlocked(&[], &[]).await;
    let heard = open.talk(StreamKind::Tcp { port: free_port() }).await.finish().await;
    assert_eq!(heard.close, Some(CloseReason::Refused));
}

#[tokio::test]
async fn a_channel_goes_on_after_its_connection_was_cut_byte_for_byte() {
    let mut open = unlocked(&[], &[]).await;
    let mut talk = open.talk(exec(&["cat"])).await;
    let sent = pattern(2 * 1024 * 1024);
    for piece in sent.chunks(256 * 1024) {
        // the connection is lost while bytes are on their way in both directions
        talk.send(piece).await;
        talk.cut();
        talk.resume(&mut open.client).await.unwrap();
    }
    talk.say(&Message::Eof).await;
    let heard = talk.finish().await;
    assert!(heard.out == sent, "{} of {} bytes", heard.out.len(), sent.len());
}

#[tokio::test]
async fn what_is_said_while_nobody_listens_is_heard_after_the_resume() {
    let mut open = unlocked(&[], &[]).await;
    let script = Script::new("read go; seq 1 50000");
    let mut talk = open.talk(exec(&script.argv())).await;
    talk.send(b"go\n").await;
    talk.cut();
    level("the command to be held back or done", || {
        open.cell.children().first().is_none_or(|(_, state)| *state != 'R').then_some(())
    })
    .await;
    talk.resume(&mut open.client).await.unwrap();
    let heard = talk.finish().await;
    let expected: Vec<u8> = (1..=50_000).flat_map(|n| format!("{n}\n").into_bytes()).collect();
    assert!(heard.out == expected && heard.exit == Some(0), "{} bytes", heard.out.len());
}

#[tokio::test]
async fn only_the_channels_own_client_resumes_it_and_the_open_connection_stays() {
    let mut open = unlocked(&[], &[]).await;
    let mut talk = open.talk(exec(&["cat"])).await;
    // a Resume of the right channel under nobody's keys
    let mut forged = vec![6];
    forged.extend(talk.channel.id().as_bytes());
    forged.extend([0; 16 + 32]);
    let mut wire = Wire::open(&mut open.client, forged).await.unwrap();
    assert_eq!(wire.recv().await.unwrap_err().code(), Code::PermissionDenied);
    talk.send(b"still here").await;
    talk.hear_until(|heard| heard.out == b"still here").await;
}

#[tokio::test]
async fn a_stranger_opens_no_channel_nor_does_anybody_on_a_locked_cell() {
    let mut open = unlocked(&[], &[]).await;
    let stranger = User::new();
    let refused =
        Talk::open(&stranger, &open.cell, &mut open.client, &open.unlock, exec(&["id"])).await.err().unwrap();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(open.cell.children().is_empty());

    open.client.lock(LockRequest { reason: LockReason::User.into() }).await.unwrap();
    let locked = open.try_talk(exec(&["id"])).await.err().unwrap();
    assert_eq!(
        (locked.code(), locked.metadata().get("ocmt-cell-reason").unwrap().to_str().unwrap()),
        (Code::FailedPrecondition, "CELL_LOCKED")
    );
}

#[tokio::test]
async fn a_lock_tells_the_client_and_ends_its_channel() {
    let mut open = unlocked(&[], &[]).await;
    let mut talk = open.talk(exec(&["cat"])).await;
    // until the client's confirmation has come, the cell can say nothing under the channel's keys
    talk.send(b"word").await;
    talk.hear_until(|heard| heard.out == b"word").await;
    open.client.lock(LockRequest { reason: LockReason::User.into() }).await.unwrap();
    talk.hear_until(|heard| heard.close.is_some()).await;
    assert_eq!(talk.heard.close, Some(CloseReason::Locked));
    assert_eq!(talk.step().await.unwrap_err().code(), Code::FailedPrecondition);
    level("its command to be gone", || open.cell.children().is_empty().then_some(())).await;
}

#[tokio::test]
async fn the_seventeenth_channel_is_refused_and_a_closed_one_makes_room() {
    let mut open = unlocked(&[], &[]).await;
    let mut talks = Vec::new();
    for _ in 0..16 {
        talks.push(open.talk(exec(&["cat"])).await);
    }
    assert_eq!(open.try_talk(exec(&["cat"])).await.err().unwrap().code(), Code::ResourceExhausted);
    let mut closing = talks.pop().unwrap();
    closing.say(&Message::Close(CloseReason::Done)).await;
    status_when(&mut open.client, "room", |status| status.channels < 16).await;
    open.talk(exec(&["cat"])).await;
}

#[tokio::test]
async fn a_damaged_frame_ends_the_connection_and_not_the_channel() {
    let mut open = unlocked(&[], &[]).await;
    let mut talk = open.talk(exec(&["cat"])).await;
    talk.wire.as_ref().unwrap().send(vec![4, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]).await;
    assert_eq!(talk.wire.as_mut().unwrap().recv().await.unwrap_err().code(), Code::Aborted);
    talk.cut();
    talk.resume(&mut open.client).await.unwrap();
    talk.send(b"whole").await;
    talk.hear_until(|heard| heard.out == b"whole").await;
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_the_command_and_not_the_cell() {
    let mut open = unlocked(&[], &[]).await;
    let script = Script::new("head -c 8000000 /dev/zero; echo >&2 done");
    let mut talk = open.talk(exec(&script.argv())).await;
    // nobody reads: the command must come to stand in its write, far from its end
    let shell = level("the command", || open.cell.children().first().map(|(pid, _)| *pid)).await;
    level("it to be held back", || {
        let head = children_of(shell).first().map(|(pid, _)| *pid)?;
        std::fs::read_to_string(format!("/proc/{head}/wchan")).ok().filter(|at| at.contains("pipe"))
    })
    .await;
    assert!(status(&mut open.client).await.execs == 1, "the cell answers");
    talk.hear_until(|heard| heard.out.len() == 8_000_000).await;
    let heard = talk.finish().await;
    assert_eq!((heard.exit, heard.err.as_slice()), (Some(0), &b"done\n"[..]));
}

#[tokio::test]
async fn frames_both_ways_count_as_activity_and_silence_does_not() {
    let mut open = unlocked(&[], &[]).await;
    let before = status(&mut open.client).await;
    assert!(before.activity == 0 && before.idle_for.is_none());
    let mut talk = open.talk(exec(&["cat"])).await;
    talk.send(b"word").await;
    talk.hear_until(|heard| heard.out == b"word").await;
    let after = status(&mut open.client).await;
    // Hello, Accept, Confirm, a record each way
    assert!(after.activity >= 5 && after.idle_for.is_some(), "{after:?}");
    assert_eq!(status(&mut open.client).await.activity, after.activity, "an open, silent channel");
}

#[tokio::test]
async fn a_workload_is_ready_when_its_port_accepts_and_not_before() {
    let port = free_port();
    let script = Script::new(&format!("read line < /tmp/{port}; PORT={port} exec {WORKLOAD}"));
    let fifo = format!("/tmp/{port}");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let cell = TestCell::start(&Options {
        extra: &["--workload-port", &port.to_string()],
        workload: &script.argv(),
        ..Options::default()
    });
    let mut client = cell.client().await;
    User::new().unlock(&cell, &mut client, &[]).await.unwrap();
    assert_eq!(status(&mut client).await.workload_state(), ocmt_proto::cell::v1::WorkloadState::Running);
    std::fs::write(&fifo, "go\n").unwrap();
    ready(&mut client).await;
    std::fs::remove_file(fifo).unwrap();
}
