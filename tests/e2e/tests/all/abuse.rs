//! HTTP/2 as no client speaks it, against a real node: what it did, what it cost, and that others were served
//! meanwhile and after. `docs/security/edge.md` has the table that these print.

use std::time::Duration;

use ocmt_client::connect::Target;
use ocmt_testkit::{
    TestNode,
    frames::{Raw, Said, call, frame, headers, kind},
    raw, usage,
};
use tonic::Code;

const SIGN_UP: &str = "/ocmt.v1.AuthService/SignUp";
const WHO_AM_I: &str = "/ocmt.v1.AuthService/WhoAmI";

/// Error codes of HTTP/2.
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

/// More than any of these may cost at its peak, over what the node had: in KiB.
const MOST_KIB: u64 = 48 << 10;
/// Of a second a node that nobody asks for anything uses less of a processor than this.
const IDLE: Duration = Duration::from_millis(200);
/// So many seconds a machine that is busy with other tests may take to have done what came before.
const LATE: usize = 30;
/// And no more of a processor than this until then: a busy machine makes it late, not dear.
const MOST_AFTER: Duration = Duration::from_secs(3);

/// What came of an attack.
struct Outcome {
    sent: u32,
    said: Said,
}

/// The stream of the `n`th request.
fn stream(n: u32) -> u32 {
    2 * n + 1
}

fn open(n: u32, flags: u8) -> Vec<u8> {
    frame(kind::HEADERS, kind::END_HEADERS | flags, stream(n), &call(WHO_AM_I, &[]))
}

/// Makes the attack on a node of its own, and holds that it cost little, and nothing after.
#[expect(clippy::print_stdout, reason = "the figures are what the documentation tells")]
async fn attack(what: &str, make: impl AsyncFnOnce(Target) -> anyhow::Result<Outcome>) -> Outcome {
    let node = TestNode::start().await.unwrap();
    let pid = node.local().pid().unwrap();
    let (target, channel) = (node.target().unwrap(), node.target().unwrap().connect().await.unwrap());
    assert_eq!(raw::call(&channel, WHO_AM_I, None, Vec::new()).await.unwrap().code, Code::Unauthenticated);
    usage::forget_peak(pid).unwrap();
    let before = usage::of(pid).unwrap();
    let outcome = make(target).await.unwrap();
    let after = usage::of(pid).unwrap();
    // somebody else's connection goes on, and a new one is taken
    assert_eq!(raw::call(&channel, WHO_AM_I, None, Vec::new()).await.unwrap().code, Code::Unauthenticated);
    node.target().unwrap().connect().await.expect("a node that was attacked takes nobody");
    let (mut idle, mut dear) = (Duration::MAX, Duration::ZERO);
    for _ in 0..LATE {
        let quiet = usage::of(pid).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await; // why: the second itself is measured, in which the node has nothing to do
        let now = usage::of(pid).unwrap().cpu;
        (idle, dear) = (now - quiet.cpu, now - after.cpu);
        if idle < IDLE {
            break;
        }
    }
    let peak = after.peak_kib.saturating_sub(before.now_kib);
    let Said { goaway, resets, answered, acknowledged, closed, .. } = &outcome.said;
    println!(
        "| {what} | {} | goaway {goaway:?}, resets {resets:?}, answered {answered}, acknowledged {acknowledged}, closed {closed} | {:.1} MiB | {} ms | {} ms |",
        outcome.sent,
        f64::from(u32::try_from(peak).unwrap()) / 1024.0,
        (after.cpu - before.cpu).as_millis(),
        idle.as_millis(),
    );
    assert!(peak < MOST_KIB, "{what}: the node took {peak} KiB more");
    assert!(dear < MOST_AFTER, "{what}: the node went on for {dear:?} of a processor");
    assert!(idle < IDLE, "{what}: the node is busy with nothing: {idle:?} of a second");
    outcome
}

async fn flood(
    target: Target,
    deaf: bool,
    times: u32,
    make: impl Fn(u32) -> Vec<u8>,
) -> anyhow::Result<Outcome> {
    let mut connection = Raw::connect(&target, deaf).await?;
    let sent = connection.flood(times, make).await;
    Ok(Outcome { sent, said: connection.end().await? })
}

#[tokio::test]
async fn x1_streams_that_are_taken_back_at_once_end_their_connection() {
    let cancel = |n| [open(n, 0), frame(kind::RST_STREAM, 0, stream(n), &8u32.to_be_bytes())].concat();
    let outcome =
        attack("rapid reset, 20,000", async |target| flood(target, false, 20_000, cancel).await).await;
    assert_eq!(outcome.said.goaway, Some(ENHANCE_YOUR_CALM));
}

#[tokio::test]
async fn x1_streams_that_the_node_itself_has_to_reset_end_their_connection() {
    // a length that its own end belies is an error of its stream, and the node's to reset
    let lie = |n| {
        let head = call(WHO_AM_I, &[("content-length", "10")]);
        frame(kind::HEADERS, kind::END_HEADERS | kind::END_STREAM, stream(n), &head)
    };
    let outcome =
        attack("local resets, 20,000", async |target| flood(target, false, 20_000, lie).await).await;
    assert_eq!(outcome.said.goaway, Some(ENHANCE_YOUR_CALM), "{:?}", outcome.said);
    assert!(outcome.said.resets.values().sum::<usize>() <= 64, "{:?}", outcome.said);
    // a window that grows past its bound, or by nothing (CVE-2025-8671)
    for (what, grown) in [("by too much", 0x7fff_ffff_u32), ("by nothing", 0)] {
        let grow = |n| [open(n, 0), frame(kind::WINDOW_UPDATE, 0, stream(n), &grown.to_be_bytes())].concat();
        let what = format!("windows that grow {what}, 20,000");
        let outcome = attack(&what, async |target| flood(target, false, 20_000, grow).await).await;
        assert!(outcome.said.closed && outcome.said.goaway.is_some(), "{:?}", outcome.said);
    }
}

#[tokio::test]
async fn x1_headers_without_an_end_end_their_connection() {
    let block = headers(&[("x-more", &"a".repeat(16_000))]);
    let endless = |n| match n {
        0 => frame(kind::HEADERS, 0, 1, &call(WHO_AM_I, &[])),
        _ => frame(kind::CONTINUATION, 0, 1, &block),
    };
    let outcome =
        attack("CONTINUATION, 10,000 of 16 KiB", async |target| flood(target, false, 10_000, endless).await)
            .await;
    assert!(outcome.said.goaway.is_some() && outcome.said.closed, "{:?}", outcome.said);
    let small = |n| {
        if n == 0 {
            frame(kind::HEADERS, 0, 1, &call(WHO_AM_I, &[]))
        } else {
            frame(kind::CONTINUATION, 0, 1, &[])
        }
    };
    let outcome =
        attack("CONTINUATION, 100,000 empty", async |target| flood(target, false, 100_000, small).await)
            .await;
    assert!(outcome.said.goaway.is_some() && outcome.said.closed, "{:?}", outcome.said);
}

#[tokio::test]
async fn x1_frames_that_say_nothing_fill_nothing() {
    let empty = |n| {
        if n == 0 {
            frame(kind::HEADERS, kind::END_HEADERS, 1, &call(SIGN_UP, &[]))
        } else {
            frame(kind::DATA, 0, 1, &[])
        }
    };
    attack("empty DATA, 200,000", async |target| flood(target, false, 200_000, empty).await).await;
    let priority = |n| frame(kind::PRIORITY, 0, stream(n), &[0, 0, 0, 0, 1]);
    attack("PRIORITY, 200,000", async |target| flood(target, false, 200_000, priority).await).await;
}

#[tokio::test]
async fn x1_answers_that_nobody_reads_pile_up_nowhere() {
    let ping = |_| frame(kind::PING, 0, 0, &[7; 8]);
    let outcome =
        attack("PING, 2,000,000, answers unread", async |target| flood(target, true, 2_000_000, ping).await)
            .await;
    assert!(outcome.sent < 2_000_000 || outcome.said.acknowledged > 0);
    let settings = |_| frame(kind::SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]);
    attack("SETTINGS, 2,000,000, answers unread", async |target| {
        flood(target, true, 2_000_000, settings).await
    })
    .await;
    attack("PING, 200,000", async |target| flood(target, false, 200_000, ping).await).await;
    attack("SETTINGS, 200,000", async |target| flood(target, false, 200_000, settings).await).await;
}

#[tokio::test]
async fn x3_ten_thousand_streams_at_once_are_not_taken() {
    let outcome =
        attack("10,000 open streams", async |target| flood(target, false, 10_000, |n| open(n, 0)).await)
            .await;
    let most = outcome.said.settings.get(&3).copied();
    assert_eq!(most, Some(200), "the limit is not told");
    let refused = outcome.said.resets.get(&REFUSED_STREAM).copied().unwrap_or(0);
    assert!(refused > 0 || outcome.said.goaway.is_some(), "{:?}", outcome.said);
    assert!(outcome.said.answered <= 10_000 - refused);
}

#[tokio::test]
async fn x4_lengths_that_lie_and_headers_that_unfold_cost_nothing() {
    let lie = |n| {
        let data = [0, 0xff, 0xff, 0xff, 0xff, 1];
        let head = frame(kind::HEADERS, kind::END_HEADERS, stream(n), &call(SIGN_UP, &[]));
        [head, frame(kind::DATA, kind::END_STREAM, stream(n), &data)].concat()
    };
    let outcome =
        attack("a length of 4 GiB, 1 byte, 100 times", async |target| flood(target, false, 100, lie).await)
            .await;
    assert!(outcome.said.answered >= 100 && outcome.said.goaway.is_none(), "{:?}", outcome.said);
    let zipped = |n| {
        let data = [&[1u8, 0, 0, 1, 0], vec![0x1f; 256].as_slice()].concat();
        let call = call(SIGN_UP, &[("grpc-encoding", "gzip")]);
        let head = frame(kind::HEADERS, kind::END_HEADERS, stream(n), &call);
        [head, frame(kind::DATA, kind::END_STREAM, stream(n), &data)].concat()
    };
    let outcome =
        attack("compressed messages, 100", async |target| flood(target, false, 100, zipped).await).await;
    assert!(outcome.said.answered >= 100, "{:?}", outcome.said);
    // a header of 3 KiB in the table, then named 5,000 times in each of 100 requests
    let unfold = |n| {
        let mut block = call(WHO_AM_I, &[]);
        let value = vec![b'a'; 3000];
        if n == 0 {
            block.extend([0x40, 1, b'x', 0x7f, 0xb9, 0x16]);
            block.extend(&value);
        }
        block.extend(vec![0xbe; 5000]);
        frame(kind::HEADERS, kind::END_HEADERS | kind::END_STREAM, stream(n), &block)
    };
    attack("HPACK, 15 MB in 5 KB, 100 times", async |target| flood(target, false, 100, unfold).await).await;
}

#[tokio::test]
async fn fields_that_http_2_has_not_end_their_stream_and_reach_nobody() {
    let node = TestNode::start().await.unwrap();
    for (name, value) in [
        ("connection", "close"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "close"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
        ("x-two-lines", "a\r\nauthorization: b"),
        ("x-line", "a\nb"),
        ("x-zero", "a\0b"),
        ("X-Upper", "a"),
        ("x-name: a\r\nx", "a"),
    ] {
        let mut connection = Raw::connect(&node.target().unwrap(), false).await.unwrap();
        let head = call(WHO_AM_I, &[(name, value)]);
        let open = frame(kind::HEADERS, kind::END_HEADERS | kind::END_STREAM, 1, &head);
        assert!(connection.send(&open).await);
        let said = connection.end().await.unwrap();
        let ended = said.goaway.is_some() || said.resets.values().sum::<usize>() == 1;
        assert!(ended && said.answered == 0, "{name:?}: {value:?}: {said:?}");
    }
}
