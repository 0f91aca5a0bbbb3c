//! A process that dies after k - 1 and after k approvals: the next one goes on from the rows.

use super::circle::{Circle, pass_delay, short};
use crate::{
    api::recovery::{CeremonyState, CollectShares},
    tests::kit::Kit,
};

/// Kills the tree without a farewell and starts another over the same store.
async fn crash(circle: &mut Circle) {
    circle.kit.system.root.kill();
    circle.kit.system = circle.kit.another_tree().await;
}

async fn it_goes_on_after_crashes(kit: Kit) {
    let mut circle = Circle::dealt(kit, 2, &[1, 1, 1]).await;
    let requester = circle.opened().await;
    let id = requester.id();
    let first = circle.approval(0, id).await;
    circle.send_approval(0, id, first.clone()).await.unwrap();
    crash(&mut circle).await;
    let view = circle.state_of(&requester.person, id).await.unwrap();
    assert_eq!((view.state, view.units_approved), (CeremonyState::Open, 1));
    circle.send_approval(0, id, first).await.expect("a repeat after the crash");
    assert_eq!(circle.state_of(&requester.person, id).await.unwrap().units_approved, 1, "counts once");
    circle.approve(1, id).await.unwrap();
    crash(&mut circle).await;
    let view = circle.state_of(&requester.person, id).await.unwrap();
    assert_eq!((view.state, view.units_approved), (CeremonyState::Ready, 2));
    crash(&mut circle).await;
    // the deadline passes while nobody looks, and the reminder finds it
    pass_delay(&circle);
    circle.reaches(&requester.person, id, CeremonyState::Released).await;
    crash(&mut circle).await;
    let collected = circle.kit.call(&requester.person.caller, CollectShares { ceremony: id }).await.unwrap();
    let (vault, challenge, handout) = circle.unlock(&requester, &collected).await;
    crash(&mut circle).await;
    circle.complete(&requester, vault, (challenge, handout)).await.unwrap();
    crash(&mut circle).await;
    assert_eq!(circle.row(id).await.release_private_wrapped, None);
}

#[tokio::test]
async fn r13_it_goes_on_after_crashes_on_sim() {
    Box::pin(it_goes_on_after_crashes(Kit::sim_with(short).await)).await;
}

#[tokio::test]
async fn r13_it_goes_on_after_crashes_on_sqlite() {
    Box::pin(it_goes_on_after_crashes(Kit::sqlite_with(short).await)).await;
}
