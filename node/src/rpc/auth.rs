//! AuthService: sign-up, magic links, sessions.

use ocmt_actors::api::{
    auth::{
        Device, ExchangeMagicLink, LinkPurpose, ListSessions, RequestMagicLink, RevokeOtherSessions,
        RevokeSession, SessionInfo, SessionIssued, SignOut, SignUp, WhoAmI,
    },
    factors::{RegenerateBackupCodes, RemoveTotp},
};
use ocmt_proto::v1::{self as pb, auth_service_server::AuthService};
use ocmt_types::{Secret, SessionId};
use tonic::{Request, Response, async_trait};

use super::{Answer, Rpc, convert, email_change, factors, keys, passkeys, refuse, sso};
use crate::edge::call;

/// What clients are told of links: the policy's default, the same for every address.
const LINK_LIFETIME_MS: i64 = 10 * 60_000;

#[async_trait]
impl AuthService for Rpc {
    async fn sign_up(&self, request: Request<pb::SignUpRequest>) -> Answer<pb::SignUpResponse> {
        let answer = pb::SignUpResponse { link_lifetime: Some(convert::duration(LINK_LIFETIME_MS)) };
        let wish = self.letter_to(&request, ("SignUp", &request.get_ref().email)).await?;
        let Some(wish) = wish else { return Ok(Response::new(answer)) };
        let it = request.into_inner();
        let ask = SignUp {
            email: it.email,
            tenant_name: it.tenant_name,
            binding_hash: convert::digest(&it.binding_hash, "binding_hash")?,
        };
        self.system.sign_up(ask).map_err(|e| refuse(&e))?;
        wish.granted();
        Ok(Response::new(answer))
    }

    async fn request_magic_link(
        &self,
        request: Request<pb::RequestMagicLinkRequest>,
    ) -> Answer<pb::RequestMagicLinkResponse> {
        let purpose = match request.get_ref().purpose() {
            pb::MagicLinkPurpose::SignIn => LinkPurpose::SignIn,
            pb::MagicLinkPurpose::Recovery => LinkPurpose::Recovery,
            pb::MagicLinkPurpose::StepUp => LinkPurpose::StepUp,
            pb::MagicLinkPurpose::Unspecified => return Err(convert::invalid("purpose", "is missing")),
        };
        let answer =
            pb::RequestMagicLinkResponse { link_lifetime: Some(convert::duration(LINK_LIFETIME_MS)) };
        let wish = self.letter_to(&request, ("RequestMagicLink", &request.get_ref().email)).await?;
        let Some(wish) = wish else { return Ok(Response::new(answer)) };
        let id = Self::request_id(&request)?;
        let it = request.into_inner();
        let ask = RequestMagicLink {
            email: it.email,
            tenant: convert::optional_id(&it.tenant_id, "tenant_id")?,
            purpose,
            binding_hash: convert::digest(&it.binding_hash, "binding_hash")?,
        };
        self.system.request_magic_link(ask, id).map_err(|e| refuse(&e))?;
        wish.granted();
        Ok(Response::new(answer))
    }

    async fn exchange_magic_link(
        &self,
        request: Request<pb::ExchangeMagicLinkRequest>,
    ) -> Answer<pb::ExchangeMagicLinkResponse> {
        let (meta, id) = (self.meta(&request, &[]), Self::request_id(&request)?);
        let addr = call::peer(request.extensions());
        let it = request.into_inner();
        let ask = ExchangeMagicLink {
            token: Secret::new(it.token),
            binding_secret: Secret::new(it.binding_secret.to_vec()),
            device: Device { name: it.client_name, addr },
        };
        let issued = self.system.exchange_magic_link(ask, &meta, id).await.map_err(|e| refuse(&e))?;
        Ok(Response::new(pb::ExchangeMagicLinkResponse { sign_in: Some(sign_in(&issued)) }))
    }

    async fn who_am_i(&self, request: Request<pb::WhoAmIRequest>) -> Answer<pb::WhoAmIResponse> {
        let me = self.ask(&request, &[], WhoAmI).await?;
        Ok(Response::new(pb::WhoAmIResponse {
            tenant_id: me.tenant.to_string(),
            tenant_name: me.tenant_name,
            user_id: me.user.to_string(),
            email: me.email,
            role_id: me.role.to_string(),
            session: me.session.map(|info| session(&info, Some(info.id))),
            api_key: me.key.map(keys::api_key),
            factors: me.factors.into_iter().map(factors::second_factor).collect(),
            backup_codes_left: i32::try_from(me.backup_codes_left).unwrap_or(i32::MAX),
            ..Default::default()
        }))
    }

    async fn list_sessions(
        &self,
        request: Request<pb::ListSessionsRequest>,
    ) -> Answer<pb::ListSessionsResponse> {
        let current = self.caller(&request).await?.user().map(|who| who.session);
        let sessions = self.ask(&request, &[], ListSessions).await?;
        let sessions = sessions.iter().map(|info| session(info, current)).collect();
        Ok(Response::new(pb::ListSessionsResponse { sessions, next_page_token: String::new() }))
    }

    async fn revoke_session(
        &self,
        request: Request<pb::RevokeSessionRequest>,
    ) -> Answer<pb::RevokeSessionResponse> {
        let it = request.get_ref();
        let ask = RevokeSession { session: convert::id(&it.session_id, "session_id")? };
        self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::RevokeSessionResponse {}))
    }

    async fn revoke_other_sessions(
        &self,
        request: Request<pb::RevokeOtherSessionsRequest>,
    ) -> Answer<pb::RevokeOtherSessionsResponse> {
        let it = request.get_ref();
        let ask = RevokeOtherSessions { api_keys: it.api_keys };
        let done = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::RevokeOtherSessionsResponse {
            revoked_count: i32::try_from(done.ended).unwrap_or(i32::MAX),
            api_key_count: i32::try_from(done.api_keys).unwrap_or(i32::MAX),
        }))
    }

    async fn complete_mfa(
        &self,
        request: Request<pb::CompleteMfaRequest>,
    ) -> Answer<pb::CompleteMfaResponse> {
        factors::complete_mfa(self, request).await
    }

    async fn step_up(&self, request: Request<pb::StepUpRequest>) -> Answer<pb::StepUpResponse> {
        factors::step_up(self, request).await
    }

    async fn begin_totp_enrollment(
        &self,
        request: Request<pb::BeginTotpEnrollmentRequest>,
    ) -> Answer<pb::BeginTotpEnrollmentResponse> {
        factors::begin_totp_enrollment(self, request).await
    }

    async fn confirm_totp_enrollment(
        &self,
        request: Request<pb::ConfirmTotpEnrollmentRequest>,
    ) -> Answer<pb::ConfirmTotpEnrollmentResponse> {
        factors::confirm_totp_enrollment(self, request).await
    }

    async fn remove_totp(&self, request: Request<pb::RemoveTotpRequest>) -> Answer<pb::RemoveTotpResponse> {
        self.ask(&request, &request.get_ref().idempotency_key, RemoveTotp).await?;
        Ok(Response::new(pb::RemoveTotpResponse {}))
    }

    async fn regenerate_backup_codes(
        &self,
        request: Request<pb::RegenerateBackupCodesRequest>,
    ) -> Answer<pb::RegenerateBackupCodesResponse> {
        let codes = self.ask(&request, &[], RegenerateBackupCodes).await?;
        let backup_codes = factors::texts(codes.0);
        Ok(Response::new(pb::RegenerateBackupCodesResponse { backup_codes }))
    }

    async fn begin_oidc_login(
        &self,
        request: Request<pb::BeginOidcLoginRequest>,
    ) -> Answer<pb::BeginOidcLoginResponse> {
        sso::begin(self, request).await
    }

    async fn finish_oidc_login(
        &self,
        request: Request<pb::FinishOidcLoginRequest>,
    ) -> Answer<pb::FinishOidcLoginResponse> {
        sso::finish(self, request).await
    }

    async fn begin_passkey_registration(
        &self,
        request: Request<pb::BeginPasskeyRegistrationRequest>,
    ) -> Answer<pb::BeginPasskeyRegistrationResponse> {
        passkeys::begin_registration(self, request).await
    }

    async fn finish_passkey_registration(
        &self,
        request: Request<pb::FinishPasskeyRegistrationRequest>,
    ) -> Answer<pb::FinishPasskeyRegistrationResponse> {
        passkeys::finish_registration(self, request).await
    }

    async fn begin_passkey_assertion(
        &self,
        request: Request<pb::BeginPasskeyAssertionRequest>,
    ) -> Answer<pb::BeginPasskeyAssertionResponse> {
        passkeys::begin_assertion(self, request).await
    }

    async fn finish_passkey_assertion(
        &self,
        request: Request<pb::FinishPasskeyAssertionRequest>,
    ) -> Answer<pb::FinishPasskeyAssertionResponse> {
        passkeys::finish_assertion(self, request).await
    }

    async fn list_passkeys(
        &self,
        request: Request<pb::ListPasskeysRequest>,
    ) -> Answer<pb::ListPasskeysResponse> {
        passkeys::list(self, request).await
    }

    async fn remove_passkey(
        &self,
        request: Request<pb::RemovePasskeyRequest>,
    ) -> Answer<pb::RemovePasskeyResponse> {
        passkeys::remove(self, request).await
    }

    async fn request_email_change(
        &self,
        request: Request<pb::RequestEmailChangeRequest>,
    ) -> Answer<pb::RequestEmailChangeResponse> {
        email_change::request(self, request).await
    }

    async fn confirm_email_change(
        &self,
        request: Request<pb::ConfirmEmailChangeRequest>,
    ) -> Answer<pb::ConfirmEmailChangeResponse> {
        email_change::confirm(self, request).await
    }

    async fn get_email_change(
        &self,
        request: Request<pb::GetEmailChangeRequest>,
    ) -> Answer<pb::GetEmailChangeResponse> {
        email_change::get(self, request).await
    }

    async fn cancel_email_change(
        &self,
        request: Request<pb::CancelEmailChangeRequest>,
    ) -> Answer<pb::CancelEmailChangeResponse> {
        email_change::cancel(self, request).await
    }

    async fn create_api_key(
        &self,
        request: Request<pb::CreateApiKeyRequest>,
    ) -> Answer<pb::CreateApiKeyResponse> {
        keys::create(self, request).await
    }

    async fn list_api_keys(
        &self,
        request: Request<pb::ListApiKeysRequest>,
    ) -> Answer<pb::ListApiKeysResponse> {
        keys::list(self, request).await
    }

    async fn revoke_api_key(
        &self,
        request: Request<pb::RevokeApiKeyRequest>,
    ) -> Answer<pb::RevokeApiKeyResponse> {
        keys::revoke(self, request).await
    }

    async fn sign_out(&self, request: Request<pb::SignOutRequest>) -> Answer<pb::SignOutResponse> {
        self.ask(&request, &request.get_ref().idempotency_key, SignOut).await?;
        Ok(Response::new(pb::SignOutResponse {}))
    }
}

/// A fresh session as its user gets it.
pub(super) fn sign_in(issued: &SessionIssued) -> pb::SignIn {
    pb::SignIn {
        session_token: issued.token.expose().clone(),
        session: Some(session(&issued.session, Some(issued.session.id))),
        pending_factors: issued.pending_factors.iter().copied().map(factors::second_factor).collect(),
        tenant_id: issued.tenant.to_string(),
        user_id: issued.session.user.to_string(),
    }
}

fn session(info: &SessionInfo, current: Option<SessionId>) -> pb::Session {
    pb::Session {
        session_id: info.id.to_string(),
        assurance: convert::assurance(info.assurance),
        created_at: Some(convert::time(info.created_at)),
        last_used_at: Some(convert::time(info.last_seen_at)),
        idle_expires_at: Some(convert::time(info.idle_expires_at)),
        expires_at: Some(convert::time(info.expires_at)),
        current: current == Some(info.id),
        client_name: info.client.clone(),
        last_address: info.address.clone().unwrap_or_default(),
    }
}
