//! Passivation, stop, and coming back with everything.

use std::time::Duration;

use super::kit::{Kit, until};
use crate::{
    Limits,
    api::{auth::WhoAmI, tenant::GetTenant, users::Role},
};

#[tokio::test]
async fn a_tenant_that_sleeps_and_wakes_has_kept_everything() {
    let limits = Limits { passivate_after: Duration::from_millis(40), ..Limits::default() };
    let kit = Kit::sim_with(|config| config.limits = limits).await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    kit.clock.advance(Duration::from_secs(1));
    until("it has been given up", async || {
        kit.store.cluster().owner(ann.tenant).await.unwrap().unwrap().incarnation.is_none()
    })
    .await;
    let epoch = kit.epoch(ann.tenant).await;
    kit.authenticate(&ann.token).await.expect("the session is still good");
    assert_eq!(kit.call(&bob.caller, WhoAmI).await.unwrap().role, Role::Member);
    assert!(kit.epoch(ann.tenant).await > epoch);
}

#[tokio::test]
async fn no_call_is_lost_while_a_tenant_is_passivated() {
    let limits = Limits { passivate_after: Duration::from_millis(2), ..Limits::default() };
    let kit = Kit::sim_with(|config| config.limits = limits).await;
    let ann = kit.founder("ann@example.com").await;
    for _ in 0..200 {
        kit.clock.advance(Duration::from_millis(3));
        tokio::task::yield_now().await;
        kit.call(&ann.caller, GetTenant).await.unwrap();
    }
}

#[tokio::test]
async fn an_open_stream_keeps_its_tenant_awake() {
    let limits = Limits { passivate_after: Duration::from_millis(20), ..Limits::default() };
    let kit = Kit::sim_with(|config| config.limits = limits).await;
    let ann = kit.founder("ann@example.com").await;
    let stream = kit.system.tenant(ann.tenant).open_stream(&ann.caller, kit.deadline()).await.unwrap();
    let epoch = kit.epoch(ann.tenant).await;
    let quiet = tokio::time::timeout(Duration::from_millis(150), async {
        loop {
            kit.clock.advance(Duration::from_millis(50));
            tokio::time::sleep(Duration::from_millis(5)).await; // why: lets the actors run between two looks, bounded by the timeout above
            if kit.store.cluster().owner(ann.tenant).await.unwrap().unwrap().incarnation.is_none() {
                return;
            }
        }
    })
    .await;
    assert!(quiet.is_err(), "it fell asleep under an open stream");
    assert_eq!(kit.epoch(ann.tenant).await, epoch);
    drop(stream);
}

#[tokio::test]
async fn a_stop_finishes_what_runs_and_gives_all_tenants_up() {
    let kit = Kit::sqlite().await;
    let ann = kit.founder("ann@example.com").await;
    let (call, stop) =
        futures_util::join!(kit.call(&ann.caller, GetTenant), kit.system.stop(Duration::from_secs(10)));
    stop.unwrap();
    call.unwrap();
    until("it has been given up", async || {
        kit.store.cluster().owner(ann.tenant).await.unwrap().unwrap().incarnation.is_none()
    })
    .await;
    assert!(kit.call(&ann.caller, GetTenant).await.is_err());
    let next = kit.another_tree().await;
    next.tenant(ann.tenant).call(ann.caller.clone(), kit.meta(), GetTenant).await.unwrap();
}
