//! Vaults of groups: who takes part, what they may do by that, and what ends with somebody who leaves.
//!
//! Durable: everything, in rows of the tenant. A member takes part in two steps: they accept, with their own key, and
//! an administrator's client seals the vault key to that key in a slot. The node checks both and can do neither. What
//! counts at a call is the membership and the admission as the state knows them then ([`object`]): whoever is taken out
//! of the group reads nothing from then on, whatever keys they kept, and the vault is due for new ones. Their slot stands
//! in the manifest until an administrator's client rotates: only that can sign another.

mod check;
mod ends;
mod members;
mod read;
pub(super) mod unlock;

use ocmt_store::tables::{GroupMember, GroupVault, Vault, VaultMember};
use ocmt_types::{GroupId, UserId, VaultId};
use ractor::ActorRef;

pub(super) use self::{
    check::{before_rotation, founded, may_begin, may_found, rotated},
    ends::{erase, holds_alone, is_shared, left, loses_key, lowered},
};
use super::{TenantMessage, TenantState};
use crate::{
    api::{group_vaults::GroupVaultsCall, groups::GroupRole},
    authorize::{Action, Object, Owner},
    error::ActorError,
    work::Work,
};

impl TenantState {
    /// One line per method.
    pub(super) fn group_vaults(&mut self, myself: &ActorRef<TenantMessage>, call: GroupVaultsCall) {
        match call {
            GroupVaultsCall::GetGroupVault(call) => self.work(myself, call),
            GroupVaultsCall::AcceptGroupVault(call) => self.work(myself, call),
            GroupVaultsCall::AdmitToGroupVault(call) => self.work(myself, call),
        }
    }
}

/// A group's vault as an object for the caller: by the role in the group of whoever is admitted, else by nothing.
pub(super) async fn object(work: &mut Work, group: GroupId, vault: VaultId) -> Result<Object, ActorError> {
    let nobody = Object { owner: Owner::Group, ..Object::TENANT };
    let Some(user) = work.standing.caller.person() else { return Ok(nobody) };
    if !is_admitted(work, vault, user).await? {
        return Ok(nobody);
    }
    // several open it together: to whom its parts were released, for as long as that lasts
    let shared = unlock::set_in_force(work, vault).await?.is_some();
    if shared && !unlock::is_open_to_caller(work, vault).await? {
        return Ok(nobody);
    }
    let through = role_in(work, group, user).await?;
    Ok(Object { through, ..nobody })
}

/// What the role in the tenant bounds: an observer of it changes nothing that is a group's.
pub(super) fn bounded(work: &Work, action: Action, object: &Object) -> Result<(), ActorError> {
    match action {
        Action::WriteVault => work.authorize(Action::PutIntoGroup, object)?,
        Action::ChangeSlots | Action::RotateVault | Action::GrantEntries => {
            work.authorize(Action::ChangeGroup, object)?;
        }
        _ => {}
    }
    Ok(())
}

/// The role of a user in a group.
async fn role_in(work: &mut Work, group: GroupId, user: UserId) -> Result<Option<GroupRole>, ActorError> {
    Ok(work.tx.get::<GroupMember>((group, user)).await?.map(|row| row.role.into()))
}

async fn is_admitted(work: &mut Work, vault: VaultId, user: UserId) -> Result<bool, ActorError> {
    let row = work.tx.get::<VaultMember>((vault, user)).await?;
    Ok(row.is_some_and(|row| row.admission.is_some()))
}

/// The vault of a group, if it has one.
pub(super) async fn of(work: &mut Work, group: GroupId) -> Result<Option<GroupVault>, ActorError> {
    Ok(work.tx.first::<GroupVault>(GroupVault::group_id.eq(group)).await?)
}

/// Whether this vault of a group's is one still.
pub(super) async fn is_there(work: &mut Work, vault: &Vault) -> Result<bool, ActorError> {
    Ok(work.tx.get::<GroupVault>(vault.vault_id).await?.is_some())
}

/// Everybody who takes part.
async fn participants(work: &mut Work, vault: VaultId) -> Result<Vec<VaultMember>, ActorError> {
    Ok(work.tx.find::<VaultMember>(VaultMember::vault_id.eq(vault)).await?)
}

async fn vault_row(work: &mut Work, vault: VaultId) -> Result<Vault, ActorError> {
    work.tx.get::<Vault>(vault).await?.ok_or(ActorError::NotFound)
}
