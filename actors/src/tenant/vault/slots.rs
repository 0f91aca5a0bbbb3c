//! Key slots: adding and removing ways to open a vault.

use ocmt_crypto::{manifest::MAX_SLOTS, sign::VerifyKey, slot::SlotKind};
use ocmt_store::tables::{Slot, Vault, VaultChangeKind};

use super::{
    changes::ChangedObject,
    ground::{
        self, After, check_manifest, epoch, leaves, not_a_groups, slot_row, slots, store_manifest, unsigned,
        verified_slot,
    },
    write::no_rotation,
};
use crate::{
    api::vault::{AddKeySlot, RemoveKeySlot, Written},
    authorize::Action,
    error::ActorError,
    tenant::recovery,
    work::{Handle, Work},
};

const SLOTS: (VaultChangeKind, &[ChangedObject]) = (VaultChangeKind::Slots, &[]);

impl Handle for AddKeySlot {
    async fn handle(self, work: &mut Work) -> Result<Written, ActorError> {
        let vault = ground::load(work, Action::ChangeSlots, Some(self.vault)).await?;
        not_a_groups(&vault)?;
        no_rotation(&vault)?;
        let key = VerifyKey(vault.verify_key.0);
        let slot = verified_slot(&vault, &self.slot, &key, epoch(&vault))?;
        let mut all = slots(work, vault.vault_id).await?;
        if all.iter().any(|other| other.id() == slot.id()) {
            return Err(ActorError::AlreadyExists("a slot of this id"));
        }
        if all.len() >= MAX_SLOTS {
            return Err(ActorError::exhausted(
                "TOO_MANY_SLOTS",
                format!("a vault has at most {MAX_SLOTS} slots"),
            ));
        }
        work.tx.insert(&slot_row(&vault, &slot, work.now)).await?;
        work.details.push(("slot".to_owned(), slot.id().to_string()));
        all.push(slot);
        let leaves = leaves(work, vault.vault_id).await?;
        let after = After { verify_key: key, epoch: epoch(&vault), leaves: &leaves, slots: &all };
        let manifest = check_manifest(&vault, &self.manifest, &after)?;
        let vault = store_manifest(work, vault, &manifest, self.manifest, SLOTS).await?;
        Ok(Written { counter: unsigned(vault.manifest_counter) })
    }
}

/// Puts a recovery slot into a vault that the caller may change, in place of the one it has.
pub(in crate::tenant) async fn replace_recovery(
    work: &mut Work,
    vault: Vault,
    slot: &[u8],
    manifest: Vec<u8>,
) -> Result<Vault, ActorError> {
    no_rotation(&vault)?;
    let key = VerifyKey(vault.verify_key.0);
    let slot = verified_slot(&vault, slot, &key, epoch(&vault))?;
    if slot.kind() != SlotKind::Recovery {
        return Err(ActorError::invalid("recovery_slot", "is not locked by a recovery key"));
    }
    let mut all = slots(work, vault.vault_id).await?;
    for old in all.extract_if(.., |old| old.kind() == SlotKind::Recovery) {
        work.tx.delete::<Slot>((vault.vault_id, old.id())).await?;
    }
    if all.iter().any(|other| other.id() == slot.id()) {
        return Err(ActorError::AlreadyExists("a slot of this id"));
    }
    work.tx.insert(&slot_row(&vault, &slot, work.now)).await?;
    all.push(slot);
    if all.len() > MAX_SLOTS {
        return Err(ActorError::exhausted(
            "TOO_MANY_SLOTS",
            format!("a vault has at most {MAX_SLOTS} slots"),
        ));
    }
    let leaves = leaves(work, vault.vault_id).await?;
    let after = After { verify_key: key, epoch: epoch(&vault), leaves: &leaves, slots: &all };
    let opened = check_manifest(&vault, &manifest, &after)?;
    store_manifest(work, vault, &opened, manifest, SLOTS).await
}

impl Handle for RemoveKeySlot {
    async fn handle(self, work: &mut Work) -> Result<Written, ActorError> {
        let vault = ground::load(work, Action::ChangeSlots, Some(self.vault)).await?;
        not_a_groups(&vault)?;
        no_rotation(&vault)?;
        let mut all = slots(work, vault.vault_id).await?;
        let before = all.len();
        all.retain(|slot| slot.id() != self.slot);
        if all.len() == before {
            return Err(ActorError::NotFound);
        }
        if all.is_empty() {
            return Err(ActorError::precondition(
                "LAST_SLOT",
                "the last slot stays: add another way to open the vault first",
            ));
        }
        work.tx.delete::<Slot>((vault.vault_id, self.slot)).await?;
        work.details.push(("slot".to_owned(), self.slot.to_string()));
        let leaves = leaves(work, vault.vault_id).await?;
        let key = VerifyKey(vault.verify_key.0);
        let after = After { verify_key: key, epoch: epoch(&vault), leaves: &leaves, slots: &all };
        let manifest = check_manifest(&vault, &self.manifest, &after)?;
        let vault = store_manifest(work, vault, &manifest, self.manifest, SLOTS).await?;
        if all.iter().all(|slot| slot.kind() != SlotKind::Recovery) {
            recovery::retire_guardians(work, vault.vault_id).await?;
        }
        Ok(Written { counter: unsigned(vault.manifest_counter) })
    }
}
