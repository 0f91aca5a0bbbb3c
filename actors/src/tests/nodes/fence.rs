//! An owner that was declared dead and does not know it: its clock stood still, its lease looks good.

use futures_util::future::join_all;
use ocmt_store::{Fault, Point, Stalled};

use super::owner;
use crate::{
    ActorError,
    api::{
        auth::LinkPurpose,
        tenant::GetTenant,
        users::{InviteUser, ListUsers, Role},
        vault::GetVault,
    },
    letter::{self, Post},
    tests::kit::Kit,
};

fn is_not_owner<T>(answer: Result<T, ActorError>) -> bool {
    answer.is_err_and(|error| matches!(error, ActorError::NotOwner { .. }))
}

#[tokio::test]
async fn a_suspended_owner_answers_nothing_stale_on_sim() {
    a_suspended_owner_answers_nothing_stale(Kit::sim().await).await;
}

#[tokio::test]
async fn a_suspended_owner_answers_nothing_stale_on_postgres() {
    a_suspended_owner_answers_nothing_stale(Kit::postgres().await).await;
}

async fn a_suspended_owner_answers_nothing_stale(a: Kit) {
    let b = a.beside(2).await;
    for ask in 0..6 {
        let a = if ask == 0 { &a } else { &a.beside(10 + ask).await };
        let ann = a.founder(&format!("ann{ask}@example.com")).await;
        a.authenticate(&ann.token).await.expect("the session is known in memory");
        a.is_declared_dead().await;
        b.call(&ann.caller, GetTenant).await.expect("the other node takes over");
        let invite = InviteUser { email: "cy@example.com".into(), role: Role::Member.into() };
        b.call(&ann.caller, invite).await.expect("and the state goes on there");
        // each is the first thing that the old owner is asked after its sleep; if its own work has found out
        // before, the question may be cut off with it
        let tenant = a.system.tenant(ann.tenant);
        let refused = match ask {
            0 => a.call(&ann.caller, GetTenant).await.is_err(),
            1 => a.call(&ann.caller, ListUsers::default()).await.is_err(),
            2 => a.call(&ann.caller, GetVault { vault: None }).await.is_err(),
            3 => tenant.open_stream(&ann.caller, a.deadline()).await.is_err(),
            4 => {
                let (from, message) = (ocmt_store::testing::id(77), ocmt_store::testing::id(1));
                let post = Post { from, message, kind: "test.echo".to_owned(), body: b"x".to_vec() };
                let bytes = letter::encoded(post);
                a.system.deliver(ann.tenant, bytes, a.deadline()).await.is_err()
            }
            // whose session it is may still be said: nothing is shown for it
            _ => {
                let caller = a.authenticate(&ann.token).await.unwrap_or(ann.caller.clone());
                a.call(&caller, GetTenant).await.is_err()
            }
        };
        assert!(refused, "question {ask} was answered");
        // and it does not come back: whoever was declared dead claims nothing
        assert!(is_not_owner(a.call(&ann.caller, GetTenant).await), "question {ask}");
        assert_eq!(owner(a, ann.tenant).await, Some(b.node.incarnation));
        assert_eq!(b.call(&ann.caller, ListUsers::default()).await.unwrap().users.len(), 1);
    }
}

#[tokio::test]
async fn a_write_in_flight_of_a_dead_node_is_refused_and_its_caller_told_so() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let ann = a.founder("ann@example.com").await;
    let stalled = Stalled::default();
    a.store.faults().unwrap().plan(Point::Begin, Fault::Stall(stalled.clone()));
    let invite = || InviteUser { email: "cy@example.com".into(), role: Role::Member.into() };
    let late = a.call(&ann.caller, invite());
    let takeover = async {
        stalled.reached().await;
        a.is_declared_dead().await;
        b.call(&ann.caller, GetTenant).await.expect("the other node takes over");
        stalled.release();
    };
    let (late, ()) = futures_util::join!(late, takeover);
    assert_eq!(late.unwrap_err(), ActorError::NotOwner { owner: None }, "nothing of it was done");
    assert_eq!(a.mailbox.count("cy@example.com"), 0);
    b.call(&ann.caller, invite()).await.expect("so it is done once, by the new owner");
}

#[tokio::test]
async fn a_node_that_is_asked_for_a_tenant_of_another_says_whose_it_is() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let ann = a.founder("ann@example.com").await;
    let error = b.call(&ann.caller, GetTenant).await.unwrap_err();
    assert_eq!(error, ActorError::NotOwner { owner: Some(a.node.node_id) });
    assert!(error.is_retryable() && !error.outcome_unknown());
    assert_eq!((error.reason(), owner(&b, ann.tenant).await), ("NOT_OWNER", Some(a.node.incarnation)));
    assert_eq!(b.system.awake(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_link_shown_a_hundred_times_over_both_nodes_works_once_on_sim() {
    a_link_shown_a_hundred_times_over_both_nodes_works_once(Kit::sim().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_link_shown_a_hundred_times_over_both_nodes_works_once_on_postgres() {
    a_link_shown_a_hundred_times_over_both_nodes_works_once(Kit::postgres().await).await;
}

async fn a_link_shown_a_hundred_times_over_both_nodes_works_once(a: Kit) {
    let b = a.beside(2).await;
    let ann = a.founder("ann@example.com").await;
    let link = a.link("ann@example.com", LinkPurpose::SignIn).await;
    let shows = (0..100).map(|n| {
        let (nodes, link) = (if n % 2 == 0 { [&a, &b] } else { [&b, &a] }, &link);
        async move {
            for turn in 0.. {
                match nodes[turn % 2].exchange(link).await {
                    Err(ActorError::NotOwner { .. } | ActorError::ResourceExhausted { .. })
                        if turn < 20_000 =>
                    {
                        tokio::task::yield_now().await;
                    }
                    other => return other,
                }
            }
            unreachable!("the turns are bounded")
        }
    });
    let moves = async {
        // the tenant goes to the other node in the middle of it
        a.system.release(ann.tenant, std::time::Duration::from_secs(5)).await.unwrap();
    };
    let (shown, ()) = futures_util::join!(join_all(shows), moves);
    assert_eq!(shown.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert!(shown.into_iter().filter_map(Result::err).all(|error| error.reason() == "UNAUTHENTICATED"));
}
