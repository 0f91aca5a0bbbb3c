//! The same link and the same timer at two nodes, while the owner changes: one effect.

use std::time::Duration;

use futures_util::future::join_all;
use ocmt_types::{Ownership, Secret};

use super::{DAY, NEW, OLD, asked, listed};
use crate::{
    ActorError,
    api::{
        audit::QueryAudit,
        auth::{LinkPurpose, WhoAmI},
        email_change::{ConfirmEmailChange, EmailChangeConfirmed},
    },
    tenant::TenantMessage,
    tests::{
        factors::reason,
        kit::{Kit, Person, until},
        nodes::hand_over,
    },
};

/// Shows the link as an edge does that has one node first, and goes to the other when the tenant is not there.
async fn show(
    nodes: [&Kit; 2],
    first: usize,
    who: &Person,
    token: &str,
) -> Result<EmailChangeConfirmed, ActorError> {
    for turn in first..first + 20_000 {
        let kit = nodes[turn % 2];
        let ask = ConfirmEmailChange { token: Secret::new(token.to_owned()) };
        match kit.system.tenant(who.tenant).call(who.caller.clone(), kit.meta(), ask).await {
            Err(error) if error.is_retryable() => assert!(!error.outcome_unknown(), "{error:?}"),
            other => return other,
        }
        tokio::time::sleep(Duration::from_millis(2)).await; // why: the pause between two tries of an edge, bounded by the turns
    }
    panic!("no node took the link");
}

/// Both nodes look at the tenant's timers, whether it is theirs or not.
async fn look(nodes: [&Kit; 2], who: &Person) {
    for turn in 0..60 {
        nodes[turn % 2].system.send(who.tenant, TenantMessage::TimerDue);
        tokio::time::sleep(Duration::from_millis(2)).await; // why: the owner changes in between
    }
}

async fn at_two_nodes(a: Kit) {
    let b = a.beside(2).await;
    let nodes = [&a, &b];
    let ann = a.founder(OLD).await;
    let token = asked(&a, &ann, NEW).await;
    let tries = (0..10).map(|n| show(nodes, n, &ann, &token));
    let (shown, ()) = tokio::join!(join_all(tries), hand_over(nodes, ann.tenant));
    assert_eq!(shown.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert!(shown.into_iter().filter(Result::is_err).all(|answer| reason(answer) == "BAD_LINK"));

    a.clock.advance(DAY);
    tokio::join!(look(nodes, &ann), hand_over(nodes, ann.tenant));
    until("the new address is listed", async || {
        look(nodes, &ann).await;
        listed(&a, NEW).await == 1
    })
    .await;
    assert_eq!(listed(&a, OLD).await, 0);
    // home to the first node, which tells how often it happened
    a.linked.prefers_here(true);
    b.linked.prefers_here(false);
    until("it is at home", async || {
        let row = a.store.cluster().owner(ann.tenant).await.unwrap().unwrap();
        match row.incarnation {
            Some(incarnation) if incarnation == a.node.incarnation => return true,
            Some(incarnation) => {
                let ownership = Ownership { tenant: ann.tenant, incarnation, epoch: row.epoch };
                // what the other was told to look at may still be on its way
                let _ = a.store.cluster().release(ownership).await;
            }
            None => {}
        }
        let _ = a.call(&ann.caller, WhoAmI).await;
        false
    })
    .await;
    let again = a.sign_in(&Person { email: NEW.to_owned(), ..ann.clone() }, LinkPurpose::SignIn).await;
    let me = a.call(&again.caller, WhoAmI).await.unwrap();
    assert_eq!((me.user, me.email.as_str()), (ann.user, NEW));
    let changes = QueryAudit { method: Some("email.change".to_owned()), ..QueryAudit::default() };
    assert_eq!(a.call(&again.caller, changes).await.unwrap().records.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_change_confirmed_and_due_at_two_nodes_happens_once_on_sim() {
    at_two_nodes(Kit::sim().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_change_confirmed_and_due_at_two_nodes_happens_once_on_postgres() {
    at_two_nodes(Kit::postgres().await).await;
}
