//! The Merkle tree over an audit: proofs of it, and what an earlier program leaves.

use ocmt_crypto::{
    audit::{chain, genesis},
    merkle::{self, leaf_hash, log},
};
use ocmt_store::{
    Filter, Pruned, Store,
    tables::{AuditHead, AuditRow},
};
use ocmt_types::{Digest32, Ownership, Timestamp};

use super::{areas::record, rows::one_tenant};

async fn append(store: &Store, own: Ownership, n: i64) {
    let mut tx = store.fenced(own).await.unwrap();
    tx.audit(&record(own.tenant, n)).await.unwrap();
    tx.commit().await.unwrap();
}

/// Every record is proven in the log of now, and every earlier log to be its beginning.
pub async fn is_proven(store: &Store, own: Ownership) -> log::Tree {
    let mut tx = store.read(own).await.unwrap();
    let tree = tx.audit_head().await.unwrap().unwrap().tree().unwrap();
    let rows: Vec<AuditRow> = tx.audit_page(Filter::all(), 0, 1_000).await.unwrap();
    let rows = &rows[..usize::try_from(tree.size).unwrap()];
    let leaves: Vec<Digest32> = rows.iter().map(|row| leaf_hash(&row.record)).collect();
    assert_eq!(tree.root, merkle::root(&leaves));
    for (row, index) in rows.iter().zip(0..) {
        let path = tx.audit_proof(&log::inclusion(tree.size, index).unwrap()).await.unwrap();
        tree.includes(index, &row.record, &path).unwrap();
        let size = index + 1;
        let old = log::Tree { size, root: merkle::root(&leaves[..usize::try_from(size).unwrap()]) };
        let path = tx.audit_proof(&log::consistency(size, tree.size).unwrap()).await.unwrap();
        tree.extends(&old, &path).unwrap();
    }
    tree
}

pub async fn every_record_is_proven_and_every_log_the_beginning_of_the_next(store: Store) {
    let own = one_tenant(&store).await;
    for n in 1..=21 {
        append(&store, own, n).await;
    }
    let tree = is_proven(&store, own).await;
    assert_eq!(tree.size, 21);
    // what is kept for it: the subtrees that are complete
    let mut tx = store.read(own).await.unwrap();
    let nodes: Vec<ocmt_store::tables::AuditNodes> = tx.find(Filter::all()).await.unwrap();
    assert_eq!(nodes.iter().map(|row| row.seq).collect::<Vec<_>>(), [2, 4, 6, 8, 10, 12, 14, 16, 18, 20]);
    assert_eq!(nodes.iter().map(|row| row.hashes.len() / 32).sum::<usize>(), 10 + 5 + 2 + 1);
}

/// A tenant whose `n` records were written long ago, and the trees that it had.
async fn long_ago(store: &Store, n: i64) -> (Ownership, Vec<log::Tree>, Vec<Vec<u8>>) {
    let own = one_tenant(store).await;
    let (mut leaves, mut trees, mut records) = (Vec::new(), Vec::new(), Vec::new());
    for at in (1..=n).step_by(50) {
        let mut tx = store.fenced(own).await.unwrap();
        for n in at..=n.min(at + 49) {
            tx.audit(&record(own.tenant, n)).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    for n in 1..=n {
        records.push(record(own.tenant, n).to_bytes().unwrap());
        leaves.push(leaf_hash(&records[leaves.len()]));
        trees.push(log::Tree { size: n.unsigned_abs(), root: merkle::root(&leaves) });
    }
    (own, trees, records)
}

pub async fn what_was_pruned_is_proven_still_and_the_chain_goes_on(store: Store) {
    let (own, trees, records) = long_ago(&store, 600).await;
    let mut tx = store.fenced(own).await.unwrap();
    let hash = tx.get::<AuditRow>(256).await.unwrap().unwrap().hash;
    // the youngest of them is of 256
    assert_eq!(tx.prune_audit(0, Timestamp(256)).await.unwrap(), None, "one is too young");
    let first = tx.prune_audit(0, Timestamp(257)).await.unwrap();
    assert_eq!(first, Some(Pruned { last: 256, hash }));
    assert!(tx.prune_audit(256, Timestamp(10_000)).await.unwrap().is_some());
    assert_eq!(tx.prune_audit(512, Timestamp(10_000)).await.unwrap(), None, "there are not so many");
    tx.commit().await.unwrap();
    append(&store, own, 601).await;
    let mut tx = store.read(own).await.unwrap();
    let left: Vec<AuditRow> = tx.audit_page(Filter::all(), 0, 1_000).await.unwrap();
    assert_eq!((left[0].seq, left.len()), (513, 89));
    assert_eq!(left[88].hash, chain(&left[87].hash, 601, &left[88].record));
    let now = tx.audit_head().await.unwrap().unwrap().tree().unwrap();
    // every head that somebody kept, and every record that somebody exported
    for old in trees.iter().step_by(7).chain([&trees[511], &trees[512]]) {
        let path = tx.audit_proof(&log::consistency(old.size, now.size).unwrap()).await.unwrap();
        now.extends(old, &path).unwrap();
        assert_eq!(tx.audit_tree(old.size).await.unwrap(), Some(*old));
    }
    for index in (0..600).step_by(11) {
        let path = tx.audit_proof(&log::inclusion(now.size, index).unwrap()).await.unwrap();
        let record = &records[usize::try_from(index).unwrap()];
        now.includes(index, record, &path).unwrap();
        let seq = i64::try_from(index).unwrap() + 1;
        assert_eq!(tx.audit_leaf(seq).await.unwrap(), Some(leaf_hash(record)));
    }
    for none in [-1, 0, 602] {
        assert_eq!(tx.audit_leaf(none).await.unwrap(), None, "{none}");
    }
    assert_eq!(tx.audit_tree(602).await.unwrap(), None);
}

pub async fn what_is_not_there_is_not_pruned(store: Store) {
    let (own, ..) = long_ago(&store, 300).await;
    let mut tx = store.fenced(own).await.unwrap();
    assert!(
        tx.prune_audit(256, Timestamp(10_000)).await.is_ok_and(|done| done.is_none()),
        "too few behind it"
    );
    assert!(tx.prune_audit(0, Timestamp(10_000)).await.unwrap().is_some());
    // what was taken once is not there to be taken again
    assert!(tx.prune_audit(0, Timestamp(10_000)).await.is_err());
}

pub async fn a_tree_grows_after_a_program_that_kept_none(store: Store) {
    let own = one_tenant(&store).await;
    append(&store, own, 1).await;
    append(&store, own, 2).await;
    // 200 records by a program that knows the chain alone
    let mut tx = store.fenced(own).await.unwrap();
    let head = tx.audit_head().await.unwrap().unwrap();
    let mut hash = head.hash;
    for seq in 3..=202_i64 {
        let bytes = record(own.tenant, seq).to_bytes().unwrap();
        hash = chain(&hash, seq.unsigned_abs(), &bytes);
        let row = AuditRow {
            tenant_id: own.tenant,
            seq,
            at: Timestamp(seq),
            actor: String::new(),
            action: String::new(),
            object: String::new(),
            record: bytes,
            hash,
        };
        tx.insert(&row).await.unwrap();
    }
    assert!(tx.update(&AuditHead { seq: 202, hash, ..head }).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(is_proven(&store, own).await.size, 2, "what it was grown over is proven meanwhile");
    let mut sizes = Vec::new();
    for n in 203..=208 {
        append(&store, own, n).await;
        sizes.push(is_proven(&store, own).await.size);
    }
    assert_eq!(sizes, [66, 130, 194, 206, 207, 208]);
    assert_ne!(hash, genesis(own.tenant));
}
