//! A body with something that has to live as long as it.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

/// The answer of a peer as it comes in; holds its place on the link until it has ended.
#[derive(Debug)]
pub struct PeerBody {
    body: Incoming,
    _place: OwnedSemaphorePermit,
}

impl PeerBody {
    pub(super) fn new(body: Incoming, place: OwnedSemaphorePermit) -> Self {
        Self { body, _place: place }
    }
}

impl Body for PeerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
