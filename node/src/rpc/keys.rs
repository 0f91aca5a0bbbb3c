//! AuthService: API keys.

use ocmt_actors::api::keys::{ApiKeyInfo, CreateApiKey, KeysAfter, ListApiKeys, RevokeApiKey};
use ocmt_proto::v1 as pb;
use ocmt_types::{Digest32, Timestamp};
use sha2::{Digest as _, Sha256};
use tonic::{Request, Response, Status};

use super::{Answer, Rpc, convert};

pub(super) async fn create(
    rpc: &Rpc,
    request: Request<pb::CreateApiKeyRequest>,
) -> Answer<pb::CreateApiKeyResponse> {
    let it = request.get_ref();
    let ask = CreateApiKey {
        name: it.name.clone(),
        scopes: it.scopes.clone(),
        lifetime_ms: convert::millis(&convert::present(it.lifetime, "lifetime")?),
        asked_by: Digest32(Sha256::digest(&it.idempotency_key).into()),
    };
    let made = rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::CreateApiKeyResponse {
        secret: made.secret.expose().clone(),
        api_key: Some(api_key(made.key)),
    }))
}

pub(super) async fn list(
    rpc: &Rpc,
    request: Request<pb::ListApiKeysRequest>,
) -> Answer<pb::ListApiKeysResponse> {
    let it = request.get_ref();
    let ask = ListApiKeys { after: after(&it.page_token)?, limit: convert::page_size(it.page_size, 50) };
    let page = rpc.ask(&request, &[], ask).await?;
    Ok(Response::new(pb::ListApiKeysResponse {
        api_keys: page.keys.into_iter().map(api_key).collect(),
        next_page_token: page.next.map(token).unwrap_or_default(),
    }))
}

pub(super) async fn revoke(
    rpc: &Rpc,
    request: Request<pb::RevokeApiKeyRequest>,
) -> Answer<pb::RevokeApiKeyResponse> {
    let it = request.get_ref();
    let ask = RevokeApiKey { key: convert::id(&it.api_key_id, "api_key_id")? };
    rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::RevokeApiKeyResponse {}))
}

pub(super) fn api_key(key: ApiKeyInfo) -> pb::ApiKey {
    pb::ApiKey {
        api_key_id: key.id.to_string(),
        name: key.name,
        scopes: key.scopes,
        created_at: Some(convert::time(key.created_at)),
        expires_at: Some(convert::time(key.expires_at)),
        last_used_at: key.last_used_at.map(convert::time),
    }
}

/// A page token: when the last key of the page before was made, and which it is.
fn token((made, key): KeysAfter) -> String {
    format!("{}.{key}", made.millis())
}

fn after(token: &str) -> Result<Option<KeysAfter>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let read = |(made, key): (&str, &str)| Some((Timestamp(made.parse().ok()?), key.parse().ok()?));
    let after = token.split_once('.').and_then(read);
    after.map(Some).ok_or_else(|| convert::invalid("page_token", "is not one of ours"))
}
