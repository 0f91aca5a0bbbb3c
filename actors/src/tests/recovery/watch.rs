//! Watching ceremonies: each change once, in order, on both sides, and nothing of anybody else's.

use std::time::Duration;

use super::circle::{Circle, ownership, short};
use crate::{
    ActorError,
    api::recovery::{CancelCeremony, CeremonyChange, CeremonyEventAt, CeremonyState, WatchCeremonies},
    tenant::ceremony::events::KEPT,
    tests::kit::{Kit, Person, until},
    watch::Told,
};

type Events = Told<CeremonyChange>;

async fn watch(kit: &Kit, who: &Person, from: Option<CeremonyEventAt>) -> Result<Events, ActorError> {
    kit.system.watch_ceremonies(who.caller.clone(), kit.meta(), WatchCeremonies { from }).await
}

async fn next(events: &mut Events) -> Result<CeremonyChange, ActorError> {
    let event = tokio::time::timeout(Duration::from_secs(20), events.recv()).await;
    event.expect("no event in time").expect("the stream has ended")
}

async fn begun(events: &mut Events) -> CeremonyEventAt {
    let begun = next(events).await.unwrap();
    assert_eq!(begun.ceremony, None);
    begun.at
}

/// The states of a ceremony, as they are told, until this one.
async fn told_until(events: &mut Events, state: CeremonyState) -> Vec<(CeremonyState, u32)> {
    let mut told = Vec::new();
    loop {
        let view = next(events).await.unwrap().ceremony.unwrap();
        told.push((view.state, view.units_approved));
        if view.state == state {
            return told;
        }
    }
}

async fn every_change_is_told(kit: Kit) {
    use CeremonyState::{Cancelled, Open, Ready};
    let mut circle = Circle::dealt(kit, 2, &[1, 1, 1]).await;
    let requester = circle.requester().await;
    let mut at_owner = watch(&circle.kit, &circle.owner, None).await.unwrap();
    let mut at_requester = watch(&circle.kit, &requester.person, None).await.unwrap();
    let mut at_guard = watch(&circle.kit, &circle.guards[2].person, None).await.unwrap();
    for events in [&mut at_owner, &mut at_requester, &mut at_guard] {
        begun(events).await;
    }
    circle.open(&requester).await.unwrap();
    circle.told(&requester).await;
    let id = requester.id();
    circle.approve(0, id).await.unwrap();
    circle.approve(1, id).await.unwrap();
    // the session ends with its ceremony, and its stream with it: what was not read by then may be lost
    let before = told_until(&mut at_requester, Ready).await;
    circle.kit.call(&requester.person.caller, CancelCeremony { ceremony: id }).await.unwrap();
    // opened, the notice handed over, two approvals, given up
    let all = [(Open, 0), (Open, 0), (Open, 1), (Ready, 2), (Cancelled, 2)];
    assert_eq!(told_until(&mut at_owner, Cancelled).await, all);
    assert_eq!(before, all[..4]);
    // a guardian hears by letter, where a later one may overtake an earlier: never backwards, and the end
    let heard = told_until(&mut at_guard, Cancelled).await;
    assert!(heard.iter().all(|told| all.contains(told)), "{heard:?}");
}

#[tokio::test]
async fn every_change_of_a_ceremony_is_told_on_sim() {
    Box::pin(every_change_is_told(Kit::sim_with(short).await)).await;
}

#[tokio::test]
async fn every_change_of_a_ceremony_is_told_on_sqlite() {
    Box::pin(every_change_is_told(Kit::sqlite_with(short).await)).await;
}

#[tokio::test]
async fn a_recovery_session_hears_nothing_of_those_whom_its_owner_guards() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await;
    let guard = circle.guards[0].person.clone();
    let lost = circle.kit.sign_in(&guard, crate::api::auth::LinkPurpose::Recovery).await;
    let mut full = watch(&circle.kit, &guard, None).await.unwrap();
    let mut recovery = watch(&circle.kit, &lost, None).await.unwrap();
    begun(&mut full).await;
    begun(&mut recovery).await;
    circle.opened().await;
    next(&mut full).await.unwrap().ceremony.expect("the guardian hears of it");
    // looked at once more than the watch of the full session, whose event is there already
    let quiet = tokio::time::timeout(Duration::from_millis(1500), recovery.recv()).await;
    assert!(quiet.is_err(), "{:?}", quiet.map(|told| told.map(|told| told.map(|told| told.at))));
}

#[tokio::test]
async fn a_watch_of_ceremonies_goes_on_where_it_was_at_the_next_owner() {
    let a = Kit::sim_with(short).await;
    let b = a.beside_with(2, short).await;
    let mut circle = Circle::dealt(a, 2, &[1, 1]).await;
    let mut events = watch(&circle.kit, &circle.owner, None).await.unwrap();
    let start = begun(&mut events).await;
    circle.opened().await;
    let first = next(&mut events).await.unwrap();
    let second = next(&mut events).await.unwrap();
    circle.kit.is_declared_dead().await;
    let owner = circle.owner.clone();
    until("the other node owns it", async || watch(&b, &owner, Some(start)).await.is_ok()).await;
    let mut rest = watch(&b, &owner, Some(first.at)).await.unwrap();
    assert_eq!(next(&mut rest).await.unwrap(), second);
}

#[tokio::test]
async fn events_are_kept_to_a_bound_and_a_reader_behind_it_is_told() {
    use ocmt_store::tables::CeremonyEvent;
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await;
    let mut events = watch(&circle.kit, &circle.owner, None).await.unwrap();
    begun(&mut events).await;
    circle.opened().await;
    let first = next(&mut events).await.unwrap();
    let own = ownership(&circle.kit, circle.owner.tenant).await.unwrap();
    let mut tx = circle.kit.store.fenced(own).await.unwrap();
    let newest = CeremonyEvent::user_id.eq(circle.owner.user).desc(CeremonyEvent::seq).limit(1);
    let last = tx.first::<CeremonyEvent>(newest).await.unwrap().unwrap();
    tx.insert(&CeremonyEvent { seq: last.seq + KEPT - 1, ..last }).await.unwrap();
    tx.commit().await.unwrap();
    circle.opened().await;
    let mut tx = circle.kit.store.read(own).await.unwrap();
    let kept = CeremonyEvent::user_id.eq(circle.owner.user);
    assert!(tx.count::<CeremonyEvent>(kept).await.unwrap() <= KEPT);
    let late = watch(&circle.kit, &circle.owner, Some(first.at)).await.err().unwrap();
    assert_eq!(late.reason(), "OUT_OF_RANGE");
}

#[tokio::test]
async fn a_watch_whose_events_went_is_told_and_does_not_wait_for_ever() {
    use ocmt_store::tables::CeremonyEvent;
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await;
    circle.opened().await;
    let mut events = watch(&circle.kit, &circle.owner, None).await.unwrap();
    let at = begun(&mut events).await;
    assert!(at.seq > 1);
    let own = ownership(&circle.kit, circle.owner.tenant).await.unwrap();
    let mut tx = circle.kit.store.fenced(own).await.unwrap();
    tx.delete_all::<CeremonyEvent>(CeremonyEvent::user_id.eq(circle.owner.user)).await.unwrap();
    tx.commit().await.unwrap();
    circle.kit.clock.advance(Duration::from_secs(1));
    let requester = circle.requester().await;
    circle.open(&requester).await.unwrap();
    assert_eq!(next(&mut events).await.err().unwrap().reason(), "OUT_OF_RANGE");
    let late = watch(&circle.kit, &circle.owner, Some(at)).await.err().unwrap();
    assert_eq!(late.reason(), "OUT_OF_RANGE");
}
