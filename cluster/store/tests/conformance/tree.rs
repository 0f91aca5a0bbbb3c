//! The Merkle tree over an audit: proofs of it, and what an earlier program leaves.

use ocmt_crypto::{
    audit::{chain, genesis},
    merkle::{self, leaf_hash, log},
};
use ocmt_store::{
    Filter, Store,
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
async fn is_proven(store: &Store, own: Ownership) -> log::Tree {
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
