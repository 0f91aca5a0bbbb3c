//! Earlier versions of objects, as many as the tenant's policy keeps.
//!
//! They stand under the vault's present key, so a rotation takes them away: carried over, they would give whoever is
//! being shut out a reason to have kept the old key. From the switch on they are not there for anybody; their rows go
//! by a timer, some at a time, since there may be more than one transaction should take; so do all objects of a group's
//! vault that has ended with its group, and its unlocks. A deleted object leaves none.

use ocmt_crypto::object;
use ocmt_store::tables::{GroupVault, ObjectBody, ObjectVersion, RotationObject, Vault, VaultObject};
use ocmt_types::{Digest32, VaultId};

use super::ground::unsigned;
use crate::{
    api::vault::Write,
    error::ActorError,
    tenant::{group_vault::unlock, quota, session_row::tenant_of},
    work::Work,
};

/// Timer of the rows that a rotation left; its subject is the vault.
pub(crate) const TIMER: &str = "vault.history";
/// Rows taken at once, with their bodies of 68 KiB.
const STEP: u32 = 64;
/// Earlier versions of a whole vault; past them a write keeps none.
const MAX_KEPT: i64 = 10_000;

/// Keeps the present versions of what `change` writes over, drops those past the policy's number and those of what it
/// deletes; how many bytes of ciphertext more there are.
pub(super) async fn keep(
    work: &mut Work,
    vault: &Vault,
    heads: &[VaultObject],
    change: &Write,
) -> Result<i64, ActorError> {
    let (_, policy) = tenant_of(&work.env, &mut work.tx).await?;
    let most = i64::from(policy.vault_history);
    let of_vault = ObjectVersion::vault_id.eq(vault.vault_id);
    let full = most > 0 && work.tx.count::<ObjectVersion>(of_vault).await? >= MAX_KEPT;
    let mut grown = 0;
    for (id, _) in &change.deletes {
        grown -= drop_through(work, vault.vault_id, *id, i64::MAX).await?;
    }
    for put in &change.puts {
        let Some(head) = heads.iter().find(|head| head.object_id == put.object_id) else { continue };
        // system objects are the client's bookkeeping, and have no history of their own
        if most > 0 && !full && !is_system(head.object_id) {
            let body = work.tx.get::<ObjectBody>((vault.vault_id, head.object_id)).await?;
            let body = body.ok_or(ActorError::NotFound)?.body;
            let row = ObjectVersion {
                tenant_id: vault.tenant_id,
                vault_id: vault.vault_id,
                object_id: head.object_id,
                version: head.version,
                key_epoch: head.key_epoch,
                wrapped_key: head.wrapped_key.clone(),
                body_bytes: head.body_bytes,
                body,
                written_at: head.updated_at,
            };
            work.tx.upsert(&row).await?;
            grown += head.body_bytes;
        }
        // the version that is written is no earlier one
        grown -= drop_through(work, vault.vault_id, head.object_id, head.version - most).await?;
    }
    Ok(grown)
}

fn is_system(id: Digest32) -> bool {
    id == object::keyring_id() || id == object::unlock_ledger_id()
}

/// Drops versions up to this one; how many bytes of ciphertext they had.
async fn drop_through(
    work: &mut Work,
    vault: VaultId,
    id: Digest32,
    version: i64,
) -> Result<i64, ActorError> {
    let old = || {
        ObjectVersion::vault_id
            .eq(vault)
            .and(ObjectVersion::object_id.eq(id))
            .and(ObjectVersion::version.le(version))
    };
    let gone = work.tx.find::<ObjectVersion>(old()).await?;
    if !gone.is_empty() {
        work.tx.delete_all::<ObjectVersion>(old()).await?;
    }
    Ok(gone.iter().map(|old| old.body_bytes).sum())
}

/// One earlier version of an object, if it is kept.
pub(super) async fn version(
    work: &mut Work,
    vault: &Vault,
    id: Digest32,
    version: u64,
) -> Result<Option<object::VaultObject>, ActorError> {
    let version = i64::try_from(version).unwrap_or(i64::MAX);
    let row = work.tx.get::<ObjectVersion>((vault.vault_id, id, version)).await?;
    Ok(row.filter(|row| row.key_epoch == vault.key_epoch).map(|row| object::VaultObject {
        object_id: id,
        version: unsigned(row.version),
        wrapped_key: row.wrapped_key,
        body: row.body,
    }))
}

/// A rotation has taken the key of all of them away, or their vault has ended with its group.
pub(in crate::tenant) async fn forget(work: &mut Work, vault: VaultId) -> Result<(), ActorError> {
    work.set_timer(TIMER, &vault.to_string(), work.now, &[]).await
}

/// Takes some of the rows that rotations left, and vaults that have ended.
pub(crate) async fn sweep(work: &mut Work, subject: &str) -> Result<(), ActorError> {
    let Ok(vault) = subject.parse::<VaultId>() else { return Ok(()) };
    let Some(vault) = work.tx.get::<Vault>(vault).await? else { return Ok(()) };
    let ended = vault.owner_group.is_some() && work.tx.get::<GroupVault>(vault.vault_id).await?.is_none();
    let through = if ended { i64::MAX } else { vault.key_epoch - 1 };
    let old =
        ObjectVersion::vault_id.eq(vault.vault_id).and(ObjectVersion::key_epoch.le(through)).limit(STEP);
    let some = work.tx.find::<ObjectVersion>(old).await?;
    let bytes: i64 = some.iter().map(|row| row.body_bytes).sum();
    for row in &some {
        work.tx.delete::<ObjectVersion>((row.vault_id, row.object_id, row.version)).await?;
    }
    quota::count_bytes(work, -bytes).await?;
    let more = some.len() >= usize::try_from(STEP).unwrap_or(usize::MAX);
    if more || ended && !take_ended(work, vault.vault_id).await? {
        return work.set_timer(TIMER, subject, work.now, &[]).await;
    }
    Ok(())
}

/// Takes some objects of a vault that has ended, and some of what was asked to open it together, and last its own row; whether that is gone.
async fn take_ended(work: &mut Work, vault: VaultId) -> Result<bool, ActorError> {
    let unlocks_are_gone = unlock::take_ended(work, vault, STEP).await?;
    let staged = work.tx.find::<RotationObject>(RotationObject::vault_id.eq(vault).limit(STEP)).await?;
    for row in &staged {
        work.tx.delete::<RotationObject>((vault, row.object_id)).await?;
    }
    let some = work.tx.find::<VaultObject>(VaultObject::vault_id.eq(vault).limit(STEP)).await?;
    for row in &some {
        work.tx.delete::<ObjectBody>((vault, row.object_id)).await?;
        work.tx.delete::<VaultObject>((vault, row.object_id)).await?;
    }
    quota::count_bytes(work, -some.iter().map(|row| row.body_bytes).sum::<i64>()).await?;
    if !unlocks_are_gone || !staged.is_empty() || !some.is_empty() {
        return Ok(false);
    }
    work.tx.delete::<Vault>(vault).await?;
    Ok(true)
}
