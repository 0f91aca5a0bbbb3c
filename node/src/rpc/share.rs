//! ShareService: shares between people, and tokens of programs.

use ocmt_actors::api::{
    programs::{CreateProgramToken, RevokeProgramToken},
    shares::{AcceptShare, CreateShare, ListShares, RevokeShare},
};
use ocmt_proto::v1::{self as pb, share_service_server::ShareService};
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
        Ok(Response::new(pb::RevokeProgramTokenResponse { rekey_object_ids }))
    }
}
