//! Taking part: a member accepts, an administrator admits.

use ocmt_crypto::{manifest::MAX_SLOTS, sign::VerifyKey, slot::KeySlot};
use ocmt_store::tables::{Vault, VaultChangeKind, VaultMember};

use super::{
    check::{Said, accepted, keys_of},
    of, role_in, unlock, vault_row,
};
use crate::{
    api::{
        group_vaults::{AcceptGroupVault, AdmitToGroupVault},
        groups::GroupRole,
        users::Done,
        vault::Written,
    },
    authorize::{Action, Object, Owner},
    error::ActorError,
    tenant::vault::{
        ground::{
            self, After, check_manifest, epoch, leaves, slot_row, slots, store_manifest, verified_slot,
        },
        no_rotation,
    },
    work::{Handle, Work},
};

impl Handle for AcceptGroupVault {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        let who = work.user()?.user;
        let through = role_in(work, self.group, who).await?;
        let found = of(work, self.group).await?;
        let object = Object { owner: Owner::Group, through, ..Object::TENANT };
        // who only looks on in a group has no part in its vault
        let row = work.authorize_found(Action::PutIntoGroup, found, |_| object)?;
        let vault = vault_row(work, row.vault_id).await?;
        let keys = keys_of(work, who).await?;
        accepted(&vault, self.group, &self.acceptance, &keys)?;
        let before = work.tx.get::<VaultMember>((row.vault_id, who)).await?;
        if before.is_some_and(|before| before.admission.is_some()) {
            return Err(ActorError::precondition("ADMITTED_ALREADY", "you take part in this vault already"));
        }
        let row = VaultMember {
            tenant_id: work.ownership.tenant,
            vault_id: row.vault_id,
            user_id: who,
            acceptance: self.acceptance,
            admission: None,
            admitted_by: None,
            slot_id: None,
            accepted_at: work.now,
            admitted_at: None,
        };
        work.tx.upsert(&row).await?;
        work.object = format!("vault/{}", row.vault_id);
        Ok(Done)
    }
}

impl Handle for AdmitToGroupVault {
    async fn handle(self, work: &mut Work) -> Result<Written, ActorError> {
        let who = work.user()?.user;
        let row = of(work, self.group).await?.ok_or(ActorError::NotFound)?;
        let vault = ground::load(work, Action::ChangeSlots, Some(row.vault_id)).await?;
        no_rotation(&vault)?;
        let member = work.tx.get::<VaultMember>((vault.vault_id, self.user)).await?;
        let takes_part =
            role_in(work, self.group, self.user).await?.is_some_and(|role| role >= GroupRole::Member);
        let member = member.filter(|_| takes_part).ok_or_else(|| {
            ActorError::precondition("NOT_ACCEPTED", "the member has not accepted: they do first")
        })?;
        if member.admission.is_some() {
            return Err(ActorError::AlreadyExists("an admission of this member"));
        }
        let (theirs, own) = (keys_of(work, self.user).await?, keys_of(work, who).await?);
        let said = Said { group: self.group, acceptance: &member.acceptance, admission: &self.admission };
        let slot = match unlock::set_in_force(work, vault.vault_id).await? {
            // who holds a part of the key is said when it is dealt anew
            Some(_) if self.slot.is_empty() && self.manifest.is_empty() => None,
            Some(_) => {
                return Err(ActorError::invalid(
                    "slot",
                    "must be empty: this vault opens by several together",
                ));
            }
            None => Some(verified_slot(&vault, &self.slot, &VerifyKey(vault.verify_key.0), epoch(&vault))?),
        };
        said.check(&vault, slot.as_ref(), &theirs, &own)?;
        let admitted = VaultMember {
            admission: Some(self.admission),
            admitted_by: Some(who),
            slot_id: slot.as_ref().map(KeySlot::id),
            admitted_at: Some(work.now),
            ..member
        };
        work.tx.update(&admitted).await?;
        let counter = match slot {
            Some(slot) => put_slot(work, vault, slot, self.manifest).await?.manifest_counter,
            None => vault.manifest_counter,
        };
        work.details.push(("user".to_owned(), self.user.to_string()));
        Ok(Written { counter: ground::unsigned(counter) })
    }
}

/// The slot of a member, with the manifest that names it.
async fn put_slot(
    work: &mut Work,
    vault: Vault,
    slot: KeySlot,
    manifest: Vec<u8>,
) -> Result<Vault, ActorError> {
    let mut all = slots(work, vault.vault_id).await?;
    if all.iter().any(|other| other.id() == slot.id()) {
        return Err(ActorError::AlreadyExists("a slot of this id"));
    }
    if all.len() >= MAX_SLOTS {
        let why = format!("a vault has at most {MAX_SLOTS} slots: rotate it, which drops those of who left");
        return Err(ActorError::exhausted("TOO_MANY_SLOTS", why));
    }
    work.tx.insert(&slot_row(&vault, &slot, work.now)).await?;
    all.push(slot);
    let leaves = leaves(work, vault.vault_id).await?;
    let verify_key = VerifyKey(vault.verify_key.0);
    let after = After { verify_key, epoch: epoch(&vault), leaves: &leaves, slots: &all };
    let opened = check_manifest(&vault, &manifest, &after)?;
    store_manifest(work, vault, &opened, manifest, (VaultChangeKind::Slots, &[])).await
}
