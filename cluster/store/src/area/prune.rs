//! Pruning: the oldest records of a tenant's audit go, and the hashes of their leaves stay, so that every proof there was can
//! still be made, and every head that was kept elsewhere still be held against the log.
//!
//! Records go in pieces of 256, oldest first: a proof finds the hash of a record that is gone by its number alone.

use ocmt_crypto::merkle::leaf_hash;
use ocmt_types::{Digest32, Timestamp};

use super::log::missing;
use crate::{
    FencedTx, Filter, ReadTx, StoreError,
    kernel::{
        row::Row as _,
        statement::{Action, Statement},
    },
    tables::{AuditLeaves, AuditRow},
};

/// Records that go at once.
pub const PRUNED_AT_ONCE: i64 = 256;

/// What was pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// The last record of it.
    pub last: i64,
    /// The chain's hash of that record.
    pub hash: Digest32,
}

impl FencedTx {
    /// Takes the 256 records behind `cut` away, and keeps the hashes of their leaves; none, and nothing is done, if one of them is
    /// younger than `before` or the tree has not grown beyond them.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if one is missing; what the database refuses.
    pub async fn prune_audit(&mut self, cut: i64, before: Timestamp) -> Result<Option<Pruned>, StoreError> {
        let last = cut + PRUNED_AT_ONCE;
        // the last of all stays: the chain goes on from it
        if self.audit_head().await?.is_none_or(|head| head.tree_size <= last) {
            return Ok(None);
        }
        let limit = u32::try_from(PRUNED_AT_ONCE).unwrap_or(u32::MAX);
        let rows = self.audit_page(Filter::all(), cut, limit).await?;
        let all = (cut + 1..=last).eq(rows.iter().map(|row| row.seq));
        if !all {
            return Err(missing("a record is missing that was to be pruned"));
        }
        if rows.iter().any(|row| row.at >= before) {
            return Ok(None);
        }
        let Some(hash) = rows.last().map(|row| row.hash) else { return Ok(None) };
        let chunk = cut / PRUNED_AT_ONCE;
        let hashes = rows.iter().flat_map(|row| leaf_hash(&row.record).0).collect();
        self.insert(&AuditLeaves { tenant_id: self.tenant(), chunk, hashes }).await?;
        let gone = [self.own()].into_iter().chain(AuditRow::seq.gt(cut).and(AuditRow::seq.le(last)).conds);
        let gone = Statement { table: AuditRow::table(), action: Action::Delete(gone.collect()) };
        if self.beneath().prune_audit(&gone, chunk).await? != u64::from(limit) {
            return Err(missing("a record was not there to be pruned"));
        }
        Ok(Some(Pruned { last, hash }))
    }
}

impl ReadTx {
    /// The hash of a record's leaf, whether the record is there still or was pruned; none if it never was.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Unavailable`].
    pub async fn audit_leaf(&mut self, seq: i64) -> Result<Option<Digest32>, StoreError> {
        if let Some(row) = self.get::<AuditRow>(seq).await? {
            return Ok(Some(leaf_hash(&row.record)));
        }
        let Some(at) = seq.checked_sub(1).filter(|at| *at >= 0) else { return Ok(None) };
        let Some(row) = self.get::<AuditLeaves>(at / PRUNED_AT_ONCE).await? else { return Ok(None) };
        let (hashes, _) = row.hashes.as_chunks::<32>();
        Ok(usize::try_from(at % PRUNED_AT_ONCE)
            .ok()
            .and_then(|at| hashes.get(at))
            .map(|hash| Digest32(*hash)))
    }

    /// What is kept of pruned records, behind piece `after`, at most `limit` pieces.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn audit_leaves(&mut self, after: i64, limit: u32) -> Result<Vec<AuditLeaves>, StoreError> {
        self.find(AuditLeaves::chunk.gt(after).asc(AuditLeaves::chunk).limit(limit)).await
    }
}
