//! Nodes that do not come back: whoever was let in can be removed, with a confirmation that is used up.

use std::collections::BTreeSet;

use ocmt_crypto::audit::{Actor, Outcome};
use ocmt_store::{
    ClusterAct, Confirmation, Removal, Store, StoreError,
    tables::{ActKind, DestructiveAct, JoinedNode},
    testing::{TestNode, id, mark_removed, remove},
};
use ocmt_types::{ClusterId, Digest32, Incarnation, NodeId, Timestamp};

const NOW: Timestamp = Timestamp(1_000);

fn act() -> ClusterAct {
    ClusterAct {
        at: NOW,
        request: id(7),
        actor: Actor::Operator([1; 16]),
        action: "cluster.revoke",
        object: "node/x".to_owned(),
        outcome: Outcome::Allowed,
        details: Vec::new(),
        remember: None,
    }
}

async fn two(store: &Store) -> (Incarnation, Incarnation) {
    store.cluster().cluster(id::<ClusterId>(99), Timestamp(0)).await.unwrap();
    let first = TestNode::start(store, 1).await.unwrap();
    let second = TestNode::start(store, 2).await.unwrap();
    (first.incarnation, second.incarnation)
}

/// Lets a node in with an invitation, as one that has not started.
pub async fn join(store: &Store, node_id: NodeId) {
    let token = super::operators::invitation();
    store.operators().put_join_token(&token, &act()).await.unwrap();
    let node = JoinedNode { node_id, addr: "192.0.2.3:7444".into(), names: "n3".into(), joined_at: NOW };
    assert!(store.operators().take_join_token(token.token_hash, &node, &act()).await.unwrap().is_some());
}

/// The removal of `node`, begun and confirmed by operator 1.
async fn confirmed(store: &Store, node: NodeId, act_id: u64) -> Confirmation {
    let begun = DestructiveAct {
        act_id: id(act_id),
        operator_id: id(1),
        act: ActKind::RevokeNode,
        object: node.to_string(),
        token_hash: None,
        created_at: NOW,
        expires_at: Timestamp(2_000),
    };
    let operators = store.operators();
    operators.begin_act(&begun, &act()).await.unwrap();
    let token_hash = Digest32([u8::try_from(act_id).unwrap(); 32]);
    assert!(operators.confirm_act(id(act_id), id(1), token_hash, &act()).await.unwrap().is_some());
    Confirmation { token_hash, operator: id(1), act: ActKind::RevokeNode, object: begun.object }
}

pub async fn a_removed_node_is_dead_and_stays_removed(store: Store) {
    let (first, second) = two(&store).await;
    let node_id: NodeId = id(1);
    let before = store.cluster().observe().await.unwrap().cluster.unwrap().view_version;
    assert_eq!(remove(&store, node_id, false).await.unwrap(), Removal::Done { generation: 2 });
    assert_eq!(remove(&store, node_id, false).await.unwrap(), Removal::Unknown, "once");
    let seen = store.cluster().observe().await.unwrap();
    assert_eq!(seen.revoked.nodes, [node_id].into());
    assert_eq!(seen.cluster.unwrap().view_version, before + 1);
    assert_eq!(seen.nodes.iter().map(|(node, _)| node.incarnation).collect::<Vec<_>>(), [second]);
    assert_eq!(store.cluster().renew(first).await.unwrap(), None);
    let claim = store.cluster().claim(id(1), node_id, first).await;
    assert!(matches!(claim, Err(StoreError::Fenced)), "{claim:?}");
}

pub async fn each_removal_makes_a_generation_of_the_sealing_key_due(store: Store) {
    two(&store).await;
    assert_eq!(store.operators().latest_generation().await.unwrap(), None);
    for (n, generation) in [(1, 2), (2, 3)] {
        assert_eq!(remove(&store, id(n), false).await.unwrap(), Removal::Done { generation });
        let latest = store.operators().latest_generation().await.unwrap().unwrap();
        assert_eq!(latest.generation, generation);
    }
}

pub async fn a_node_that_joined_and_never_started_is_removed_like_any_other(store: Store) {
    two(&store).await;
    let node: NodeId = id(3);
    join(&store, node).await;
    let listed: Vec<NodeId> =
        store.operators().joined_nodes().await.unwrap().iter().map(|node| node.node_id).collect();
    assert_eq!(listed, [node]);
    assert_eq!(remove(&store, node, false).await.unwrap(), Removal::Done { generation: 2 });
    assert_eq!(store.cluster().observe().await.unwrap().revoked.nodes, [node].into());
    assert_eq!(store.operators().joined_nodes().await.unwrap(), []);
    assert_eq!(remove(&store, id(4), false).await.unwrap(), Removal::Unknown, "who never came in");
}

pub async fn a_living_node_is_revoked_and_not_forgotten(store: Store) {
    let (first, _) = two(&store).await;
    assert_eq!(remove(&store, id(1), true).await.unwrap(), Removal::Alive);
    assert!(store.cluster().mark_dead(first).await.unwrap());
    assert_eq!(remove(&store, id(1), true).await.unwrap(), Removal::Done { generation: 2 });
}

pub async fn a_removal_uses_its_confirmation_up(store: Store) {
    two(&store).await;
    join(&store, id(3)).await;
    let good = confirmed(&store, id(1), 5).await;
    let removed = |node: u64, confirmation: Confirmation| {
        let operators = store.operators();
        async move { operators.remove_node(id(node), false, &confirmation, id(2), &act()).await.unwrap() }
    };
    for wrong in [
        Confirmation { operator: id(2), ..good.clone() },
        Confirmation { act: ActKind::ForgetNode, ..good.clone() },
        Confirmation { object: id::<NodeId>(3).to_string(), ..good.clone() },
        Confirmation { token_hash: Digest32([4; 32]), ..good.clone() },
    ] {
        assert_eq!(removed(1, wrong.clone()).await, Removal::Unconfirmed, "{wrong:?}");
    }
    assert!(store.cluster().observe().await.unwrap().revoked.is_empty());
    assert_eq!(removed(1, good.clone()).await, Removal::Done { generation: 2 });
    assert_eq!(removed(1, good).await, Removal::Unconfirmed, "it was good twice");
}

pub async fn every_removed_node_is_seen_however_many(store: Store) {
    two(&store).await;
    mark_removed(&store, 1_001).await.unwrap();
    assert_eq!(remove(&store, id(1), false).await.unwrap(), Removal::Done { generation: 2 });
    let revoked: BTreeSet<NodeId> = store.cluster().observe().await.unwrap().revoked.nodes;
    assert_eq!(revoked.len(), 1_002);
    assert!(revoked.contains(&id(1)) && revoked.contains(&id(1_001_000)));
}
