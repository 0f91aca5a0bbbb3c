//! What an unfinished rotation has staged, for the client that goes on with it.
//!
//! Ciphertext under keys that the vault does not have yet: the client believes none of it before it has opened it.

use ocmt_crypto::object::{self, keyring_id};
use ocmt_store::tables::{RotationObject, Vault};

use super::{
    ground::{self, unsigned},
    rotation::standing,
};
use crate::{
    api::vault::{ListStagedObjects, StagedPage},
    authorize::Action,
    error::ActorError,
    work::{Handle, Work},
};

const PAGE: u32 = 20;
/// With their bodies of 68 KiB they stay below 4 MiB.
const MOST: u32 = 48;

impl Handle for ListStagedObjects {
    async fn handle(self, work: &mut Work) -> Result<StagedPage, ActorError> {
        let vault = ground::load(work, Action::RotateVault, Some(self.vault)).await?;
        let rotation = standing(work, &vault).await?.ok_or_else(|| {
            ActorError::precondition("NO_SUCH_ROTATION", "the vault is not being rotated: begin a rotation")
        })?;
        let limit = if self.limit == 0 { PAGE } else { self.limit.min(MOST) };
        let of_vault = RotationObject::vault_id.eq(vault.vault_id);
        let of_vault = match self.after {
            Some(after) => of_vault.after(&(vault.vault_id, after)).limit(limit),
            None => of_vault.limit(limit),
        };
        let rows = work.tx.find::<RotationObject>(of_vault).await?;
        let full = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let next = rows.last().filter(|_| full).map(|row| row.object_id);
        let objects = rows.into_iter().filter(|row| row.object_id != keyring_id()).map(staged).collect();
        let keyring = keyring(work, &vault).await?;
        let succession = vault.rotation_succession.unwrap_or_default();
        Ok(StagedPage { rotation, succession, keyring, objects, next })
    }
}

async fn keyring(work: &mut Work, vault: &Vault) -> Result<Option<object::VaultObject>, ActorError> {
    let row = work.tx.get::<RotationObject>((vault.vault_id, keyring_id())).await?;
    Ok(row.map(staged))
}

fn staged(row: RotationObject) -> object::VaultObject {
    object::VaultObject {
        object_id: row.object_id,
        version: unsigned(row.version),
        wrapped_key: row.wrapped_key,
        body: row.body.unwrap_or_default(),
    }
}
