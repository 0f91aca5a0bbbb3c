//! Transactions that gather: records are chained as by themselves, and what is read once is never stale.

use ocmt_crypto::audit::{chain, genesis};
use ocmt_store::{
    Filter, Store, StoreError,
    tables::{AuditHead, AuditRow, Timer},
};
use ocmt_types::{Ownership, Timestamp};

use super::{areas::record, rows::one_tenant, tree::is_proven};

async fn gather(store: &Store, own: Ownership, records: impl Iterator<Item = i64>) {
    let mut tx = store.fenced(own).await.unwrap();
    tx.gather();
    for n in records {
        assert_eq!(tx.audit(&record(own.tenant, n)).await.unwrap(), n);
    }
    tx.commit().await.unwrap();
}

async fn is_chained(store: &Store, own: Ownership, most: usize) {
    let mut tx = store.read(own).await.unwrap();
    let rows: Vec<AuditRow> = tx.audit_page(Filter::all(), 0, 1_000).await.unwrap();
    assert_eq!(rows.len(), most);
    let mut hash = genesis(own.tenant);
    for (row, seq) in rows.iter().zip(1..) {
        assert_eq!(row.record, record(own.tenant, seq).to_bytes().unwrap());
        hash = chain(&hash, seq.unsigned_abs(), &row.record);
        assert_eq!((row.seq, row.hash), (seq, hash));
    }
    assert_eq!(tx.audit_head().await.unwrap().unwrap().hash, hash);
    assert_eq!(is_proven(store, own).await.size, most as u64);
}

pub async fn records_are_chained_and_proven_as_by_themselves(store: Store) {
    let own = one_tenant(&store).await;
    for part in [1..=1, 2..=2, 3..=5, 6..=72, 73..=73] {
        gather(&store, own, part).await;
    }
    let mut tx = store.fenced(own).await.unwrap();
    tx.audit(&record(own.tenant, 74)).await.unwrap();
    tx.commit().await.unwrap();
    gather(&store, own, 75..=90).await;
    is_chained(&store, own, 90).await;
}

pub async fn a_dropped_one_leaves_no_record(store: Store) {
    let own = one_tenant(&store).await;
    gather(&store, own, 1..=3).await;
    let mut tx = store.fenced(own).await.unwrap();
    tx.gather();
    for n in 4..=9 {
        tx.audit(&record(own.tenant, n)).await.unwrap();
    }
    drop(tx);
    is_chained(&store, own, 3).await;
    let mut tx = store.fenced(own).await.unwrap();
    tx.gather();
    let foreign = tx.audit(&record(ocmt_store::testing::id(4711), 4)).await;
    assert!(matches!(foreign, Err(StoreError::ForeignTenant { .. })), "{foreign:?}");
    tx.rollback().await.unwrap();
    is_chained(&store, own, 3).await;
}

pub async fn one_after_a_program_that_kept_no_tree_takes_its_records_in(store: Store) {
    let own = one_tenant(&store).await;
    gather(&store, own, 1..=2).await;
    let mut tx = store.fenced(own).await.unwrap();
    let head = tx.audit_head().await.unwrap().unwrap();
    let mut hash = head.hash;
    for seq in 3..=102_i64 {
        let bytes = record(own.tenant, seq).to_bytes().unwrap();
        hash = chain(&hash, seq.unsigned_abs(), &bytes);
        let nothing = String::new();
        let (actor, action, object) = (nothing.clone(), nothing.clone(), nothing);
        let row = AuditRow {
            tenant_id: own.tenant,
            seq,
            at: Timestamp(seq),
            actor,
            action,
            object,
            record: bytes,
            hash,
        };
        tx.insert(&row).await.unwrap();
    }
    assert!(tx.update(&AuditHead { seq: 102, hash, ..head }).await.unwrap());
    tx.commit().await.unwrap();
    gather(&store, own, 103..=110).await;
    is_chained(&store, own, 110).await;
}

pub async fn what_it_writes_it_reads(store: Store) {
    let own = one_tenant(&store).await;
    let timer = |due| Timer {
        tenant_id: own.tenant,
        kind: "kind".to_owned(),
        subject: String::new(),
        due_at: Timestamp(due),
        payload: Vec::new(),
    };
    let mut tx = store.fenced(own).await.unwrap();
    tx.gather();
    let key = || ("kind".to_owned(), String::new());
    for _ in 0..2 {
        assert_eq!(tx.get::<Timer>(key()).await.unwrap(), None);
        assert_eq!(tx.count::<Timer>(Filter::all()).await.unwrap(), 0);
    }
    tx.insert(&timer(1)).await.unwrap();
    assert_eq!(tx.get::<Timer>(key()).await.unwrap().map(|row| row.due_at), Some(Timestamp(1)));
    assert_eq!(tx.count::<Timer>(Filter::all()).await.unwrap(), 1);
    assert!(tx.update(&timer(2)).await.unwrap());
    assert_eq!(tx.get::<Timer>(key()).await.unwrap().map(|row| row.due_at), Some(Timestamp(2)));
    assert!(tx.take::<Timer>(key()).await.unwrap().is_some());
    assert_eq!(tx.get::<Timer>(key()).await.unwrap(), None);
    tx.commit().await.unwrap();
}
