//! AuthService: passkeys. With a session they finish a sign-in or prove presence, without one they are the sign-in.

use http::header::AUTHORIZATION;
use ocmt_actors::api::{
    auth::{Device, SessionIssued},
    passkeys::{
        BeginPasskeyAssertion, BeginPasskeyRegistration, FinishPasskeyAssertion, FinishPasskeyRegistration,
        ListPasskeys, PasskeyInfo, PasskeyOffer, RemovePasskey, SignInByPasskey,
    },
};
use ocmt_proto::v1 as pb;
use ocmt_types::Secret;
use tonic::{Request, Response};

use super::{Answer, Rpc, auth::sign_in, convert, refuse};
use crate::edge::call;

pub(super) async fn begin_registration(
    rpc: &Rpc,
    request: Request<pb::BeginPasskeyRegistrationRequest>,
) -> Answer<pb::BeginPasskeyRegistrationResponse> {
    let PasskeyOffer { id, options, expires_at } = rpc.ask(&request, &[], BeginPasskeyRegistration).await?;
    Ok(Response::new(pb::BeginPasskeyRegistrationResponse {
        registration_id: id.to_string(),
        options_json: options.into(),
        expires_at: Some(convert::time(expires_at)),
    }))
}

pub(super) async fn finish_registration(
    rpc: &Rpc,
    request: Request<pb::FinishPasskeyRegistrationRequest>,
) -> Answer<pb::FinishPasskeyRegistrationResponse> {
    let it = request.get_ref();
    let ask = FinishPasskeyRegistration {
        registration: convert::id(&it.registration_id, "registration_id")?,
        credential: it.credential_json.to_vec(),
        name: it.name.clone(),
    };
    let made = rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::FinishPasskeyRegistrationResponse { passkey: Some(passkey(&made)) }))
}

pub(super) async fn begin_assertion(
    rpc: &Rpc,
    request: Request<pb::BeginPasskeyAssertionRequest>,
) -> Answer<pb::BeginPasskeyAssertionResponse> {
    let binding_hash = convert::digest(&request.get_ref().binding_hash, "binding_hash")?;
    let offered = if shows_credential(&request) {
        rpc.ask(&request, &[], BeginPasskeyAssertion { binding_hash }).await?
    } else {
        rpc.system.begin_passkey_sign_in(binding_hash).await.map_err(|e| refuse(&e))?
    };
    Ok(Response::new(pb::BeginPasskeyAssertionResponse {
        assertion_id: offered.id.to_string(),
        options_json: offered.options.into(),
        expires_at: Some(convert::time(offered.expires_at)),
    }))
}

pub(super) async fn finish_assertion(
    rpc: &Rpc,
    request: Request<pb::FinishPasskeyAssertionRequest>,
) -> Answer<pb::FinishPasskeyAssertionResponse> {
    let it = request.get_ref();
    let assertion = convert::id(&it.assertion_id, "assertion_id")?;
    let (credential, binding_secret) = (it.credential_json.to_vec(), Secret::new(it.binding_secret.to_vec()));
    if shows_credential(&request) {
        let ask = FinishPasskeyAssertion { assertion, credential, binding_secret };
        return Ok(finished(&rpc.ask(&request, &[], ask).await?));
    }
    let (meta, id) = (rpc.meta(&request, &[]), Rpc::request_id(&request)?);
    let device = Device { name: it.client_name.clone(), addr: call::peer(request.extensions()) };
    let ask = SignInByPasskey { assertion, credential, binding_secret, device };
    let issued = rpc.system.finish_passkey_sign_in(ask, &meta, id).await.map_err(|e| refuse(&e))?;
    Ok(finished(&issued))
}

pub(super) async fn list(
    rpc: &Rpc,
    request: Request<pb::ListPasskeysRequest>,
) -> Answer<pb::ListPasskeysResponse> {
    // an account has fewer than a page
    let all = rpc.ask(&request, &[], ListPasskeys).await?;
    let passkeys = all.iter().map(passkey).collect();
    Ok(Response::new(pb::ListPasskeysResponse { passkeys, next_page_token: String::new() }))
}

pub(super) async fn remove(
    rpc: &Rpc,
    request: Request<pb::RemovePasskeyRequest>,
) -> Answer<pb::RemovePasskeyResponse> {
    let it = request.get_ref();
    let ask = RemovePasskey { passkey: convert::id(&it.passkey_id, "passkey_id")? };
    rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::RemovePasskeyResponse {}))
}

fn shows_credential<T>(request: &Request<T>) -> bool {
    request.metadata().contains_key(AUTHORIZATION.as_str())
}

fn finished(issued: &SessionIssued) -> Response<pb::FinishPasskeyAssertionResponse> {
    Response::new(pb::FinishPasskeyAssertionResponse {
        stepped_up_until: Some(convert::time(issued.session.stepped_up_until)),
        sign_in: Some(sign_in(issued)),
    })
}

fn passkey(info: &PasskeyInfo) -> pb::Passkey {
    pb::Passkey {
        passkey_id: info.id.to_string(),
        name: info.name.clone(),
        created_at: Some(convert::time(info.created_at)),
        last_used_at: info.last_used_at.map(convert::time),
    }
}
