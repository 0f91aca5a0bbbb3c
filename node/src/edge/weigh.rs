//! How much a call's message will be, by its prefix: a long one is read for those alone who were looked at.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, Limited};

/// What is read of a call whose token nobody has looked at; as much as the services without ciphertext take at all.
const UNSEEN: usize = 64 << 10;
/// Before each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// A call's message, which has begun.
pub(super) enum Weighed {
    /// It ends by itself past what anybody may send.
    Light(Body),
    /// It says that it is longer, or does not say how long it is.
    Heavy(Body),
}

/// Waits for the prefix of a message.
///
/// # Errors
/// What the body ends with.
pub(super) async fn weigh(headers: &HeaderMap, mut body: Body) -> Result<Weighed, axum::Error> {
    let mut begun = BytesMut::new();
    while begun.len() < PREFIX {
        match body.frame().await {
            Some(frame) => begun.extend_from_slice(&frame?.into_data().unwrap_or_default()),
            None => break,
        }
    }
    let says = begun.get(1..PREFIX).and_then(|length| length.try_into().ok()).map(u32::from_be_bytes);
    let heavy = is_text(headers) || says.is_some_and(|says| says as usize > UNSEEN);
    let begun = stream::iter([Ok::<Bytes, axum::Error>(begun.freeze())]);
    let whole = Body::from_stream(begun.chain(body.into_data_stream()));
    Ok(if heavy { Weighed::Heavy(whole) } else { Weighed::Light(limited(whole)) })
}

/// Whatever the first message says, more may follow it.
fn limited(body: Body) -> Body {
    Body::new(Limited::new(body, UNSEEN + PREFIX))
}

/// gRPC-Web in base64: its prefix is none that can be read here.
fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(http::HeaderValue::as_bytes).unwrap_or_default();
    kind.to_ascii_lowercase().starts_with(b"application/grpc-web-text")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn framed(length: usize, pieces: usize) -> Body {
        let length = u32::try_from(length).unwrap().to_be_bytes();
        let head = [0, length[0], length[1], length[2], length[3]].map(|byte| Bytes::from(vec![byte]));
        let rest = (0..pieces).map(|_| Bytes::from_static(&[7; 1024]));
        Body::from_stream(stream::iter(head.into_iter().chain(rest).map(Ok::<_, axum::Error>)))
    }

    async fn weighed(body: Body, kind: &'static str) -> (bool, Result<usize, axum::Error>) {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind.parse().unwrap())]);
        let (heavy, body) = match weigh(&headers, body).await.unwrap() {
            Weighed::Light(body) => (false, body),
            Weighed::Heavy(body) => (true, body),
        };
        (heavy, body.collect().await.map(|whole| whole.to_bytes().len()))
    }

    #[tokio::test]
    async fn a_message_is_as_long_as_it_says_and_nothing_follows_a_short_one_for_long() {
        let grpc = "application/grpc";
        let (heavy, read) = weighed(framed(UNSEEN, 64), grpc).await;
        assert!(!heavy && read.unwrap() == UNSEEN + PREFIX);
        let (heavy, read) = weighed(framed(UNSEEN + 1, 65), grpc).await;
        assert!(heavy && read.unwrap() == (65 << 10) + PREFIX);
        let (heavy, read) = weighed(framed(4, 65), grpc).await;
        assert!(!heavy && read.is_err(), "what follows is read to its end");
        let (heavy, read) = weighed(framed(4, 1), "application/grpc-web-text+proto").await;
        assert!(heavy && read.is_ok());
        let (heavy, read) = weighed(Body::empty(), grpc).await;
        assert!(!heavy && read.unwrap() == 0);
    }
}
