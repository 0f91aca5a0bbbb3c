//! The signed head of the log, and proofs out of its tree.

use ocmt_crypto::{
    audit::{checkpoint::Checkpoint, genesis},
    merkle::log,
};
use ocmt_store::tables::{AuditHead, AuditRow};
use ocmt_types::Digest32;

use super::retention;
use crate::{
    api::audit::{
        Consistency, ExportAudit, Exported, GetCheckpoint, Inclusion, ProveConsistency, ProveInclusion,
        StatedCheckpoint,
    },
    authorize::{Action, Object},
    error::ActorError,
    work::{Handle, Work},
};

impl Handle for GetCheckpoint {
    async fn handle(self, work: &mut Work) -> Result<StatedCheckpoint, ActorError> {
        work.authorize(Action::QueryTenantAudit, &Object::TENANT)?;
        state(work).await
    }
}

impl Handle for ExportAudit {
    async fn handle(self, work: &mut Work) -> Result<Exported, ActorError> {
        work.authorize(Action::QueryTenantAudit, &Object::TENANT)?;
        Ok(Exported { stated: state(work).await?, cut: retention::cut(work).await? })
    }
}

impl Handle for ProveInclusion {
    async fn handle(self, work: &mut Work) -> Result<Inclusion, ActorError> {
        work.authorize(Action::QueryTenantAudit, &Object::TENANT)?;
        let size = size(work, self.size).await?;
        let parts = self.sequence.checked_sub(1).and_then(|index| log::inclusion(size, index));
        let parts = parts.ok_or(ActorError::OutOfRange("no such record is in a log of that size"))?;
        let seq = i64::try_from(self.sequence).unwrap_or(i64::MAX);
        let leaf = work.tx.audit_leaf(seq).await?.ok_or(ActorError::NotFound)?;
        let path = work.tx.audit_proof(&parts).await?;
        Ok(Inclusion { size, leaf, path })
    }
}

impl Handle for ProveConsistency {
    async fn handle(self, work: &mut Work) -> Result<Consistency, ActorError> {
        work.authorize(Action::QueryTenantAudit, &Object::TENANT)?;
        let new = size(work, self.new).await?;
        let parts = log::consistency(self.old, new);
        let parts =
            parts.ok_or(ActorError::OutOfRange("the older log has no record, or more than the newer"))?;
        Ok(Consistency { new, path: work.tx.audit_proof(&parts).await? })
    }
}

/// The size that is asked for, if the log has it.
async fn size(work: &mut Work, asked: u64) -> Result<u64, ActorError> {
    let all = head(work).await?.tree()?.size;
    match asked {
        0 => Ok(all),
        some if some <= all => Ok(some),
        _ => Err(ActorError::OutOfRange("the log has not come that far")),
    }
}

async fn head(work: &mut Work) -> Result<AuditHead, ActorError> {
    let tenant_id = work.ownership.tenant;
    let none = AuditHead { tenant_id, seq: 0, hash: genesis(tenant_id), tree_size: 0, peaks: Vec::new() };
    Ok(work.tx.audit_head().await?.unwrap_or(none))
}

/// Signs how far the log has come, without the record of this call.
async fn state(work: &mut Work) -> Result<StatedCheckpoint, ActorError> {
    let head = head(work).await?;
    let tree = head.tree()?;
    // the tree is behind the chain where an earlier program appended
    let chain = if head.tree_size == head.seq { head.hash } else { hash_of(work, head.tree_size).await? };
    let checkpoint = Checkpoint { tenant: work.ownership.tenant, tree, chain, at: work.now };
    let signer = &work.env.signer;
    let signature = signer.sign_checkpoint(&checkpoint);
    Ok(StatedCheckpoint {
        note: checkpoint.note(signer.node(), &signer.verify_key(), &signature),
        statement: [checkpoint.text().as_bytes(), &signature.0].concat(),
        certificate_chain: signer.certificate_chain(),
        introductions: signer.introductions(),
        checkpoint,
    })
}

async fn hash_of(work: &mut Work, seq: i64) -> Result<Digest32, ActorError> {
    if seq == 0 {
        return Ok(genesis(work.ownership.tenant));
    }
    let row = work.tx.get::<AuditRow>(seq).await?;
    row.map(|row| row.hash)
        .ok_or_else(|| ActorError::unavailable("STORE_DAMAGED", "a stored record is missing"))
}
