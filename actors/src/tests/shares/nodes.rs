//! Offers, answers and ends that arrive at two nodes at once, while the tenant moves between them.

use futures_util::future::join_all;
use ocmt_types::ShareId;

use super::{Side, capabilities::wish, given, offer, three};
use crate::{
    ActorError,
    api::{
        capabilities::{ApproveCapability, DenyCapability},
        shares::{
            AcceptShare, ListShares,
            Permission::{List, Read, Share},
            RevokeShare, ShareState,
        },
    },
    call::Call,
    tests::{
        kit::Kit,
        nodes::{self, hand_over},
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn at_two_nodes_at_once_on_sim() {
    at_two_nodes_at_once(Kit::sim().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn at_two_nodes_at_once_on_postgres() {
    at_two_nodes_at_once(Kit::postgres().await).await;
}

/// Asks as an edge does, until there is an answer.
pub(super) async fn ask<C: Call + Clone>(
    nodes: [&Kit; 2],
    key: u8,
    by: &Side,
    call: C,
) -> Result<C::Answer, ActorError> {
    nodes::ask(nodes, key, by.caller(), call).await
}

async fn at_two_nodes_at_once(a: Kit) {
    let b = a.beside(2).await;
    let nodes = [&a, &b];
    let (ann, bob, _) = three(&a).await;
    let offer = offer(&a, &ann, &bob, "granted", &[Read, List]).await;
    // thirty offers, room for twenty
    let offers = (1..=30).map(|key| ask(nodes, key, &ann, offer.clone()));
    let (made, ()) = tokio::join!(join_all(offers), hand_over(nodes, ann.person.tenant));
    let made: Vec<ShareId> = made.into_iter().flatten().map(|share| share.id).collect();
    assert_eq!(made.len(), 20);
    // each answered four times, with other keys; every other one taken back meanwhile
    let answers =
        made.iter().zip(0_u8..).flat_map(|(share, n)| (0..4).map(move |turn| (*share, 40 + 4 * n + turn)));
    let answers = answers.map(|(share, key)| {
        let bob = &bob;
        async move { ask(nodes, key, bob, AcceptShare { share }).await.is_ok().then_some(share) }
    });
    let ends = made
        .iter()
        .step_by(2)
        .zip(150..)
        .map(|(share, key)| ask(nodes, key, &ann, RevokeShare { share: *share }));
    let (taken, ended, ()) =
        tokio::join!(join_all(answers), join_all(ends), hand_over(nodes, ann.person.tenant));
    assert!(ended.iter().all(Result::is_ok), "{ended:?}");
    let taken: Vec<ShareId> = taken.into_iter().flatten().collect();
    for (n, share) in made.iter().enumerate() {
        let times = taken.iter().filter(|taken| *taken == share).count();
        assert!(times == 1 || (n % 2 == 0 && times == 0), "{n}: answered {times} times");
    }
    let all = ListShares { limit: 100, ..ListShares::default() };
    for share in ask(nodes, 0, &ann, all).await.unwrap().shares {
        let even = made.iter().position(|made| *made == share.id).unwrap() % 2 == 0;
        assert_eq!(share.state, if even { ShareState::Revoked } else { ShareState::Accepted });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_at_two_nodes_at_once_on_sim() {
    requests_at_two_nodes_at_once(Kit::sim().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_at_two_nodes_at_once_on_postgres() {
    requests_at_two_nodes_at_once(Kit::postgres().await).await;
}

async fn requests_at_two_nodes_at_once(a: Kit) {
    let b = a.beside(2).await;
    let nodes = [&a, &b];
    let (ann, bob, _) = three(&a).await;
    given(&a, &ann, &bob, "granted", &[List]).await;
    // fifteen requests, room for ten
    let wish = wish(ann.id("granted"), &[Share]);
    let asks = (1..=15).map(|key| ask(nodes, key, &bob, wish.clone()));
    let (made, ()) = tokio::join!(join_all(asks), hand_over(nodes, ann.person.tenant));
    let made: Vec<_> = made.into_iter().flatten().map(|one| one.id).collect();
    assert_eq!(made.len(), 10);
    // each given and refused twice, with other keys
    let give = |capability| ApproveCapability {
        capability,
        permissions: vec![Share],
        lifetime_ms: 60_000,
        grants: Vec::new(),
        share: None,
        write_grants: Vec::new(),
    };
    let twice = || made.iter().zip(0_u8..).flat_map(|(id, n)| (0..2).map(move |turn| (*id, 4 * n + turn)));
    let gives = twice().map(|(id, n)| ask(nodes, 40 + n, &ann, give(id)));
    let denies = twice().map(|(id, n)| ask(nodes, 42 + n, &ann, DenyCapability { capability: id }));
    let (given, denied, ()) =
        tokio::join!(join_all(gives), join_all(denies), hand_over(nodes, ann.person.tenant));
    let given: Vec<_> = given.into_iter().flatten().map(|one| one.id).collect();
    let denied: Vec<_> = denied.into_iter().flatten().map(|one| one.id).collect();
    for id in &made {
        let times = given.iter().chain(&denied).filter(|one| *one == id).count();
        assert_eq!(times, 1, "{id}: decided {times} times");
    }
    let all = ListShares { limit: 100, ..ListShares::default() };
    let of_bob = ask(nodes, 0, &bob, all).await.unwrap().shares;
    let live = of_bob.iter().filter(|share| share.permissions == [Share]).count();
    assert_eq!(live, given.len(), "what was refused was not given, and what was given was given once");
}
