//! The tenant itself and its policy.

use ocmt_store::tables::{Deletion, Session, Tenant, User};

use super::session_row;
use crate::{
    api::tenant::{BeginFounding, FoundingTicket, GetTenant, TenantInfo, UpdateTenantPolicy},
    authorize::{Action, Object},
    caller::Assurance,
    effect::Effect,
    error::ActorError,
    policy::TenantPolicy,
    tenant::{transcript::retention, vault::asked},
    work::{Handle, Work},
};

impl Handle for BeginFounding {
    async fn handle(self, work: &mut Work) -> Result<FoundingTicket, ActorError> {
        let who = work.user()?;
        work.authorize(Action::FoundTenant, &Object::of(who.user))?;
        let user = work.tx.get::<User>(who.user).await?.ok_or(ActorError::NotFound)?;
        let ticket = FoundingTicket { tenant: work.env.id(), user: work.env.id(), email: user.email };
        work.object = format!("tenant/{}", ticket.tenant);
        Ok(ticket)
    }
}

impl Handle for GetTenant {
    async fn handle(self, work: &mut Work) -> Result<TenantInfo, ActorError> {
        work.authorize(Action::ReadTenant, &Object::TENANT)?;
        let (tenant, policy) = session_row::tenant_of(&work.env, &mut work.tx).await?;
        info(work, tenant, policy).await
    }
}

impl Handle for UpdateTenantPolicy {
    async fn handle(self, work: &mut Work) -> Result<TenantInfo, ActorError> {
        work.authorize(Action::ChangePolicy, &Object::TENANT)?;
        self.policy.check(work.env.mode)?;
        let (tenant, before) = session_row::tenant_of(&work.env, &mut work.tx).await?;
        if self.policy.require_passkey && !before.require_passkey {
            let who = work.user()?;
            let own = work.tx.get::<Session>(who.session).await?;
            if !own.is_some_and(|own| own.passkey) {
                return Err(ActorError::precondition(
                    "PASSKEY_REQUIRED",
                    "show a passkey of your own in this session before you demand one of everybody",
                ));
            }
        }
        if self.policy.require_mfa && !before.require_mfa && work.user()?.assurance != Assurance::Mfa {
            return Err(ActorError::precondition(
                "SECOND_FACTOR_NEEDED",
                "sign in with a second factor of your own before you demand one of everybody",
            ));
        }
        let encoded = serde_json::to_vec(&self.policy)
            .map_err(|error| ActorError::invalid("policy", error.to_string()))?;
        let next = Tenant { policy: encoded, version: tenant.version + 1, ..tenant };
        if !work.tx.update_if(&next, Tenant::version.eq(self.version)).await? {
            return Err(ActorError::Aborted("policy"));
        }
        if self.policy.transcript_retention_ms != before.transcript_retention_ms {
            retention::changed(work).await?;
        }
        asked::lowered(work, &before, &self.policy).await?;
        work.object = format!("tenant/{}", next.tenant_id);
        work.details = before.changed(&self.policy);
        work.then(Effect::PolicyChanged(self.policy.clone()));
        info(work, next, self.policy).await
    }
}

pub(super) async fn info(
    work: &mut Work,
    tenant: Tenant,
    policy: TenantPolicy,
) -> Result<TenantInfo, ActorError> {
    let deletes_at = work.tx.get::<Deletion>(()).await?.map(|row| row.erases_at);
    Ok(TenantInfo {
        deletes_at,
        id: tenant.tenant_id,
        name: tenant.name,
        state: tenant.state.into(),
        policy,
        version: tenant.version,
        created_at: tenant.created_at,
    })
}
