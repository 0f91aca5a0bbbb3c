//! What ends with whoever leaves a group, or may do less in it; and with the group itself.

use ocmt_store::tables::{
    GroupMember, GroupVault, Handout, RotationDue, Slot, StoredGroupRole, User, UserState, VaultChange,
    VaultInboxItem, VaultMember,
};
use ocmt_types::{GroupId, UserId, VaultId};

use super::{of, participants, role_in, unlock};
use crate::{
    api::groups::GroupRole,
    error::ActorError,
    tenant::{
        handlers::notices::{self, NoticeText},
        program, session_row, share,
        vault::history,
    },
    work::Work,
};

/// Kind of the letter to administrators whose group's vault is due for new keys.
const DUE: &str = "group_vault.rotation_due";

/// Somebody has left the group, or only looks on in it from now on: they take no more part in its vault. Whether the vault
/// is due for new keys by that.
pub(in crate::tenant) async fn left(
    work: &mut Work,
    group: GroupId,
    user: UserId,
) -> Result<bool, ActorError> {
    let Some(row) = of(work, group).await? else { return Ok(false) };
    let vault = row.vault_id;
    let Some(gone) = work.tx.take::<VaultMember>((vault, user)).await? else { return Ok(false) };
    if gone.admission.is_none() {
        return Ok(false);
    }
    let row = out(work, row, user).await?;
    unlock::member_out(work, &row, user).await?;
    tell(work, group, vault, user).await?;
    Ok(true)
}

/// Whoever had the vault's key has it no more: what they gave and were given of it ends, and new keys are due.
pub(super) async fn out(work: &mut Work, row: GroupVault, user: UserId) -> Result<GroupVault, ActorError> {
    share::end_in_vault(work, row.vault_id, user).await?;
    program::end_in_vault(work, row.vault_id, user).await?;
    // watches of the vault end with it: what is asked from now on is decided anew
    session_row::end_streams(work, user).await?;
    let due_since = row.due_since.or(Some(work.now));
    let row = GroupVault { due: Some(RotationDue::Left), due_since, ..row };
    work.tx.update(&row).await?;
    Ok(row)
}

/// Somebody may do less in the group from now on.
pub(in crate::tenant) async fn lowered(
    work: &mut Work,
    group: GroupId,
    user: UserId,
    to: GroupRole,
) -> Result<(), ActorError> {
    match to {
        GroupRole::Observer => left(work, group, user).await.map(drop),
        // only administrators hand entries out: nobody reads by the word of somebody who may not
        GroupRole::Member => {
            // and only they hold parts
            if is_shared(work, group).await? {
                return left(work, group, user).await.map(drop);
            }
            if let Some(row) = of(work, group).await? {
                share::end_given(work, row.vault_id, user).await?;
                program::end_in_vault(work, row.vault_id, user).await?;
            }
            Ok(())
        }
        GroupRole::Admin => Ok(()),
    }
}

/// Whether whoever has this role in the group has no part in its vault.
pub(in crate::tenant) async fn loses_key(
    work: &mut Work,
    group: GroupId,
    role: GroupRole,
) -> Result<bool, ActorError> {
    match role {
        GroupRole::Observer => Ok(true),
        GroupRole::Member => is_shared(work, group).await,
        GroupRole::Admin => Ok(false),
    }
}

/// Whether several open the group's vault together.
pub(in crate::tenant) async fn is_shared(work: &mut Work, group: GroupId) -> Result<bool, ActorError> {
    let Some(row) = of(work, group).await? else { return Ok(false) };
    Ok(unlock::set_in_force(work, row.vault_id).await?.is_some())
}

/// Whether nobody but this user could open the group's vault.
pub(in crate::tenant) async fn holds_alone(
    work: &mut Work,
    group: GroupId,
    user: UserId,
) -> Result<bool, ActorError> {
    let Some(row) = of(work, group).await? else { return Ok(false) };
    if let Some(set) = unlock::set_in_force(work, row.vault_id).await? {
        let mut here = unlock::present(work, &row, &set).await?;
        let holds = here.contains(&user);
        here.retain(|one| *one != user);
        return Ok(holds && i64::try_from(here.len()).unwrap_or(0) < set.threshold);
    }
    let mut holds = false;
    for part in participants(work, row.vault_id).await? {
        let member = role_in(work, group, part.user_id).await?.is_some_and(|role| role >= GroupRole::Member);
        match part.admission.is_some() && member {
            true if part.user_id == user => holds = true,
            true => return Ok(false),
            false => {}
        }
    }
    Ok(holds)
}

/// Word to the administrators who are left.
async fn tell(work: &mut Work, group: GroupId, vault: VaultId, gone: UserId) -> Result<(), ActorError> {
    let name = work.tx.get::<ocmt_store::tables::Group>(group).await?.map(|row| row.name).unwrap_or_default();
    let who = work.tx.get::<User>(gone).await?.map(|user| user.email).unwrap_or_default();
    let facts = [("group", name), ("group_id", group.to_string()), ("left", who)];
    let facts = facts.map(|(name, value)| (name.to_owned(), value));
    let admins = GroupMember::group_id.eq(group).and(GroupMember::role.eq(StoredGroupRole::Admin));
    for admin in work.tx.find::<GroupMember>(admins).await? {
        let user = work.tx.get::<User>(admin.user_id).await?;
        let active = user.filter(|user| user.state == UserState::Active && user.user_id != gone);
        let Some(user) = active else { continue };
        let subject = vault.to_string();
        let text = NoticeText {
            user: Some(user.user_id),
            address: &user.email,
            kind: DUE,
            subject: &subject,
            facts: &facts,
        };
        notices::write(work, text).await?;
    }
    Ok(())
}

/// The group ends, and its vault with all that is in it. Its objects are too many for one transaction.
pub(in crate::tenant) async fn erase(work: &mut Work, group: GroupId) -> Result<(), ActorError> {
    let Some(row) = of(work, group).await? else { return Ok(()) };
    let vault = row.vault_id;
    share::end_of_vault(work, vault).await?;
    program::end_of_vault(work, vault).await?;
    unlock::erase(work, &row).await?;
    work.tx.delete_all::<VaultMember>(VaultMember::vault_id.eq(vault)).await?;
    work.tx.delete_all::<Slot>(Slot::vault_id.eq(vault)).await?;
    work.tx.delete_all::<Handout>(Handout::vault_id.eq(vault)).await?;
    work.tx.delete_all::<VaultInboxItem>(VaultInboxItem::vault_id.eq(vault)).await?;
    work.tx.delete_all::<VaultChange>(VaultChange::vault_id.eq(vault)).await?;
    work.tx.delete::<GroupVault>(vault).await?;
    // nobody reaches the rest from now on, what was asked of old among it; it goes by a timer, and its row with the last of it,
    // so that its id is no other's
    history::forget(work, vault).await?;
    work.details.push(("vault".to_owned(), vault.to_string()));
    Ok(())
}
