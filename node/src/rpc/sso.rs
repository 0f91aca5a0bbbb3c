//! Sign-in at a tenant's own provider, and which that is.

use ocmt_actors::api::{
    auth::Device,
    sso::{GetOidcProvider, Provider, RemoveOidcProvider, SetOidcProvider},
};
use ocmt_proto::v1 as pb;
use ocmt_types::Secret;
use tonic::{Request, Response};

use super::{Answer, Rpc, auth::sign_in, convert, refuse};
use crate::edge::call;

/// What the client has to finish.
const LIFETIME_MS: i64 = 10 * 60_000;

pub(super) async fn begin(
    rpc: &Rpc,
    request: Request<pb::BeginOidcLoginRequest>,
) -> Answer<pb::BeginOidcLoginResponse> {
    let it = request.get_ref();
    let (meta, id) = (rpc.meta(&request, &[]), Rpc::request_id(&request)?);
    let (tenant, binding) =
        (convert::id(&it.tenant_id, "tenant_id")?, convert::digest(&it.binding_hash, "binding_hash")?);
    let begun = rpc.system.begin_sso(tenant, binding, &meta, id).await.map_err(|e| refuse(&e))?;
    let authorization_url = rpc.providers.authorization(&begun).await.map_err(|e| refuse(&e))?;
    let lifetime = Some(convert::duration(LIFETIME_MS));
    Ok(Response::new(pb::BeginOidcLoginResponse { authorization_url, lifetime }))
}

pub(super) async fn finish(
    rpc: &Rpc,
    request: Request<pb::FinishOidcLoginRequest>,
) -> Answer<pb::FinishOidcLoginResponse> {
    let (meta, id) = (rpc.meta(&request, &[]), Rpc::request_id(&request)?);
    let addr = call::peer(request.extensions());
    let it = request.into_inner();
    let binding = Secret::new(it.binding_secret.to_vec());
    let taken = rpc.system.take_sso(&it.state, &binding, &meta, id).await.map_err(|e| refuse(&e))?;
    let person = rpc.providers.person(&taken, &it.code, &it.issuer).await.map_err(|e| refuse(&e))?;
    let device = Device { name: it.client_name, addr };
    let issued = rpc.system.finish_sso(taken.tenant, person, device, &meta, id).await;
    let issued = issued.map_err(|e| refuse(&e))?;
    Ok(Response::new(pb::FinishOidcLoginResponse { sign_in: Some(sign_in(&issued)) }))
}

pub(super) async fn provider(
    rpc: &Rpc,
    request: Request<pb::GetOidcProviderRequest>,
) -> Answer<pb::GetOidcProviderResponse> {
    let found = rpc.ask(&request, &[], GetOidcProvider).await?;
    Ok(Response::new(pb::GetOidcProviderResponse { provider: found.as_ref().map(wire) }))
}

pub(super) async fn set(
    rpc: &Rpc,
    request: Request<pb::SetOidcProviderRequest>,
) -> Answer<pb::SetOidcProviderResponse> {
    let it = request.get_ref();
    let ask = SetOidcProvider {
        issuer: it.issuer.clone(),
        client_id: it.client_id.clone(),
        client_secret: (!it.client_secret.is_empty()).then(|| Secret::new(it.client_secret.clone())),
        by_email: it.by_verified_email,
    };
    let set = rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::SetOidcProviderResponse { provider: Some(wire(&set)) }))
}

pub(super) async fn remove(
    rpc: &Rpc,
    request: Request<pb::RemoveOidcProviderRequest>,
) -> Answer<pb::RemoveOidcProviderResponse> {
    rpc.ask(&request, &request.get_ref().idempotency_key, RemoveOidcProvider).await?;
    Ok(Response::new(pb::RemoveOidcProviderResponse {}))
}

fn wire(it: &Provider) -> pb::OidcProvider {
    pb::OidcProvider {
        issuer: it.issuer.clone(),
        client_id: it.client_id.clone(),
        has_client_secret: it.has_secret,
        by_verified_email: it.by_email,
        updated_at: Some(convert::time(it.updated_at)),
    }
}
