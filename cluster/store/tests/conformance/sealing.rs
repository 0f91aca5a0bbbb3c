//! Generations of the sealing key: what is under an earlier one, and when the latest stands alone.

use ocmt_crypto::{
    audit::{Actor, Outcome},
    sealing::SealingKeys,
};
use ocmt_store::{
    Acceptance, ClusterAct, Rewrap, Store,
    tables::Container,
    testing::{TestNode, acceptance, id},
};
use ocmt_types::{ClusterId, Ownership, TenantId, Timestamp};

use super::hosts::container;

const WHAT: Rewrap = Rewrap { lowest: 2, latest: 3 };

fn act() -> ClusterAct {
    ClusterAct {
        at: Timestamp(9),
        request: id(7),
        actor: Actor::Node(id(1)),
        action: "cluster.sealing_alone",
        object: "sealing/3".to_owned(),
        outcome: Outcome::Allowed,
        details: Vec::new(),
        remember: None,
    }
}

fn wrapped(generation: u32) -> Vec<u8> {
    [SealingKeys::floor_of(generation), vec![7; 40]].concat()
}

async fn put(store: &Store, own: Ownership, n: u64, generation: u32) {
    let mut tx = store.fenced(own).await.unwrap();
    let row = Container { start_secret: Some(wrapped(generation)), ..container(own, n, id(70)) };
    tx.upsert(&row).await.unwrap();
    tx.commit().await.unwrap();
}

/// Generation 3 is due, as an accepted restore writes it down.
async fn third(store: &Store) {
    store.cluster().cluster(id::<ClusterId>(99), Timestamp(0)).await.unwrap();
    let sealing = Some((id(1), 2));
    let restore = Acceptance { floor: 100, sealing, ..acceptance(Timestamp(1)) };
    assert_eq!(store.accept_restore(&restore).await.unwrap().sealing_generation, Some(3));
}

pub async fn what_is_under_an_earlier_generation_is_found_by_its_tenants(store: Store) {
    let node = TestNode::start(&store, 1).await.unwrap();
    let mut tenants = Vec::new();
    for n in 1..=5 {
        tenants.push(node.found(n).await.unwrap());
    }
    // 1 opens nowhere any more, 3 is the latest
    for (own, generation) in tenants.iter().zip([2, 3, 2, 1, 2]) {
        put(&store, *own, 10, generation).await;
        put(&store, *own, 11, generation).await;
    }
    let operators = store.operators();
    let of = |n: &[u64]| n.iter().map(|n| id(*n)).collect::<Vec<TenantId>>();
    assert_eq!(operators.tenants_to_rewrap(WHAT, None, 10).await.unwrap(), of(&[1, 3, 5]));
    assert_eq!(operators.tenants_to_rewrap(WHAT, None, 2).await.unwrap(), of(&[1, 3]));
    assert_eq!(operators.tenants_to_rewrap(WHAT, Some(id(3)), 2).await.unwrap(), of(&[5]));
    assert_eq!(operators.rewrapping(WHAT).await.unwrap().left, 6);
    let mut tx = store.fenced(tenants[2]).await.unwrap();
    assert_eq!(tx.containers_to_rewrap(WHAT, 10).await.unwrap().len(), 2, "of this tenant alone");
    assert_eq!(tx.ceremonies_to_rewrap(WHAT, 10).await.unwrap(), []);
}

pub async fn a_generation_stands_alone_once_nothing_and_nobody_is_under_an_earlier_one(store: Store) {
    third(&store).await;
    let node = TestNode::start(&store, 1).await.unwrap();
    let other = TestNode::start(&store, 2).await.unwrap();
    let own = node.found(1).await.unwrap();
    put(&store, own, 10, 2).await;
    let operators = store.operators();
    operators.wraps_under(node.node_id, 3).await.unwrap();
    operators.wraps_under(other.node_id, 2).await.unwrap();
    let seen = operators.rewrapping(WHAT).await.unwrap();
    assert_eq!((seen.left, seen.behind), (1, vec![other.node_id]));
    put(&store, own, 10, 3).await;
    assert!(!operators.stand_alone(WHAT, &act()).await.unwrap(), "a node is behind");
    operators.wraps_under(other.node_id, 3).await.unwrap();
    operators.wraps_under(other.node_id, 2).await.unwrap();
    put(&store, own, 10, 2).await;
    assert!(!operators.stand_alone(WHAT, &act()).await.unwrap(), "something is under the earlier one");
    put(&store, own, 10, 3).await;
    let latest = async || store.operators().latest_generation().await.unwrap().unwrap().alone_since;
    assert_eq!(latest().await, None);
    assert!(!operators.stand_alone(Rewrap { lowest: 1, latest: 2 }, &act()).await.unwrap(), "not the latest");
    assert!(operators.stand_alone(WHAT, &act()).await.unwrap());
    assert_eq!(latest().await, Some(Timestamp(9)));
    assert!(operators.stand_alone(WHAT, &act()).await.unwrap(), "it does, whoever asks again");
}
