//! What a caller gets: the owner's answer as it streams in, or why there is none, in the caller's protocol.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use ocmt_actors::ActorError;

use super::{crowd::Place, replay::Reading};
use crate::{edge::error, peers::PeerBody};

const GRPC: &[u8] = b"application/grpc";
const GRPC_WEB: &[u8] = b"application/grpc-web";

/// How a caller reads errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speech {
    Grpc,
    GrpcWeb,
    Http,
}

impl Speech {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        match headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes) {
            Some(kind) if kind.starts_with(GRPC_WEB) => Self::GrpcWeb,
            Some(kind) if kind.starts_with(GRPC) => Self::Grpc,
            _ => Self::Http,
        }
    }
}

/// An error for the caller of a request with these headers.
pub(super) fn refusal(error: &ActorError, request: &HeaderMap) -> Response {
    let speech = Speech::of(request);
    if speech == Speech::Http {
        return error::problem(error);
    }
    let mut response = error::status(error).into_http::<tonic::body::Body>().map(Body::new);
    if speech == Speech::GrpcWeb
        && let Some(kind) = request.get(header::CONTENT_TYPE)
    {
        response.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
    }
    response
}

/// The owner's body on its way to the caller. If the link breaks in the middle, a gRPC caller gets a status
/// instead of a broken stream; what is gone shows in it, and that the outcome is unknown.
pub(super) struct Carried {
    body: PeerBody,
    broken: Option<HeaderMap>,
    ended: bool,
    _request: (Reading, Place),
}

impl Carried {
    pub(super) fn new(body: PeerBody, speech: Speech, request: (Reading, Place)) -> Self {
        let broken = (speech == Speech::Grpc).then(outcome_unknown);
        Self { body, broken, ended: false, _request: request }
    }
}

fn outcome_unknown() -> HeaderMap {
    let mut trailers = error::status(&ActorError::OutcomeUnknown).into_http::<()>().into_parts().0.headers;
    trailers.remove(header::CONTENT_TYPE);
    trailers
}

impl HttpBody for Carried {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let Poll::Ready(polled) = Pin::new(&mut self.body).poll_frame(cx) else {
            return Poll::Pending;
        };
        Poll::Ready(match (polled, self.broken.take()) {
            (Some(Err(error)), Some(trailers)) => {
                tracing::debug!(%error, "an answer broke off between two nodes");
                self.ended = true;
                Some(Ok(Frame::trailers(trailers)))
            }
            (polled, broken) => {
                self.broken = broken;
                polled
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.broken.is_some() { SizeHint::new() } else { self.body.size_hint() }
    }
}
