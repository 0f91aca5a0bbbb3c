//! The cap of sessions, with sign-ins that arrive at two nodes at once and an owner that changes in the midst of them.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use ocmt_store::{
    Filter,
    tables::{Link, Session},
};
use ocmt_types::{Incarnation, Ownership, TenantId};

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
    let (issued, owners) = tokio::join!(join_all(tries), hand_over([&a, &b], ann.tenant));
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
    for turn in first..first + 2_000 {
        match nodes[turn % 2].exchange(link).await {
            Ok(issued) => return issued,
            Err(error) => assert!(error.is_retryable() && !error.outcome_unknown(), "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await; // why: the pause between two tries of an edge, bounded by the turns
    }
    panic!("no node took the sign-in");
}

/// Takes the tenant from whoever has it, again and again, for the other node to claim; tells who had it.
pub(super) async fn hand_over(nodes: [&Kit; 2], tenant: TenantId) -> BTreeSet<Incarnation> {
    let mut owners = BTreeSet::new();
    for turn in 0..40 {
        for (n, kit) in nodes.iter().enumerate() {
            *kit.linked.prefers.lock().unwrap() = Some(n == turn % 2);
        }
        let cluster = nodes[0].store.cluster();
        let row = cluster.owner(tenant).await.unwrap().unwrap();
        if let Some(incarnation) = row.incarnation {
            owners.insert(incarnation);
            cluster.release(Ownership { tenant, incarnation, epoch: row.epoch }).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(5)).await; // why: some sign-ins land in between
    }
    owners
}

/// The tenant for this test itself, whoever has it.
async fn taken(kit: &Kit, tenant: TenantId) -> Ownership {
    let cluster = kit.store.cluster();
    let row = cluster.owner(tenant).await.unwrap().unwrap();
    if let Some(incarnation) = row.incarnation {
        cluster.release(Ownership { tenant, incarnation, epoch: row.epoch }).await.unwrap();
    }
    kit.steal(tenant).await
}
