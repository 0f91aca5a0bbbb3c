//! What a reader gets: events as they come, and the end of their session before any that still wait.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::Stream;
use tokio::sync::{mpsc, oneshot};

use super::AHEAD;
use crate::error::ActorError;

/// Events, or why there are no more.
pub struct Told<E> {
    events: mpsc::Receiver<Result<E, ActorError>>,
    /// Until it has told, or nobody can tell any more.
    revoked: Option<oneshot::Receiver<ActorError>>,
}

/// The other end of [`Told`].
pub(super) struct Telling<E> {
    pub(super) events: mpsc::Sender<Result<E, ActorError>>,
    revoked: oneshot::Sender<ActorError>,
}

pub(super) fn told<E>() -> (Telling<E>, Told<E>) {
    let ((say, events), (revoke, revoked)) = (mpsc::channel(AHEAD), oneshot::channel());
    (Telling { events: say, revoked: revoke }, Told { events, revoked: Some(revoked) })
}

impl<E> Telling<E> {
    /// What waits is told to nobody.
    pub(super) fn revoke(self, why: ActorError) {
        // a reader that is gone needs to hear nothing
        let _ = self.revoked.send(why);
    }

    /// Comes after what waits; a reader that is behind finds the stream at its end.
    pub(super) fn end(self, why: ActorError) {
        let _ = self.events.try_send(Err(why));
    }
}

impl<E> Told<E> {
    /// The next; none after the last.
    pub async fn recv(&mut self) -> Option<Result<E, ActorError>> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<E, ActorError>>> {
        if let Some(revoked) = &mut self.revoked
            && let Poll::Ready(said) = Pin::new(revoked).poll(cx)
        {
            self.revoked = None;
            if let Ok(why) = said {
                self.events.close();
                while self.events.try_recv().is_ok() {}
                return Poll::Ready(Some(Err(why)));
            }
        }
        self.events.poll_recv(cx)
    }

    /// How many wait.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }
}

impl<E> fmt::Debug for Told<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Told")
    }
}

impl<E> Stream for Told<E> {
    type Item = Result<E, ActorError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx)
    }
}
