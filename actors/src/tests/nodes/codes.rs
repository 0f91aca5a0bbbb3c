//! Codes of a second factor, shown at two nodes at once while the owner changes: each counts once, and wrong ones are
//! counted exactly.

use std::time::Duration;

use futures_util::future::join_all;
use ocmt_types::{Ownership, TenantId};

use crate::{
    ActorError,
    api::{
        auth::{SessionIssued, WhoAmI},
        factors::{Code, CompleteMfa},
    },
    tests::{
        factors::{by_mail, enrol, wrong},
        kit::{Kit, Person},
        nodes::handed_over,
    },
};

const SHOWN: usize = 10;

/// Shows a code as an edge does that has one node first, and goes to the other when the tenant is not there.
async fn show(
    nodes: [&Kit; 2],
    first: usize,
    who: &Person,
    code: impl Fn() -> Code,
) -> Result<SessionIssued, ActorError> {
    for turn in first..first + 20_000 {
        let kit = nodes[turn % 2];
        let tenant = kit.system.tenant(who.tenant);
        let ask = CompleteMfa { code: code() };
        match tenant.call(who.caller.clone(), kit.meta(), ask).await {
            Err(error) if error.is_retryable() && error.reason() != "TOO_MANY_CODES" => {
                assert!(!error.outcome_unknown(), "{error:?}");
            }
            other => return other,
        }
        tokio::time::sleep(Duration::from_millis(2)).await; // why: the pause between two tries of an edge, bounded by the turns
    }
    panic!("no node took the code");
}

fn counted(answers: &[Result<SessionIssued, ActorError>]) -> (usize, usize, usize) {
    let refused =
        |why: &str| answers.iter().filter(|a| a.as_ref().err().is_some_and(|e| e.reason() == why)).count();
    let taken = answers.iter().filter(|answer| answer.is_ok()).count();
    (taken, refused("WRONG_CODE"), refused("TOO_MANY_CODES"))
}

/// Gives the tenant to the first node, from wherever it is.
async fn home([a, b]: [&Kit; 2], tenant: TenantId) {
    a.linked.prefers_here(true);
    b.linked.prefers_here(false);
    let cluster = a.store.cluster();
    let row = cluster.owner(tenant).await.unwrap().unwrap();
    if let Some(incarnation) = row.incarnation {
        cluster.release(Ownership { tenant, incarnation, epoch: row.epoch }).await.unwrap();
    }
}

/// Sign-ins at the first node whose second factor is due.
async fn half_signed_in(nodes: [&Kit; 2], ann: &Person) -> Vec<Person> {
    home(nodes, ann.tenant).await;
    // an actor that has lost its ownership finds out by the first call
    let _ = nodes[0].call(&ann.caller, WhoAmI).await;
    let mut pending = Vec::new();
    for _ in 0..SHOWN {
        pending.push(by_mail(nodes[0], ann).await);
    }
    pending
}

async fn at_two_nodes(a: Kit) {
    let b = a.beside(2).await;
    let ann = enrol(&a, &a.founder("ann@example.com").await).await;
    let pending = half_signed_in([&a, &b], &ann.person).await;
    // the same digits, in ten sessions
    let tries = pending.iter().enumerate().map(|(n, who)| show([&a, &b], n, who, || ann.digits(&a, 0)));
    let (answers, owners) = tokio::join!(join_all(tries), handed_over([&a, &b], ann.person.tenant, 40));
    let (taken, wrong_ones, waits) = counted(&answers);
    assert_eq!((taken, wrong_ones + waits), (1, SHOWN - 1));
    assert!(wrong_ones <= 5, "{wrong_ones} were looked at");
    assert_eq!(owners.len(), 2, "one node had the tenant all the time");
    // the same backup code
    let left: Vec<&Person> =
        pending.iter().zip(&answers).filter(|(_, a)| a.is_err()).map(|(who, _)| who).collect();
    let tries = left.iter().enumerate().map(|(n, who)| show([&a, &b], n, who, || ann.paper(0)));
    let (answers, _) = tokio::join!(join_all(tries), handed_over([&a, &b], ann.person.tenant, 40));
    assert_eq!(counted(&answers).0, 1);
    // wrong ones: five are looked at, however many come
    a.clock.advance(Duration::from_secs(300));
    let pending = half_signed_in([&a, &b], &ann.person).await;
    show([&a, &b], 0, &pending[0], || ann.digits(&a, 0)).await.expect("a right one ends the count");
    let pending = &pending[1..];
    let tries = pending.iter().enumerate().map(|(n, who)| show([&a, &b], n, who, || wrong(&a, &ann.secret)));
    let (answers, _) = tokio::join!(join_all(tries), handed_over([&a, &b], ann.person.tenant, 40));
    assert_eq!(counted(&answers), (0, 5, SHOWN - 6));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn m5_codes_shown_at_two_nodes_count_once_and_wrong_ones_exactly_on_sim() {
    at_two_nodes(Kit::sim().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn m5_codes_shown_at_two_nodes_count_once_and_wrong_ones_exactly_on_postgres() {
    at_two_nodes(Kit::postgres().await).await;
}
