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
use hyper::body::Incoming;
use ocmt_actors::api::container::plain::Word;
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

/// The workload's body, with what keeps its connection alive. Trailers stay behind.
pub(super) fn down<K: Send + 'static>(body: Incoming, words: Words, connection: K) -> Body {
    let state = (body, words, connection);
    Body::from_stream(stream::try_unfold(state, |(mut body, words, connection)| async move {
        let piece: Bytes = loop {
            match timeout(NEXT_DOWN, body.frame()).await {
                Ok(Some(Ok(frame))) => {
                    if let Ok(piece) = frame.into_data() {
                        break piece;
                    }
                }
                Ok(Some(Err(error))) => return Err(io::Error::other(error)),
                Ok(None) => return Ok(None),
                Err(_) => return Err(io::Error::other("the workload did not go on")),
            }
        };
        words.say(Word::Counts).await;
        Ok(Some((piece, (body, words, connection))))
    }))
}
