//! Tenants that are moved, and nodes that drain.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use ocmt_store::{Claim, Fault, Point, Stalled, tables::NodeState};
use ocmt_types::{Clock as _, SystemClock};
use tokio::{sync::watch, task::JoinSet};

use super::owner;
use crate::{
    ActorError,
    api::{tenant::GetTenant, users::ListUsers},
    tests::kit::{Kit, until},
};

#[tokio::test]
async fn a_tenant_that_is_moved_finishes_what_runs_and_refuses_the_rest_unread() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let ann = a.founder("ann@example.com").await;
    let stalled = Stalled::default();
    a.store.faults().unwrap().plan(Point::Begin, Fault::Stall(stalled.clone()));
    let running = a.call(&ann.caller, GetTenant);
    let moved = async {
        stalled.reached().await;
        let refused = async {
            until("it leaves", async || {
                let asked = a.call(&ann.caller, ListUsers::default()).await;
                asked.is_err_and(|error| error == ActorError::NotOwner { owner: None })
            })
            .await;
            stalled.release();
        };
        let (moved, ()) = futures_util::join!(a.system.release(ann.tenant, Duration::from_secs(10)), refused);
        moved
    };
    let (running, moved) = futures_util::join!(running, moved);
    running.expect("what ran was finished");
    moved.unwrap();
    assert_eq!(owner(&a, ann.tenant).await, None);
    let here = a.call(&ann.caller, GetTenant).await.unwrap_err();
    assert_eq!(here, ActorError::NotOwner { owner: None }, "the next owner comes first");
    b.call(&ann.caller, GetTenant).await.unwrap();
    assert_eq!(owner(&a, ann.tenant).await, Some(b.node.incarnation));
    a.clock.advance(Duration::from_secs(3));
    assert_eq!(
        a.call(&ann.caller, GetTenant).await.unwrap_err(),
        ActorError::NotOwner { owner: Some(b.node.node_id) }
    );
}

#[tokio::test]
async fn a_tenant_with_long_work_goes_on_until_its_time_is_over() {
    let a = Kit::sim().await;
    let ann = a.founder("ann@example.com").await;
    // something that is not answered for long, as a container that is being made
    let held = a.system.env.admission.take(ann.tenant, 0).unwrap();
    let moved = a.system.release(ann.tenant, Duration::from_secs(3600));
    let goes_on = async {
        until("it refuses", async || a.call(&ann.caller, GetTenant).await.is_err()).await;
        until("it takes calls again", async || a.call(&ann.caller, GetTenant).await.is_ok()).await;
        assert_eq!(owner(&a, ann.tenant).await, Some(a.node.incarnation));
        // the patience is over while the work is not
        a.clock.advance(Duration::from_secs(3601));
    };
    let (moved, ()) = futures_util::join!(moved, goes_on);
    moved.unwrap();
    assert_eq!(owner(&a, ann.tenant).await, None);
    drop(held);
}

/// The figure for more tenants: `OCMT_DRAIN_TENANTS=1000 cargo nextest run -p ocmt-actors drains_under_load --no-capture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_drains_under_load_without_a_failed_call() {
    let tenants = std::env::var("OCMT_DRAIN_TENANTS").ok().and_then(|tenants| tenants.parse().ok());
    drains(tenants.unwrap_or(40), 1).await;
}

/// Callers of so many tenants at once, each in a closed loop, while the node drains.
async fn drains(tenants: usize, pause_ms: u64) {
    let a = Arc::new(Kit::sim().await);
    let b = Arc::new(a.beside(2).await);
    let mut people = Vec::new();
    for n in 0..tenants {
        people.push(a.founder(&format!("u{n}@example.com")).await);
    }
    assert_eq!(a.system.awake(), tenants);
    let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut load = JoinSet::new();
    for person in people.clone() {
        let (a, b, stop, calls) = (a.clone(), b.clone(), stop.clone(), calls.clone());
        load.spawn(async move {
            let mut longest = Duration::ZERO;
            while !stop.load(Ordering::SeqCst) {
                let begun = SystemClock.boottime();
                let (nodes, meta) = ([&*a, &*b], a.meta());
                Kit::ask_any(&nodes, &person.caller, &meta, GetTenant).await.expect("no call fails");
                longest = longest.max(SystemClock.boottime().saturating_sub(begun));
                calls.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(pause_ms)).await; // why: the load of a client that thinks, not a wait
            }
            longest
        });
    }
    until("all are under load", async || calls.load(Ordering::Relaxed) > 2 * tenants).await;
    let (before, begun) = (calls.load(Ordering::Relaxed), SystemClock.boottime());
    let progress = watch::Sender::new(usize::MAX);
    a.system.drain(Duration::from_secs(60), progress.clone()).await.unwrap();
    let took = SystemClock.boottime().saturating_sub(begun);
    stop.store(true, Ordering::SeqCst);
    let pauses = load.join_all().await;
    assert_eq!((*progress.borrow(), a.system.awake()), (0, 0));
    for person in &people {
        assert_ne!(owner(&a, person.tenant).await, Some(a.node.incarnation));
    }
    let during = calls.load(Ordering::Relaxed) - before;
    let longest = pauses.into_iter().max().unwrap_or_default();
    println!("{tenants} tenants drained in {took:?}, {during} calls meanwhile, longest call {longest:?}");
    assert!(during > 0);
}

#[tokio::test]
async fn a_node_that_drained_takes_tenants_again_when_told() {
    let a = Kit::sim().await;
    let ann = a.founder("ann@example.com").await;
    a.system.drain(Duration::from_secs(5), watch::Sender::new(0)).await.unwrap();
    let error = a.call(&ann.caller, GetTenant).await.unwrap_err();
    assert_eq!(error, ActorError::NotOwner { owner: None });
    a.system.resume();
    until("it answers", async || a.call(&ann.caller, GetTenant).await.is_ok()).await;
}

/// A row of a life that no actor stands for: left by a release that the store did not answer.
#[tokio::test]
async fn a_drain_gives_up_what_no_actor_stands_for() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let (ann, bob) = (a.founder("ann@example.com").await, a.founder("bob@example.com").await);
    let dormant = a.node.found(77).await.unwrap();
    assert_eq!(owner(&a, dormant.tenant).await, Some(a.node.incarnation));
    // the first release of the drain fails too
    a.store.faults().unwrap().plan(Point::Begin, Fault::Unavailable);
    a.system.drain(Duration::from_secs(10), watch::Sender::new(0)).await.unwrap();
    for tenant in [ann.tenant, bob.tenant, dormant.tenant] {
        assert_eq!(owner(&a, tenant).await, None, "nobody could serve it");
    }
    for person in [&ann, &bob] {
        b.call(&person.caller, GetTenant).await.expect("the other node takes over");
    }
    // one that comes to be owned here in the moment before the drain is given up when somebody asks for it
    let late = a.node.found(78).await.unwrap();
    until("it is given up", async || {
        let _ = a.call(&crate::Caller { tenant: late.tenant, ..ann.caller.clone() }, GetTenant).await;
        a.clock.advance(Duration::from_secs(1));
        owner(&a, late.tenant).await.is_none()
    })
    .await;
}

#[tokio::test]
async fn everybody_who_drains_hears_of_its_end_and_not_before() {
    let a = Kit::sim().await;
    let ann = a.founder("ann@example.com").await;
    let held = a.system.env.admission.take(ann.tenant, 0).unwrap();
    let (first, second) = (watch::Sender::new(0), watch::Sender::new(0));
    let both = async {
        futures_util::join!(
            a.system.drain(Duration::from_secs(60), first.clone()),
            a.system.drain(Duration::from_secs(60), second.clone())
        )
    };
    let ends = async {
        until("both see that one is left", async || *first.borrow() == 1 && *second.borrow() == 1).await;
        drop(held);
    };
    let ((one, two), ()) = futures_util::join!(both, ends);
    one.unwrap();
    two.unwrap();
    assert_eq!(owner(&a, ann.tenant).await, None);
}

#[tokio::test]
async fn a_node_that_may_take_no_tenants_leaves_a_sign_up_to_another() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let link = a.sign_up_link("ann@example.com").await;
    let (live, draining) = (NodeState::Live, NodeState::Draining);
    assert!(a.store.cluster().set_state(a.node.incarnation, live, draining).await.unwrap());
    let refused = a.exchange(&link).await.map(drop).unwrap_err();
    assert_eq!(refused, ActorError::NotOwner { owner: None }, "unread: whoever is asked next may do it");
    b.exchange(&link).await.expect("nothing was used up");
}

#[tokio::test]
async fn a_tenant_that_nobody_called_since_it_came_can_be_moved_on() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let ann = a.founder("ann@example.com").await;
    a.system.release(ann.tenant, Duration::from_secs(5)).await.unwrap();
    // an operator gives it to b, where no actor of it comes up before the next move
    let living = a.store.cluster().living_nodes().await.unwrap();
    let target = living.iter().find(|node| node.node_id == b.node.node_id).unwrap();
    assert!(matches!(a.store.cluster().claim_for(target, ann.tenant).await.unwrap(), Claim::Taken(_)));
    a.system.release(ann.tenant, Duration::from_secs(5)).await.unwrap();
    assert_eq!(owner(&a, ann.tenant).await, Some(b.node.incarnation), "what is another's is not given up");
    b.system.release(ann.tenant, Duration::from_secs(5)).await.unwrap();
    assert_eq!(owner(&a, ann.tenant).await, None);
}
