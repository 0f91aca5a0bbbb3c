//! ShareService: tokens of programs.

use ocmt_actors::api::programs::{CreateProgramToken, EntryGrant, RevokeProgramToken};
use ocmt_proto::v1::{self as pb, share_service_server::ShareService};
use tonic::{Request, Response, Status, async_trait};

use super::{Answer, Rpc, convert};

#[async_trait]
impl ShareService for Rpc {
    async fn create_program_token(
        &self,
        request: Request<pb::CreateProgramTokenRequest>,
    ) -> Answer<pb::CreateProgramTokenResponse> {
        let it = request.get_ref();
        let ask = CreateProgramToken {
            name: it.name.clone(),
            vault: convert::id(&it.vault_id, "vault_id")?,
            program_key: convert::digest(&it.program_key, "program_key")?.0,
            grants: it.grants.iter().map(grant).collect::<Result<_, Status>>()?,
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

fn grant(from: &pb::EntryGrant) -> Result<EntryGrant, Status> {
    Ok(EntryGrant {
        object: convert::digest(&from.object_id, "object_id")?,
        version: from.version,
        sealed: from.sealed_grant.to_vec(),
    })
}
