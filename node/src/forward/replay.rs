//! A request's body that can be sent again: its first bytes are kept while they pass, never waited for.
//!
//! A call is sent again when a node said that it did not read it. The body streams on meanwhile; once more
//! than [`KEPT`] have passed, nothing is kept and the call has had its one chance.
//!
//! Only its beginning is waited for, and before it is sent anywhere ([`Replay::arrival`]): a caller that says
//! nothing costs nobody but this node anything.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::HeaderMap;
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// Bytes of a body that are kept.
pub(super) const KEPT: usize = 64 << 10;
/// Frames of a body that are kept: a byte each would cost more than its byte.
const FRAMES: usize = 256;

/// A body that several attempts read, one after the other.
#[derive(Clone)]
pub(super) struct Replay(Arc<Mutex<Source>>);

struct Source {
    body: Body,
    kept: Vec<Bytes>,
    bytes: usize,
    trailers: Option<HeaderMap>,
    /// Came before anybody read.
    early: Option<Result<Frame<Bytes>, axum::Error>>,
    /// More came than is kept.
    lost: bool,
    /// Something was taken from the body.
    begun: bool,
    ended: bool,
    /// Of the attempt that may read; older ones are told that they are over.
    attempt: u64,
    reader: Option<Waker>,
}

impl Replay {
    pub(super) fn new(body: Body) -> Self {
        let ended = body.is_end_stream();
        Self(Arc::new(Mutex::new(Source {
            body,
            kept: Vec::new(),
            bytes: 0,
            trailers: None,
            early: None,
            lost: false,
            begun: false,
            ended,
            attempt: 0,
            reader: None,
        })))
    }

    /// The body from its beginning. Whoever read it before is told that its attempt is over.
    pub(super) fn attempt(&self) -> Body {
        let mut source = self.source();
        source.next();
        Body::new(Attempt { of: self.clone(), number: source.attempt, at: 0 })
    }

    /// Ready when the first of the body has come, or its end.
    pub(super) async fn arrival(&self) {
        poll_fn(|cx| self.source().arrive(cx)).await;
    }

    /// Whether the whole body can be sent once more.
    pub(super) fn is_whole(&self) -> bool {
        !self.source().lost
    }

    /// Whether there is a message of which nothing was taken yet.
    pub(super) fn is_untouched(&self) -> bool {
        let source = self.source();
        !source.begun && !source.ended
    }

    /// The present attempt, to be ended when its answer is.
    pub(super) fn reading(&self) -> Reading {
        Reading { of: self.clone(), attempt: self.source().attempt }
    }

    fn source(&self) -> MutexGuard<'_, Source> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt that is over when this is dropped: its caller is gone or served, and what is left of the
/// request goes nowhere.
pub(super) struct Reading {
    of: Replay,
    attempt: u64,
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut source = self.of.source();
        if source.attempt == self.attempt {
            source.next();
        }
    }
}

impl Source {
    fn next(&mut self) {
        self.attempt += 1;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    fn keep(&mut self, data: &Bytes) {
        self.bytes += data.len();
        if self.bytes > KEPT || self.kept.len() >= FRAMES {
            self.lost = true;
            self.kept = Vec::new();
        }
        if !self.lost {
            self.kept.push(data.clone());
        }
    }

    fn arrive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.begun || self.ended || self.lost || self.early.is_some() {
            return Poll::Ready(());
        }
        self.body.frame().poll_unpin(cx).map(|first| {
            self.ended = first.is_none();
            self.early = first;
        })
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = match self.early.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => self.body.frame().poll_unpin(cx),
        };
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.begun = true;
                match (frame.data_ref().cloned(), frame.trailers_ref()) {
                    (Some(data), _) => self.keep(&data),
                    (None, Some(trailers)) => self.trailers = Some(trailers.clone()),
                    (None, None) => {}
                }
            }
            Poll::Ready(None) => self.ended = true,
            Poll::Ready(Some(Err(_))) => self.lost = true,
            Poll::Pending => match &mut self.reader {
                Some(reader) => reader.clone_from(cx.waker()),
                None => self.reader = Some(cx.waker().clone()),
            },
        }
        polled
    }
}

/// One reading of a body.
struct Attempt {
    of: Replay,
    number: u64,
    /// Frames it has had.
    at: usize,
}

impl HttpBody for Attempt {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let replay = self.of.clone();
        let mut source = replay.source();
        if source.attempt != self.number {
            return Poll::Ready(Some(Err(axum::Error::new("this attempt is over"))));
        }
        if let Some(data) = source.kept.get(self.at).cloned() {
            self.at += 1;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if source.ended {
            return Poll::Ready(source.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
        }
        let polled = source.poll(cx);
        if polled.is_ready() {
            self.at = source.kept.len();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        let source = self.of.source();
        source.attempt == self.number
            && self.at >= source.kept.len()
            && source.trailers.is_none()
            && source.early.is_none()
            && (source.ended || source.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let source = self.of.source();
        let untouched = self.at == 0 && !source.begun && source.early.is_none();
        if untouched { source.body.size_hint() } else { SizeHint::new() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn chunks(chunks: &'static [&'static [u8]]) -> Replay {
        let frames = chunks.iter().map(|chunk| Ok::<_, axum::Error>(Bytes::from_static(chunk)));
        Replay::new(Body::from_stream(futures_util::stream::iter(frames)))
    }

    async fn text(body: Body) -> Result<String, axum::Error> {
        Ok(String::from_utf8(body.collect().await?.to_bytes().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_small_body_is_sent_as_often_as_needed() {
        let replay = chunks(&[b"one ", b"two ", b"three"]);
        assert!(replay.is_untouched());
        let mut first = replay.attempt();
        assert_eq!(first.frame().await.unwrap().unwrap().into_data().unwrap(), "one ");
        assert!(!replay.is_untouched() && replay.is_whole());
        let second = replay.attempt();
        assert!(first.frame().await.unwrap().is_err(), "an attempt that is over goes on reading");
        assert_eq!(text(second).await.unwrap(), "one two three");
        assert_eq!(text(replay.attempt()).await.unwrap(), "one two three");
    }

    #[tokio::test]
    async fn a_large_body_passes_once_and_is_not_kept() {
        const BIG: &[u8] = &[7; KEPT];
        let replay = chunks(&[BIG, b"more"]);
        let passed = replay.attempt().collect().await.unwrap().to_bytes();
        assert_eq!(passed.len(), KEPT + 4);
        assert!(!replay.is_whole());
        assert!(replay.source().kept.is_empty(), "bytes are held that nobody will send");
    }

    #[tokio::test]
    async fn a_reader_that_waits_is_told_when_its_attempt_is_over() {
        let replay =
            Replay::new(Body::from_stream(futures_util::stream::pending::<Result<Bytes, axum::Error>>()));
        let mut attempt = replay.attempt();
        let waiting =
            tokio::task::JoinSet::from_iter([async move { attempt.frame().await.unwrap().is_err() }]);
        tokio::task::yield_now().await;
        drop(replay.reading());
        assert_eq!(waiting.join_all().await, [true]);
    }

    #[tokio::test]
    async fn what_arrives_before_it_is_read_is_read_first() {
        const BIG: &[u8] = &[7; KEPT + 1];
        for body in [[b"one ".as_slice(), b"two"], [BIG, b"two"]] {
            let frames = body.map(|chunk| Ok::<_, axum::Error>(Bytes::from_static(chunk)));
            let replay = Replay::new(Body::from_stream(futures_util::stream::iter(frames)));
            replay.arrival().await;
            replay.arrival().await;
            assert!(replay.is_untouched() && replay.is_whole());
            let mut attempt = replay.attempt();
            assert!(!attempt.is_end_stream());
            assert_eq!(attempt.frame().await.unwrap().unwrap().into_data().unwrap(), body[0]);
            assert_eq!(text(attempt).await.unwrap(), "two");
        }
        let nothing =
            Replay::new(Body::from_stream(futures_util::stream::empty::<Result<Bytes, axum::Error>>()));
        nothing.arrival().await;
        assert!(!nothing.is_untouched() && nothing.attempt().is_end_stream());
    }

    #[tokio::test]
    async fn an_empty_body_is_no_message_to_come() {
        let replay = Replay::new(Body::empty());
        assert!(!replay.is_untouched() && replay.is_whole());
        assert!(replay.attempt().is_end_stream());
    }
}
