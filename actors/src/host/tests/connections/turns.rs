//! Ends of connections come one after the other, of one provider.

use std::sync::atomic::Ordering;

use futures_util::future::join;
use tokio::time::timeout;

use super::*;

#[tokio::test]
async fn an_end_that_nobody_waits_for_any_more_is_not_asked_for_when_its_turn_comes() {
    let world = World::sim().await;
    let (ann, open, container) = unlocked(&world).await;
    let made = connected(&world, &ann, &open, container).await;
    let connecting = &world.cells.connecting;
    let end = || world.kit.call(&ann.caller, Disconnect { connection: made.connection, anyway: false });
    connecting.hangs.store(true, Ordering::SeqCst);
    let queued = async {
        until("the first is at its provider", async || connecting.end_asks.load(Ordering::SeqCst) == 1).await;
        // whoever asks for it waits for a moment, and goes
        assert!(timeout(Duration::from_millis(200), end()).await.is_err());
        connecting.hangs.store(false, Ordering::SeqCst);
        connecting.go_on.notify_one();
    };
    let (first, ()) = join(end(), queued).await;
    assert_eq!(first.unwrap_err().reason(), "PROVIDER_REFUSED");
    // behind both
    assert_eq!(end().await, Ok(Disconnected { revoked: true }));
    assert_eq!(connecting.end_asks.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_end_waits_for_no_other_provider_than_its_own() {
    let world = World::sim().await;
    let (ann, open, container) = unlocked(&world).await;
    let git = connected(&world, &ann, &open, container).await.connection;
    let hub = CellConnection { provider: "hub".to_owned(), scopes: vec!["read".to_owned()] };
    world.cells.inbox.lock().unwrap().push(item(&open, unlock_id(), 1, Some(hub)));
    world.cells.inbox_moved.notify_waiters();
    until("both are there", async || list(&world, &ann, container).await.len() == 2).await;
    let both = list(&world, &ann, container).await;
    let hub = both.iter().find(|one| one.provider == "hub").unwrap().connection;
    let connecting = &world.cells.connecting;
    let end = |connection| world.kit.call(&ann.caller, Disconnect { connection, anyway: false });
    connecting.hangs.store(true, Ordering::SeqCst);
    let other = async {
        until("the first is at its provider", async || connecting.end_asks.load(Ordering::SeqCst) == 1).await;
        let ended = timeout(Duration::from_secs(20), end(hub)).await.expect("it waits for the other");
        assert_eq!(ended, Ok(Disconnected { revoked: true }));
        connecting.go_on.notify_one();
    };
    let (first, ()) = join(end(git), other).await;
    assert_eq!(first.unwrap_err().reason(), "PROVIDER_REFUSED");
}
