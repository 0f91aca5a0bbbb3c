//! ShareService: shares between people, and tokens of programs.

use ocmt_actors::api::{
    capabilities::{ApproveCapability, DenyCapability, ListCapabilities, RequestCapability},
    programs::{CreateProgramToken, ReleaseProgramToken, RevokeProgramToken},
    shares::{AcceptShare, CreateShare, ListShares, RevokeShare, SendSharedWrite},
};
use ocmt_proto::v1::{self as pb, share_service_server::ShareService};
use ocmt_types::Digest32;
use sha2::{Digest as _, Sha256};
use tonic::{Request, Response, async_trait};

use super::{Answer, Rpc, convert, share_wire as wire};

#[async_trait]
impl ShareService for Rpc {
    async fn create_share(
        &self,
        request: Request<pb::CreateShareRequest>,
    ) -> Answer<pb::CreateShareResponse> {
        let it = request.get_ref();
        let ask = CreateShare {
            vault: convert::id(&it.vault_id, "vault_id")?,
            taker_email: it.taker_email.clone(),
            permissions: wire::permissions(&it.permissions)?,
            grants: wire::grants(&it.grants)?,
            lifetime_ms: it.lifetime.as_ref().map(convert::millis),
            share: convert::optional_id(&it.share_id, "share_id")?,
            write_grants: it.write_grants.iter().map(|one| one.to_vec()).collect(),
        };
        let made = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::CreateShareResponse { share: Some(wire::share(made)) }))
    }

    async fn accept_share(
        &self,
        request: Request<pb::AcceptShareRequest>,
    ) -> Answer<pb::AcceptShareResponse> {
        let it = request.get_ref();
        let ask = AcceptShare { share: convert::id(&it.share_id, "share_id")? };
        let taken = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::AcceptShareResponse { share: Some(wire::share(taken)) }))
    }

    async fn list_shares(&self, request: Request<pb::ListSharesRequest>) -> Answer<pb::ListSharesResponse> {
        let it = request.get_ref();
        let ask = ListShares {
            states: wire::states(&it.states)?,
            after: wire::after(&it.page_token)?,
            limit: convert::page_size(it.page_size, 50),
        };
        let page = self.ask(&request, &[], ask).await?;
        Ok(Response::new(pb::ListSharesResponse {
            shares: page.shares.into_iter().map(wire::share).collect(),
            next_page_token: wire::page_token(page.next),
        }))
    }

    async fn revoke_share(
        &self,
        request: Request<pb::RevokeShareRequest>,
    ) -> Answer<pb::RevokeShareResponse> {
        let it = request.get_ref();
        let ask = RevokeShare { share: convert::id(&it.share_id, "share_id")? };
        let ended = self.ask(&request, &it.idempotency_key, ask).await?;
        let rekey_object_ids = ended.rekey.into_iter().map(|object| object.to_vec().into()).collect();
        Ok(Response::new(pb::RevokeShareResponse { rekey_object_ids }))
    }

    async fn send_shared_write(
        &self,
        request: Request<pb::SendSharedWriteRequest>,
    ) -> Answer<pb::SendSharedWriteResponse> {
        let it = request.get_ref();
        let ask = SendSharedWrite { share: convert::id(&it.share_id, "share_id")?, item: it.item.to_vec() };
        let sent = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::SendSharedWriteResponse { write_id: sent.id.to_string() }))
    }

    async fn request_capability(
        &self,
        request: Request<pb::RequestCapabilityRequest>,
    ) -> Answer<pb::RequestCapabilityResponse> {
        let it = request.get_ref();
        let ask = RequestCapability {
            object: it.object.clone(),
            vault: convert::optional_id(&it.vault_id, "vault_id")?,
            permissions: wire::permissions(&it.permissions)?,
            lifetime_ms: convert::millis(&convert::present(it.lifetime, "lifetime")?),
            reason: it.reason.clone(),
            sign_key: match it.sign_key.as_ref() {
                [] => None,
                key => Some(convert::digest(key, "sign_key")?.0),
            },
        };
        let asked = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::RequestCapabilityResponse { capability: Some(wire::capability(asked)) }))
    }

    async fn list_capabilities(
        &self,
        request: Request<pb::ListCapabilitiesRequest>,
    ) -> Answer<pb::ListCapabilitiesResponse> {
        let it = request.get_ref();
        let ask = ListCapabilities {
            waiting: it.waiting,
            after: wire::after(&it.page_token)?,
            limit: convert::page_size(it.page_size, 50),
        };
        let page = self.ask(&request, &[], ask).await?;
        Ok(Response::new(pb::ListCapabilitiesResponse {
            capabilities: page.capabilities.into_iter().map(wire::capability).collect(),
            next_page_token: wire::page_token(page.next),
        }))
    }

    async fn approve_capability(
        &self,
        request: Request<pb::ApproveCapabilityRequest>,
    ) -> Answer<pb::ApproveCapabilityResponse> {
        let it = request.get_ref();
        let ask = ApproveCapability {
            capability: convert::id(&it.capability_id, "capability_id")?,
            permissions: wire::permissions(&it.permissions)?,
            lifetime_ms: convert::millis(&convert::present(it.lifetime, "lifetime")?),
            grants: wire::grants(&it.grants)?,
            share: convert::optional_id(&it.share_id, "share_id")?,
            write_grants: it.write_grants.iter().map(|one| one.to_vec()).collect(),
        };
        let given = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::ApproveCapabilityResponse { capability: Some(wire::capability(given)) }))
    }

    async fn deny_capability(
        &self,
        request: Request<pb::DenyCapabilityRequest>,
    ) -> Answer<pb::DenyCapabilityResponse> {
        let it = request.get_ref();
        let ask = DenyCapability { capability: convert::id(&it.capability_id, "capability_id")? };
        let refused = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::DenyCapabilityResponse { capability: Some(wire::capability(refused)) }))
    }

    async fn create_program_token(
        &self,
        request: Request<pb::CreateProgramTokenRequest>,
    ) -> Answer<pb::CreateProgramTokenResponse> {
        let it = request.get_ref();
        let ask = CreateProgramToken {
            name: it.name.clone(),
            vault: convert::id(&it.vault_id, "vault_id")?,
            program_key: convert::digest(&it.program_key, "program_key")?.0,
            grants: wire::grants(&it.grants)?,
            lifetime_ms: convert::millis(&convert::present(it.lifetime, "lifetime")?),
            asked_by: Digest32(Sha256::digest(&it.idempotency_key).into()),
        };
        let made = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::CreateProgramTokenResponse {
            program_token_id: made.id.to_string(),
            secret: made.secret.expose().clone(),
            expires_at: Some(convert::time(made.expires_at)),
        }))
    }

    async fn revoke_program_token(
        &self,
        request: Request<pb::RevokeProgramTokenRequest>,
    ) -> Answer<pb::RevokeProgramTokenResponse> {
        let it = request.get_ref();
        let ask = RevokeProgramToken { token: convert::id(&it.program_token_id, "program_token_id")? };
        let ended = self.ask(&request, &it.idempotency_key, ask).await?;
        let rekey_object_ids = ended.rekey.into_iter().map(|object| object.to_vec().into()).collect();
        let vault_id = ended.vault.to_string();
        Ok(Response::new(pb::RevokeProgramTokenResponse { rekey_object_ids, vault_id }))
    }

    async fn release_program_token(
        &self,
        request: Request<pb::ReleaseProgramTokenRequest>,
    ) -> Answer<pb::ReleaseProgramTokenResponse> {
        let it = request.get_ref();
        let ask = ReleaseProgramToken { token: convert::id(&it.program_token_id, "program_token_id")? };
        self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::ReleaseProgramTokenResponse {}))
    }
}
