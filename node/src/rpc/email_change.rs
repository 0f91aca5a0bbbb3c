//! AuthService: another address for the caller's account.

use ocmt_actors::api::email_change::{
    CancelEmailChange, ConfirmEmailChange, GetEmailChange, RequestEmailChange,
};
use ocmt_proto::v1 as pb;
use ocmt_types::Secret;
use tonic::{Request, Response};

use super::{Answer, Rpc, convert};

pub(super) async fn request(
    rpc: &Rpc,
    request: Request<pb::RequestEmailChangeRequest>,
) -> Answer<pb::RequestEmailChangeResponse> {
    let it = request.get_ref();
    let ask = RequestEmailChange { new_email: it.new_email.clone() };
    let asked = rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::RequestEmailChangeResponse {
        link_lifetime: Some(convert::duration(asked.link_lifetime_ms)),
    }))
}

pub(super) async fn confirm(
    rpc: &Rpc,
    request: Request<pb::ConfirmEmailChangeRequest>,
) -> Answer<pb::ConfirmEmailChangeResponse> {
    let it = request.get_ref();
    let ask = ConfirmEmailChange { token: Secret::new(it.token.clone()) };
    let confirmed = rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::ConfirmEmailChangeResponse {
        email: confirmed.email,
        effective_at: Some(convert::time(confirmed.effective_at)),
    }))
}

pub(super) async fn get(
    rpc: &Rpc,
    request: Request<pb::GetEmailChangeRequest>,
) -> Answer<pb::GetEmailChangeResponse> {
    let pending = rpc.ask(&request, &[], GetEmailChange).await?;
    let email_change = pending.map(|pending| pb::EmailChange {
        email: pending.email,
        requested_at: Some(convert::time(pending.requested_at)),
        effective_at: pending.effective_at.map(convert::time),
    });
    Ok(Response::new(pb::GetEmailChangeResponse { email_change }))
}

pub(super) async fn cancel(
    rpc: &Rpc,
    request: Request<pb::CancelEmailChangeRequest>,
) -> Answer<pb::CancelEmailChangeResponse> {
    rpc.ask(&request, &request.get_ref().idempotency_key, CancelEmailChange).await?;
    Ok(Response::new(pb::CancelEmailChangeResponse {}))
}
