//! Rotation: staged beside the vault, switched in one transaction.
//!
//! Until FinishRotation commits the vault is what it was; from then on it is the new one. A client that is
//! cut off begins again or goes on from what [`super::rotation_read`] gives back, and nothing is half done.

use ocmt_crypto::{
    envelope,
    kind::Kind,
    manifest::{Leaf, MAX_SLOTS, Manifest},
    object::body_hash,
    sign::VerifyKey,
    slot::{KeySlot, SlotKind},
    succession::Succession,
};
use ocmt_store::{
    ObjectRange,
    tables::{self, RotationObject, Slot, Vault, VaultChangeKind, VaultObject},
};
use ocmt_types::{Digest32, RotationId};

use super::ground::{
    self, After, check_manifest, epoch, heads, info, join, leaf, scope, slot_row, split, store_manifest,
    unsigned, verified_slot,
};
use super::{asked, changes, history};
use crate::{
    api::vault::{BeginRotation, FinishRotation, PutRewrappedKeys, RotationInfo, RotationMode, VaultInfo},
    authorize::Action,
    caller::Assurance,
    error::ActorError,
    tenant::{container::lock_cells_of, group_vault, program, quota, recovery, share},
    work::{Handle, Work},
};

/// Objects that one statement moves: with bodies of 68 KiB less than 5 MiB, far below the bound on a statement's time.
const AT_ONCE: usize = 64;

impl Handle for BeginRotation {
    async fn handle(self, work: &mut Work) -> Result<RotationInfo, ActorError> {
        let mut vault = ground::load(work, Action::RotateVault, Some(self.vault)).await?;
        if vault.rotation_id.is_some() && !self.replace {
            let why = "the vault is being rotated already: finish that rotation, or replace it";
            return Err(ActorError::precondition("ROTATION_IN_PROGRESS", why));
        }
        if Some(self.epoch) != epoch(&vault).checked_add(1) {
            return Err(ActorError::Aborted("the vault"));
        }
        let bad = || ActorError::invalid("succession", "does not lead from the present key to the new one");
        let succession = Succession::from_bytes(&self.succession).map_err(|_| bad())?;
        let leads = succession.old.0 == vault.verify_key.0
            && succession.new == self.verify_key
            && succession.epoch == self.epoch
            && succession.verify(&scope(&vault)).is_ok();
        if !leads {
            return Err(bad());
        }
        let slots = self.slots.iter().map(|slot| verified_slot(&vault, slot, &self.verify_key, self.epoch));
        let slots = slots.collect::<Result<Vec<_>, _>>()?;
        if vault.owner_group.is_some() {
            group_vault::may_begin(work, &vault, &slots).await?;
        }
        let ranges = ranges(&vault, &heads(work, vault.vault_id).await?);
        drop_staged(work, &ranges).await?;
        vault.rotation_id = Some(work.env.id());
        vault.rotation_epoch = Some(i64::from(self.epoch));
        vault.rotation_verify_key = Some(Digest32(self.verify_key.0));
        vault.rotation_succession = Some(self.succession);
        vault.rotation_mode = Some(match self.mode {
            RotationMode::Rewrap => tables::RotationMode::Rewrap,
            RotationMode::Rekey => tables::RotationMode::Rekey,
        });
        vault.rotation_slots = Some(join(&self.slots));
        vault.rotation_started_at = Some(work.now);
        vault.updated_at = work.now;
        work.tx.update(&vault).await?;
        let (kind, counter) = (VaultChangeKind::RotationStarted, vault.manifest_counter);
        changes::note(work, vault.vault_id, counter, kind, &[]).await?;
        standing(work, &vault).await?.ok_or(ActorError::NotFound)
    }
}

/// Where the rotation of a vault stands.
pub(super) async fn standing(work: &mut Work, vault: &Vault) -> Result<Option<RotationInfo>, ActorError> {
    let Some(under_way) = UnderWay::of(vault) else {
        return Ok(None);
    };
    let slots = split(vault.rotation_slots.as_deref().unwrap_or_default())?;
    let slots = asked::staged(work, vault.vault_id, slots).await?;
    let staged = work.tx.count::<RotationObject>(RotationObject::vault_id.eq(vault.vault_id)).await?;
    Ok(Some(RotationInfo {
        id: under_way.id,
        epoch: under_way.epoch,
        verify_key: under_way.verify_key.0,
        mode: under_way.mode,
        slots,
        staged: u32::try_from(staged).unwrap_or(0),
        remaining: u32::try_from(vault.object_count.saturating_sub(staged)).unwrap_or(0),
        started_at: vault.rotation_started_at.unwrap_or(vault.updated_at),
    }))
}

/// The rotation columns of a vault, together.
struct UnderWay {
    id: RotationId,
    epoch: u32,
    verify_key: VerifyKey,
    mode: RotationMode,
}

impl UnderWay {
    fn of(vault: &Vault) -> Option<Self> {
        Some(Self {
            id: vault.rotation_id?,
            epoch: u32::try_from(vault.rotation_epoch?).ok()?,
            verify_key: VerifyKey(vault.rotation_verify_key?.0),
            mode: match vault.rotation_mode? {
                tables::RotationMode::Rewrap => RotationMode::Rewrap,
                tables::RotationMode::Rekey => RotationMode::Rekey,
            },
        })
    }

    /// The named rotation of this vault, or why not.
    fn named(vault: &Vault, id: RotationId) -> Result<Self, ActorError> {
        Self::of(vault).filter(|under_way| under_way.id == id).ok_or_else(|| {
            ActorError::precondition(
                "NO_SUCH_ROTATION",
                "this rotation was finished or replaced: read the vault again",
            )
        })
    }
}

impl Handle for PutRewrappedKeys {
    async fn handle(self, work: &mut Work) -> Result<RotationInfo, ActorError> {
        let vault = ground::load(work, Action::RotateVault, Some(self.vault)).await?;
        let under_way = UnderWay::named(&vault, self.rotation)?;
        for (id, version, wrapped_key) in self.keys {
            let head = present(work, &vault, id).await?;
            if unsigned(head.version) != version || under_way.mode != RotationMode::Rewrap {
                return Err(ActorError::Aborted("an object of the vault"));
            }
            let header = envelope::parse(&wrapped_key).ok();
            if header
                .is_none_or(|header| header.kind != Kind::WRAPPED_KEY || header.key_epoch != under_way.epoch)
            {
                return Err(ActorError::invalid("wrapped_key", "is not wrapped under the new key epoch"));
            }
            let row = staged(&vault, id, head.version, wrapped_key, None);
            work.tx.upsert(&row).await?;
        }
        for object in self.objects {
            let head = present(work, &vault, object.object_id).await?;
            if Some(object.version) != unsigned(head.version).checked_add(1) {
                return Err(ActorError::Aborted("an object of the vault"));
            }
            if object.key_epoch().ok() != Some(under_way.epoch) {
                return Err(ActorError::invalid("object", "is not sealed under the new key epoch"));
            }
            let version = head.version.saturating_add(1);
            let row = staged(&vault, object.object_id, version, object.wrapped_key, Some(object.body));
            work.tx.upsert(&row).await?;
        }
        standing(work, &vault).await?.ok_or(ActorError::NotFound)
    }
}

async fn present(work: &mut Work, vault: &Vault, id: Digest32) -> Result<VaultObject, ActorError> {
    let head = work.tx.get::<VaultObject>((vault.vault_id, id)).await?;
    head.ok_or(ActorError::Aborted("an object of the vault"))
}

fn staged(
    vault: &Vault,
    object_id: Digest32,
    version: i64,
    wrapped_key: Vec<u8>,
    body: Option<Vec<u8>>,
) -> RotationObject {
    RotationObject {
        tenant_id: vault.tenant_id,
        vault_id: vault.vault_id,
        object_id,
        version,
        wrapped_key,
        body_hash: body.as_deref().map(body_hash),
        body,
    }
}

impl Handle for FinishRotation {
    async fn handle(self, work: &mut Work) -> Result<VaultInfo, ActorError> {
        let vault = ground::load(work, Action::RotateVault, Some(self.vault)).await?;
        if work.user()?.assurance == Assurance::Recovery {
            return Err(ActorError::PermissionDenied("a recovery ends with completing the ceremony"));
        }
        let finished = finish(work, vault, self).await?;
        let own = finished.vault.owner_user.is_some();
        if own && finished.slots.iter().all(|slot| slot.kind() != SlotKind::Recovery) {
            recovery::retire_guardians(work, finished.vault.vault_id).await?;
        }
        info(work, &finished.vault).await
    }
}

/// A vault under its new keys.
pub(in crate::tenant) struct Switched {
    pub(in crate::tenant) vault: Vault,
    pub(in crate::tenant) slots: Vec<KeySlot>,
}

/// Switches a vault that the caller may rotate to the keys of a rotation. What that means for its guardians
/// is the caller's to say.
pub(in crate::tenant) async fn finish(
    work: &mut Work,
    mut vault: Vault,
    mut asked: FinishRotation,
) -> Result<Switched, ActorError> {
    let under_way = UnderWay::named(&vault, asked.rotation)?;
    if !(1..=MAX_SLOTS).contains(&asked.slots.len()) {
        return Err(ActorError::invalid("slots", format!("must be 1 to {MAX_SLOTS}")));
    }
    let slots = asked
        .slots
        .iter()
        .map(|slot| verified_slot(&vault, slot, &under_way.verify_key, under_way.epoch))
        .collect::<Result<Vec<_>, _>>()?;
    if vault.owner_group.is_some() {
        let dealt = group_vault::before_rotation(work, &vault, &slots, asked.deal.take()).await?;
        group_vault::rotated(work, &vault, &slots, dealt).await?;
    } else if asked.deal.is_some() {
        return Err(ActorError::invalid("group_set", "is for a group's vault: this one is somebody's own"));
    }
    let manifest = switch(work, &vault, &under_way, &asked.manifest, &slots).await?;
    if vault.rotation_mode == Some(tables::RotationMode::Rekey) {
        // what was given opens nothing any more
        share::end_of_vault(work, vault.vault_id).await?;
        if vault.owner_group.is_some() {
            program::end_of_vault(work, vault.vault_id).await?;
        }
    }
    if let Some(owner) = vault.owner_user {
        // cells of the owner hold data keys of before
        lock_cells_of(work, owner).await?;
    }
    replace_slots(work, &vault, &slots).await?;
    let mut successions = split(&vault.successions)?;
    successions.extend(vault.rotation_succession.take());
    vault.successions = join(&successions);
    vault.key_epoch = i64::from(under_way.epoch);
    vault.verify_key = Digest32(under_way.verify_key.0);
    vault.rotation_id = None;
    vault.rotation_epoch = None;
    vault.rotation_verify_key = None;
    vault.rotation_mode = None;
    vault.rotation_slots = None;
    vault.rotation_started_at = None;
    let vault =
        store_manifest(work, vault, &manifest, asked.manifest, (VaultChangeKind::Rotated, &[])).await?;
    work.details.push(("epoch".to_owned(), under_way.epoch.to_string()));
    Ok(Switched { vault, slots })
}

fn ranges(vault: &Vault, heads: &[VaultObject]) -> Vec<ObjectRange> {
    let ids: Vec<Digest32> = heads.iter().map(|head| head.object_id).collect();
    ObjectRange::covering(vault.vault_id, &ids, AT_ONCE)
}

async fn drop_staged(work: &mut Work, ranges: &[ObjectRange]) -> Result<(), ActorError> {
    for range in ranges {
        work.tx.drop_staged(range).await?;
    }
    Ok(())
}

/// Every object takes what was staged for it. No body comes here: the store moves them, and the manifest is held against
/// the heads as they are then, before the bodies follow.
async fn switch(
    work: &mut Work,
    vault: &Vault,
    under_way: &UnderWay,
    signed: &[u8],
    slots: &[KeySlot],
) -> Result<Manifest, ActorError> {
    let before = heads(work, vault.vault_id).await?;
    let ranges = ranges(vault, &before);
    let mut switched = 0;
    for range in &ranges {
        switched += work.tx.switch_heads(range, i64::from(under_way.epoch), work.now).await?;
    }
    if usize::try_from(switched).ok() != Some(before.len()) {
        let why = "not every object is staged under the new keys";
        return Err(ActorError::precondition("ROTATION_INCOMPLETE", why));
    }
    let now = heads(work, vault.vault_id).await?;
    let leaves: Vec<Leaf> = now.iter().map(leaf).collect();
    let after = After { verify_key: under_way.verify_key, epoch: under_way.epoch, leaves: &leaves, slots };
    let manifest = check_manifest(vault, signed, &after)?;
    let changed = before.iter().zip(&now).filter(|(before, now)| before.body_hash != now.body_hash).count();
    let mut moved = 0;
    for range in &ranges {
        moved += work.tx.switch_bodies(range).await?;
    }
    if usize::try_from(moved).ok() != Some(changed) {
        return Err(ActorError::unavailable("STORE_DAMAGED", "an object of the vault has no ciphertext"));
    }
    drop_staged(work, &ranges).await?;
    // a rotation is never held up by a quota
    quota::count_bytes(work, bytes_of(&now) - bytes_of(&before)).await?;
    history::forget(work, vault.vault_id).await?;
    Ok(manifest)
}

fn bytes_of(heads: &[VaultObject]) -> i64 {
    heads.iter().map(|head| head.body_bytes).sum()
}

async fn replace_slots(work: &mut Work, vault: &Vault, slots: &[KeySlot]) -> Result<(), ActorError> {
    work.tx.delete_all::<Slot>(Slot::vault_id.eq(vault.vault_id)).await?;
    for slot in slots {
        work.tx.insert(&slot_row(vault, slot, work.now)).await?;
    }
    Ok(())
}
