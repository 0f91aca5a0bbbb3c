//! A WebSocket through this node to the owner's: bytes both ways, and a word to the client when the owner
//! goes without one.
//!
//! The owner ends it with its session. Of a client that takes its time this node would not hear that, behind what the client has not
//! taken: so it watches the session for itself from the first time on that the client does, however fast it is after that.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use futures_util::FutureExt as _;
use http::StatusCode;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy, split},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    crowd::Place,
    frames::{Frames, close},
    sessions::Watched,
};
use crate::{server::ConnectionSlot, tasks};

/// "Service restart" of the registry of RFC 6455: connect again at once.
const RESTART: u16 = 1012;
const CONNECT_AGAIN: &str = "connect again";
/// What the owner may still say once the client has said its last, and the client may take to read a close.
const LAST_WORDS: Duration = Duration::from_secs(5);
const CHUNK: usize = 16 << 10;
/// What a client whose session is over may still take: what came before the owner's word of it, and that.
const PARTING: Duration = Duration::from_millis(250);
/// A client that does not take a chunk for so long is gone.
const TAKES: Duration = Duration::from_secs(30);

/// The client's end of an upgrade to come.
pub(super) struct Client {
    pub(super) upgrade: OnUpgrade,
    pub(super) session: Option<Arc<dyn Watched>>,
    /// Its places at the listener and among those that are forwarded, for as long as the WebSocket lives.
    pub(super) held: (Option<ConnectionSlot>, Place),
}

/// Turns the owner's answer into the client's; after a 101 both are joined until `stop`.
pub(super) fn answer(answer: Response<Incoming>, client: Client, stop: CancellationToken) -> Response {
    let (head, body) = answer.into_parts();
    if head.status != StatusCode::SWITCHING_PROTOCOLS {
        return Response::from_parts(head, Body::new(body));
    }
    let switched = Response::from_parts(head.clone(), body);
    tasks::spawn(async move {
        let Client { upgrade, session, held } = client;
        match tokio::try_join!(upgrade, hyper::upgrade::on(switched)) {
            Ok((client, owner)) => join(TokioIo::new(client), TokioIo::new(owner), (session, stop)).await,
            Err(error) => tracing::debug!(%error, "a forwarded upgrade did not come about"),
        }
        drop(held);
    });
    Response::from_parts(head, Body::empty())
}

/// What ends it: its session, and this node.
type Ends = (Option<Arc<dyn Watched>>, CancellationToken);

/// Carries bytes until either side is done.
async fn join<C, O>(client: C, owner: O, ends: Ends)
where
    C: AsyncRead + AsyncWrite,
    O: AsyncRead + AsyncWrite,
{
    let (mut from_client, to_client) = split(client);
    let (from_owner, mut to_owner) = split(owner);
    let inwards = async move {
        // an end of either kind is the client's last word
        if copy(&mut from_client, &mut to_owner).await.is_ok() && to_owner.shutdown().await.is_err() {
            tracing::debug!("the owner was gone before the client");
        }
    };
    let outwards = outwards(from_owner, to_client, ends);
    tokio::pin!(inwards, outwards);
    tokio::select! {
        biased;
        () = &mut outwards => {}
        () = &mut inwards => {
            if timeout(LAST_WORDS, outwards).await.is_err() {
                tracing::debug!("the owner had no last word for a client that is gone");
            }
        }
    }
}

/// The owner's bytes to the client. If they end without a close, or this node stops, the client gets one.
/// From the first bytes on that have to wait for the client all of it ends with the session, whatever the owner's hop holds by then.
async fn outwards(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, (session, stop): Ends) {
    let mut frames = Frames::default();
    let mut chunk = vec![0; CHUNK];
    let (over, mut watched) = (over(session), false);
    tokio::pin!(over);
    loop {
        let read = tokio::select! {
            biased;
            () = stop.cancelled(), if frames.may_begin() => break,
            () = &mut over, if watched => return,
            read = from.read(&mut chunk) => read,
        };
        let Some(bytes) = read.ok().filter(|n| *n > 0).and_then(|n| chunk.get(..n)) else { break };
        frames.pass(bytes);
        let passed = async {
            to.write_all(bytes).await?;
            to.flush().await
        };
        tokio::pin!(passed);
        let taken = if let Some(passed) = passed.as_mut().now_or_never() {
            passed.is_ok()
        } else {
            watched = true;
            tokio::select! {
                biased;
                () = &mut over => false,
                passed = passed => passed.is_ok(),
                () = sleep(TAKES) => false,
            }
        };
        if !taken {
            return;
        }
    }
    let last = async {
        if frames.may_begin() {
            to.write_all(&close(RESTART, CONNECT_AGAIN)).await?;
        }
        to.shutdown().await
    };
    if !matches!(timeout(LAST_WORDS, last).await, Ok(Ok(()))) {
        tracing::debug!("a client did not take the end of its WebSocket");
    }
}

/// Ready when the session is over and the client has had its time to hear of it.
async fn over(session: Option<Arc<dyn Watched>>) {
    match session {
        Some(session) => session.over().await,
        None => std::future::pending().await,
    }
    sleep(PARTING).await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures_util::future::BoxFuture;
    use tokio::io::duplex;

    use super::*;

    const BUFFER: usize = 1024;

    struct Session(CancellationToken);

    impl Watched for Session {
        fn over(&self) -> BoxFuture<'_, ()> {
            self.0.cancelled().boxed()
        }
    }

    /// The owner's end does not show that the client's is full: both have room before the bytes that stand in the way.
    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_its_time_hears_nothing_more_once_its_session_is_over() {
        let (mut client, here) = duplex(BUFFER);
        let (there, mut owner) = duplex(1 << 20);
        let over = CancellationToken::new();
        let session: Arc<dyn Watched> = Arc::new(Session(over.clone()));
        let mut joined = Box::pin(join(here, there, (Some(session), CancellationToken::new())));
        owner.write_all(&vec![0x82; 4 * CHUNK]).await.unwrap();
        assert!(timeout(TAKES / 2, &mut joined).await.is_err(), "its session is good");
        over.cancel();
        timeout(Duration::from_secs(1), joined).await.expect("it is waited for");
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest.len(), BUFFER);
    }

    /// It never makes this node wait for long, and what the owner has sent already would last it for minutes.
    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_a_little_at_a_time_hears_no_more_than_a_moment_of_it() {
        const SIP: Duration = Duration::from_millis(10);
        let (mut client, here) = duplex(BUFFER);
        let (there, mut owner) = duplex(1 << 20);
        let session = CancellationToken::new();
        let watched: Arc<dyn Watched> = Arc::new(Session(session.clone()));
        let mut joined = Box::pin(join(here, there, (Some(watched), CancellationToken::new())));
        owner.write_all(&vec![0x82; 1 << 20]).await.unwrap();
        let sips = async {
            let (mut sips, mut sip) = (0, [0; BUFFER]);
            while client.read_exact(&mut sip).await.is_ok() {
                sips += 1;
                sleep(SIP).await; // why: the pace at which it takes what comes; the clock is the test's
                if sips == 100 {
                    session.cancel();
                }
            }
            sips
        };
        let ((), sips) = tokio::join!(&mut joined, sips);
        let most = 100 + PARTING.as_millis() / SIP.as_millis() + 4;
        assert!(sips >= 100 && sips <= most, "{sips} of {}", (1 << 20) / BUFFER);
    }

    /// The owner's close is on its way when this node hears of the end.
    #[tokio::test(start_paused = true)]
    async fn a_client_that_was_slow_once_is_told_its_owners_word() {
        let (mut client, here) = duplex(BUFFER);
        let (there, mut owner) = duplex(1 << 20);
        let session = CancellationToken::new();
        let watched: Arc<dyn Watched> = Arc::new(Session(session.clone()));
        let joined = join(here, there, (Some(watched), CancellationToken::new()));
        let (word, message) = (close(4401, "over"), frame_of(4 * BUFFER));
        let talk = async {
            owner.write_all(&message).await.unwrap();
            let mut heard = vec![0; message.len()];
            client.read_exact(&mut heard).await.unwrap();
            session.cancel();
            sleep(PARTING / 2).await; // why: the owner's word takes longer than its end; the clock is the test's
            owner.write_all(&word).await.unwrap();
            let mut heard = vec![0; word.len()];
            client.read_exact(&mut heard).await.unwrap();
            assert_eq!(heard, word);
        };
        timeout(TAKES, async { tokio::join!(joined, talk) }).await.expect("it goes on");
    }

    /// A binary message of so many bytes, as a server sends it.
    fn frame_of(bytes: usize) -> Vec<u8> {
        let length = u16::try_from(bytes).unwrap();
        [&[0x82, 126], length.to_be_bytes().as_slice(), &vec![7; bytes]].concat()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_gone_and_one_that_takes_its_time_is_not() {
        for (reads, gone) in [(false, true), (true, false)] {
            let (mut client, here) = duplex(BUFFER);
            let (there, mut owner) = duplex(1 << 20);
            let mut joined = Box::pin(join(here, there, (None, CancellationToken::new())));
            owner.write_all(&vec![0x82; CHUNK]).await.unwrap();
            assert!(timeout(TAKES / 2, &mut joined).await.is_err(), "it is not waited for");
            if reads {
                let mut all = vec![0; CHUNK];
                let read = client.read_exact(&mut all);
                tokio::select! {
                    read = read => assert_eq!(read.unwrap(), CHUNK),
                    () = &mut joined => panic!("it ended"),
                }
            }
            assert_eq!(timeout(TAKES, &mut joined).await.is_ok(), gone);
        }
    }
}
