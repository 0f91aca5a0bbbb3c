//! A process that dies after k - 1 and after k approvals, and a node that drains there: the next one goes on from the rows.

use std::{mem, sync::Arc, time::Duration};

use tokio::sync::watch;

use super::circle::{Circle, pass_delay, short};
use crate::{
    api::{
        auth::LinkPurpose,
        recovery::{CeremonyState, CollectShares},
        tenant::GetTenant,
    },
    tests::kit::{Kit, until},
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

/// The node drains, and the other one takes over, with every tenant of the ceremony.
async fn drain(circle: &mut Circle, other: &mut Kit) {
    let draining = circle.kit.system.drain(Duration::from_secs(60), watch::Sender::new(0)).await;
    draining.unwrap();
    mem::swap(&mut circle.kit, other);
    // it drained itself before
    circle.kit.system.resume();
    for (kit, prefers) in [(&circle.kit, true), (&*other, false)] {
        *kit.linked.prefers.lock().unwrap() = Some(prefers);
    }
    // letters go to who has a tenant
    for person in circle.guards.iter().map(|guard| &guard.person).chain([&circle.owner]) {
        until("the other node has it", async || circle.kit.call(&person.caller, GetTenant).await.is_ok())
            .await;
    }
}

async fn it_goes_on_over_drains(kit: Kit) {
    let mut other = kit.beside_with(2, short).await;
    let mut circle = Circle::dealt(kit, 2, &[1, 1, 1]).await;
    let requester = circle.opened().await;
    let id = requester.id();
    let signer = Arc::clone(&circle.kit.system.env.signer);
    let opener = (signer.node(), signer.verify_key());
    drain(&mut circle, &mut other).await;
    let approval = circle.approval_at(0, id, opener).await;
    circle.send_approval(0, id, approval).await.unwrap();
    let first = circle.kit.node.incarnation;
    drain(&mut circle, &mut other).await;
    assert_ne!(circle.kit.node.incarnation, first, "another node");
    assert_eq!(circle.state_of(&requester.person, id).await.unwrap().units_approved, 1);
    let approval = circle.approval_at(1, id, opener).await;
    circle.send_approval(1, id, approval).await.unwrap();
    drain(&mut circle, &mut other).await;
    let view = circle.state_of(&requester.person, id).await.unwrap();
    assert_eq!((view.state, view.units_approved), (CeremonyState::Ready, 2));
    // the deadline passes at a node that has not seen it set
    pass_delay(&circle);
    circle.reaches(&requester.person, id, CeremonyState::Released).await;
    drain(&mut circle, &mut other).await;
    let collected = circle.kit.call(&requester.person.caller, CollectShares { ceremony: id }).await.unwrap();
    let (vault, challenge, handout) = circle.unlock(&requester, &collected).await;
    drain(&mut circle, &mut other).await;
    circle.complete(&requester, vault, (challenge, handout)).await.unwrap();
    // all sessions of the owner ended with it
    circle.owner = circle.kit.sign_in(&circle.owner, LinkPurpose::SignIn).await;
    drain(&mut circle, &mut other).await;
    assert_eq!(circle.row(id).await.release_private_wrapped, None);
}

#[tokio::test]
async fn a_ceremony_goes_on_over_a_drain_after_every_step_on_sim() {
    Box::pin(it_goes_on_over_drains(Kit::sim_with(short).await)).await;
}

#[tokio::test]
async fn a_ceremony_goes_on_over_a_drain_after_every_step_on_postgres() {
    Box::pin(it_goes_on_over_drains(Kit::postgres_with(short).await)).await;
}
