//! Timers of sleeping tenants on two nodes: once in effect, and none lost.

use std::time::Duration;

use ocmt_store::testing::TestNode;
use ocmt_types::{Clock as _, Ownership, TenantId};

use super::owner;
use crate::tests::{
    kit::{Kit, START, until},
    timers::fired,
};

/// Timers for an hour from now, in a tenant that then sleeps.
async fn asleep_with_timers(kit: &Kit, email: &str, timers: u32) -> TenantId {
    let tenant = kit.founder(email).await.tenant;
    let own = kit.steal(tenant).await;
    let mut tx = kit.store.fenced(own).await.unwrap();
    for n in 0..timers {
        let due = START + Duration::from_secs(3600);
        tx.set_timer("test.count", &n.to_string(), due, &[]).await.unwrap();
    }
    tx.commit().await.unwrap();
    put_to_rest(kit, own).await;
    tenant
}

async fn put_to_rest(kit: &Kit, own: Ownership) {
    kit.system.release(own.tenant, Duration::from_secs(5)).await.unwrap();
    let _ = kit.store.cluster().release(own).await.unwrap();
    assert_eq!(owner(kit, own.tenant).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_timer_of_sleeping_tenants_fires_once_on_two_nodes() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let mut tenants = Vec::new();
    // so many that no chance has all of them preferred by one node
    for n in 0..32 {
        tenants.push(asleep_with_timers(&a, &format!("u{n}@example.com"), 3).await);
    }
    a.clock.advance(Duration::from_secs(3601));
    until("all have fired", async || tenants.iter().all(|tenant| fired(*tenant) >= 3)).await;
    let mut owners = [0, 0];
    for tenant in &tenants {
        assert_eq!(fired(*tenant), 3, "once each");
        owners[usize::from(owner(&a, *tenant).await == Some(b.node.incarnation))] += 1;
    }
    assert!(owners.iter().all(|count| *count > 0), "both nodes woke some: {owners:?}");
}

#[tokio::test]
async fn a_sleeping_tenant_that_is_another_nodes_is_left_alone() {
    let a = Kit::sim().await;
    let tenant = asleep_with_timers(&a, "ann@example.com", 1).await;
    *a.linked.prefers.lock().unwrap() = Some(false);
    let _b = TestNode::start(&a.store, 2).await.unwrap();
    a.clock.advance(Duration::from_secs(3601));
    until("it was looked at", async || a.linked.times_asked(tenant) >= 3).await;
    assert_eq!((owner(&a, tenant).await, fired(tenant)), (None, 0));
}

#[tokio::test]
async fn timers_of_a_tenant_at_work_on_another_node_are_left_to_it() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let ann = b.founder("ann@example.com").await;
    let own = b.steal(ann.tenant).await;
    let mut tx = b.store.fenced(own).await.unwrap();
    tx.set_timer("test.count", "x", START + Duration::from_secs(60), &[]).await.unwrap();
    tx.commit().await.unwrap();
    a.clock.advance(Duration::from_secs(61));
    until("its owner fires it", async || fired(ann.tenant) == 1).await;
    assert_eq!(owner(&a, ann.tenant).await, Some(b.node.incarnation));
    assert_eq!(a.linked.times_asked(ann.tenant), 0, "nobody else thought of waking it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_timer_is_lost_when_its_owner_dies() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let mut tenants = Vec::new();
    for n in 0..8 {
        let ann = a.founder(&format!("u{n}@example.com")).await;
        let mut tx = a.store.fenced(a.steal(ann.tenant).await).await.unwrap();
        tx.set_timer("test.count", "x", START + Duration::from_secs(60), &[]).await.unwrap();
        tx.commit().await.unwrap();
        tenants.push(ann.tenant);
    }
    // it dies with them awake, or about to be
    a.system.abort().await;
    a.clock.advance(Duration::from_secs(61));
    until("the other one sees them due", async || {
        b.store.cluster().due_timers(b.clock.now(), 100).await.unwrap().len() >= 8
    })
    .await;
    assert!(tenants.iter().all(|tenant| fired(*tenant) == 0), "its owner is not dead yet");
    a.is_declared_dead().await;
    until("all have fired", async || tenants.iter().all(|tenant| fired(*tenant) >= 1)).await;
    for tenant in tenants {
        assert_eq!(fired(tenant), 1);
        assert_eq!(owner(&b, tenant).await, Some(b.node.incarnation));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_with_many_timers_holds_up_nobody() {
    let a = Kit::sim().await;
    let many = asleep_with_timers(&a, "many@example.com", 600).await;
    let mut others = Vec::new();
    for n in 0..5 {
        others.push(asleep_with_timers(&a, &format!("u{n}@example.com"), 1).await);
    }
    *a.linked.prefers.lock().unwrap() = Some(true);
    // the one with many is a node's that lives and does nothing
    let hangs = TestNode::start(&a.store, 2).await.unwrap();
    hangs.claim(many).await.unwrap();
    a.clock.advance(Duration::from_secs(3601));
    until("the others have fired", async || others.iter().all(|tenant| fired(*tenant) == 1)).await;
    assert_eq!(fired(many), 0);
}
