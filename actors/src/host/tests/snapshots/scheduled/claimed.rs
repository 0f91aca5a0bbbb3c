//! Whoever claims what is due takes it, and nobody else: on whichever node, and however many look at once.

use std::sync::Arc;

use futures_util::future::join_all;
use ocmt_store::{
    Filter,
    tables::{Snapshot, SnapshotSchedule},
};

use super::{desk, keeps_six};
use crate::{env::Scope, tenant::container::snapshot::scheduled::Claim, tests::kit::START, work::run_system};

#[tokio::test]
async fn of_those_that_claim_it_at_once_on_two_nodes_one_gets_it() {
    let desk = desk().await;
    let other = desk.world.beside_with(2, keeps_six(&desk.store)).await;
    desk.put(&desk.schedule()).await;
    // due, and no host has heard of it
    desk.rows_say(|row| row.due_at = Some(START)).await;
    let (own, container) = (desk.world.ownership(&desk.ann).await, desk.container);
    let claims = [&desk.world, &other, &desk.world, &other].map(async |node| {
        let scope = Scope::new(Arc::clone(&node.kit.system.env), own);
        run_system(&scope, Claim { container }).await.unwrap().0
    });
    let got: Vec<_> = join_all(claims).await.into_iter().flatten().map(|claimed| claimed.snapshot).collect();
    let mut tx = desk.world.kit.store.read(own).await.unwrap();
    let written = tx.find::<Snapshot>(Filter::all()).await.unwrap();
    let written: Vec<_> = written.into_iter().map(|one| one.snapshot_id).collect();
    assert_eq!((got.len(), written.len()), (1, 1));
    assert_eq!(got, written);
    let row = tx.get::<SnapshotSchedule>(container).await.unwrap().unwrap();
    assert_eq!((row.snapshot_id, row.tries), (Some(got[0]), 1));
}

/// A host looks at its container and then claims: what the row says by then counts.
#[tokio::test]
async fn what_was_woken_meanwhile_is_claimed_by_nobody() {
    let desk = desk().await;
    desk.put(&desk.schedule()).await;
    desk.world.wake(&desk.ann, desk.container).await.unwrap();
    desk.rows_say(|row| row.due_at = Some(START)).await;
    let own = desk.world.ownership(&desk.ann).await;
    let scope = Scope::new(Arc::clone(&desk.world.kit.system.env), own);
    assert!(run_system(&scope, Claim { container: desk.container }).await.unwrap().0.is_none());
    let mut tx = desk.world.kit.store.read(own).await.unwrap();
    assert!(tx.find::<Snapshot>(Filter::all()).await.unwrap().is_empty());
    let row = tx.get::<SnapshotSchedule>(desk.container).await.unwrap().unwrap();
    assert_eq!((row.due_at, row.snapshot_id, row.tries), (Some(START), None, 0));
}
