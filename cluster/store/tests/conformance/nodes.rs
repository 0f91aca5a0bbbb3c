//! Nodes: leases, what an observer sees, and death.

use ocmt_store::{
    Store,
    tables::{Node, NodeState},
    testing::{TestNode, id, life_of},
};
use ocmt_types::{ClusterId, Incarnation, Timestamp};
use tokio::task::JoinSet;

async fn two(store: &Store) -> (Incarnation, Incarnation) {
    store.cluster().cluster(id::<ClusterId>(1), Timestamp(1)).await.unwrap();
    let first = TestNode::start(store, 1).await.unwrap();
    let second = TestNode::start(store, 2).await.unwrap();
    (first.incarnation, second.incarnation)
}

async fn version(store: &Store) -> i64 {
    store.cluster().observe().await.unwrap().cluster.unwrap().view_version
}

pub async fn a_renewal_moves_the_counter_until_death(store: Store) {
    let (first, _) = two(&store).await;
    for expected in 1..=3 {
        assert_eq!(store.cluster().renew(first).await.unwrap(), Some(expected));
    }
    assert!(store.cluster().mark_dead(first).await.unwrap());
    assert_eq!(store.cluster().renew(first).await.unwrap(), None);
    assert_eq!(store.cluster().renew(Incarnation([9; 16])).await.unwrap(), None, "an unknown one");
    assert_eq!(store.cluster().renewals(first).await.unwrap(), Some(3), "the counter outlives the node");
    assert_eq!(store.cluster().renewals(Incarnation([9; 16])).await.unwrap(), None);
}

pub async fn a_death_needs_the_counter_that_was_seen(store: Store) {
    let (first, second) = two(&store).await;
    let seen = store.cluster().renew(first).await.unwrap().unwrap();
    store.cluster().renew(first).await.unwrap();
    assert!(!store.cluster().declare_dead(second, first, seen).await.unwrap(), "it has renewed since");
    assert!(store.cluster().renew(first).await.unwrap().is_some());
    assert!(store.cluster().declare_dead(second, first, seen + 2).await.unwrap());
    assert!(!store.cluster().declare_dead(second, first, seen + 2).await.unwrap(), "once");
    assert_eq!(store.cluster().renew(first).await.unwrap(), None);
}

pub async fn the_dead_declare_nobody_dead(store: Store) {
    let (first, second) = two(&store).await;
    assert!(store.cluster().mark_dead(second).await.unwrap());
    assert!(!store.cluster().declare_dead(second, first, 0).await.unwrap());
    assert_eq!(store.cluster().renew(first).await.unwrap(), Some(1));
}

pub async fn of_a_renewal_and_a_death_one_comes_first(store: Store) {
    for round in 0..20 {
        let node = Node { incarnation: Incarnation([100 + round; 16]), ..life_of(1) };
        store.cluster().register(&node).await.unwrap();
        let observer = Node { incarnation: Incarnation([200 + round; 16]), ..life_of(2) };
        store.cluster().register(&observer).await.unwrap();
        let mut tasks = JoinSet::new();
        let (renewing, declaring) = (store.clone(), store.clone());
        tasks.spawn(async move { matches!(renewing.cluster().renew(node.incarnation).await, Ok(Some(1))) });
        tasks.spawn(async move {
            let declared = declaring.cluster().declare_dead(observer.incarnation, node.incarnation, 0).await;
            matches!(declared, Ok(true))
        });
        let done = tasks.join_all().await.into_iter().filter(|done| *done).count();
        assert_eq!(done, 1, "a lease was renewed and its holder declared dead by the same counter");
    }
}

pub async fn an_observation_shows_the_living_with_their_counters(store: Store) {
    let (first, second) = two(&store).await;
    store.cluster().renew(second).await.unwrap();
    store.cluster().set_state(second, NodeState::Live, NodeState::Draining).await.unwrap();
    let seen = store.cluster().observe().await.unwrap();
    let counters: Vec<(Incarnation, i64, NodeState)> =
        seen.nodes.iter().map(|(node, renewals)| (node.incarnation, *renewals, node.state)).collect();
    assert_eq!(counters, [(first, 0, NodeState::Live), (second, 1, NodeState::Draining)]);
    assert_eq!(seen.nodes[0].0, life_of(1));
    store.cluster().mark_dead(first).await.unwrap();
    let later = store.cluster().observe().await.unwrap();
    assert_eq!(later.nodes.len(), 1);
    assert_eq!(later.life, seen.life, "the database has not restarted");
}

pub async fn registration_and_death_raise_the_view(store: Store) {
    let (first, _) = two(&store).await;
    let before = version(&store).await;
    store.cluster().mark_dead(first).await.unwrap();
    assert_eq!(version(&store).await, before + 1);
    store.cluster().register(&Node { incarnation: Incarnation([9; 16]), ..life_of(1) }).await.unwrap();
    assert_eq!(version(&store).await, before + 2);
    store.cluster().renew(Incarnation([9; 16])).await.unwrap();
    assert_eq!(version(&store).await, before + 2, "a renewal changes no view");
}

pub async fn a_node_that_nobody_let_in_does_not_belong(store: Store) {
    let cluster = store.cluster();
    cluster.cluster(id::<ClusterId>(99), Timestamp(0)).await.unwrap();
    assert!(cluster.belongs(id(1)).await.unwrap(), "the first of a new cluster");
    let first = TestNode::start(&store, 1).await.unwrap();
    assert!(!cluster.belongs(id(2)).await.unwrap());
    cluster.mark_dead(first.incarnation).await.unwrap();
    assert!(cluster.belongs(id(1)).await.unwrap(), "a later life of the first");
    assert!(!cluster.belongs(id(2)).await.unwrap());
    super::removal::join(&store, id(2)).await;
    assert!(cluster.belongs(id(2)).await.unwrap());
}
