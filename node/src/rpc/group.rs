//! GroupService: groups, their members, and what lies under their permissions.

use ocmt_actors::{
    ActorError,
    api::groups::{
        AddMember, CreateGroup, CreateResource, DeleteGroup, DeleteResource, GetGroup, GroupInfo, GroupRole,
        ListGroups, ListResources, MemberInfo, RemoveMember, ResourceInfo, SetMemberRole,
    },
};
use ocmt_proto::v1::{self as pb, group_service_server::GroupService};
use tonic::{Request, Response, Status, async_trait};

use super::{Answer, Rpc, convert, group_cell, group_unlock, group_vault, refuse};

#[async_trait]
impl GroupService for Rpc {
    async fn create_group(
        &self,
        request: Request<pb::CreateGroupRequest>,
    ) -> Answer<pb::CreateGroupResponse> {
        let it = request.get_ref();
        let ask = CreateGroup { name: it.name.clone() };
        let made = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::CreateGroupResponse { group: Some(group(&made)) }))
    }

    async fn get_group(&self, request: Request<pb::GetGroupRequest>) -> Answer<pb::GetGroupResponse> {
        let ask = GetGroup { group: convert::id(&request.get_ref().group_id, "group_id")? };
        let found = self.ask(&request, &[], ask).await?;
        Ok(Response::new(pb::GetGroupResponse {
            group: Some(group(&found.group)),
            members: found.members.iter().map(member).collect(),
        }))
    }

    async fn list_groups(&self, request: Request<pb::ListGroupsRequest>) -> Answer<pb::ListGroupsResponse> {
        let it = request.get_ref();
        let ask = ListGroups {
            after: convert::page_text(&it.page_token)?,
            limit: convert::page_size(it.page_size, 50),
        };
        let page = self.ask(&request, &[], ask).await?;
        Ok(Response::new(pb::ListGroupsResponse {
            groups: page.groups.iter().map(group).collect(),
            next_page_token: convert::page_token(page.next.as_deref()),
        }))
    }

    async fn delete_group(
        &self,
        request: Request<pb::DeleteGroupRequest>,
    ) -> Answer<pb::DeleteGroupResponse> {
        let it = request.get_ref();
        let ask = DeleteGroup { group: convert::id(&it.group_id, "group_id")? };
        self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::DeleteGroupResponse::default()))
    }

    async fn add_member(&self, request: Request<pb::AddMemberRequest>) -> Answer<pb::AddMemberResponse> {
        let it = request.get_ref();
        let ask = AddMember {
            group: convert::id(&it.group_id, "group_id")?,
            user: convert::id(&it.user_id, "user_id")?,
            role: group_role(it.role)?,
        };
        let added = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::AddMemberResponse { member: Some(member(&added)) }))
    }

    async fn remove_member(
        &self,
        request: Request<pb::RemoveMemberRequest>,
    ) -> Answer<pb::RemoveMemberResponse> {
        let it = request.get_ref();
        let ask = RemoveMember {
            group: convert::id(&it.group_id, "group_id")?,
            user: convert::id(&it.user_id, "user_id")?,
        };
        let removed = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::RemoveMemberResponse { rotation_due: removed.rotation_due }))
    }

    async fn set_member_role(
        &self,
        request: Request<pb::SetMemberRoleRequest>,
    ) -> Answer<pb::SetMemberRoleResponse> {
        let it = request.get_ref();
        let ask = SetMemberRole {
            group: convert::id(&it.group_id, "group_id")?,
            user: convert::id(&it.user_id, "user_id")?,
            role: group_role(it.role)?,
        };
        let changed = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::SetMemberRoleResponse { member: Some(member(&changed)) }))
    }

    async fn create_resource(
        &self,
        request: Request<pb::CreateResourceRequest>,
    ) -> Answer<pb::CreateResourceResponse> {
        let it = request.get_ref();
        // who may not call at all learns nothing of what is not built
        self.caller(&request).await?;
        match pb::ResourceKind::try_from(it.kind) {
            Ok(pb::ResourceKind::Container) => {}
            Ok(pb::ResourceKind::Entry | pb::ResourceKind::Conversation) => {
                return Err(refuse(&ActorError::Unimplemented(
                    "groups hold containers; entries lie in the group's vault, and conversations of groups are not built",
                )));
            }
            Ok(pb::ResourceKind::Unspecified) | Err(_) => return Err(convert::invalid("kind", "is missing")),
        }
        let ask = CreateResource {
            group: convert::id(&it.group_id, "group_id")?,
            container: convert::id(&it.object_id, "object_id")?,
        };
        let made = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::CreateResourceResponse { resource: Some(resource(&made)) }))
    }

    async fn list_resources(
        &self,
        request: Request<pb::ListResourcesRequest>,
    ) -> Answer<pb::ListResourcesResponse> {
        let it = request.get_ref();
        let ask = ListResources {
            group: convert::id(&it.group_id, "group_id")?,
            after: convert::optional_id(&it.page_token, "page_token")?,
            limit: convert::page_size(it.page_size, 50),
        };
        let page = self.ask(&request, &[], ask).await?;
        Ok(Response::new(pb::ListResourcesResponse {
            resources: page.resources.iter().map(resource).collect(),
            next_page_token: page.next.map(|next| next.to_string()).unwrap_or_default(),
        }))
    }

    async fn delete_resource(
        &self,
        request: Request<pb::DeleteResourceRequest>,
    ) -> Answer<pb::DeleteResourceResponse> {
        let it = request.get_ref();
        let ask = DeleteResource { resource: convert::id(&it.resource_id, "resource_id")? };
        self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::DeleteResourceResponse::default()))
    }

    async fn get_group_vault(
        &self,
        request: Request<pb::GetGroupVaultRequest>,
    ) -> Answer<pb::GetGroupVaultResponse> {
        group_vault::get(self, request).await
    }

    async fn accept_group_vault(
        &self,
        request: Request<pb::AcceptGroupVaultRequest>,
    ) -> Answer<pb::AcceptGroupVaultResponse> {
        group_vault::accept(self, request).await
    }

    async fn admit_to_group_vault(
        &self,
        request: Request<pb::AdmitToGroupVaultRequest>,
    ) -> Answer<pb::AdmitToGroupVaultResponse> {
        group_vault::admit(self, request).await
    }

    async fn open_group_unlock(
        &self,
        request: Request<pb::OpenGroupUnlockRequest>,
    ) -> Answer<pb::OpenGroupUnlockResponse> {
        group_unlock::open(self, request).await
    }

    async fn get_group_unlock(
        &self,
        request: Request<pb::GetGroupUnlockRequest>,
    ) -> Answer<pb::GetGroupUnlockResponse> {
        group_unlock::get(self, request).await
    }

    async fn list_group_unlocks(
        &self,
        request: Request<pb::ListGroupUnlocksRequest>,
    ) -> Answer<pb::ListGroupUnlocksResponse> {
        group_unlock::list(self, request).await
    }

    async fn approve_group_unlock(
        &self,
        request: Request<pb::ApproveGroupUnlockRequest>,
    ) -> Answer<pb::ApproveGroupUnlockResponse> {
        group_unlock::approve(self, request).await
    }

    async fn deny_group_unlock(
        &self,
        request: Request<pb::DenyGroupUnlockRequest>,
    ) -> Answer<pb::DenyGroupUnlockResponse> {
        group_unlock::deny(self, request).await
    }

    async fn cancel_group_unlock(
        &self,
        request: Request<pb::CancelGroupUnlockRequest>,
    ) -> Answer<pb::CancelGroupUnlockResponse> {
        group_unlock::cancel(self, request).await
    }

    async fn collect_group_unlock(
        &self,
        request: Request<pb::CollectGroupUnlockRequest>,
    ) -> Answer<pb::CollectGroupUnlockResponse> {
        group_unlock::collect(self, request).await
    }

    async fn appoint_group_cell(
        &self,
        request: Request<pb::AppointGroupCellRequest>,
    ) -> Answer<pb::AppointGroupCellResponse> {
        group_cell::appoint(self, request).await
    }

    async fn dismiss_group_cell(
        &self,
        request: Request<pb::DismissGroupCellRequest>,
    ) -> Answer<pb::DismissGroupCellResponse> {
        group_cell::dismiss(self, request).await
    }

    async fn get_group_cell(
        &self,
        request: Request<pb::GetGroupCellRequest>,
    ) -> Answer<pb::GetGroupCellResponse> {
        group_cell::get(self, request).await
    }

    async fn get_group_cell_key(
        &self,
        request: Request<pb::GetGroupCellKeyRequest>,
    ) -> Answer<pb::GetGroupCellKeyResponse> {
        group_cell::key(self, request).await
    }

    async fn open_group_cell(
        &self,
        request: Request<pb::OpenGroupCellRequest>,
    ) -> Answer<pb::OpenGroupCellResponse> {
        group_cell::open(self, request).await
    }
}

fn group_role(role: i32) -> Result<GroupRole, Status> {
    match pb::MemberRole::try_from(role) {
        Ok(pb::MemberRole::Observer) => Ok(GroupRole::Observer),
        Ok(pb::MemberRole::Member) => Ok(GroupRole::Member),
        Ok(pb::MemberRole::Admin) => Ok(GroupRole::Admin),
        Ok(pb::MemberRole::Unspecified) | Err(_) => Err(convert::invalid("role", "is missing")),
    }
}

fn group(info: &GroupInfo) -> pb::Group {
    pb::Group {
        group_id: info.id.to_string(),
        name: info.name.clone(),
        vault_id: info.vault.map(|vault| vault.to_string()).unwrap_or_default(),
        member_count: info.members,
        created_at: Some(convert::time(info.created_at)),
    }
}

fn member(info: &MemberInfo) -> pb::Member {
    pb::Member {
        user_id: info.user.to_string(),
        email: info.email.clone(),
        role: role(info.role),
        added_at: Some(convert::time(info.added_at)),
    }
}

pub(super) fn role(role: GroupRole) -> i32 {
    match role {
        GroupRole::Observer => pb::MemberRole::Observer,
        GroupRole::Member => pb::MemberRole::Member,
        GroupRole::Admin => pb::MemberRole::Admin,
    }
    .into()
}

fn resource(info: &ResourceInfo) -> pb::Resource {
    pb::Resource {
        resource_id: info.id.to_string(),
        group_id: info.group.to_string(),
        kind: pb::ResourceKind::Container.into(),
        object_id: info.container.to_string(),
        created_at: Some(convert::time(info.created_at)),
    }
}
