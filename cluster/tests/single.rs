//! A node without peers: its claims, and what a restart does to them.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use ocmt_cluster::{Alone, ClusterError, SingleNode};
use ocmt_store::{
    Founding, Store, StoreError,
    tables::Node,
    testing::{TestNode, id, life_of},
};
use ocmt_types::{Epoch, Incarnation, ManualClock, NodeId, Ownership, SeededIds, Timestamp};

fn alone(addr: &str) -> Alone<'_> {
    Alone { node_id: id::<NodeId>(1), addr, version: "0.1.0" }
}

/// A life of the node; `seed` is another for each.
async fn start(store: &Store, seed: u64) -> SingleNode {
    let clock = ManualClock::at(Timestamp(1_000));
    let (node, _) = SingleNode::start(store.clone(), alone("127.0.0.1:7444"), &clock, &SeededIds::new(seed))
        .await
        .unwrap();
    node
}

async fn found(store: &Store, node: &SingleNode) -> Ownership {
    let like = TestNode { store: store.clone(), node_id: node.node_id(), incarnation: node.incarnation() };
    let founding: Founding = like.founding(1);
    let tx = store.directory().create_tenant(&founding).await.unwrap().unwrap();
    let own = tx.ownership();
    tx.commit().await.unwrap();
    own
}

#[tokio::test]
async fn a_restart_takes_over_its_tenants_and_fences_its_earlier_life() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::sqlite(folder.path()).await.unwrap();
    let first = start(&store, 1).await;
    let old = found(&store, &first).await;
    store.close().await;
    drop((store, first));

    let store = Store::sqlite(folder.path()).await.unwrap();
    let second = start(&store, 2).await;
    let new = second.claim(old.tenant).await.unwrap();
    assert_eq!((new.incarnation, new.epoch), (second.incarnation(), Epoch(old.epoch.0 + 1)));
    assert!(matches!(store.fenced(old).await.err(), Some(StoreError::Fenced)));
    drop(store.fenced(new).await.unwrap());
}

#[tokio::test]
async fn the_cluster_keeps_its_id_over_restarts() {
    let store = Store::sim();
    let (clock, node) = (ManualClock::at(Timestamp(1)), alone("a:1"));
    let (_, made) = SingleNode::start(store.clone(), node, &clock, &SeededIds::new(1)).await.unwrap();
    let (_, found) = SingleNode::start(store.clone(), node, &clock, &SeededIds::new(2)).await.unwrap();
    assert_eq!(found.cluster_id, made.cluster_id);
    assert_eq!(found.view_version, made.view_version + 1, "the death of the earlier life is in the view");
}

#[tokio::test]
async fn a_released_tenant_is_claimed_under_the_next_epoch() {
    let store = Store::sim();
    let node = start(&store, 1).await;
    let old = found(&store, &node).await;
    node.release(old).await.unwrap();
    assert!(matches!(store.fenced(old).await.err(), Some(StoreError::Fenced)));
    assert_eq!(node.claim(old.tenant).await.unwrap().epoch, Epoch(old.epoch.0 + 1));
}

#[tokio::test]
async fn what_cannot_be_claimed_is_told_apart() {
    let store = Store::sim();
    let node = start(&store, 1).await;
    assert!(matches!(node.claim(id(9)).await, Err(ClusterError::NoTenant)));
    let other = Node { incarnation: Incarnation([5; 16]), ..life_of(2) };
    store.cluster().register(&other).await.unwrap();
    let own = TestNode { store: store.clone(), node_id: id(2), incarnation: other.incarnation }
        .found(1)
        .await
        .unwrap();
    let refused = node.claim(own.tenant).await.unwrap_err();
    assert!(matches!(refused, ClusterError::NotOwner { owner, .. } if owner == id(2)), "{refused}");
    assert!(!refused.is_retryable());
}

#[tokio::test]
async fn a_node_that_was_declared_dead_claims_nothing() {
    let store = Store::sim();
    let node = start(&store, 1).await;
    let own = found(&store, &node).await;
    store.cluster().mark_dead(node.incarnation()).await.unwrap();
    assert!(matches!(node.claim(own.tenant).await, Err(ClusterError::Store(StoreError::Fenced))));
}
