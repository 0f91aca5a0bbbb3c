//! The sim: the conformance suite, and its faults.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod conformance;

use conformance::rows::{one_tenant, timer};
use ocmt_store::{Fault, Filter, Point, Stalled, Store, StoreError, tables::Timer};

async fn open() -> (Store, ()) {
    (Store::sim(), ())
}

suite!(crate::open);

async fn timers(store: &Store, own: ocmt_types::Ownership) -> i64 {
    store.read(own).await.unwrap().count(Filter::<Timer>::all()).await.unwrap()
}

#[tokio::test]
async fn an_unknown_outcome_is_told_and_either_way_is_possible() {
    for (applied, rows) in [(false, 0), (true, 1)] {
        let store = Store::sim();
        let own = one_tenant(&store).await;
        let mut tx = store.fenced(own).await.unwrap();
        tx.insert(&timer(own, "a", 1)).await.unwrap();
        store.faults().unwrap().plan(Point::Commit, Fault::OutcomeUnknown { applied });
        let error = tx.commit().await.unwrap_err();
        assert!(error.outcome_unknown() && !error.is_retryable(), "{error:?}");
        assert_eq!(timers(&store, own).await, rows);
    }
}

#[tokio::test]
async fn an_unavailable_store_is_told_at_each_point_and_leaves_nothing() {
    let store = Store::sim();
    let own = one_tenant(&store).await;
    let faults = store.faults().unwrap().clone();
    faults.plan(Point::Begin, Fault::Unavailable);
    assert!(store.fenced(own).await.err().unwrap().is_retryable());
    faults.plan(Point::BeginRead, Fault::Unavailable);
    assert!(store.read(own).await.err().unwrap().is_retryable());
    let mut tx = store.fenced(own).await.unwrap();
    tx.insert(&timer(own, "a", 1)).await.unwrap();
    faults.plan(Point::Statement, Fault::Full);
    assert!(matches!(tx.insert(&timer(own, "b", 1)).await, Err(StoreError::Full)));
    faults.plan(Point::Commit, Fault::Unavailable);
    assert!(matches!(tx.commit().await, Err(StoreError::Unavailable(_))));
    assert_eq!(timers(&store, own).await, 0);
}

#[tokio::test]
async fn a_stalled_commit_stands_until_it_is_released() {
    let store = Store::sim();
    let own = one_tenant(&store).await;
    let stalled = Stalled::default();
    store.faults().unwrap().plan(Point::Commit, Fault::Stall(stalled.clone()));
    let mut tx = store.fenced(own).await.unwrap();
    tx.insert(&timer(own, "a", 1)).await.unwrap();
    let mut commits = tokio::task::JoinSet::new();
    commits.spawn(tx.commit());
    stalled.reached().await;
    assert_eq!(timers(&store, own).await, 0);
    stalled.release();
    commits.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(timers(&store, own).await, 1);
}
