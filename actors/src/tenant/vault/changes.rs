//! What changed in a vault, written down in the transaction of the change, for those who watch it.
//!
//! The last [`KEPT`] changes stay; a reader who is further behind reads the vault anew.

use ocmt_store::tables::{VaultChange, VaultChangeKind};
use ocmt_types::{Digest32, VaultId};

use crate::{effect::Effect, error::ActorError, work::Work};

/// Changes of a vault that are kept.
pub(super) const KEPT: i64 = 256;
/// Bytes of an object in a change: written or deleted, id, version.
const OBJECT: usize = 1 + 32 + 8;

/// An object of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tenant) struct ChangedObject {
    pub(super) deleted: bool,
    pub(super) object: Digest32,
    pub(super) version: u64,
}

/// Writes down a change of `vault`, whose manifest has this counter then.
pub(super) async fn note(
    work: &mut Work,
    vault: VaultId,
    counter: i64,
    kind: VaultChangeKind,
    objects: &[ChangedObject],
) -> Result<(), ActorError> {
    let seq = last(work, vault).await?.map_or(0, |last| last.seq) + 1;
    let row = VaultChange {
        tenant_id: work.ownership.tenant,
        vault_id: vault,
        seq,
        kind,
        counter,
        objects: encode(objects),
        at: work.now,
    };
    work.tx.insert(&row).await?;
    let old = VaultChange::vault_id.eq(vault).and(VaultChange::seq.le(seq - KEPT));
    work.tx.delete_all::<VaultChange>(old).await?;
    work.then(Effect::VaultChanged(vault));
    Ok(())
}

/// The last change, if there was any.
pub(super) async fn last(work: &mut Work, vault: VaultId) -> Result<Option<VaultChange>, ActorError> {
    let last = VaultChange::vault_id.eq(vault).desc(VaultChange::seq).limit(1);
    Ok(work.tx.first::<VaultChange>(last).await?)
}

fn encode(objects: &[ChangedObject]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(objects.len() * OBJECT);
    for object in objects {
        bytes.push(u8::from(object.deleted));
        bytes.extend_from_slice(&object.object.0);
        bytes.extend_from_slice(&object.version.to_be_bytes());
    }
    bytes
}

/// The objects of a stored change.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<ChangedObject>, ActorError> {
    let damaged = || ActorError::unavailable("STORE_DAMAGED", "a stored change is damaged");
    let (objects, rest) = bytes.as_chunks::<OBJECT>();
    if !rest.is_empty() {
        return Err(damaged());
    }
    let one = |bytes: &[u8; OBJECT]| {
        let (deleted, rest) = bytes.split_first()?;
        let (object, version) = rest.split_first_chunk::<32>()?;
        let version = u64::from_be_bytes(version.try_into().ok()?);
        Some(ChangedObject { deleted: *deleted == 1, object: Digest32(*object), version })
    };
    objects.iter().map(|bytes| one(bytes).ok_or_else(damaged)).collect()
}
