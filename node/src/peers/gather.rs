//! What goes over a link goes in frames that are worth their heads.
//!
//! HTTP/2 lets each client choose how its bytes are cut. The other end of a link counts small frames that nobody has
//! read yet, of all streams together, and ends the link at too many; empty ones are counted for the link's whole life.
//! The link is everybody's, so a client's cuts stop here: what is there already goes as one frame, what says nothing
//! not at all. A conversation may be short of words, so small frames go at once as long as a stream has credit
//! for them; then they wait a little for more, and longer each time.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// More is not gathered.
const FULL: usize = 4 << 10;
/// Less is small: h2 counts what a frame is short of this.
const SMALL: usize = 256;
/// Small frames that a stream may send ahead of their worth.
const CREDIT: usize = 256;
/// Bytes that earn one more. The smallest sealed frame of a channel is longer, so a terminal never waits.
const WORTH: usize = 32;
/// By so much the wait grows, each time that a stream without credit sends a small frame.
const STEP: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(10);

/// A body whose chunks are gathered.
pub(super) struct Gathered<B: Body> {
    body: B,
    held: BytesMut,
    /// What follows what is held.
    then: Option<Then<B::Error>>,
    begun: bool,
    credit: usize,
    earned: usize,
    wait: Duration,
    /// Since something is held that is too small.
    late: Option<Pin<Box<Sleep>>>,
}

enum Then<E> {
    Trailers(HeaderMap),
    Broken(E),
    End,
}

impl<B: Body<Data = Bytes> + Unpin> Gathered<B> {
    pub(super) fn new(body: B) -> Self {
        Self {
            body,
            held: BytesMut::new(),
            then: None,
            begun: false,
            credit: CREDIT,
            earned: 0,
            wait: STEP,
            late: None,
        }
    }

    /// Takes in what there is until it is enough, or there is no more now. Ready when something is to be said.
    fn gather(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.then.is_none() && self.held.len() < FULL {
            let Poll::Ready(polled) = Pin::new(&mut self.body).poll_frame(cx) else {
                return self.may_go(cx);
            };
            self.begun = true;
            match polled.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.held.extend_from_slice(&data),
                Some(Ok(Err(other))) => self.then = other.into_trailers().ok().map(Then::Trailers),
                Some(Err(error)) => self.then = Some(Then::Broken(error)),
                None => self.then = Some(Then::End),
            }
        }
        Poll::Ready(())
    }

    /// Whether what is held goes although more may come.
    fn may_go(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.held.is_empty() {
            return Poll::Pending;
        }
        if self.held.len() >= SMALL || self.credit > 0 {
            return Poll::Ready(());
        }
        let wait = self.wait;
        self.late.get_or_insert_with(|| Box::pin(sleep(wait))).as_mut().poll(cx)
    }

    /// What is held, as one frame, and what it costs.
    fn emit(&mut self) -> Bytes {
        let data = self.held.split().freeze();
        self.late = None;
        if data.len() < SMALL && self.then.is_none() {
            match self.credit.checked_sub(1) {
                Some(left) => self.credit = left,
                None => self.wait = (self.wait + STEP).min(LONGEST),
            }
        }
        self.earned += data.len();
        self.credit = (self.credit + self.earned / WORTH).min(CREDIT);
        self.earned %= WORTH;
        data
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Gathered<B>
where
    B::Error: Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if self.gather(cx).is_pending() {
            return Poll::Pending;
        }
        if !self.held.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(self.emit()))));
        }
        Poll::Ready(match self.then.replace(Then::End) {
            Some(Then::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Some(Then::Broken(error)) => Some(Err(error)),
            Some(Then::End) | None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty()
            && match self.then {
                None => self.body.is_end_stream(),
                Some(Then::End) => true,
                Some(Then::Trailers(_) | Then::Broken(_)) => false,
            }
    }

    fn size_hint(&self) -> SizeHint {
        if self.begun { SizeHint::new() } else { self.body.size_hint() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{convert::Infallible, task::Waker};

    use futures_util::{StreamExt as _, stream};
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    type Piece = Result<Frame<Bytes>, Infallible>;

    fn piece(bytes: &'static [u8]) -> Piece {
        Ok(Frame::data(Bytes::from_static(bytes)))
    }

    /// Lengths of the frames that come of `pieces`.
    async fn frames(pieces: impl futures_util::Stream<Item = Piece> + Unpin) -> Vec<usize> {
        let mut body = Gathered::new(StreamBody::new(pieces));
        let mut lengths = Vec::new();
        while let Some(frame) = body.frame().await {
            lengths.push(frame.unwrap().into_data().unwrap().len());
        }
        assert!(body.is_end_stream());
        lengths
    }

    #[tokio::test]
    async fn what_is_there_goes_as_one_frame_and_what_says_nothing_not_at_all() {
        let bytes = stream::iter((0..10_000).map(|_| piece(b"x")));
        assert_eq!(frames(bytes).await, [FULL, FULL, 10_000 - 2 * FULL]);
        assert_eq!(frames(stream::iter((0..200).map(|_| piece(b"")))).await, [0; 0]);
        let large = [piece(b"x"), piece(&[7; 16 << 10]), piece(b"y")];
        assert_eq!(frames(stream::iter(large)).await, [(16 << 10) + 1, 1]);
    }

    #[tokio::test]
    async fn bytes_that_come_one_by_one_are_waited_for_once_the_credit_is_spent() {
        // each is followed by a moment in which there is none
        let pieces = stream::iter(0..4 * SMALL + CREDIT).then(|_| async {
            tokio::task::yield_now().await;
            piece(b"x")
        });
        let lengths = frames(Box::pin(pieces)).await;
        assert_eq!(lengths.iter().sum::<usize>(), 4 * SMALL + CREDIT);
        assert!(lengths[..CREDIT].iter().all(|length| *length == 1), "held back with credit: {lengths:?}");
        assert!(lengths.len() < CREDIT + 40, "{} frames", lengths.len());
    }

    #[tokio::test]
    async fn what_is_too_small_goes_after_a_while_all_the_same() {
        let (feed, pieces) = tokio::sync::mpsc::unbounded_channel();
        let pieces = tokio_stream::wrappers::UnboundedReceiverStream::new(pieces);
        let mut body = Gathered::new(StreamBody::new(pieces));
        // the credit grows by what is sent, and that is little
        for _ in 0..CREDIT + 2 * CREDIT / WORTH {
            feed.send(piece(b"x")).unwrap();
            let frame = tokio::time::timeout(Duration::from_secs(20), body.frame()).await.expect("held");
            assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "x");
        }
        assert!(body.wait > STEP, "the next waits no longer");
    }

    #[tokio::test]
    async fn a_terminal_never_waits() {
        let pieces = stream::iter(0..4 * CREDIT).then(|_| async {
            tokio::task::yield_now().await;
            piece(&[7; WORTH])
        });
        assert_eq!(frames(Box::pin(pieces)).await, [WORTH; 4 * CREDIT]);
    }

    #[tokio::test]
    async fn trailers_and_errors_come_after_what_was_said_before() {
        let trailers = HeaderMap::from_iter([(http::header::ETAG, "x".parse().unwrap())]);
        let ended = stream::iter([piece(b"a"), piece(b"b"), Ok(Frame::trailers(trailers.clone()))]);
        let mut body = Gathered::new(StreamBody::new(ended));
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "ab");
        assert!(!body.is_end_stream());
        assert_eq!(body.frame().await.unwrap().unwrap().into_trailers().unwrap(), trailers);
        assert!(body.is_end_stream() && body.frame().await.is_none());
        let broken = stream::iter([Ok(Frame::data(Bytes::from_static(b"a"))), Err("broken")]);
        let mut body = Gathered::new(StreamBody::new(broken));
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "a");
        assert_eq!(body.frame().await.unwrap().unwrap_err(), "broken");
        assert!(Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop())).is_ready());
    }
}
