//! Lives of nodes on one store: lease, death, restart, a database that fails.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod kit;

use std::{sync::Arc, time::Duration};

use kit::{Machine, Slow, Two, pass, s};
use ocmt_cluster::{ClusterError, Ending};
use ocmt_store::{
    Acceptance, Fault, Point, Removal, Stalled, Store, StoreError,
    tables::NodeState,
    testing::{acceptance, id, put_back, remove, save},
};
use ocmt_types::{NodeId, Timestamp};
use tokio::time::timeout;

#[tokio::test(start_paused = true)]
async fn nodes_see_each_other_and_keep_their_leases() {
    let Two { nodes: [first, second], ticks: _ticks, .. } = Two::live().await;
    pass(s(60)).await;
    first.lease().strict().unwrap();
    assert!(first.lease().held_for().unwrap() >= s(59));
    let view = first.view().borrow().clone();
    assert_eq!(view.nodes.keys().copied().collect::<Vec<NodeId>>(), [id(1), id(2)]);
    assert_eq!(view.nodes[&id(2)].incarnation, second.incarnation());
    assert_eq!(view.nodes[&id(2)].state, NodeState::Live);
    second.set_state(NodeState::Draining).await.unwrap();
    pass(s(2)).await;
    assert_eq!(first.view().borrow().nodes[&id(2)].state, NodeState::Draining);
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_runtime_stands_still_loses_its_lease_and_is_declared_dead() {
    let Two { nodes: [first, second], ticks: [_ticks, ticks], .. } = Two::live().await;
    pass(s(10)).await;
    drop(ticks);
    pass(s(7)).await;
    assert!(matches!(second.lease().strict(), Err(ClusterError::NoLease)));
    assert_eq!(timeout(s(3), second.ended()).await.unwrap(), Ending::LeaseLost);
    pass(s(4)).await;
    assert!(!first.view().borrow().nodes.contains_key(&id(2)), "declared dead");
    first.lease().strict().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_node_stops_serving_before_it_can_be_declared_dead() {
    let Two { store, nodes: [first, second], ticks: [_ticks, ticks], .. } = Two::live().await;
    pass(s(10)).await;
    drop(ticks);
    for _ in 0..400 {
        pass(s(1) / 20).await;
        let strict = second.lease().strict().is_ok();
        let dead = store.cluster().renewals(second.incarnation()).await.unwrap().is_some()
            && !first.view().borrow().nodes.contains_key(&id(2));
        assert!(!(strict && dead), "it serves strict calls and is dead");
    }
    assert!(!first.view().borrow().nodes.contains_key(&id(2)));
}

#[tokio::test(start_paused = true)]
async fn a_suspended_node_is_over_when_it_wakes() {
    let store = Store::sim();
    let machine = Machine::new(&store, 1);
    let (node, _ticks) = machine.start(1).await;
    pass(s(5)).await;
    machine.clock.jump(s(60));
    assert!(matches!(node.lease().strict(), Err(ClusterError::NoLease)));
    assert_eq!(timeout(s(2), node.ended()).await.unwrap(), Ending::LeaseLost);
    pass(s(2)).await;
    assert!(node.lease().strict().is_err(), "nothing revives it");
    assert!(node.set_state(NodeState::Draining).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_restarted_node_buries_its_earlier_life_at_once() {
    let Two { machines: [_, two], nodes: [first, old], ticks: _ticks, .. } = Two::live().await;
    pass(s(3)).await;
    let (new, _again) = two.start(2).await;
    assert_ne!(new.incarnation(), old.incarnation());
    assert_eq!(timeout(s(3), old.ended()).await.unwrap(), Ending::DeclaredDead);
    assert!(old.lease().strict().is_err());
    pass(s(2)).await;
    assert_eq!(first.view().borrow().nodes[&id(2)].incarnation, new.incarnation());
}

#[tokio::test(start_paused = true)]
async fn a_short_break_of_the_database_kills_nobody() {
    let Two { store, nodes: [first, second], ticks: _ticks, .. } = Two::live().await;
    pass(s(10)).await;
    // both heartbeats stand in it for 4.5 s: longer than the strict time, shorter than the TTL
    let stalled: Vec<Stalled> = (0..12).map(|_| Stalled::default()).collect();
    for stall in &stalled {
        store.faults().unwrap().plan(Point::Begin, Fault::Stall(stall.clone()));
    }
    pass(s(9) / 2).await;
    assert!(first.lease().strict().is_err() && second.lease().strict().is_err());
    assert!(first.lease().lost_for().is_some());
    store.faults().unwrap().clear();
    store.faults().unwrap().restart();
    stalled.iter().for_each(Stalled::release);
    pass(s(20)).await;
    for node in [&first, &second] {
        node.lease().strict().unwrap();
        assert!(node.lease().lost_for().is_none());
        assert_eq!(node.view().borrow().nodes.len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_database_that_went_back_ends_the_node_and_keeps_it_out() {
    let store = Store::sim();
    let machine = Machine::new(&store, 1);
    let (node, _ticks) = machine.start(1).await;
    pass(s(3)).await;
    let backup = save(&store).unwrap();
    pass(s(20)).await;
    put_back(&store, &backup);
    let ending = timeout(s(3), node.ended()).await.unwrap();
    assert!(matches!(ending, Ending::DatabaseWentBack(_)), "{ending}");
    // it is noticed again by the next life, from what the folder remembers
    let refused = ocmt_cluster::Membership::start(machine.config(2)).await.err().unwrap();
    assert!(matches!(refused, ClusterError::WentBack(_)), "{refused}");
    assert!(!refused.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn an_empty_database_is_not_taken_for_a_new_cluster() {
    let machine = Machine::new(&Store::sim(), 1);
    let (node, _ticks) = machine.start(1).await;
    pass(s(3)).await;
    node.leave().await;
    let empty = Machine { store: Store::sim(), ..machine };
    let refused = ocmt_cluster::Membership::start(empty.config(2)).await.err().unwrap();
    assert!(matches!(refused, ClusterError::WentBack(_)), "{refused}");
    assert!(empty.store.cluster().observe().await.unwrap().cluster.is_none(), "nothing was written into it");
}

#[tokio::test(start_paused = true)]
async fn a_revoked_node_is_over_and_does_not_come_back() {
    let store = Store::sim();
    let machine = Machine::new(&store, 1);
    let (node, _ticks) = machine.start(1).await;
    assert_eq!(remove(&store, id(1), false).await.unwrap(), Removal::Done { generation: 2 });
    let ending = timeout(s(3), node.ended()).await.unwrap();
    assert!(matches!(ending, Ending::Revoked | Ending::DeclaredDead), "{ending}");
    let refused = ocmt_cluster::Membership::start(machine.config(2)).await.err().unwrap();
    assert!(matches!(refused, ClusterError::Revoked), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_is_not_waited_for() {
    let Two { nodes: [first, second], ticks: _ticks, .. } = Two::live().await;
    let lease = second.lease();
    second.clone().leave().await;
    assert!(lease.strict().is_err());
    pass(s(2)).await;
    assert!(!first.view().borrow().nodes.contains_key(&id(2)));
    assert!(timeout(s(30), second.ended()).await.is_err(), "it left, it was not ended");
}

#[tokio::test(start_paused = true)]
async fn a_database_that_does_not_answer_lets_no_node_start() {
    let store = Store::sim();
    store.faults().unwrap().plan(Point::BeginRead, Fault::Stall(Stalled::default()));
    let machine = Machine::new(&store, 1);
    let refused = ocmt_cluster::Membership::start(machine.config(1)).await.err().unwrap();
    assert!(matches!(refused, ClusterError::Store(StoreError::Unavailable(_))) && refused.is_retryable());
}

/// Ten round trips a heartbeat, as over a long way: none of them is late enough to cost a lease.
#[tokio::test(start_paused = true)]
async fn a_database_that_is_far_away_costs_no_lease_and_the_dead_are_noticed() {
    let store = Store::sim().linked(Arc::new(Slow(Duration::from_millis(70))));
    let (first, _ticks) = Machine::new(&store, 1).start_ticking(1).await;
    let (second, ticks) = Machine::new(&store, 2).start_ticking(1).await;
    for _ in 0..40 {
        pass(Duration::from_millis(500)).await;
        first.lease().strict().expect("the lease holds without a gap");
    }
    assert_eq!(first.view().borrow().nodes.len(), 2);
    drop((second, ticks));
    pass(s(30)).await;
    assert_eq!(first.view().borrow().nodes.len(), 1, "the dead one was not noticed");
    first.lease().strict().expect("the lease holds");
}

#[tokio::test(start_paused = true)]
async fn who_was_seen_revoked_is_not_honoured_again_by_a_database_that_was_put_back() {
    let Two { store, machines: [one, two], nodes: [first, second], ticks: _ticks } = Two::live().await;
    pass(s(3)).await;
    let backup = save(&store).unwrap();
    assert_eq!(remove(&store, id(2), false).await.unwrap(), Removal::Done { generation: 2 });
    pass(s(3)).await;
    drop(second);
    first.leave().await;
    put_back(&store, &backup);
    let floor = one.memory.0.lock().unwrap().unwrap().view_version;
    // accepted where nobody remembers who was revoked
    let acceptance = Acceptance { floor, ..acceptance(Timestamp(1)) };
    store.accept_restore(&acceptance).await.unwrap();
    assert!(store.cluster().revocations().await.unwrap().is_empty(), "the backup honours it");
    let (first, _again) = one.start(2).await;
    assert!(first.view().borrow().revoked.contains(&id(2)), "a stolen key is honoured again");
    assert_eq!(store.cluster().revocations().await.unwrap().nodes, [id::<NodeId>(2)].into());
    let thief = Machine::new(&store, 2);
    let refused = ocmt_cluster::Membership::start(Machine { memory: thief.memory, ..two }.config(2)).await;
    assert!(matches!(refused.err().unwrap(), ClusterError::Revoked));
}
