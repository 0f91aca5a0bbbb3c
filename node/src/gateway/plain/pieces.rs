//! Bodies on their way, piece by piece: each counts as use, and is taken when the other side is ready for it.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use axum::body::{Body, Bytes};
use futures_util::{StreamExt as _, stream};
use http_body_util::BodyExt as _;
use hyper::body::Body as HttpBody;
use ocmt_actors::api::container::{Ending, plain::Word};
use tokio::time::timeout;

use super::Words;

/// Longest body of a request, in bytes.
pub(super) const LONGEST: u64 = 32 << 20;
/// The next of a request's body comes within this.
const NEXT_UP: Duration = Duration::from_secs(60);
/// The next of an answer's body comes within this.
const NEXT_DOWN: Duration = Duration::from_secs(300);

/// What was wrong with a request's body.
#[derive(Clone, Default)]
pub(super) struct Wrong(Arc<AtomicU8>);

const TOO_LONG: u8 = 1;
const STALLED: u8 = 2;

impl Wrong {
    pub(super) fn is_too_long(&self) -> bool {
        self.0.load(Ordering::Relaxed) == TOO_LONG
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.0.load(Ordering::Relaxed) == STALLED
    }

    fn note(&self, what: u8, why: &'static str) -> io::Error {
        self.0.store(what, Ordering::Relaxed);
        io::Error::other(why)
    }
}

/// The client's body, at most [`LONGEST`]. Trailers stay behind.
pub(super) fn up(body: Body, words: Words, wrong: Wrong) -> Body {
    let from = body.into_data_stream();
    let state = (from, words, wrong, LONGEST);
    Body::from_stream(stream::try_unfold(state, |(mut from, words, wrong, left)| async move {
        let piece = match timeout(NEXT_UP, from.next()).await {
            Ok(Some(piece)) => piece.map_err(io::Error::other)?,
            Ok(None) => return Ok(None),
            Err(_) => return Err(wrong.note(STALLED, "the client did not go on")),
        };
        let Some(left) = left.checked_sub(piece.len() as u64) else {
            return Err(wrong.note(TOO_LONG, "the body is too long"));
        };
        words.say(Word::Wakes).await;
        Ok(Some((piece, (from, words, wrong, left))))
    }))
}

/// The workload's body, with what keeps its connection alive, as long as the session is good. Trailers stay behind.
pub(super) fn down<B, K>(body: B, (words, ended): (Words, Ending), connection: K) -> Body
where
    B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + Unpin + 'static,
    K: Send + 'static,
{
    let state = (body, words, ended, connection);
    Body::from_stream(stream::try_unfold(state, |(mut body, words, mut ended, connection)| async move {
        let piece = tokio::select! {
            biased;
            _ = ended.revoked() => return Err(io::Error::other("the session has ended")),
            piece = next(&mut body) => piece?,
        };
        let Some(piece) = piece else { return Ok(None) };
        words.say(Word::Counts).await;
        Ok(Some((piece, (body, words, ended, connection))))
    }))
}

async fn next<B>(body: &mut B) -> io::Result<Option<Bytes>>
where
    B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Unpin,
{
    loop {
        match timeout(NEXT_DOWN, body.frame()).await {
            Ok(Some(Ok(frame))) => {
                if let Ok(piece) = frame.into_data() {
                    return Ok(Some(piece));
                }
            }
            Ok(Some(Err(error))) => return Err(io::Error::other(error)),
            Ok(None) => return Ok(None),
            Err(_) => return Err(io::Error::other("the workload did not go on")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_actors::api::container::{GatewayEnd, ending};

    use super::*;

    #[tokio::test]
    async fn what_a_workload_has_said_goes_on_after_its_end_and_not_after_that_of_the_session() {
        for (end, all) in [(GatewayEnd::CellClosed, true), (GatewayEnd::SessionOver, false)] {
            let (to_host, _host) = tokio::sync::mpsc::channel(8);
            let (tell, ended) = ending();
            let said = ["one", "two"].map(|piece| Ok::<_, io::Error>(Bytes::from_static(piece.as_bytes())));
            let workload = Body::from_stream(stream::iter(said));
            let mut answer = down(workload, (Words(to_host), ended), ()).into_data_stream();
            assert_eq!(answer.next().await.unwrap().unwrap(), "one");
            tell.tell(end);
            assert_eq!(answer.next().await.unwrap().is_ok(), all, "{end:?}");
        }
    }
}
