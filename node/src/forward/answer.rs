//! What a caller gets: the owner's answer as it streams in.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, header};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use ocmt_actors::ActorError;

use super::{crowd::Place, replay::Reading};
use crate::{
    edge::{error, speech::Speech},
    peers::PeerBody,
};

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
