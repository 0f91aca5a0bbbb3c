//! Fence, commits in doubt, repeats, admission.

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::future::join_all;
use ocmt_store::{Fault, Point, Stalled};

use super::kit::{Kit, Person, until};
use crate::{
    AdmissionLimits, Limits,
    api::{
        audit::QueryAudit,
        auth::WhoAmI,
        tenant::GetTenant,
        users::{InviteUser, ListUsers, Role},
    },
};

/// Calls once after the tenant's ownership was taken: whether this call met the lost fence. Work that the tenant had left to do may meet
/// it first; then the call is answered, and by an activation with a newer epoch than the one that was taken.
async fn meets_the_lost_fence(kit: &Kit, ann: &Person) -> bool {
    let stolen = kit.steal(ann.tenant).await;
    let met = match kit.call(&ann.caller, GetTenant).await {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.reason(), "NOT_OWNER", "{error:?}");
            assert!(error.is_retryable());
            true
        }
    };
    if met {
        kit.call(&ann.caller, GetTenant).await.expect("the very next call finds the next activation");
    }
    // nothing was answered under the old epoch
    assert!(kit.epoch(ann.tenant).await > stolen.epoch.0);
    met
}

async fn the_loss_of_the_fence_stops_the_actor(kit: Kit) {
    let ann = kit.founder("ann@example.com").await;
    let mut met = 0;
    for _ in 0..10 {
        met += u32::from(meets_the_lost_fence(&kit, &ann).await);
    }
    // the founding has less to do than that
    assert!(met > 5, "{met} of 10");
}

#[tokio::test]
async fn the_loss_of_the_fence_stops_the_actor_on_sim() {
    the_loss_of_the_fence_stops_the_actor(Kit::sim().await).await;
}

#[tokio::test]
async fn the_loss_of_the_fence_stops_the_actor_on_sqlite() {
    the_loss_of_the_fence_stops_the_actor(Kit::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_call_after_a_lost_fence_always_finds_the_next_activation() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let mut met = 0;
    for _ in 0..300 {
        met += u32::from(meets_the_lost_fence(&kit, &ann).await);
    }
    assert!(met > 200, "{met} of 300");
}

async fn calls_beside_a_lost_fence_go_back_unread(kit: Kit) {
    let ann = kit.founder("ann@example.com").await;
    let mut unread = 0;
    for round in 0..50 {
        kit.steal(ann.tenant).await;
        let calls = (0..20).map(|_| kit.call(&ann.caller, GetTenant));
        for answer in join_all(calls).await {
            // the next activation may be there already
            let Err(error) = answer else { continue };
            assert_eq!(error.reason(), "NOT_OWNER", "round {round}: {error:?}");
            unread += 1;
        }
    }
    // as above: in a few rounds no call may meet it
    assert!(unread >= 25, "{unread}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_beside_a_lost_fence_go_back_unread_on_sim() {
    calls_beside_a_lost_fence_go_back_unread(Kit::sim().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_beside_a_lost_fence_go_back_unread_on_sqlite() {
    calls_beside_a_lost_fence_go_back_unread(Kit::sqlite().await).await;
}

async fn a_commit_in_doubt_is_found_out_by_a_repeat(applied: bool) {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let epoch = kit.epoch(ann.tenant).await;
    let invite = || InviteUser { email: "cy@example.com".into(), role: Role::Member.into() };
    kit.store.faults().unwrap().plan(Point::Commit, Fault::OutcomeUnknown { applied });
    let tenant = kit.system.tenant(ann.tenant);
    let error = tenant.call(ann.caller.clone(), kit.keyed(1, 1), invite()).await.unwrap_err();
    assert_eq!(error.reason(), "OUTCOME_UNKNOWN");
    assert!(error.is_retryable() && error.outcome_unknown());
    until("the repeat is answered", async || {
        tenant.call(ann.caller.clone(), kit.keyed(1, 1), invite()).await.is_ok()
    })
    .await;
    let first = tenant.call(ann.caller.clone(), kit.keyed(1, 1), invite()).await.unwrap();
    let second = tenant.call(ann.caller.clone(), kit.keyed(1, 1), invite()).await.unwrap();
    assert_eq!(first, second);
    assert!(kit.epoch(ann.tenant).await > epoch, "the actor in doubt was replaced");
    let page = kit.call(&ann.caller, QueryAudit::default()).await.unwrap();
    let done = page.records.iter().filter(|record| record.method == "UserService/InviteUser").count();
    assert_eq!(done, 1, "one effect, one record");
}

#[tokio::test]
async fn a_commit_in_doubt_that_happened_is_found_out_by_a_repeat() {
    a_commit_in_doubt_is_found_out_by_a_repeat(true).await;
}

#[tokio::test]
async fn a_commit_in_doubt_that_did_not_happen_is_found_out_by_a_repeat() {
    a_commit_in_doubt_is_found_out_by_a_repeat(false).await;
}

#[tokio::test]
async fn a_crash_between_commit_and_answer_is_repeated_without_a_second_effect() {
    let kit = Kit::sqlite().await;
    let ann = kit.founder("ann@example.com").await;
    let invite = || InviteUser { email: "cy@example.com".into(), role: Role::Member.into() };
    let first =
        kit.system.tenant(ann.tenant).call(ann.caller.clone(), kit.keyed(2, 2), invite()).await.unwrap();
    // the answer never reached the client, and the process is another
    kit.system.root.kill();
    let after = kit.another_tree().await;
    let repeated =
        after.tenant(ann.tenant).call(ann.caller.clone(), kit.keyed(2, 2), invite()).await.unwrap();
    assert_eq!(first, repeated);
    let other =
        after.tenant(ann.tenant).call(ann.caller.clone(), kit.keyed(2, 3), invite()).await.unwrap_err();
    assert_eq!(other.reason(), "INVALID_ARGUMENT", "the same key for another request");
}

#[tokio::test]
async fn too_much_unanswered_work_is_refused_with_a_time_to_come_back() {
    let limits = Limits { admission: AdmissionLimits { calls: 4, bytes: 1 << 20 }, ..Limits::default() };
    let kit = Kit::sim_with(|config| config.limits = limits).await;
    let (ann, bob) = (kit.founder("ann@example.com").await, kit.founder("bob@example.com").await);
    let stalled = Stalled::default();
    // every look at the store of this tenant stands still
    kit.store.faults().unwrap().plan(Point::Begin, Fault::Stall(stalled.clone()));
    let calls: Vec<_> = (0..4).map(|_| kit.call(&ann.caller, WhoAmI)).collect();
    let flood = async {
        stalled.reached().await;
        let refused = kit.call(&ann.caller, WhoAmI).await.unwrap_err();
        assert_eq!(refused.reason(), "TENANT_BUSY");
        assert!(refused.retry_after().is_some());
        kit.call(&bob.caller, WhoAmI).await.expect("another tenant is not held up by it");
        stalled.release();
    };
    let (answers, ()) = futures_util::join!(join_all(calls), flood);
    assert!(answers.iter().all(Result::is_ok));
    kit.call(&ann.caller, WhoAmI).await.expect("permits came back");
}

#[tokio::test]
async fn a_call_whose_deadline_passed_in_the_queue_is_not_done() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let stalled = Stalled::default();
    kit.store.faults().unwrap().plan(Point::Begin, Fault::Stall(stalled.clone()));
    let first = kit.call(&ann.caller, WhoAmI);
    let second =
        kit.call(&ann.caller, InviteUser { email: "cy@example.com".into(), role: Role::Member.into() });
    let late = async {
        stalled.reached().await;
        // both are in the house
        until("both wait", async || kit.system.env.admission.is_busy(ann.tenant)).await;
        tokio::task::yield_now().await;
        kit.clock.advance(Duration::from_secs(31));
        stalled.release();
    };
    let (_, second, ()) = futures_util::join!(first, second, late);
    assert_eq!(second.unwrap_err().reason(), "DEADLINE_EXCEEDED");
    assert_eq!(kit.mailbox.count("cy@example.com"), 0);
}

#[tokio::test]
async fn the_store_being_away_is_said_and_passes() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    kit.store.faults().unwrap().plan(Point::Begin, Fault::Unavailable);
    let error = kit.call(&ann.caller, ListUsers::default()).await.unwrap_err();
    assert_eq!(error.reason(), "STORE_UNAVAILABLE");
    kit.call(&ann.caller, ListUsers::default()).await.unwrap();
}

#[tokio::test]
async fn a6_what_cannot_be_audited_is_not_done() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    kit.store.faults().unwrap().plan(Point::Commit, Fault::Full);
    let invite = InviteUser { email: "cy@example.com".into(), role: Role::Member.into() };
    assert_eq!(kit.call(&ann.caller, invite).await.unwrap_err().reason(), "STORE_FULL");
    assert!(!kit.mailbox.refuses.load(Ordering::SeqCst));
    assert_eq!(kit.mailbox.count("cy@example.com"), 0);
}
