//! The cap of sessions, with sign-ins that arrive at two nodes at once and an owner that changes in the midst of them.

use std::time::Duration;

use futures_util::future::join_all;
use ocmt_store::{
    Filter,
    tables::{Link, Session},
};

use super::{handed_over, taken};
use crate::{
    api::auth::SessionIssued,
    tests::{
        kit::Kit,
        sign_in::{capped, links_side_by_side},
    },
};

const CAP: u32 = 5;
const SIGN_INS: usize = 24;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sign_ins_at_two_nodes_end_with_exactly_the_cap_on_sim() {
    sign_ins_at_two_nodes_end_with_exactly_the_cap(Kit::sim().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sign_ins_at_two_nodes_end_with_exactly_the_cap_on_postgres() {
    sign_ins_at_two_nodes_end_with_exactly_the_cap(Kit::postgres().await).await;
}

async fn sign_ins_at_two_nodes_end_with_exactly_the_cap(a: Kit) {
    let b = a.beside(2).await;
    let ann = capped(&a, CAP).await;
    let links = links_side_by_side(&a, &ann, SIGN_INS).await;
    let tries = links.iter().enumerate().map(|(n, link)| sign_in([&a, &b], n, link));
    let (issued, owners) = tokio::join!(join_all(tries), handed_over([&a, &b], ann.tenant, 40));
    assert_eq!(issued.len(), SIGN_INS);
    assert_eq!(owners.len(), 2, "one node had the tenant all the time");
    let own = taken(&a, ann.tenant).await;
    let mut tx = a.store.read(own).await.unwrap();
    assert_eq!(tx.count(Session::ended_at.eq(None)).await.unwrap(), i64::from(CAP));
    let all = i64::try_from(SIGN_INS).unwrap() + 1;
    assert_eq!(tx.count(Filter::<Session>::all()).await.unwrap(), all, "one for each link, and the first");
    assert_eq!(tx.count(Filter::<Link>::all()).await.unwrap(), 0);
}

/// Signs in as an edge does that has one node first, and goes to the other when the tenant is not there.
async fn sign_in(nodes: [&Kit; 2], first: usize, link: &str) -> SessionIssued {
    for turn in first..first + 20_000 {
        match nodes[turn % 2].exchange(link).await {
            Ok(issued) => return issued,
            Err(error) => assert!(error.is_retryable() && !error.outcome_unknown(), "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await; // why: the pause between two tries of an edge, bounded by the turns
    }
    panic!("no node took the sign-in");
}
