//! Who is in a group, and as what.

use ocmt_store::tables::{GroupMember, User, UserState};
use ocmt_types::{GroupId, UserId};

use super::{MOST_MEMBERS, is_last_admin, load, resources::take_back};
use crate::{
    api::groups::{AddMember, GroupRole, MemberInfo, MemberRemoved, RemoveMember, SetMemberRole},
    authorize::Action,
    error::ActorError,
    tenant::group_vault,
    work::{Handle, Work},
};

impl Handle for AddMember {
    async fn handle(self, work: &mut Work) -> Result<MemberInfo, ActorError> {
        load(work, Action::ChangeGroup, self.group).await?;
        let user = user(work, self.user).await?;
        if work.tx.count::<GroupMember>(GroupMember::group_id.eq(self.group)).await? >= MOST_MEMBERS {
            return Err(ActorError::exhausted("TOO_MANY_MEMBERS", "a group has at most 255 members"));
        }
        let row = GroupMember {
            tenant_id: work.ownership.tenant,
            group_id: self.group,
            user_id: self.user,
            role: self.role.into(),
            added_at: work.now,
        };
        work.tx.insert(&row).await?;
        about(work, self.user, Some(self.role));
        Ok(info(&row, user.email))
    }
}

impl Handle for RemoveMember {
    async fn handle(self, work: &mut Work) -> Result<MemberRemoved, ActorError> {
        let own = work.user()?.user == self.user;
        load(work, if own { Action::LeaveGroup } else { Action::TakeOutOfGroup }, self.group).await?;
        member(work, self.group, self.user).await?;
        keep_an_admin(work, self.group, self.user).await?;
        keep_a_key(work, self.group, self.user).await?;
        work.tx.delete::<GroupMember>((self.group, self.user)).await?;
        take_back(work, self.group, self.user).await?;
        let rotation_due = group_vault::left(work, self.group, self.user).await?;
        about(work, self.user, None);
        Ok(MemberRemoved { rotation_due })
    }
}

impl Handle for SetMemberRole {
    async fn handle(self, work: &mut Work) -> Result<MemberInfo, ActorError> {
        load(work, Action::ChangeGroup, self.group).await?;
        let row = member(work, self.group, self.user).await?;
        if self.role != GroupRole::Admin {
            keep_an_admin(work, self.group, self.user).await?;
        }
        let before = GroupRole::from(row.role);
        if self.role < before && group_vault::loses_key(work, self.group, self.role).await? {
            keep_a_key(work, self.group, self.user).await?;
        }
        let row = GroupMember { role: self.role.into(), ..row };
        work.tx.update(&row).await?;
        if self.role < before {
            group_vault::lowered(work, self.group, self.user, self.role).await?;
        }
        about(work, self.user, Some(self.role));
        let email = user(work, self.user).await?.email;
        Ok(info(&row, email))
    }
}

async fn member(work: &mut Work, group: GroupId, user: UserId) -> Result<GroupMember, ActorError> {
    work.tx.get::<GroupMember>((group, user)).await?.ok_or(ActorError::NotFound)
}

/// An active user of the tenant.
async fn user(work: &mut Work, user: UserId) -> Result<User, ActorError> {
    let found = work.tx.get::<User>(user).await?.filter(|user| user.state == UserState::Active);
    found.ok_or(ActorError::NotFound)
}

async fn keep_an_admin(work: &mut Work, group: GroupId, user: UserId) -> Result<(), ActorError> {
    if is_last_admin(work, group, user).await? {
        return Err(ActorError::precondition(
            "LAST_ADMIN",
            "the last administrator of a group stays: make another member one, or delete the group",
        ));
    }
    Ok(())
}

/// Nobody could open the group's vault any more.
async fn keep_a_key(work: &mut Work, group: GroupId, user: UserId) -> Result<(), ActorError> {
    if group_vault::holds_alone(work, group, user).await? {
        let why = if group_vault::is_shared(work, group).await? {
            "too few would be left to open the group's vault together: deal its key anew, to another administrator too \
             (`ocmt group vault rotate`), or delete the group"
        } else {
            "nobody else can open the group's vault: admit another member to it first (`ocmt group vault admit`), or delete the group"
        };
        return Err(ActorError::precondition("LAST_KEY", why));
    }
    Ok(())
}

fn about(work: &mut Work, user: UserId, role: Option<GroupRole>) {
    work.details = vec![("user".to_owned(), user.to_string())];
    work.details.extend(role.map(|role| ("role".to_owned(), role.as_str().to_owned())));
}

pub(super) fn info(row: &GroupMember, email: String) -> MemberInfo {
    MemberInfo { user: row.user_id, email, role: row.role.into(), added_at: row.added_at }
}
