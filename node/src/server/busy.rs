//! Whether a connection has anything to do, so that one that has not for long can be ended.

use std::time::Duration;

use tokio::{sync::watch, time::sleep};

/// Requests of one connection that are open: from their head to the end of their answer. Whoever waits is told of the first
/// and the last alone: a connection that is in use is not woken for each of its requests.
#[derive(Clone)]
pub(super) struct Busy(watch::Sender<usize>);

/// One of them; over when dropped.
pub(super) struct Open(Busy);

impl Busy {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    pub(super) fn open(&self) -> Open {
        self.0.send_if_modified(|open| {
            *open += 1;
            *open == 1
        });
        Open(self.clone())
    }

    /// Ready when nothing was open for so long.
    pub(super) async fn idle_for(&self, time: Duration) {
        let mut open = self.0.subscribe();
        loop {
            if open.wait_for(|open| *open == 0).await.is_err() {
                return;
            }
            tokio::select! {
                biased;
                _ = open.changed() => {}
                () = sleep(time) => return,
            }
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.send_if_modified(|open| {
            *open -= 1;
            *open == 0
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_connection_with_an_open_request_is_not_idle() {
        let (busy, soon) = (Busy::new(), Duration::from_millis(5));
        let open = busy.open();
        let also = busy.open();
        drop(also);
        assert!(timeout(Duration::from_millis(100), busy.idle_for(soon)).await.is_err());
        drop(open);
        timeout(Duration::from_secs(20), busy.idle_for(soon)).await.unwrap();
    }

    #[test]
    fn who_waits_is_told_of_the_first_and_the_last_alone() {
        let busy = Busy::new();
        let mut told = busy.0.subscribe();
        let (first, second) = (busy.open(), busy.open());
        assert!(told.has_changed().unwrap());
        told.mark_unchanged();
        drop(first);
        drop(busy.open());
        assert!(!told.has_changed().unwrap(), "woken for one of several");
        drop(second);
        assert!(told.has_changed().unwrap());
    }
}
