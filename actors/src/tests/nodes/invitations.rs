//! An invitation that is accepted at two nodes at once, while the tenant moves between them.

use std::time::Duration;

use futures_util::future::join_all;
use ocmt_types::Secret;

use super::{ask, hand_over};
use crate::{
    ActorError,
    api::{
        auth::{Device, SessionIssued},
        users::{AcceptInvite, InviteUser, ListUsers, Role},
    },
    tests::kit::Kit,
};

const TRIES: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_invitation_accepted_at_two_nodes_at_once_makes_one_user_on_sim() {
    an_invitation_accepted_at_two_nodes_at_once_makes_one_user(Kit::sim().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_invitation_accepted_at_two_nodes_at_once_makes_one_user_on_postgres() {
    an_invitation_accepted_at_two_nodes_at_once_makes_one_user(Kit::postgres().await).await;
}

async fn an_invitation_accepted_at_two_nodes_at_once_makes_one_user(a: Kit) {
    let b = a.beside(2).await;
    let ann = a.founder("ann@example.com").await;
    let invite = InviteUser { email: "bob@example.com".to_owned(), role: Role::Member.into() };
    a.call(&ann.caller, invite).await.unwrap();
    let token = a.mailbox.nth("bob@example.com", 0).await.tokens[0].1.clone();
    let tries = (0..TRIES).map(|n| accept([&a, &b], n, &token));
    let (answers, ()) = tokio::join!(join_all(tries), hand_over([&a, &b], ann.tenant));
    let (accepted, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(accepted.len(), 1);
    for refused in refused {
        assert_eq!(refused.err().unwrap().reason(), "UNAUTHENTICATED");
    }
    let users = ask([&a, &b], 1, &ann.caller, ListUsers::default()).await.unwrap().users;
    assert_eq!(users.len(), 2);
}

/// Accepts as an edge does that has one node first, and goes to the other when the tenant is not there.
async fn accept(nodes: [&Kit; 2], first: usize, token: &str) -> Result<SessionIssued, ActorError> {
    for turn in first..first + 20_000 {
        let kit = nodes[turn % 2];
        let accept = AcceptInvite { token: Secret::new(token.to_owned()), device: Device::default() };
        match kit.system.accept_invite(accept, &kit.meta(), kit.request()).await {
            Err(error) if error.is_retryable() => assert!(!error.outcome_unknown(), "{error:?}"),
            answer => return answer,
        }
        tokio::time::sleep(Duration::from_millis(2)).await; // why: the pause between two tries of an edge, bounded by the turns
    }
    panic!("no node took it");
}
