//! Making a vault.

use ocmt_crypto::object::{body_hash, keyring_id};
use ocmt_store::tables::{ObjectBody, Vault, VaultObject};
use ocmt_types::{Digest32, GroupId, UserId};

use super::ground::{After, check_manifest, info, join, slot_row, verified_slot};
use crate::{
    api::vault::{CreateVault, VaultInfo},
    authorize::{Action, Object},
    error::ActorError,
    tenant::{group_vault, quota},
    work::{Handle, Work},
};

const FIRST_EPOCH: u32 = 1;

impl Handle for CreateVault {
    async fn handle(self, work: &mut Work) -> Result<VaultInfo, ActorError> {
        let owner = self.owner(work).await?;
        let mut vault = Vault {
            tenant_id: work.ownership.tenant,
            vault_id: self.vault,
            owner_user: owner.0,
            owner_group: owner.1,
            key_epoch: i64::from(FIRST_EPOCH),
            verify_key: Digest32(self.verify_key.0),
            successions: join(&[]),
            manifest: Vec::new(),
            manifest_counter: 0,
            manifest_root: Digest32([0; 32]),
            object_count: 0,
            rotation_epoch: None,
            rotation_verify_key: None,
            rotation_succession: None,
            rotation_id: None,
            rotation_mode: None,
            rotation_slots: None,
            rotation_started_at: None,
            created_at: work.now,
            updated_at: work.now,
        };
        let slots = self
            .slots
            .iter()
            .map(|slot| verified_slot(&vault, slot, &self.verify_key, FIRST_EPOCH))
            .collect::<Result<Vec<_>, _>>()?;
        if !self.objects.iter().any(|object| object.object_id == keyring_id()) {
            return Err(ActorError::invalid("objects", "has no keyring"));
        }
        let leaves: Vec<_> = self.objects.iter().map(ocmt_crypto::object::VaultObject::leaf).collect();
        let after = After { verify_key: self.verify_key, epoch: FIRST_EPOCH, leaves: &leaves, slots: &slots };
        let manifest = check_manifest(&vault, &self.manifest, &after)?;
        quota::store_bytes(work, self.objects.iter().map(|object| bytes(&object.body)).sum()).await?;
        for slot in &slots {
            work.tx.insert(&slot_row(&vault, slot, work.now)).await?;
        }
        for object in self.objects {
            if object.version != 1 {
                return Err(ActorError::invalid("objects", "of a new vault begin at version 1"));
            }
            insert(work, &vault, object, FIRST_EPOCH).await?;
        }
        vault.manifest = self.manifest;
        vault.manifest_counter = i64::try_from(manifest.counter).unwrap_or(i64::MAX);
        vault.manifest_root = manifest.root;
        vault.object_count = i64::from(manifest.objects);
        work.tx.insert(&vault).await?;
        work.object = format!("vault/{}", vault.vault_id);
        if let Some(own) = self.of_group {
            group_vault::founded(work, &vault, *own, &slots).await?;
        }
        info(work, &vault).await
    }
}

impl CreateVault {
    /// Whose it will be: a user has one, and so has a group.
    async fn owner(&self, work: &mut Work) -> Result<(Option<UserId>, Option<GroupId>), ActorError> {
        let who = work.user()?.user;
        let owner = match &self.of_group {
            None => {
                work.authorize(Action::CreateVault, &Object::of(who))?;
                (Some(who), None)
            }
            Some(own) => {
                group_vault::may_found(work, own.group).await?;
                (None, Some(own.group))
            }
        };
        let of_owner = match owner.1 {
            None => Vault::owner_user.eq(owner.0),
            group => Vault::owner_group.eq(group),
        };
        let taken = work.tx.get::<Vault>(self.vault).await?.is_some()
            || work.tx.first::<Vault>(of_owner).await?.is_some();
        if taken { Err(ActorError::AlreadyExists("a vault")) } else { Ok(owner) }
    }
}

/// Size of a ciphertext.
pub(super) fn bytes(body: &[u8]) -> i64 {
    i64::try_from(body.len()).unwrap_or(i64::MAX)
}

/// Writes an object in place of what was there; its form and epoch are checked, its version is the caller's care.
pub(super) async fn insert(
    work: &mut Work,
    vault: &Vault,
    object: ocmt_crypto::object::VaultObject,
    epoch: u32,
) -> Result<(), ActorError> {
    let sealed_at =
        object.key_epoch().map_err(|_| ActorError::invalid("object", "is not a sealed object"))?;
    if sealed_at != epoch {
        return Err(ActorError::invalid("object", "is sealed under another key epoch than the vault's"));
    }
    let head = VaultObject {
        tenant_id: vault.tenant_id,
        vault_id: vault.vault_id,
        object_id: object.object_id,
        version: i64::try_from(object.version)
            .map_err(|_| ActorError::invalid("object", "has a version out of bounds"))?,
        key_epoch: i64::from(epoch),
        wrapped_key: object.wrapped_key,
        body_hash: body_hash(&object.body),
        body_bytes: bytes(&object.body),
        updated_at: work.now,
    };
    work.tx.upsert(&head).await?;
    let body = ObjectBody {
        tenant_id: vault.tenant_id,
        vault_id: vault.vault_id,
        object_id: head.object_id,
        body: object.body,
    };
    Ok(work.tx.upsert(&body).await?)
}
