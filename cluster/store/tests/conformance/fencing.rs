//! The fence: who may write a tenant, and that an old owner never writes after a new one has loaded.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ocmt_store::{
    Claim, Filter, Store, StoreError,
    tables::{Node, NodeState, Timer, User},
    testing::{TestNode, id, life_of, user},
};
use ocmt_types::{Epoch, Incarnation, Ownership, Timestamp, UserId};
use tokio::task::JoinSet;

use super::rows::timer;

async fn two_nodes(store: &Store) -> (TestNode, TestNode, Ownership) {
    let (first, second) =
        (TestNode::start(store, 1).await.unwrap(), TestNode::start(store, 2).await.unwrap());
    let own = first.found(1).await.unwrap();
    (first, second, own)
}

async fn assert_fenced(store: &Store, own: Ownership) {
    assert!(matches!(store.fenced(own).await.err(), Some(StoreError::Fenced)));
    assert!(matches!(store.read(own).await.err(), Some(StoreError::Fenced)));
    assert!(!StoreError::Fenced.is_retryable());
}

pub async fn a_stale_epoch_is_refused_for_writes_and_reads(store: Store) {
    let (first, second, old) = two_nodes(&store).await;
    assert!(store.cluster().mark_dead(first.incarnation).await.unwrap());
    drop(store.fenced(old).await.unwrap());
    let new = second.claim(old.tenant).await.unwrap();
    assert_fenced(&store, old).await;
    assert_fenced(&store, Ownership { epoch: Epoch(new.epoch.0 + 1), ..new }).await;
    drop(store.fenced(new).await.unwrap());
}

pub async fn another_incarnation_is_refused(store: Store) {
    let (_, second, own) = two_nodes(&store).await;
    assert_fenced(&store, Ownership { incarnation: second.incarnation, ..own }).await;
    assert_fenced(&store, Ownership { tenant: id(77), ..own }).await;
}

pub async fn a_living_owner_is_not_robbed(store: Store) {
    let (first, second, own) = two_nodes(&store).await;
    let claim = store.cluster().claim(own.tenant, second.node_id, second.incarnation).await.unwrap();
    let owned = Claim::Owned { node_id: first.node_id, incarnation: first.incarnation, epoch: own.epoch };
    assert_eq!(claim, owned);
    assert!(
        store.cluster().set_state(first.incarnation, NodeState::Live, NodeState::Draining).await.unwrap()
    );
    assert_eq!(store.cluster().claim(own.tenant, second.node_id, second.incarnation).await.unwrap(), owned);
    drop(store.fenced(own).await.unwrap());
}

pub async fn a_dead_owner_is_followed_under_the_next_epoch(store: Store) {
    let (first, second, own) = two_nodes(&store).await;
    let view = store.cluster().cluster(id(1), Timestamp(0)).await.unwrap().view_version;
    assert!(store.cluster().mark_dead(first.incarnation).await.unwrap());
    assert!(!store.cluster().mark_dead(first.incarnation).await.unwrap());
    assert_eq!(store.cluster().cluster(id(1), Timestamp(0)).await.unwrap().view_version, view + 1);
    let new = second.claim(own.tenant).await.unwrap();
    assert_eq!(
        new,
        Ownership { tenant: own.tenant, incarnation: second.incarnation, epoch: Epoch(own.epoch.0 + 1) }
    );
    let owner = store.cluster().owner(own.tenant).await.unwrap().unwrap();
    assert_eq!(
        (owner.node_id, owner.incarnation, owner.epoch),
        (Some(second.node_id), Some(second.incarnation), new.epoch)
    );
}

pub async fn a_released_tenant_is_free(store: Store) {
    let (_, second, own) = two_nodes(&store).await;
    assert!(store.cluster().release(own).await.unwrap());
    assert!(!store.cluster().release(own).await.unwrap());
    assert_fenced(&store, own).await;
    let new = second.claim(own.tenant).await.unwrap();
    assert_eq!(new.epoch, Epoch(own.epoch.0 + 1));
    assert!(
        !store.cluster().release(own).await.unwrap(),
        "a stale release took the tenant from its new owner"
    );
    drop(store.fenced(new).await.unwrap());
}

pub async fn all_that_a_life_owns_is_given_up_and_no_more(store: Store) {
    let (first, second, own) = two_nodes(&store).await;
    let mut owned = vec![own.tenant];
    for n in 100..450 {
        owned.push(first.found(n).await.unwrap().tenant);
    }
    let other = second.found(99).await.unwrap();
    assert_eq!(store.cluster().release_all(first.incarnation).await.unwrap(), 351);
    assert_eq!(store.cluster().release_all(first.incarnation).await.unwrap(), 0);
    assert_fenced(&store, own).await;
    drop(store.fenced(other).await.unwrap());
    for tenant in owned {
        assert_eq!(store.cluster().owner(tenant).await.unwrap().unwrap().incarnation, None);
    }
    assert_eq!(second.claim(own.tenant).await.unwrap().epoch, Epoch(own.epoch.0 + 1));
}

pub async fn a_claim_in_another_nodes_name_does_not_fence_it(store: Store) {
    let (first, second, own) = two_nodes(&store).await;
    let living = store.cluster().living_nodes().await.unwrap();
    let node = |of: &TestNode| living.iter().find(|node| node.incarnation == of.incarnation).unwrap();
    let kept = store.cluster().claim_for(node(&first), own.tenant).await.unwrap();
    assert!(matches!(kept, Claim::Owned { incarnation, epoch, .. }
        if incarnation == first.incarnation && epoch == own.epoch));
    drop(store.fenced(own).await.unwrap());
    let refused = store.cluster().claim_for(node(&second), own.tenant).await.unwrap();
    assert!(matches!(refused, Claim::Owned { incarnation, .. } if incarnation == first.incarnation));
    assert!(store.cluster().release(own).await.unwrap());
    let taken = store.cluster().claim_for(node(&second), own.tenant).await.unwrap();
    assert!(matches!(taken, Claim::Taken(new) if new.incarnation == second.incarnation));
}

pub async fn an_unknown_tenant_cannot_be_claimed(store: Store) {
    let (first, _, _) = two_nodes(&store).await;
    let claim = store.cluster().claim(id(77), first.node_id, first.incarnation).await.unwrap();
    assert_eq!(claim, Claim::NoTenant);
    assert_eq!(store.cluster().owner(id(77)).await.unwrap(), None);
}

pub async fn a_dead_or_unknown_node_claims_nothing(store: Store) {
    let (first, second, own) = two_nodes(&store).await;
    store.cluster().mark_dead(first.incarnation).await.unwrap();
    for (node_id, incarnation) in [
        (first.node_id, first.incarnation),
        (first.node_id, Incarnation([9; 16])),
        (first.node_id, second.incarnation),
    ] {
        let claim = store.cluster().claim(own.tenant, node_id, incarnation).await;
        assert!(matches!(claim, Err(StoreError::Fenced)), "{claim:?}");
    }
    assert!(matches!(first.found(2).await, Err(StoreError::Fenced)));
    for (from, to) in [(NodeState::Dead, NodeState::Live), (NodeState::Live, NodeState::Dead)] {
        assert!(store.cluster().set_state(first.incarnation, from, to).await.is_err());
    }
    assert!(
        !store.cluster().set_state(first.incarnation, NodeState::Live, NodeState::Joining).await.unwrap()
    );
}

pub async fn a_node_that_comes_back_buries_its_earlier_life(store: Store) {
    let (first, second, own) = two_nodes(&store).await;
    let life = Node {
        incarnation: Incarnation([9; 16]),
        node_id: first.node_id,
        registered_at: Timestamp(5),
        ..life_of(1)
    };
    store.cluster().register(&life).await.unwrap();
    let living: Vec<Incarnation> =
        store.cluster().living_nodes().await.unwrap().iter().map(|node| node.incarnation).collect();
    assert_eq!(living.len(), 2);
    assert!(living.contains(&life.incarnation) && living.contains(&second.incarnation));
    let claim = store.cluster().claim(own.tenant, life.node_id, life.incarnation).await.unwrap();
    assert!(matches!(claim, Claim::Taken(new) if new.epoch == Epoch(own.epoch.0 + 1)), "{claim:?}");
    assert!(matches!(store.cluster().register(&life).await, Err(StoreError::AlreadyExists { .. })));
}

pub async fn claiming_again_fences_the_claim_before(store: Store) {
    let (first, _, old) = two_nodes(&store).await;
    let new = first.claim(old.tenant).await.unwrap();
    assert_eq!(new.epoch, Epoch(old.epoch.0 + 1));
    assert_fenced(&store, old).await;
}

pub async fn a_claim_waits_for_an_open_transaction(store: Store) {
    let (first, second, old) = two_nodes(&store).await;
    store.cluster().mark_dead(first.incarnation).await.unwrap();
    let mut tx = store.fenced(old).await.unwrap();
    let mut claims = JoinSet::new();
    let claimer = second.clone();
    claims.spawn(async move { claimer.claim(old.tenant).await });
    let early = tokio::time::timeout(Duration::from_millis(200), claims.join_next()).await;
    assert!(early.is_err(), "the claim did not wait: {early:?}");
    tx.insert(&timer(old, "a", 1)).await.unwrap();
    tx.commit().await.unwrap();
    let new = claims.join_next().await.unwrap().unwrap().unwrap();
    let mut tx = store.read(new).await.unwrap();
    assert_eq!(
        tx.find::<Timer>(Filter::all()).await.unwrap(),
        [timer(old, "a", 1)],
        "the new owner misses a write"
    );
    assert_fenced(&store, old).await;
}

pub async fn nothing_of_the_old_owner_lands_after_the_new_one_loaded(store: Store) {
    let (first, second, old) = two_nodes(&store).await;
    store.cluster().mark_dead(first.incarnation).await.unwrap();
    let (stop, mut writers) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
    for writer in 0..8 {
        let (store, stop) = (store.clone(), Arc::clone(&stop));
        writers.spawn(async move {
            let mut written = 0;
            while !stop.load(Ordering::SeqCst) {
                let Ok(mut tx) = store.fenced(old).await else {
                    continue;
                };
                tx.insert(&timer(old, &format!("{writer}/{written}"), 1)).await.unwrap();
                tx.commit().await.unwrap();
                written += 1;
            }
            written
        });
    }
    // the old owner is in full swing before the claim: a level, not a moment
    while store.read(old).await.unwrap().count(Filter::<Timer>::all()).await.unwrap() < 20 {}
    let new = second.claim(old.tenant).await.unwrap();
    let loaded = store.read(new).await.unwrap().count(Filter::<Timer>::all()).await.unwrap();
    // the zombie goes on trying while the new owner works
    for n in 0..20 {
        let mut tx = store.fenced(new).await.unwrap();
        tx.upsert(&user(new.tenant, 100 + n)).await.unwrap();
        tx.commit().await.unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    let acknowledged: i64 = writers.join_all().await.into_iter().sum();
    let found = store.read(new).await.unwrap().count(Filter::<Timer>::all()).await.unwrap();
    assert_eq!((found, acknowledged), (loaded, loaded));
}

pub async fn rows_of_another_tenant_are_refused(store: Store) {
    let node = TestNode::start(&store, 1).await.unwrap();
    let (own, other) = (node.found(1).await.unwrap(), node.found(2).await.unwrap());
    let foreign = timer(other, "a", 1);
    let mut tx = store.fenced(own).await.unwrap();
    for refused in [
        tx.insert(&foreign).await.err(),
        tx.upsert(&foreign).await.err(),
        tx.update(&foreign).await.err(),
        tx.update_if(&foreign, Timer::due_at.eq(Timestamp(1))).await.err(),
    ] {
        assert!(matches!(refused, Some(StoreError::ForeignTenant { table: "timers" })), "{refused:?}");
    }
    tx.commit().await.unwrap();
    assert_eq!(store.read(other).await.unwrap().count(Filter::<Timer>::all()).await.unwrap(), 0);
}

pub async fn rows_of_another_tenant_are_out_of_reach(store: Store) {
    let node = TestNode::start(&store, 1).await.unwrap();
    let (own, other) = (node.found(1).await.unwrap(), node.found(2).await.unwrap());
    let key = || ("test".to_owned(), "a".to_owned());
    let mut tx = store.fenced(other).await.unwrap();
    tx.insert(&timer(other, "a", 1)).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = store.fenced(own).await.unwrap();
    assert_eq!(tx.get::<User>(id::<UserId>(2)).await.unwrap(), None);
    assert_eq!(tx.find::<User>(User::user_id.eq(id::<UserId>(2))).await.unwrap(), []);
    // a condition that names the other tenant does not lead there either
    assert_eq!(tx.find::<Timer>(Timer::tenant_id.eq(other.tenant)).await.unwrap(), []);
    assert_eq!(tx.count(Timer::tenant_id.gt(own.tenant)).await.unwrap(), 0);
    assert_eq!(tx.get::<Timer>(key()).await.unwrap(), None);
    assert_eq!(tx.take::<Timer>(key()).await.unwrap(), None);
    assert!(!tx.delete::<Timer>(key()).await.unwrap());
    assert_eq!(tx.delete_all::<Timer>(Filter::all()).await.unwrap(), 0);
    assert_eq!(tx.delete_all(Timer::tenant_id.eq(other.tenant)).await.unwrap(), 0);
    assert!(!tx.unlist_address("user2@example.org").await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(store.read(other).await.unwrap().count(Filter::<Timer>::all()).await.unwrap(), 1);
}
