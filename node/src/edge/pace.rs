//! A message that has to keep coming: a client's stream that stops in the middle is ended.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::time::{Sleep, sleep};

/// The body with at most `pause` of waiting for each of its chunks. A reader that takes its time costs the sender none.
/// Trailers of a request are not passed on: gRPC has none.
pub(crate) fn keep_coming(body: Body, pause: Duration) -> Body {
    Body::from_stream(Paced { body: body.into_data_stream(), pause, late: None })
}

struct Paced {
    body: BodyDataStream,
    pause: Duration,
    /// Since the reader began to wait.
    late: Option<Pin<Box<Sleep>>>,
}

impl Stream for Paced {
    type Item = Result<Bytes, axum::BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(chunk) = self.body.poll_next_unpin(cx) {
            self.late = None;
            return Poll::Ready(chunk.map(|chunk| chunk.map_err(Into::into)));
        }
        let pause = self.pause;
        let late = self.late.get_or_insert_with(|| Box::pin(sleep(pause)));
        late.as_mut().poll(cx).map(|()| Some(Err("the message did not go on in time".into())))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures_util::stream;
    use http_body_util::BodyExt as _;

    use super::*;

    fn chunks(n: usize) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static {
        stream::iter(0..n).map(|_| Ok(Bytes::from_static(b"x")))
    }

    #[tokio::test]
    async fn a_stream_that_stops_is_ended_and_one_that_goes_on_is_not() {
        let whole = keep_coming(Body::from_stream(chunks(5)), Duration::from_secs(60));
        assert_eq!(whole.collect().await.unwrap().to_bytes().len(), 5);
        let stuck = chunks(1).chain(stream::pending());
        let ended = keep_coming(Body::from_stream(stuck), Duration::from_millis(20)).collect();
        let ended = tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it goes on waiting");
        assert!(ended.is_err());
    }
}
