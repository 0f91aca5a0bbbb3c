//! The end of a tenant in the store.

use std::collections::BTreeMap;

use ocmt_crypto::audit::{Actor, Outcome};
use ocmt_store::{
    ClusterAct, Store,
    tables::{DeletedTenant, Deletion, Tenant},
    testing::id,
};
use ocmt_types::Timestamp;

use super::portable::fill;

/// Rows of each table.
async fn rows(store: &Store) -> BTreeMap<String, u64> {
    store.dump(&mut Vec::new()).await.unwrap().rows.into_iter().collect()
}

pub async fn an_erased_tenant_leaves_its_audit_and_takes_nothing_of_others(store: Store) {
    let owned = fill(&store).await;
    let deletion = Deletion {
        tenant_id: owned[0].tenant,
        asked_by: "user:1".to_owned(),
        asked_at: Timestamp(1),
        erases_at: Timestamp(2),
        began_at: None,
        found: None,
        erased: None,
    };
    let before = rows(&store).await;
    let mut tx = store.fenced(owned[0]).await.unwrap();
    tx.insert(&deletion).await.unwrap();
    assert!(tx.erase_rows().await.unwrap() > 250);
    tx.commit().await.unwrap();
    let mut tx = store.fenced(owned[0]).await.unwrap();
    assert!(tx.get::<Tenant>(()).await.unwrap().is_some(), "its own row is the last");
    assert_eq!(tx.get::<Deletion>(()).await.unwrap(), Some(deletion));
    assert!(tx.audit_head().await.unwrap().is_some());
    tx.forget_tenant().await.unwrap();
    tx.commit().await.unwrap();
    let after = rows(&store).await;
    let (mut halved, mut kept) = (Vec::new(), Vec::new());
    for (table, rows) in before.iter().filter(|(_, rows)| **rows > 0) {
        match after[table] {
            left if left * 2 == *rows => halved.push(table.as_str()),
            left if left == *rows => kept.push(table.as_str()),
            left => panic!("{table}: {rows} rows before, {left} after"),
        }
    }
    // a tree has nodes from its second record on, and not every backend's chains have one here
    kept.retain(|table| *table != "audit_nodes");
    assert!(!halved.contains(&"audit_nodes"), "the tree goes with its records");
    assert_eq!(
        kept,
        ["audit", "audit_head", "cluster", "directory", "leases", "nodes", "signups", "tenant_owner"]
    );
    assert!(halved.contains(&"sessions") && halved.contains(&"object_bodies") && halved.contains(&"tenants"));
}

pub async fn a_deletion_is_recorded_once(store: Store) {
    fill(&store).await;
    let deleted = |n: u64| DeletedTenant {
        tenant: id(if n == 9 { 2 } else { 77 }),
        deleted_at: Timestamp(i64::try_from(n).unwrap()),
        node_id: id(1),
        statement: vec![1],
        signature: vec![2; 64],
    };
    let act = |n: u64| ClusterAct {
        at: Timestamp(1),
        request: id(n),
        actor: Actor::Node(id(1)),
        action: "tenant.deleted",
        object: "tenant/1".to_owned(),
        outcome: Outcome::Allowed,
        details: Vec::new(),
        remember: None,
    };
    assert_eq!(store.cluster().deleted_tenant(id(77)).await.unwrap(), None);
    let mut together = tokio::task::JoinSet::new();
    for n in 0..8 {
        let (operators, deleted, act) = (store.operators(), deleted(n), act(n));
        together.spawn(async move { operators.record_deletion(&deleted, &act).await });
    }
    let recorded: Vec<bool> = together.join_all().await.into_iter().map(Result::unwrap).collect();
    assert_eq!(recorded.iter().filter(|done| **done).count(), 1, "{recorded:?}");
    assert_eq!(store.operators().audit_page(0, 99).await.unwrap().len(), 1);
    assert!(store.cluster().deleted_tenant(id(77)).await.unwrap().is_some());
    assert_eq!(store.cluster().deleted_tenant(id(1)).await.unwrap(), None);
    // of a tenant that is there a record is no order: whoever can only write records has nothing erased
    assert!(store.operators().record_deletion(&deleted(9), &act(9)).await.unwrap());
    assert_eq!(store.cluster().deleted_tenant(id(2)).await.unwrap(), None);
}
