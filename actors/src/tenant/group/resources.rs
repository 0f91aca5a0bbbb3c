//! What lies under a group's permissions: containers that their owners have put there.

use ocmt_store::{
    ReadTx,
    tables::{Container, DesiredState, GroupMember, GroupResource},
};
use ocmt_types::{ContainerId, GroupId, UserId};

use super::{as_object, load, reads::page, role_in};
use crate::{
    api::{
        groups::{CreateResource, DeleteResource, GroupRole, ListResources, ResourceInfo, ResourcePage},
        users::Done,
    },
    authorize::{Action, Object},
    error::ActorError,
    work::{Handle, Work},
};

/// Resources of one group, and groups that hold one container.
const MOST: i64 = 500;

impl Handle for CreateResource {
    async fn handle(self, work: &mut Work) -> Result<ResourceInfo, ActorError> {
        load(work, Action::PutIntoGroup, self.group).await?;
        let found = work.tx.get::<Container>(self.container).await?;
        let found = found.filter(|row| row.desired != DesiredState::Absent);
        // only its owner gives others a part in it, whatever a group has made of it already
        work.authorize_found(Action::GiveContainer, found, |row| Object::of(row.user_id))?;
        let in_group = work.tx.count::<GroupResource>(GroupResource::group_id.eq(self.group)).await?;
        let in_groups =
            work.tx.count::<GroupResource>(GroupResource::container_id.eq(self.container)).await?;
        if in_group >= MOST || in_groups >= MOST {
            return Err(ActorError::exhausted("TOO_MANY_RESOURCES", "a group holds at most 500 resources"));
        }
        let row = GroupResource {
            tenant_id: work.ownership.tenant,
            resource_id: work.env.id(),
            group_id: self.group,
            container_id: self.container,
            created_at: work.now,
        };
        work.tx.insert(&row).await?;
        work.details = vec![("container".to_owned(), self.container.to_string())];
        Ok(info(&row))
    }
}

impl Handle for ListResources {
    async fn handle(self, work: &mut Work) -> Result<ResourcePage, ActorError> {
        load(work, Action::ReadGroup, self.group).await?;
        let limit = page(self.limit);
        let mut rows = work.tx.find::<GroupResource>(GroupResource::group_id.eq(self.group)).await?;
        rows.retain(|row| self.after.is_none_or(|after| row.resource_id > after));
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| row.resource_id);
        Ok(ResourcePage { resources: rows.iter().map(info).collect(), next })
    }
}

impl Handle for DeleteResource {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        let found = work.tx.get::<GroupResource>(self.resource).await?;
        let (through, owner) = match &found {
            Some(row) => {
                let owner = work.tx.get::<Container>(row.container_id).await?.map(|row| row.user_id);
                (role_in(work, row.group_id).await?, owner)
            }
            None => (None, None),
        };
        // its owner takes it back, whether or not he is still a member; else the group that holds it decides
        let own =
            owner.is_some_and(|owner| work.authorize(Action::GiveContainer, &Object::of(owner)).is_ok());
        let row = if own {
            found.ok_or(ActorError::NotFound)?
        } else {
            work.authorize_found(Action::ChangeGroup, found, |_| as_object(through))?
        };
        work.tx.delete::<GroupResource>(row.resource_id).await?;
        work.object = format!("group/{}", row.group_id);
        work.details = vec![("container".to_owned(), row.container_id.to_string())];
        Ok(Done)
    }
}

/// The caller's strongest role in the groups that hold a container of somebody else.
pub(in crate::tenant) async fn through(
    work: &mut Work,
    container: &Container,
) -> Result<Option<GroupRole>, ActorError> {
    match work.standing.caller.person() {
        Some(user) => through_of(&mut work.tx, user, container.container_id, container.user_id).await,
        None => Ok(None),
    }
}

/// The same for a user who watches, of a container that may be gone.
pub(in crate::tenant) async fn through_of(
    tx: &mut ReadTx,
    user: UserId,
    container: ContainerId,
    owner: UserId,
) -> Result<Option<GroupRole>, ActorError> {
    if user == owner {
        return Ok(None);
    }
    let mut strongest = None;
    for held in tx.find::<GroupResource>(GroupResource::container_id.eq(container)).await? {
        let member = tx.get::<GroupMember>((held.group_id, user)).await?;
        strongest = strongest.max(member.map(|row| GroupRole::from(row.role)));
    }
    Ok(strongest)
}

/// A container goes.
pub(in crate::tenant) async fn forget_container(
    work: &mut Work,
    container: ContainerId,
) -> Result<(), ActorError> {
    work.tx.delete_all::<GroupResource>(GroupResource::container_id.eq(container)).await?;
    Ok(())
}

/// The owner of containers goes.
pub(in crate::tenant) async fn forget_containers_of(work: &mut Work, user: UserId) -> Result<(), ActorError> {
    for row in work.tx.find::<Container>(Container::user_id.eq(user)).await? {
        forget_container(work, row.container_id).await?;
    }
    Ok(())
}

/// Who leaves a group, or is put out of it, takes along what he has put into it: he would not find it there any more.
pub(super) async fn take_back(work: &mut Work, group: GroupId, user: UserId) -> Result<(), ActorError> {
    for row in work.tx.find::<Container>(Container::user_id.eq(user)).await? {
        let held = GroupResource::group_id.eq(group).and(GroupResource::container_id.eq(row.container_id));
        work.tx.delete_all::<GroupResource>(held).await?;
    }
    Ok(())
}

fn info(row: &GroupResource) -> ResourceInfo {
    ResourceInfo {
        id: row.resource_id,
        group: row.group_id,
        container: row.container_id,
        created_at: row.created_at,
    }
}
