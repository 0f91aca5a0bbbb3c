//! Groups, their members, and what lies under their permissions.

use ocmt_proto::v1 as pb;
use ocmt_types::{ContainerId, GroupId, ResourceId, Timestamp, UserId, VaultId};
use serde::Serialize;

use crate::{
    Client, ClientError,
    client::{id, idempotency_key, present},
    pages::Pages,
    wire::time,
};

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Which.
    pub id: GroupId,
    /// Its name.
    pub name: String,
    /// How many members it has.
    pub members: u32,
    /// Its vault; none if none was made.
    pub vault: Option<VaultId>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// Their address.
    pub email: String,
    /// What they may do in the group.
    pub role: MemberRole,
    /// Since when.
    pub added_at: Option<Timestamp>,
}

/// What a member may do in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// Sees.
    Observer,
    /// Uses.
    Member,
    /// Administers.
    Admin,
}

impl MemberRole {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observer => "observer",
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }
}

/// A container under a group's permissions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resource {
    /// Which resource.
    pub id: ResourceId,
    /// Under which group.
    pub group: GroupId,
    /// What.
    pub container: ContainerId,
    /// Since when.
    pub created_at: Option<Timestamp>,
}

impl Client {
    /// Makes a group with the caller as its administrator.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_group(&self, name: &str) -> Result<Group, ClientError> {
        let request = pb::CreateGroupRequest { name: name.to_owned(), idempotency_key: idempotency_key() };
        let answer = self.groups().create_group(request).await?.into_inner();
        group(present(answer.group, "group")?)
    }

    /// One group with its members.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn group(&self, which: GroupId) -> Result<(Group, Vec<Member>), ClientError> {
        let request = pb::GetGroupRequest { group_id: which.to_string() };
        let answer = self.groups().get_group(request).await?.into_inner();
        let members = answer.members.into_iter().map(member).collect::<Result<_, _>>()?;
        Ok((group(present(answer.group, "group")?)?, members))
    }

    /// Groups that the caller may see.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_groups(&self) -> Result<Vec<Group>, ClientError> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        let mut pages = Pages::default();
        loop {
            let request = pb::ListGroupsRequest { page_size: 100, page_token };
            let page = self.groups().list_groups(request).await?.into_inner();
            for one in page.groups {
                all.push(group(one)?);
            }
            pages.turn(&page.next_page_token)?;
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = page.next_page_token;
        }
    }

    /// Deletes a group; what lay under its permissions stays.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn delete_group(&self, which: GroupId) -> Result<(), ClientError> {
        let request =
            pb::DeleteGroupRequest { group_id: which.to_string(), idempotency_key: idempotency_key() };
        self.groups().delete_group(request).await?;
        Ok(())
    }

    /// Takes a user of the tenant in.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn add_member(
        &self,
        to: GroupId,
        whom: UserId,
        role: MemberRole,
    ) -> Result<Member, ClientError> {
        let request = pb::AddMemberRequest {
            group_id: to.to_string(),
            user_id: whom.to_string(),
            role: wire(role),
            idempotency_key: idempotency_key(),
        };
        let answer = self.groups().add_member(request).await?.into_inner();
        member(present(answer.member, "member")?)
    }

    /// Takes a member out; whether the group's vault is due for new keys by that.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn remove_member(&self, of: GroupId, whom: UserId) -> Result<bool, ClientError> {
        let request = pb::RemoveMemberRequest {
            group_id: of.to_string(),
            user_id: whom.to_string(),
            idempotency_key: idempotency_key(),
        };
        Ok(self.groups().remove_member(request).await?.into_inner().rotation_due)
    }

    /// Gives a member another role in the group.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn set_member_role(
        &self,
        of: GroupId,
        whom: UserId,
        role: MemberRole,
    ) -> Result<Member, ClientError> {
        let request = pb::SetMemberRoleRequest {
            group_id: of.to_string(),
            user_id: whom.to_string(),
            role: wire(role),
            idempotency_key: idempotency_key(),
        };
        let answer = self.groups().set_member_role(request).await?.into_inner();
        member(present(answer.member, "member")?)
    }

    /// Puts a container of the caller's under a group's permissions.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_resource(&self, of: GroupId, what: ContainerId) -> Result<Resource, ClientError> {
        let request = pb::CreateResourceRequest {
            group_id: of.to_string(),
            kind: pb::ResourceKind::Container.into(),
            object_id: what.to_string(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.groups().create_resource(request).await?.into_inner();
        resource(&present(answer.resource, "resource")?)
    }

    /// What lies under a group's permissions.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_resources(&self, of: GroupId) -> Result<Vec<Resource>, ClientError> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        let mut pages = Pages::default();
        loop {
            let request = pb::ListResourcesRequest { group_id: of.to_string(), page_size: 100, page_token };
            let page = self.groups().list_resources(request).await?.into_inner();
            for one in &page.resources {
                all.push(resource(one)?);
            }
            pages.turn(&page.next_page_token)?;
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = page.next_page_token;
        }
    }

    /// Takes something out of a group.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn delete_resource(&self, which: ResourceId) -> Result<(), ClientError> {
        let request =
            pb::DeleteResourceRequest { resource_id: which.to_string(), idempotency_key: idempotency_key() };
        self.groups().delete_resource(request).await?;
        Ok(())
    }
}

fn wire(role: MemberRole) -> i32 {
    match role {
        MemberRole::Observer => pb::MemberRole::Observer,
        MemberRole::Member => pb::MemberRole::Member,
        MemberRole::Admin => pb::MemberRole::Admin,
    }
    .into()
}

fn group(from: pb::Group) -> Result<Group, ClientError> {
    Ok(Group {
        id: id(&from.group_id, "group_id")?,
        name: from.name,
        members: from.member_count,
        vault: match from.vault_id.as_str() {
            "" => None,
            named => Some(id(named, "vault_id")?),
        },
        created_at: from.created_at.as_ref().map(time),
    })
}

pub(crate) fn member(from: pb::Member) -> Result<Member, ClientError> {
    let role = match from.role() {
        pb::MemberRole::Observer => MemberRole::Observer,
        pb::MemberRole::Member => MemberRole::Member,
        pb::MemberRole::Admin => MemberRole::Admin,
        pb::MemberRole::Unspecified => return Err(ClientError::Answer("role")),
    };
    Ok(Member {
        user: id(&from.user_id, "user_id")?,
        email: from.email,
        role,
        added_at: from.added_at.as_ref().map(time),
    })
}

fn resource(from: &pb::Resource) -> Result<Resource, ClientError> {
    Ok(Resource {
        id: id(&from.resource_id, "resource_id")?,
        group: id(&from.group_id, "group_id")?,
        container: id(&from.object_id, "object_id")?,
        created_at: from.created_at.as_ref().map(time),
    })
}
