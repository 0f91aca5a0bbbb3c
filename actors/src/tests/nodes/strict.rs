//! A node whose lease is in doubt neither reads nor writes, and its open streams end in time.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use ocmt_runtime::sim::SimRuntime;

use super::owner;
use crate::{
    ActorError, StreamEnd,
    api::{
        auth::SignOut,
        tenant::GetTenant,
        users::{InviteUser, Role},
    },
    letter::{self, Post},
    tests::kit::{Kit, PATIENCE, until},
};

fn has_no_lease<T>(answer: Result<T, ActorError>) -> bool {
    answer.is_err_and(|error| error.reason() == "NO_LEASE" && error.retry_after().is_some())
}

#[tokio::test]
async fn without_a_lease_nothing_is_answered() {
    let a = Kit::sim().await;
    let ann = a.founder("ann@example.com").await;
    let epoch = a.epoch(ann.tenant).await;
    a.linked.lease.store(false, Ordering::SeqCst);
    let tenant = a.system.tenant(ann.tenant);
    let invite = InviteUser { email: "cy@example.com".into(), role: Role::Member.into() };
    assert!(has_no_lease(a.authenticate(&ann.token).await), "from memory");
    assert!(has_no_lease(a.call(&ann.caller, GetTenant).await), "a read");
    assert!(has_no_lease(a.call(&ann.caller, invite).await), "a write");
    assert!(has_no_lease(tenant.open_stream(&ann.caller, a.deadline()).await), "a stream");
    let (from, message) = (ocmt_store::testing::id(77), ocmt_store::testing::id(1));
    let post = Post { from, message, kind: "test.echo".to_owned(), body: b"x".to_vec() };
    let letter = letter::encoded(post);
    assert!(has_no_lease(a.system.deliver(ann.tenant, letter, a.deadline()).await), "a letter");
    assert!(a.exchange(&ann.token).await.is_err());
    a.linked.lease.store(true, Ordering::SeqCst);
    a.call(&ann.caller, GetTenant).await.expect("as soon as the lease is good again");
    assert_eq!(a.epoch(ann.tenant).await, epoch, "the tenant has stayed");
}

#[tokio::test]
async fn a_lease_that_ends_while_work_waits_is_seen_by_the_work() {
    let a = Kit::sim().await;
    let ann = a.founder("ann@example.com").await;
    let stalled = ocmt_store::Stalled::default();
    a.store.faults().unwrap().plan(ocmt_store::Point::Begin, ocmt_store::Fault::Stall(stalled.clone()));
    let (first, second) = (a.call(&ann.caller, GetTenant), a.call(&ann.caller, GetTenant));
    let lost = async {
        stalled.reached().await;
        until("both wait", async || a.system.env.admission.is_busy(ann.tenant)).await;
        a.linked.lease.store(false, Ordering::SeqCst);
        stalled.release();
    };
    let (_, second, ()) = futures_util::join!(first, second, lost);
    assert!(has_no_lease(second));
}

#[tokio::test]
async fn an_abort_stops_all_at_once_and_gives_nothing_up() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let (ann, bob) = (a.founder("ann@example.com").await, a.founder("bob@example.com").await);
    assert_eq!(a.system.awake(), 2);
    a.system.abort().await;
    assert_eq!(a.system.awake(), 0);
    assert!(has_no_lease(a.call(&ann.caller, GetTenant).await));
    assert!(has_no_lease(a.authenticate(&bob.token).await));
    assert_eq!(owner(&a, ann.tenant).await, Some(a.node.incarnation), "others take it when it is dead");
    assert!(b.call(&ann.caller, GetTenant).await.is_err());
    a.is_declared_dead().await;
    b.call(&ann.caller, GetTenant).await.unwrap();
    b.call(&bob.caller, GetTenant).await.unwrap();
}

#[tokio::test]
async fn pinned_streams_outlive_the_lease_for_a_minute_and_no_longer() {
    let a = Kit::sim().await;
    let ann = a.founder("ann@example.com").await;
    let mut stream = a.system.tenant(ann.tenant).open_stream(&ann.caller, a.deadline()).await.unwrap();
    let mut goes_on = async |what: &str| {
        let look = tokio::time::timeout(Duration::from_millis(60), stream.over()).await;
        assert!(look.is_err(), "ended: {what}");
    };
    a.linked.lease.store(false, Ordering::SeqCst);
    goes_on("the lease is in doubt").await;
    a.system.abort().await;
    goes_on("the lease is lost").await;
    a.clock.advance(Duration::from_secs(59));
    goes_on("it is 59 seconds").await;
    a.clock.advance(Duration::from_secs(1));
    let end = tokio::time::timeout(PATIENCE, stream.over()).await.expect("it is a minute");
    assert_eq!(end, StreamEnd::LeaseLost);
}

#[tokio::test]
async fn a_life_that_is_over_leaves_nothing_behind_once_its_streams_have_ended() {
    let kit = Kit::sim().await;
    let engine = Arc::new(SimRuntime::new(kit.node.node_id, Arc::new(kit.clock.clone())));
    let life = || kit.another_tree_with(|config| config.runtime = engine.clone());
    for _ in 0..10 {
        life().await.abort().await;
    }
    let _last = life().await;
    until("each listens", async || engine.listeners() == 11).await;
    kit.clock.advance(Duration::from_secs(59));
    let gone = until("it is gone", async || engine.listeners() < 11);
    assert!(
        tokio::time::timeout(Duration::from_millis(600), gone).await.is_err(),
        "streams may still need it"
    );
    kit.clock.advance(Duration::from_secs(10));
    until("one life listens to the engine", async || engine.listeners() == 1).await;
}

#[tokio::test]
async fn streams_end_with_their_session_and_with_their_tenants_leave() {
    let a = Kit::sim().await;
    let (ann, bob) = (a.founder("ann@example.com").await, a.founder("bob@example.com").await);
    let open = async |who: &crate::tests::kit::Person| {
        a.system.tenant(who.tenant).open_stream(&who.caller, a.deadline()).await.unwrap()
    };
    let (mut of_ann, mut of_bob) = (open(&ann).await, open(&bob).await);
    a.call(&ann.caller, SignOut).await.unwrap();
    a.system.release(bob.tenant, Duration::from_secs(5)).await.unwrap();
    let ended = async { (of_ann.over().await, of_bob.over().await) };
    let ends = tokio::time::timeout(PATIENCE, ended).await.unwrap();
    assert_eq!(ends, (StreamEnd::SessionOver, StreamEnd::Moved));
}
