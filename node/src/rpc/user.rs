//! UserService: invitations, roles, identity keys.

use ocmt_actors::api::{
    auth::Device,
    users::{
        AcceptInvite, CreateRole, DeleteRole, GetIdentityKey, IdentityKey, InviteUser, ListRoles, ListUsers,
        PublishIdentityKey, RemoveUser, RoleId, RoleInfo, SetRole, UserInfo,
    },
};
use ocmt_proto::v1::{self as pb, user_service_server::UserService};
use ocmt_types::Secret;
use tonic::{Request, Response, async_trait};

use super::{Answer, Rpc, auth::sign_in, convert, refuse};
use crate::edge::call;

#[async_trait]
impl UserService for Rpc {
    async fn invite_user(&self, request: Request<pb::InviteUserRequest>) -> Answer<pb::InviteUserResponse> {
        let it = request.get_ref();
        let ask = InviteUser { email: it.email.clone(), role: it.role_id.clone().into() };
        let invited = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::InviteUserResponse {
            invite_id: invited.invite.to_string(),
            expires_at: Some(convert::time(invited.expires_at)),
        }))
    }

    async fn accept_invite(
        &self,
        request: Request<pb::AcceptInviteRequest>,
    ) -> Answer<pb::AcceptInviteResponse> {
        let (meta, id) = (self.meta(&request, &[]), Self::request_id(&request)?);
        let addr = call::peer(request.extensions());
        let it = request.into_inner();
        let device = Device { name: it.client_name, addr };
        let ask = AcceptInvite { token: Secret::new(it.token), device };
        let issued = self.system.accept_invite(ask, &meta, id).await.map_err(|e| refuse(&e))?;
        Ok(Response::new(pb::AcceptInviteResponse { sign_in: Some(sign_in(&issued)) }))
    }

    async fn list_users(&self, request: Request<pb::ListUsersRequest>) -> Answer<pb::ListUsersResponse> {
        let it = request.get_ref();
        let after = convert::optional_id(&it.page_token, "page_token")?;
        let ask = ListUsers { after, limit: convert::page_size(it.page_size, 50) };
        let page = self.ask(&request, &[], ask).await?;
        Ok(Response::new(pb::ListUsersResponse {
            users: page.users.iter().map(user).collect(),
            next_page_token: page.next.map(|next| next.to_string()).unwrap_or_default(),
        }))
    }

    async fn set_role(&self, request: Request<pb::SetRoleRequest>) -> Answer<pb::SetRoleResponse> {
        let it = request.get_ref();
        let ask = SetRole { user: convert::id(&it.user_id, "user_id")?, role: it.role_id.clone().into() };
        let changed = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::SetRoleResponse { user: Some(user(&changed)) }))
    }

    async fn create_role(&self, request: Request<pb::CreateRoleRequest>) -> Answer<pb::CreateRoleResponse> {
        let it = request.get_ref();
        let ask = CreateRole {
            id: it.role_id.clone(),
            base: convert::built_in_role(&it.base_role_id, "base_role_id")?,
            permissions: it.permissions.clone(),
        };
        let made = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::CreateRoleResponse { role: Some(role(made)) }))
    }

    async fn list_roles(&self, request: Request<pb::ListRolesRequest>) -> Answer<pb::ListRolesResponse> {
        let it = request.get_ref();
        let after = (!it.page_token.is_empty()).then(|| it.page_token.clone());
        let ask = ListRoles { after, limit: convert::page_size(it.page_size, 50) };
        let page = self.ask(&request, &[], ask).await?;
        Ok(Response::new(pb::ListRolesResponse {
            roles: page.roles.into_iter().map(role).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn delete_role(&self, request: Request<pb::DeleteRoleRequest>) -> Answer<pb::DeleteRoleResponse> {
        let it = request.get_ref();
        self.ask(&request, &it.idempotency_key, DeleteRole { id: it.role_id.clone() }).await?;
        Ok(Response::new(pb::DeleteRoleResponse::default()))
    }

    async fn remove_user(&self, request: Request<pb::RemoveUserRequest>) -> Answer<pb::RemoveUserResponse> {
        let it = request.get_ref();
        let ask = RemoveUser { user: convert::id(&it.user_id, "user_id")? };
        self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::RemoveUserResponse::default()))
    }

    async fn publish_identity_key(
        &self,
        request: Request<pb::PublishIdentityKeyRequest>,
    ) -> Answer<pb::PublishIdentityKeyResponse> {
        let it = request.get_ref();
        let ask = PublishIdentityKey {
            verify_key: convert::digest(&it.signing_key, "signing_key")?.0,
            seal_key: convert::digest(&it.sealing_key, "sealing_key")?.0,
        };
        let key = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::PublishIdentityKeyResponse { identity_key: Some(identity_key(&key)) }))
    }

    async fn get_identity_key(
        &self,
        request: Request<pb::GetIdentityKeyRequest>,
    ) -> Answer<pb::GetIdentityKeyResponse> {
        let asked = convert::optional_id(&request.get_ref().user_id, "user_id")?;
        let user = match asked {
            Some(user) => user,
            None => {
                let own = self.caller(&request).await?.user().map(|who| who.user);
                own.ok_or_else(|| convert::invalid("user_id", "is missing"))?
            }
        };
        let key = self.ask(&request, &[], GetIdentityKey { user }).await?;
        Ok(Response::new(pb::GetIdentityKeyResponse { identity_key: Some(identity_key(&key)) }))
    }
}

fn user(info: &UserInfo) -> pb::User {
    pb::User {
        user_id: info.id.to_string(),
        email: info.email.clone(),
        role_id: info.role.to_string(),
        state: pb::UserState::Active.into(),
        created_at: Some(convert::time(info.created_at)),
        factors: info.has_second_factor.then(|| pb::SecondFactor::Totp.into()).into_iter().collect(),
        ..Default::default()
    }
}

fn role(info: RoleInfo) -> pb::Role {
    pb::Role {
        built_in: matches!(info.id, RoleId::BuiltIn(_)),
        role_id: info.id.to_string(),
        base_role_id: RoleId::from(info.base).to_string(),
        permissions: info.permissions,
    }
}

fn identity_key(key: &IdentityKey) -> pb::IdentityKey {
    pb::IdentityKey {
        user_id: key.user.to_string(),
        signing_key: key.verify_key.to_vec().into(),
        sealing_key: key.seal_key.to_vec().into(),
        ..Default::default()
    }
}
