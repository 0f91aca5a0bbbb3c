//! An audit as a log: the chain's next hash, and what is kept of its Merkle tree (RFC 6962) so that proofs of it can be
//! made. The same for tenants and for the cluster's own.
//!
//! With each record the roots of the subtrees that it completes are kept, one in the mean, and the head holds those that
//! are not part of a larger one yet. An earlier program appended without that: the tree is grown after it, some records
//! with each append, and until it has them all it is smaller than the chain.

use ocmt_crypto::{
    audit::{AuditRecord, chain, genesis},
    merkle::{
        leaf_hash,
        log::{Part, Peaks, Subtree, Tree, consistency},
    },
};
use ocmt_types::{Digest32, Epoch, Incarnation, Ownership, TenantId};

use super::{audit::actor, cluster::ClusterStore};
use crate::{
    Filter, ReadTx, StoreError,
    backend::{Scope, Tx},
    kernel::row::Row as _,
    tables::{AuditHead, AuditNodes, AuditRow},
};

/// Records of an earlier program that the tree takes in with one append.
const CATCH_UP: u32 = 64;

/// Appends a record behind the head that was read in this transaction; its number.
///
/// # Errors
/// [`StoreError::Conflict`] if another has appended since.
pub(super) async fn append(
    tx: &mut Tx,
    tenant_id: TenantId,
    head: Option<AuditHead>,
    record: &AuditRecord,
) -> Result<i64, StoreError> {
    let Next { head: next, row, nodes } = next(tx, tenant_id, head.as_ref(), record).await?;
    let appended = match &head {
        None => tx.insert(&next).await?,
        Some(head) => tx.update_if(&next, AuditHead::seq.eq(head.seq)).await?,
    };
    if !appended || !tx.insert(&row).await? {
        return Err(StoreError::Conflict);
    }
    for row in nodes {
        if !tx.insert(&row).await? {
            return Err(StoreError::Conflict);
        }
    }
    Ok(next.seq)
}

/// What a record adds to its log.
pub(super) struct Next {
    pub(super) head: AuditHead,
    pub(super) row: AuditRow,
    pub(super) nodes: Vec<AuditNodes>,
}

/// What the record adds behind this head. Nothing is written.
pub(super) async fn next(
    tx: &mut Tx,
    tenant_id: TenantId,
    head: Option<&AuditHead>,
    record: &AuditRecord,
) -> Result<Next, StoreError> {
    let bytes = record.to_bytes().map_err(|error| StoreError::Record(error.to_string()))?;
    let head = head.cloned().unwrap_or_else(|| AuditHead {
        tenant_id,
        seq: 0,
        hash: genesis(tenant_id),
        tree_size: 0,
        peaks: Vec::new(),
    });
    let seq = head.seq + 1;
    let hash = chain(&head.hash, seq.unsigned_abs(), &bytes);
    let (peaks, nodes) = grow(tx, &head, &bytes).await?;
    let tree_size = i64::try_from(peaks.size()).map_err(|_| corrupt("its tree is too large"))?;
    let head = AuditHead { tenant_id, seq, hash, tree_size, peaks: peaks.to_bytes() };
    let row = AuditRow {
        tenant_id,
        seq,
        at: record.at,
        actor: actor(record.actor),
        action: record.action.clone(),
        object: record.object.clone(),
        record: bytes,
        hash,
    };
    Ok(Next { head, row, nodes })
}

/// The tree with the record in it, and the nodes that came to be.
async fn grow(tx: &mut Tx, head: &AuditHead, record: &[u8]) -> Result<(Peaks, Vec<AuditNodes>), StoreError> {
    let (mut peaks, mut nodes) = (peaks(head)?, Vec::new());
    let mut take = |peaks: &mut Peaks, record: &[u8], seq: i64| {
        let roots = peaks.push(leaf_hash(record));
        if !roots.is_empty() {
            let hashes = roots.iter().flat_map(|root| root.0).collect();
            nodes.push(AuditNodes { tenant_id: head.tenant_id, seq, hashes });
        }
    };
    if head.tree_size < head.seq {
        let missing = AuditRow::tenant_id.eq(head.tenant_id).and(AuditRow::seq.gt(head.tree_size));
        let rows: Vec<AuditRow> = tx.find(missing.asc(AuditRow::seq).limit(CATCH_UP), false).await?;
        for (row, seq) in rows.iter().zip(head.tree_size + 1..) {
            if row.seq != seq {
                return Err(corrupt("a record is missing that its tree is not grown over"));
            }
            take(&mut peaks, &row.record, seq);
        }
    }
    if i64::try_from(peaks.size()) == Ok(head.seq) {
        take(&mut peaks, record, head.seq + 1);
    }
    Ok((peaks, nodes))
}

fn peaks(head: &AuditHead) -> Result<Peaks, StoreError> {
    let size = u64::try_from(head.tree_size).map_err(|_| corrupt("its tree has a size below zero"))?;
    Peaks::from_bytes(size, &head.peaks).map_err(|_| corrupt("its tree is not of its size"))
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt { table: AuditHead::table().name, what: what.to_owned() }
}

impl AuditHead {
    /// The log that proofs are of: all records, but for those of an earlier program that are not taken in yet.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub fn tree(&self) -> Result<Tree, StoreError> {
        let peaks = peaks(self)?;
        Ok(Tree { size: peaks.size(), root: peaks.root() })
    }
}

impl ClusterStore {
    /// The ends of audits, the cluster's own among them, in the order of their tenants' ids and behind `after`, at most
    /// `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn audit_heads(
        &self,
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<AuditHead>, StoreError> {
        let all = after.map_or_else(Filter::all, |after| AuditHead::tenant_id.gt(after));
        self.begin_read().await?.find(all.asc(AuditHead::tenant_id).limit(limit), false).await
    }

    /// The hashes that show whether an audit of `old` records is the beginning of what it is with `new`, the cluster's own
    /// too. Read by who does not own the tenant: hashes alone, which are held against two heads.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if one is not there, or there can be no such proof; [`StoreError::Unavailable`].
    pub async fn audit_extension(
        &self,
        tenant: TenantId,
        old: u64,
        new: u64,
    ) -> Result<Vec<Digest32>, StoreError> {
        let parts = consistency(old, new).ok_or_else(|| missing("no log of so few records has grown"))?;
        // nothing is fenced: what is kept of a log is never changed
        let nobody = Ownership { tenant, incarnation: Incarnation([0; 16]), epoch: Epoch(0) };
        ReadTx::new(self.backend.begin_read(Scope::Tenant(tenant)).await?, nobody).audit_proof(&parts).await
    }
}

impl ReadTx {
    /// The hashes of a proof.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if one is not there, [`StoreError::Unavailable`].
    pub async fn audit_proof(&mut self, parts: &[Part]) -> Result<Vec<Digest32>, StoreError> {
        let mut path = Vec::with_capacity(parts.len());
        for part in parts {
            let mut roots = Vec::with_capacity(part.subtrees().len());
            for subtree in part.subtrees() {
                roots.push((*subtree, self.root_of(subtree).await?));
            }
            let hash = part.hash(|wanted| roots.iter().find(|(of, _)| of == wanted).map(|(_, root)| *root));
            path.push(hash.ok_or_else(|| missing("a part of a proof is empty"))?);
        }
        Ok(path)
    }

    /// The log as it was when it had `size` records; none if it has not come that far.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Unavailable`].
    pub async fn audit_tree(&mut self, size: u64) -> Result<Option<Tree>, StoreError> {
        let head = self.audit_head().await?;
        if head.is_none_or(|head| u64::try_from(head.tree_size).unwrap_or(0) < size) {
            return Ok(None);
        }
        let (mut at, mut roots) = (0, Vec::new());
        for level in (0..u64::BITS).rev().filter(|level| size & (1 << level) != 0) {
            roots.extend(self.root_of(&Subtree { level, index: at >> level }).await?.0);
            at += 1 << level;
        }
        let peaks = Peaks::from_bytes(size, &roots).map_err(|_| missing("its tree is not of its size"))?;
        Ok(Some(Tree { size, root: peaks.root() }))
    }

    async fn root_of(&mut self, subtree: &Subtree) -> Result<Digest32, StoreError> {
        let seq = i64::try_from(subtree.completed_by()).map_err(|_| missing("no record has this number"))?;
        if subtree.level == 0 {
            let leaf = self.audit_leaf(seq).await?;
            return leaf.ok_or_else(|| missing("a record is missing"));
        }
        let row =
            self.get::<AuditNodes>(seq).await?.ok_or_else(|| missing("nodes of its tree are missing"))?;
        let at = usize::try_from(subtree.level - 1).unwrap_or(usize::MAX);
        let (hashes, _) = row.hashes.as_chunks::<32>();
        hashes.get(at).map(|hash| Digest32(*hash)).ok_or_else(|| missing("a node of its tree is missing"))
    }
}

pub(super) fn missing(what: &str) -> StoreError {
    StoreError::Corrupt { table: AuditNodes::table().name, what: what.to_owned() }
}
