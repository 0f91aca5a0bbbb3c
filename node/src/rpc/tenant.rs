//! TenantService: tenants and their policy.

use ocmt_actors::{
    ActorError, Quota,
    api::tenant::{
        CreateTenant, DeleteTenant, GetQuota, GetTenant, QuotaReport, StopDeletion, TenantInfo, TenantPolicy,
        TenantState, TenantSummary, UpdateTenantPolicy,
    },
};
use ocmt_proto::v1::{self as pb, tenant_service_server::TenantService};
use tonic::{Request, Response, Status, async_trait, codegen::BoxStream};

use super::{Answer, Rpc, convert, pairing_wire, refuse, sso, tenant_inbox};

#[async_trait]
impl TenantService for Rpc {
    async fn create_tenant(
        &self,
        request: Request<pb::CreateTenantRequest>,
    ) -> Answer<pb::CreateTenantResponse> {
        let caller = self.caller(&request).await?;
        let meta = self.meta(&request, &request.get_ref().idempotency_key);
        let name = request.into_inner().name;
        let made = self.system.create_tenant(caller, meta, CreateTenant { name: name.clone() }).await;
        let made = made.map_err(|e| refuse(&e))?;
        let tenant = pb::Tenant {
            tenant_id: made.tenant.to_string(),
            name,
            state: pb::TenantState::Active.into(),
            ..Default::default()
        };
        Ok(Response::new(pb::CreateTenantResponse { tenant: Some(tenant) }))
    }

    async fn get_tenant(&self, request: Request<pb::GetTenantRequest>) -> Answer<pb::GetTenantResponse> {
        self.own(&request, &request.get_ref().tenant_id).await?;
        let info = self.ask(&request, &[], GetTenant).await?;
        Ok(Response::new(pb::GetTenantResponse { tenant: Some(tenant(&info)) }))
    }

    async fn list_tenants(
        &self,
        request: Request<pb::ListTenantsRequest>,
    ) -> Answer<pb::ListTenantsResponse> {
        let caller = self.caller(&request).await?;
        let meta = self.meta(&request, &[]);
        let tenants = self.system.list_tenants(caller, meta).await.map_err(|e| refuse(&e))?;
        Ok(Response::new(pb::ListTenantsResponse {
            tenants: tenants.into_iter().map(summary).collect(),
            next_page_token: String::new(),
        }))
    }

    async fn get_oidc_provider(
        &self,
        request: Request<pb::GetOidcProviderRequest>,
    ) -> Answer<pb::GetOidcProviderResponse> {
        sso::provider(self, request).await
    }

    async fn set_oidc_provider(
        &self,
        request: Request<pb::SetOidcProviderRequest>,
    ) -> Answer<pb::SetOidcProviderResponse> {
        sso::set(self, request).await
    }

    async fn remove_oidc_provider(
        &self,
        request: Request<pb::RemoveOidcProviderRequest>,
    ) -> Answer<pb::RemoveOidcProviderResponse> {
        sso::remove(self, request).await
    }

    async fn list_inbox(&self, request: Request<pb::ListInboxRequest>) -> Answer<pb::ListInboxResponse> {
        tenant_inbox::list(self, request).await
    }

    async fn watch_inbox(
        &self,
        request: Request<pb::WatchInboxRequest>,
    ) -> Answer<BoxStream<pb::WatchInboxResponse>> {
        tenant_inbox::watch(self, request).await
    }

    async fn get_quota(&self, request: Request<pb::GetQuotaRequest>) -> Answer<pb::GetQuotaResponse> {
        self.own(&request, &request.get_ref().tenant_id).await?;
        let report = self.ask(&request, &[], GetQuota::default()).await?;
        Ok(Response::new(quotas(&report)))
    }

    async fn update_tenant_policy(
        &self,
        request: Request<pb::UpdateTenantPolicyRequest>,
    ) -> Answer<pb::UpdateTenantPolicyResponse> {
        let now = self.ask(&request, &[], GetTenant).await?;
        let it = request.get_ref();
        let read = i64::try_from(it.policy_version).unwrap_or(i64::MAX);
        // of another version the change is of no use, which the tenant says to whoever may make one
        let version = if now.version == read { read } else { NO_VERSION };
        let wanted = convert::present(it.policy, "policy")?;
        let mask = convert::present(it.update_mask.clone(), "update_mask")?;
        let mut policy = now.policy;
        for path in &mask.paths {
            change(&mut policy, &wanted, path)?;
        }
        let ask = UpdateTenantPolicy { policy, version };
        let info = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::UpdateTenantPolicyResponse { tenant: Some(tenant(&info)) }))
    }

    /// What operators do on their own listener is here only the stop of a deletion.
    async fn resume_tenant(
        &self,
        request: Request<pb::ResumeTenantRequest>,
    ) -> Answer<pb::ResumeTenantResponse> {
        let it = request.get_ref();
        self.own(&request, &it.tenant_id).await?;
        self.ask(&request, &it.idempotency_key, StopDeletion).await?;
        let info = self.ask(&request, &[], GetTenant).await?;
        Ok(Response::new(pb::ResumeTenantResponse { tenant: Some(tenant(&info)) }))
    }

    async fn delete_tenant(
        &self,
        request: Request<pb::DeleteTenantRequest>,
    ) -> Answer<pb::DeleteTenantResponse> {
        let it = request.get_ref();
        self.own(&request, &it.tenant_id).await?;
        if !it.confirmation_token.is_empty() {
            return Err(convert::invalid("confirmation_token", "is for operators, on their own listener"));
        }
        let ask = DeleteTenant { confirm_name: it.confirm_name.clone() };
        let asked = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::DeleteTenantResponse { deletes_at: Some(convert::time(asked.deletes_at)) }))
    }
}

impl Rpc {
    /// Another tenant than the session's is answered like none.
    async fn own<T: Send + Sync>(&self, request: &Request<T>, named: &str) -> Result<(), Status> {
        let own = self.caller(request).await?.tenant();
        match convert::optional_id::<ocmt_types::TenantId>(named, "tenant_id")? {
            Some(asked) if asked != own => Err(refuse(&ActorError::NotFound)),
            Some(_) | None => Ok(()),
        }
    }
}

/// Of no policy.
const NO_VERSION: i64 = -1;

/// Takes one member of the wanted policy over.
fn change(policy: &mut TenantPolicy, wanted: &pb::TenantPolicy, path: &str) -> Result<(), Status> {
    let hibernation = wanted.hibernation.unwrap_or_default();
    let sessions = wanted.sessions.unwrap_or_default();
    let recovery = wanted.recovery.unwrap_or_default();
    let pairing = wanted.pairing.unwrap_or_default();
    let vault = wanted.vault.unwrap_or_default();
    let time = |value: Option<prost_types::Duration>| {
        value
            .map(|value| convert::millis(&value))
            .ok_or_else(|| convert::invalid("policy", format!("has no {path}")))
    };
    match path {
        "hibernation.pause_after" => policy.pause_after_ms = time(hibernation.pause_after)?,
        "hibernation.stop_after" => policy.stop_after_ms = time(hibernation.stop_after)?,
        "hibernation.start_locked" => policy.start_locked = hibernation.start_locked.unwrap_or_default(),
        "sessions.idle_limit" => policy.session_idle_ms = time(sessions.idle_limit)?,
        "sessions.absolute_limit" => policy.session_absolute_ms = time(sessions.absolute_limit)?,
        "sessions.max_sessions" => policy.sessions_per_user = sessions.max_sessions.unwrap_or_default(),
        "sessions.require_mfa" => policy.require_mfa = sessions.require_mfa.unwrap_or_default(),
        "sessions.require_passkey" => policy.require_passkey = sessions.require_passkey.unwrap_or_default(),
        "sessions.step_up_lifetime" => policy.step_up_ms = time(sessions.step_up_lifetime)?,
        "sessions.email_change_delay" => policy.email_change_delay_ms = time(sessions.email_change_delay)?,
        "recovery.recovery_delay" => policy.recovery_delay_ms = time(recovery.recovery_delay)?,
        "recovery.lock_period" => policy.lock_ms = time(recovery.lock_period)?,
        "recovery.change_delay" => policy.change_delay_ms = time(recovery.change_delay)?,
        "recovery.change_window" => policy.change_window_ms = time(recovery.change_window)?,
        // none is for ever
        "vault.transcript_retention" => {
            let wanted = wanted.vault.unwrap_or_default().transcript_retention;
            policy.transcript_retention_ms = wanted.map_or(0, |wanted| convert::millis(&wanted));
        }
        "vault.argon2_memory_mib" => policy.argon2_memory_mib = vault.argon2_memory_mib.unwrap_or_default(),
        "vault.argon2_passes" => policy.argon2_passes = vault.argon2_passes.unwrap_or_default(),
        // none is at once
        "vault.backup_delay" => {
            policy.backup_delay_ms = vault.backup_delay.map_or(0, |time| convert::millis(&time));
        }
        "vault.hardware_delay" => {
            policy.hardware_delay_ms = vault.hardware_delay.map_or(0, |time| convert::millis(&time));
        }
        "vault.kept_versions" => policy.vault_history = vault.kept_versions.unwrap_or_default(),
        "pairing.dm_policy" => policy.dm_policy = pairing_wire::direct(pairing.dm_policy())?,
        "pairing.group_policy" => policy.group_policy = pairing_wire::group(pairing.group_policy())?,
        _ => {
            return Err(convert::invalid(
                "update_mask",
                format!("names `{path}`, which cannot be changed yet"),
            ));
        }
    }
    Ok(())
}

/// Whether it is served.
pub(crate) fn state(state: TenantState) -> pb::TenantState {
    match state {
        TenantState::Active => pb::TenantState::Active,
        TenantState::Suspended => pb::TenantState::Suspended,
        TenantState::Deleting => pb::TenantState::Deleting,
    }
}

/// Limits, or what is used of them.
pub(crate) fn quota(quota: &Quota) -> pb::Quota {
    let number = |value: i64| u64::try_from(value).unwrap_or(0);
    pb::Quota {
        users: number(quota.users),
        containers: number(quota.containers),
        memory_bytes: number(quota.memory_bytes),
        storage_bytes: number(quota.storage_bytes),
        calls_per_minute: number(quota.calls_per_minute),
    }
}

/// Both.
pub(crate) fn quotas(report: &QuotaReport) -> pb::GetQuotaResponse {
    pb::GetQuotaResponse { limit: Some(quota(&report.limit)), used: Some(quota(&report.used)) }
}

/// A tenant on the wire.
pub(crate) fn tenant(info: &TenantInfo) -> pb::Tenant {
    pb::Tenant {
        tenant_id: info.id.to_string(),
        name: info.name.clone(),
        state: if info.deletes_at.is_some() { pb::TenantState::Deleting } else { state(info.state) }.into(),
        created_at: Some(convert::time(info.created_at)),
        policy: Some(policy(&info.policy)),
        policy_version: u64::try_from(info.version).unwrap_or(0),
        deletes_at: info.deletes_at.map(convert::time),
    }
}

fn policy(policy: &TenantPolicy) -> pb::TenantPolicy {
    let time = |millis| Some(convert::duration(millis));
    pb::TenantPolicy {
        hibernation: Some(pb::HibernationPolicy {
            pause_after: time(policy.pause_after_ms),
            stop_after: time(policy.stop_after_ms),
            lock_before_pause: Some(false),
            start_locked: Some(policy.start_locked),
        }),
        sessions: Some(pb::SessionPolicy {
            idle_limit: time(policy.session_idle_ms),
            absolute_limit: time(policy.session_absolute_ms),
            max_sessions: Some(policy.sessions_per_user),
            require_mfa: Some(policy.require_mfa),
            require_passkey: Some(policy.require_passkey),
            step_up_lifetime: time(policy.step_up_ms),
            email_change_delay: time(policy.email_change_delay_ms),
        }),
        recovery: Some(pb::RecoveryPolicy {
            recovery_delay: time(policy.recovery_delay_ms),
            lock_period: time(policy.lock_ms),
            change_delay: time(policy.change_delay_ms),
            change_window: time(policy.change_window_ms),
            ..Default::default()
        }),
        vault: Some(pb::VaultPolicy {
            transcript_retention: Some(policy.transcript_retention_ms)
                .filter(|kept| *kept > 0)
                .map(convert::duration),
            kept_versions: Some(policy.vault_history),
            argon2_memory_mib: Some(policy.argon2_memory_mib),
            argon2_passes: Some(policy.argon2_passes),
            backup_delay: time(policy.backup_delay_ms),
            hardware_delay: time(policy.hardware_delay_ms),
            ..Default::default()
        }),
        pairing: Some(pairing_wire::policy(policy)),
    }
}

fn summary(tenant: TenantSummary) -> pb::TenantSummary {
    pb::TenantSummary {
        tenant_id: tenant.id.to_string(),
        name: tenant.name,
        state: state(tenant.state).into(),
        role_id: tenant.role.to_string(),
    }
}
