//! Groups: who is in them, and what lies under their permissions.
//!
//! Whatever a call names is loaded from state with the group that it belongs to, and the caller's role is the
//! one in *that* group. A group has an administrator who can act, if any of its members can: the last one neither leaves
//! nor is lowered, and when one is taken out of the tenant, or lowered in it, another member steps in.

mod members;
mod reads;
mod resources;

use ocmt_crypto::audit::MAX_DETAILS;
use ocmt_store::tables::{Group, GroupMember, GroupResource, StoredGroupRole, User, UserState};
use ocmt_types::{GroupId, UserId};
use ractor::ActorRef;

pub(super) use resources::{forget_container, forget_containers_of, through, through_of};

use super::{TenantMessage, TenantState, group_vault, handlers::roles::authority_of};
use crate::{
    api::{
        groups::{CreateGroup, DeleteGroup, GroupInfo, GroupRole, GroupsCall},
        users::Done,
    },
    authorize::{Action, Object, Owner},
    error::ActorError,
    work::{Handle, Work},
};

/// Groups of one tenant: what one query reads.
const MOST_GROUPS: i64 = 1_000;
const MOST_MEMBERS: i64 = 255;
const LONGEST_NAME: usize = 100;

impl Handle for CreateGroup {
    async fn handle(self, work: &mut Work) -> Result<GroupInfo, ActorError> {
        let who = work.user()?;
        work.authorize(Action::CreateGroup, &Object::TENANT)?;
        let name = self.name.trim();
        if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
            return Err(ActorError::invalid("name", "must be one line of 1 to 100 bytes"));
        }
        if work.tx.count::<Group>(ocmt_store::Filter::all()).await? >= MOST_GROUPS {
            return Err(ActorError::exhausted("TOO_MANY_GROUPS", "a tenant has at most 1000 groups"));
        }
        let row = Group {
            tenant_id: work.ownership.tenant,
            group_id: work.env.id(),
            name: name.to_owned(),
            created_at: work.now,
        };
        work.tx.insert(&row).await?;
        let first = GroupMember {
            tenant_id: row.tenant_id,
            group_id: row.group_id,
            user_id: who.user,
            role: StoredGroupRole::Admin,
            added_at: work.now,
        };
        work.tx.insert(&first).await?;
        work.object = format!("group/{}", row.group_id);
        info(work, row).await
    }
}

impl Handle for DeleteGroup {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        load(work, Action::DeleteGroup, self.group).await?;
        delete(work, self.group).await?;
        Ok(Done)
    }
}

impl TenantState {
    /// One line per method.
    pub(super) fn groups(&mut self, myself: &ActorRef<TenantMessage>, call: GroupsCall) {
        match call {
            GroupsCall::CreateGroup(call) => self.work(myself, call),
            GroupsCall::GetGroup(call) => self.work(myself, call),
            GroupsCall::ListGroups(call) => self.work(myself, call),
            GroupsCall::DeleteGroup(call) => self.work(myself, call),
            GroupsCall::AddMember(call) => self.work(myself, call),
            GroupsCall::RemoveMember(call) => self.work(myself, call),
            GroupsCall::SetMemberRole(call) => self.work(myself, call),
            GroupsCall::CreateResource(call) => self.work(myself, call),
            GroupsCall::ListResources(call) => self.work(myself, call),
            GroupsCall::DeleteResource(call) => self.work(myself, call),
        }
    }
}

/// A group in which the caller may do this. Unknown and foreign ones answer alike.
async fn load(work: &mut Work, action: Action, group: GroupId) -> Result<Group, ActorError> {
    let found = work.tx.get::<Group>(group).await?;
    let through = role_in(work, group).await?;
    let row = work.authorize_found(action, found, |_| as_object(through))?;
    work.object = format!("group/{group}");
    Ok(row)
}

/// A group as an object, for somebody with this role in it.
fn as_object(through: Option<GroupRole>) -> Object {
    Object { owner: Owner::Group, through, ..Object::TENANT }
}

/// The caller's role in a group, if he is a member.
async fn role_in(work: &mut Work, group: GroupId) -> Result<Option<GroupRole>, ActorError> {
    let user = work.person()?;
    Ok(work.tx.get::<GroupMember>((group, user)).await?.map(|row| row.role.into()))
}

async fn delete(work: &mut Work, group: GroupId) -> Result<(), ActorError> {
    group_vault::erase(work, group).await?;
    work.tx.delete_all::<GroupResource>(GroupResource::group_id.eq(group)).await?;
    work.tx.delete_all::<GroupMember>(GroupMember::group_id.eq(group)).await?;
    work.tx.delete::<Group>(group).await?;
    Ok(())
}

/// Whether somebody may do what administering a group is: their role in the tenant bounds what they are in it.
async fn may_administer(work: &mut Work, user: UserId) -> Result<bool, ActorError> {
    let Some(user) = work.tx.get::<User>(user).await?.filter(|user| user.state == UserState::Active) else {
        return Ok(false);
    };
    Ok(authority_of(work, &user).await?.allows(Action::ChangeGroup))
}

/// Whether this user is an administrator of the group, and no other one can act.
async fn is_last_admin(work: &mut Work, group: GroupId, user: UserId) -> Result<bool, ActorError> {
    let admins = GroupMember::group_id.eq(group).and(GroupMember::role.eq(StoredGroupRole::Admin));
    let admins = work.tx.find::<GroupMember>(admins).await?;
    if !admins.iter().any(|row| row.user_id == user) {
        return Ok(false);
    }
    for other in admins.iter().filter(|row| row.user_id != user) {
        if may_administer(work, other.user_id).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Who follows this user as administrator: of those who may, the one of the highest role who is there for the longest time. It
/// is never whoever takes the user's place away: he would get by that what nobody has given him.
async fn heir(work: &mut Work, group: GroupId, user: UserId) -> Result<Option<GroupMember>, ActorError> {
    let remover = remover(work);
    let mut others = work.tx.find::<GroupMember>(GroupMember::group_id.eq(group)).await?;
    others.retain(|row| row.user_id != user && may_inherit(row, remover));
    others.sort_by_key(|row| {
        std::cmp::Reverse((GroupRole::from(row.role), std::cmp::Reverse(row.added_at), row.user_id))
    });
    for row in &others {
        if may_administer(work, row.user_id).await? {
            return Ok(Some(row.clone()));
        }
    }
    Ok(others.into_iter().next())
}

/// Who takes a user out, or down.
fn remover(work: &Work) -> Option<UserId> {
    work.standing.caller.user().map(|who| who.user)
}

/// Whether it gives a remover nothing that somebody has not given them.
fn may_inherit(row: &GroupMember, remover: Option<UserId>) -> bool {
    Some(row.user_id) != remover || row.role == StoredGroupRole::Admin
}

/// Makes somebody an administrator in another's place.
async fn inherits(work: &mut Work, heir: GroupMember) -> Result<(), ActorError> {
    if work.details.len() < MAX_DETAILS {
        work.details.push(("heir".to_owned(), format!("{}:{}", heir.group_id, heir.user_id)));
    }
    work.tx.update(&GroupMember { role: StoredGroupRole::Admin, ..heir }).await?;
    Ok(())
}

/// A user's role in the tenant was taken down: where nobody could administer a group any more, somebody steps in who
/// can. Where nobody of it can, it stays as it is, for an owner of the tenant to delete or to give somebody a role.
pub(super) async fn lowered_in_tenant(work: &mut Work, user: UserId) -> Result<(), ActorError> {
    if may_administer(work, user).await? {
        return Ok(());
    }
    for own in work.tx.find::<GroupMember>(GroupMember::user_id.eq(user)).await? {
        if !is_last_admin(work, own.group_id, user).await? {
            continue;
        }
        if let Some(heir) = heir(work, own.group_id, user).await?
            && may_administer(work, heir.user_id).await?
        {
            inherits(work, heir).await?;
        }
    }
    Ok(())
}

/// A user leaves the tenant, and so all groups. Where nobody else could administer one, somebody steps in; a group without
/// such a member ends.
pub(super) async fn forget_user(work: &mut Work, user: UserId) -> Result<(), ActorError> {
    forget_containers_of(work, user).await?;
    for gone in work.tx.find::<GroupMember>(GroupMember::user_id.eq(user)).await? {
        let last = is_last_admin(work, gone.group_id, user).await?;
        keep_vault_open(work, gone.group_id, user, last).await?;
        work.tx.delete::<GroupMember>((gone.group_id, user)).await?;
        if !last {
            group_vault::left(work, gone.group_id, user).await?;
            continue;
        }
        match heir(work, gone.group_id, user).await? {
            Some(heir) => {
                inherits(work, heir).await?;
                // the heir is whom the letters about the group's vault go to
                group_vault::left(work, gone.group_id, user).await?;
            }
            None => delete(work, gone.group_id).await?,
        }
    }
    Ok(())
}

/// Refuses that a group's vault in which others keep secrets ends, or is shut to everybody for good, by the way.
async fn keep_vault_open(
    work: &mut Work,
    group: GroupId,
    user: UserId,
    last: bool,
) -> Result<(), ActorError> {
    if group_vault::of(work, group).await?.is_none() {
        return Ok(());
    }
    let mut others = work.tx.find::<GroupMember>(GroupMember::group_id.eq(group)).await?;
    others.retain(|row| row.user_id != user);
    if others.is_empty() {
        return Ok(());
    }
    let remover = remover(work);
    if last && !others.iter().any(|row| may_inherit(row, remover)) {
        let why = format!(
            "group {group} and its vault would end with them: let them make you an administrator of it first (`ocmt group role`), or delete the \
             group"
        );
        return Err(ActorError::precondition("LAST_ADMIN", why));
    }
    if group_vault::holds_alone(work, group, user).await? {
        let why = if group_vault::is_shared(work, group).await? {
            format!(
                "too few would be left to open the vault of group {group} together: let its administrators deal its key anew, to \
                 another of them too (`ocmt group vault rotate`), or delete the group"
            )
        } else {
            format!(
                "nobody else opens the vault of group {group}: let them admit somebody first (`ocmt group vault admit`), or \
                 delete the group"
            )
        };
        return Err(ActorError::precondition("LAST_KEY", why));
    }
    Ok(())
}

async fn info(work: &mut Work, row: Group) -> Result<GroupInfo, ActorError> {
    let members = work.tx.count::<GroupMember>(GroupMember::group_id.eq(row.group_id)).await?;
    let vault = group_vault::of(work, row.group_id).await?.map(|vault| vault.vault_id);
    Ok(GroupInfo {
        vault,
        id: row.group_id,
        name: row.name,
        members: u32::try_from(members).unwrap_or(u32::MAX),
        created_at: row.created_at,
    })
}
