//! Signing in, tenants, users, the audit.

use ocmt_proto::v1 as pb;

use super::{Ids, Made, key, uuid};

pub(super) fn signing_in(ids: &Ids) -> Vec<Made> {
    let (email, hash) = ("somebody@e2e.example".to_owned(), bytes::Bytes::from(vec![5; 32]));
    let token = "ocmt_lnk_AAAAAAAAAAAAAAAAAAAAAA".to_owned();
    let link = pb::LinkProof { token: token.clone(), binding_secret: hash.clone() };
    made! {
        AuthService/SignUp "" => pb::SignUpRequest { email: email.clone(), tenant_name: "t".into(),
            binding_hash: hash.clone(), idempotency_key: key() };
        AuthService/RequestMagicLink "" => pb::RequestMagicLinkRequest { email: email.clone(),
            tenant_id: ids.tenant.clone(), purpose: 1, binding_hash: hash.clone(), idempotency_key: key() };
        AuthService/ExchangeMagicLink "" => pb::ExchangeMagicLinkRequest { token: token.clone(),
            binding_secret: hash.clone(), client_name: String::new(), idempotency_key: key() };
        AuthService/StepUp "" => pb::StepUpRequest { proof: Some(pb::step_up_request::Proof::Link(link)),
            idempotency_key: key() };
        AuthService/CompleteMfa "" => pb::CompleteMfaRequest {
            proof: Some(pb::complete_mfa_request::Proof::TotpCode("123456".into())), idempotency_key: key() };
        AuthService/BeginTotpEnrollment "" => pb::BeginTotpEnrollmentRequest { idempotency_key: key() };
        AuthService/ConfirmTotpEnrollment "enrollment" => pb::ConfirmTotpEnrollmentRequest {
            enrollment_id: ids.enrollment.clone(), totp_code: "123456".into(), idempotency_key: key() };
        AuthService/RemoveTotp "" => pb::RemoveTotpRequest { idempotency_key: key() };
        AuthService/RegenerateBackupCodes "" => pb::RegenerateBackupCodesRequest { idempotency_key: key() };
        AuthService/BeginPasskeyRegistration "" => pb::BeginPasskeyRegistrationRequest { idempotency_key: key() };
        AuthService/FinishPasskeyRegistration "" => pb::FinishPasskeyRegistrationRequest {
            registration_id: uuid(), credential_json: b"{}".to_vec().into(), name: "n".into(),
            idempotency_key: key() };
        AuthService/BeginPasskeyAssertion "" => pb::BeginPasskeyAssertionRequest { binding_hash: hash.clone(),
            idempotency_key: key() };
        AuthService/FinishPasskeyAssertion "" => pb::FinishPasskeyAssertionRequest {
            assertion_id: uuid(), credential_json: b"{}".to_vec().into(), binding_secret: hash.clone(),
            client_name: String::new(), idempotency_key: key() };
        AuthService/ListPasskeys "" => pb::ListPasskeysRequest::default();
        AuthService/RemovePasskey "" => pb::RemovePasskeyRequest { passkey_id: uuid(),
            idempotency_key: key() };
        AuthService/BeginOidcLogin "" => pb::BeginOidcLoginRequest { tenant_id: ids.tenant.clone(),
            binding_hash: hash.clone(), idempotency_key: key() };
        AuthService/FinishOidcLogin "" => pb::FinishOidcLoginRequest { state: token.clone(), code: "c".into(),
            issuer: String::new(), binding_secret: hash.clone(), client_name: String::new(),
            idempotency_key: key() };
        AuthService/RequestEmailChange "" => pb::RequestEmailChangeRequest { new_email: "other@e2e.example".into(),
            idempotency_key: key() };
        AuthService/ConfirmEmailChange "" => pb::ConfirmEmailChangeRequest { token: token.clone(),
            idempotency_key: key() };
        AuthService/GetEmailChange "" => pb::GetEmailChangeRequest {};
        AuthService/CancelEmailChange "" => pb::CancelEmailChangeRequest { idempotency_key: key() };
        AuthService/CreateApiKey "" => pb::CreateApiKeyRequest { name: "k".into(),
            scopes: vec!["vault.read".into()], lifetime: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
            idempotency_key: key() };
        AuthService/ListApiKeys "" => pb::ListApiKeysRequest::default();
        AuthService/RevokeApiKey "API key" => pb::RevokeApiKeyRequest { api_key_id: ids.api_key.clone(),
            idempotency_key: key() };
        AuthService/WhoAmI "" => pb::WhoAmIRequest {};
        AuthService/ListSessions "" => pb::ListSessionsRequest::default();
        AuthService/RevokeSession "session" => pb::RevokeSessionRequest { session_id: ids.session.clone(),
            idempotency_key: key() };
        AuthService/RevokeOtherSessions "" => pb::RevokeOtherSessionsRequest { api_keys: false, idempotency_key: key() };
        AuthService/SignOut "" => pb::SignOutRequest { idempotency_key: key() };
    }
}

pub(super) fn people(ids: &Ids) -> Vec<Made> {
    let (email, hash) = ("somebody@e2e.example".to_owned(), bytes::Bytes::from(vec![5; 32]));
    let token = "ocmt_lnk_AAAAAAAAAAAAAAAAAAAAAA".to_owned();
    let mask = prost_types::FieldMask { paths: vec!["hibernation.pause_after".into()] };
    let pause = pb::HibernationPolicy {
        pause_after: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        ..Default::default()
    };
    let policy = pb::TenantPolicy { hibernation: Some(pause), ..Default::default() };
    made! {
        TenantService/CreateTenant "" => pb::CreateTenantRequest { name: "t".into(),
            idempotency_key: key() };
        TenantService/GetTenant "tenant" => pb::GetTenantRequest { tenant_id: ids.tenant.clone() };
        TenantService/GetQuota "tenant" => pb::GetQuotaRequest { tenant_id: ids.tenant.clone() };
        TenantService/DeleteTenant "tenant" => pb::DeleteTenantRequest { tenant_id: ids.tenant.clone(),
            confirm_name: "not its name".into(), idempotency_key: key(), ..Default::default() };
        TenantService/ResumeTenant "tenant" => pb::ResumeTenantRequest { tenant_id: ids.tenant.clone(),
            idempotency_key: key() };
        TenantService/ListInbox "" => pb::ListInboxRequest::default();
        TenantService/WatchInbox "" => pb::WatchInboxRequest::default();
        TenantService/ListTenants "" => pb::ListTenantsRequest::default();
        TenantService/UpdateTenantPolicy "" => pb::UpdateTenantPolicyRequest { policy: Some(policy),
            update_mask: Some(mask), policy_version: 1, idempotency_key: key() };
        TenantService/GetOidcProvider "" => pb::GetOidcProviderRequest {};
        TenantService/SetOidcProvider "" => pb::SetOidcProviderRequest {
            issuer: "https://id.e2e.example".into(), client_id: "ocmt".into(), client_secret: String::new(),
            by_verified_email: false, idempotency_key: key() };
        TenantService/RemoveOidcProvider "" => pb::RemoveOidcProviderRequest { idempotency_key: key() };
        UserService/InviteUser "" => pb::InviteUserRequest { email, role_id: "member".into(),
            idempotency_key: key() };
        UserService/AcceptInvite "" => pb::AcceptInviteRequest { token, client_name: String::new(),
            idempotency_key: key() };
        UserService/ListUsers "" => pb::ListUsersRequest::default();
        UserService/SetRole "user" => pb::SetRoleRequest { user_id: ids.user.clone(),
            role_id: "member".into(), idempotency_key: key() };
        UserService/CreateRole "" => pb::CreateRoleRequest { role_id: "desk".into(), base_role_id: "member".into(),
            permissions: vec!["user.list".into()], idempotency_key: key() };
        UserService/ListRoles "" => pb::ListRolesRequest::default();
        UserService/DeleteRole "role" => pb::DeleteRoleRequest { role_id: ids.role.clone(),
            idempotency_key: key() };
        UserService/RemoveUser "user" => pb::RemoveUserRequest { user_id: ids.user.clone(),
            idempotency_key: key() };
        UserService/PublishIdentityKey "" => pb::PublishIdentityKeyRequest { signing_key: hash.clone(),
            sealing_key: hash, idempotency_key: key() };
        UserService/GetIdentityKey "user" => pb::GetIdentityKeyRequest { user_id: ids.user.clone() };
        AlertService/PutChannel "" => pb::PutChannelRequest { kind: pb::AlertChannelKind::Slack.into(),
            name: "walk".into(), target: "https://hooks.e2e.example/x".into(), idempotency_key: key(),
            ..Default::default() };
        AlertService/ListChannels "" => pb::ListChannelsRequest::default();
        AlertService/DeleteChannel "channel" => pb::DeleteChannelRequest { channel_id: ids.channel.clone(),
            idempotency_key: key() };
        AlertService/SendTestAlert "channel" => pb::SendTestAlertRequest { channel_id: ids.channel.clone(),
            idempotency_key: key() };
        AuditService/QueryAudit "" => pb::QueryAuditRequest::default();
        AuditService/ExportAudit "" => pb::ExportAuditRequest {
            format: pb::AuditExportFormat::Jsonl.into(), ..Default::default() };
        AuditService/GetCheckpoint "" => pb::GetCheckpointRequest {};
        AuditService/ProveInclusion "" => pb::ProveInclusionRequest { sequence: 1, size: 0 };
        AuditService/ProveConsistency "" => pb::ProveConsistencyRequest { old_size: 1, new_size: 0 };
        AuditService/WatchAudit "" => pb::WatchAuditRequest::default();
        AuditService/SetAuditStream "" => pb::SetAuditStreamRequest { target: "https://siem.e2e.example/x".into(),
            secret: "a-key-of-thirty-two-bytes-or-more".into(), from_sequence: 0, idempotency_key: key() };
        AuditService/GetAuditStream "" => pb::GetAuditStreamRequest {};
        AuditService/RemoveAuditStream "" => pb::RemoveAuditStreamRequest { idempotency_key: key() };
        AuditService/SetAuditRetention "" => pb::SetAuditRetentionRequest { keep: None, idempotency_key: key() };
        AuditService/GetAuditRetention "" => pb::GetAuditRetentionRequest {};
    }
}
