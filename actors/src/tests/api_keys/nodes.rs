//! Keys over two nodes.

use std::time::Duration;

use futures_util::future::join_all;
use ocmt_store::tables::ApiKeyRow;

use super::{ask, keys_of, made, reason};
use crate::{
    api::{
        keys::{ListApiKeys, RevokeApiKey},
        tenant::GetTenant,
    },
    tenant::api_key::MOST_KEYS,
    tests::{
        kit::{Kit, Person, until},
        nodes::hand_over,
    },
};

#[tokio::test]
async fn t6_a_revoked_key_is_refused_at_once_on_every_node() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let ann = a.founder("ann@example.com").await;
    let key = made(&a, &ann, &["tenant.read"]).await;
    let caller = key.caller.clone();
    a.call(&caller, GetTenant).await.unwrap();
    // of parallel ends one is the end, and nobody is let in behind it
    let end = || a.call(&ann.caller, RevokeApiKey { key: key.issued.key.id });
    let ends = join_all((0..4).map(|_| end())).await;
    assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 1);
    assert_eq!(reason(a.call(&caller, GetTenant).await), "UNAUTHENTICATED");
    assert_eq!(reason(a.authenticate(key.secret()).await), "UNAUTHENTICATED");
    assert!(keys_of(&a, &ann).await.is_empty());
    // and wherever the tenant goes
    a.is_declared_dead().await;
    until("the other node has the tenant", async || {
        let said = b.authenticate(key.secret()).await.err();
        !said.is_some_and(|error| error.is_retryable())
    })
    .await;
    assert_eq!(reason(b.authenticate(key.secret()).await), "UNAUTHENTICATED");
    assert_eq!(reason(b.call(&caller, GetTenant).await), "UNAUTHENTICATED");
    assert_eq!(reason(b.call(&ann.caller, RevokeApiKey { key: key.issued.key.id }).await), "NOT_FOUND");
}

#[tokio::test]
async fn a_key_goes_on_at_the_node_that_has_its_tenant() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let ann = a.founder("ann@example.com").await;
    let key = made(&a, &ann, &["tenant.read"]).await;
    a.is_declared_dead().await;
    until("the other node has the tenant", async || b.authenticate(key.secret()).await.is_ok()).await;
    b.call(&key.caller, GetTenant).await.unwrap();
}

/// Whether a key is made in the end. A repeat tells of the first time, if its answer was lost.
async fn wish(nodes: [&Kit; 2], first: usize, ann: &Person) -> bool {
    let wish = ask(&["tenant.read"]);
    for turn in first..first + 20_000 {
        let Err(error) = nodes[turn % 2].call(&ann.caller, wish.clone()).await else {
            return true;
        };
        match error.reason() {
            "API_KEY_MADE" => return true,
            "TOO_MANY_KEYS" => return false,
            _ => assert!(error.is_retryable() || error.outcome_unknown(), "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await; // why: the pause between two tries of an edge, bounded by the turns
    }
    panic!("no node took the wish");
}

async fn wishes_at_two_nodes_end_with_exactly_the_cap(a: Kit) {
    let b = a.beside(2).await;
    let ann = a.founder("ann@example.com").await;
    let most = usize::try_from(MOST_KEYS).unwrap();
    let before = a.epoch(ann.tenant).await;
    let wishes = join_all((0..most + 14).map(|n| wish([&a, &b], n, &ann)));
    let moves = async {
        loop {
            hand_over([&a, &b], ann.tenant).await;
            tokio::time::sleep(Duration::from_millis(100)).await; // why: between two rounds of moves some wishes are granted, however slow the machine is
        }
    };
    let granted = tokio::select! {
        granted = wishes => granted,
        () = moves => unreachable!("it goes on until the wishes are decided"),
    };
    assert!(a.epoch(ann.tenant).await > before + 1, "the tenant stayed where it was");
    assert_eq!(granted.iter().filter(|granted| **granted).count(), most);
    let listed = ListApiKeys { after: None, limit: 100 };
    let listed = Kit::ask_any(&[&a, &b], &ann.caller, &a.meta(), listed).await.unwrap();
    assert_eq!(listed.keys.len(), most);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn wishes_for_keys_at_two_nodes_end_with_exactly_the_cap_on_sim() {
    wishes_at_two_nodes_end_with_exactly_the_cap(Kit::sim().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn wishes_for_keys_at_two_nodes_end_with_exactly_the_cap_on_postgres() {
    wishes_at_two_nodes_end_with_exactly_the_cap(Kit::postgres().await).await;
}

#[tokio::test]
async fn a_key_that_was_deleted_between_the_look_and_the_call_does_nothing() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let key = made(&kit, &ann, &["tenant.read"]).await;
    let own = kit.steal(ann.tenant).await;
    let mut tx = kit.store.fenced(own).await.unwrap();
    assert!(tx.delete::<ApiKeyRow>(key.issued.key.id).await.unwrap());
    tx.commit().await.unwrap();
    until("the node has the tenant again", async || {
        reason(kit.call(&key.caller, GetTenant).await) == "UNAUTHENTICATED"
    })
    .await;
}
