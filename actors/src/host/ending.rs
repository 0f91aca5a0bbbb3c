//! Why a connection is over, and whether what is left of it may still go out.
//!
//! A cell that closes a connection leaves frames behind that its client has not taken yet. The session is watched until they have
//! gone out: whoever holds the [`Ending`] is told that it is over, also after the end of the connection itself.

use tokio::sync::watch;

use super::gateway::GatewayEnd;

impl GatewayEnd {
    /// Nothing of the connection may go out any more: its session is over, or nobody could vouch for it.
    pub(super) fn is_revocation(self) -> bool {
        matches!(self, Self::SessionOver | Self::Moved)
    }
}

/// Both sides of an ending.
pub fn ending() -> (Ender, Ending) {
    let (tell, said) = watch::channel(None);
    (Ender(tell), Ending(said))
}

/// Tells how a connection ends. Dropped without a word, nobody watches its session any more.
pub struct Ender(watch::Sender<Option<GatewayEnd>>);

impl Ender {
    /// It is over; a revocation may follow another end.
    pub fn tell(&self, end: GatewayEnd) {
        self.0.send_replace(Some(end));
    }

    /// Ready when nobody sends any of it any more.
    pub async fn unheard(&self) {
        self.0.closed().await;
    }

    /// Waits until the last of it has gone out, or `over`, which is told then: the end of its session.
    pub(super) async fn watch(self, over: impl Future<Output = GatewayEnd>) {
        tokio::select! {
            biased;
            () = self.unheard() => {}
            end = over => self.tell(end),
        }
    }
}

/// Hears how a connection ends. Its session is watched for as long as somebody holds this.
#[derive(Clone)]
pub struct Ending(watch::Receiver<Option<GatewayEnd>>);

impl Ending {
    /// Ready when the connection is over; none if whoever would say why is gone.
    pub async fn why(&mut self) -> Option<GatewayEnd> {
        self.0.wait_for(Option::is_some).await.ok().and_then(|end| *end)
    }

    /// Ready when nothing of it may go out any more, perhaps long after its end.
    pub async fn revoked(&mut self) -> GatewayEnd {
        let said = self.0.wait_for(|end| end.is_some_and(GatewayEnd::is_revocation)).await;
        said.ok().and_then(|end| *end).unwrap_or(GatewayEnd::Moved)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_session_that_ends_after_its_connection_is_told_to_whoever_still_sends() {
        let (tell, mut heard) = ending();
        assert_eq!(heard.why().now_or_never(), None);
        tell.tell(GatewayEnd::CellClosed);
        assert_eq!(heard.why().await, Some(GatewayEnd::CellClosed));
        assert_eq!(heard.revoked().now_or_never(), None);
        tell.watch(std::future::ready(GatewayEnd::SessionOver)).await;
        assert_eq!(heard.revoked().await, GatewayEnd::SessionOver);
        assert_eq!(heard.why().await, Some(GatewayEnd::SessionOver));
    }

    #[tokio::test]
    async fn a_session_is_watched_until_nobody_sends_any_more() {
        let (tell, heard) = ending();
        tell.tell(GatewayEnd::CellClosed);
        let other = heard.clone();
        let mut watched = Box::pin(tell.watch(std::future::pending()));
        drop(heard);
        assert!(watched.as_mut().now_or_never().is_none(), "somebody still sends");
        drop(other);
        watched.await;
    }

    #[tokio::test]
    async fn what_nobody_watches_does_not_go_out() {
        let (tell, mut heard) = ending();
        drop(tell);
        assert_eq!((heard.why().await, heard.revoked().await), (None, GatewayEnd::Moved));
    }
}
