//! What operators do to a tenant: looking at it, its limits, suspending it and serving it again.
//!
//! A suspended tenant keeps everything. Its sessions are refused and their streams end; no new ones are issued; its
//! containers are stopped and none is brought to life; its timers are held and go on with the time that they had
//! left, and so do the delays of its ceremonies and of slots that are waited for, since nobody could veto or refuse
//! meanwhile. Messages of other tenants are not taken: their senders try again.

use ocmt_store::{
    Filter,
    tables::{
        Ceremony, CeremonyState, Container, ContainerState, DesiredState, Suspension, Tenant, TenantState,
    },
};

use super::session_row;
use crate::{
    api::tenant::{
        GetQuota, InspectTenant, QuotaReport, ResumeTenant, SuspendTenant, TenantInfo, UpdateQuota,
    },
    authorize::{Action, Object},
    caller::Principal,
    effect::Effect,
    error::ActorError,
    host::{
        container::row::{CUT_OFF, LOOK, changed},
        message::What,
    },
    quota::Quota,
    tenant::{
        container::{schedule, snapshot},
        deletion,
        handlers::tenant::info,
        quota,
        vault::asked,
    },
    work::{Handle, Work},
};

/// The largest value of each limit.
const MOST: Quota = Quota {
    users: 100_000,
    containers: 100_000,
    memory_bytes: 1 << 50,
    storage_bytes: 1 << 50,
    calls_per_minute: 10_000_000,
};

impl Handle for InspectTenant {
    async fn handle(self, work: &mut Work) -> Result<TenantInfo, ActorError> {
        work.authorize(Action::Administer, &Object::TENANT)?;
        let (tenant, policy) = session_row::tenant_of(&work.env, &mut work.tx).await?;
        info(work, tenant, policy).await
    }
}

impl Handle for SuspendTenant {
    async fn handle(self, work: &mut Work) -> Result<TenantInfo, ActorError> {
        work.authorize(Action::Administer, &Object::TENANT)?;
        let (tenant, policy) = session_row::tenant_of(&work.env, &mut work.tx).await?;
        work.object = format!("tenant/{}", tenant.tenant_id);
        work.details.push(("reason".to_owned(), self.reason));
        match tenant.state {
            TenantState::Suspended => return info(work, tenant, policy).await,
            gone @ TenantState::Deleting => return Err(session_row::not_served(gone)),
            TenantState::Active => {}
        }
        let tenant = Tenant { state: TenantState::Suspended, version: tenant.version + 1, ..tenant };
        work.tx.update(&tenant).await?;
        work.tx.upsert(&Suspension { tenant_id: tenant.tenant_id, since: work.now }).await?;
        work.tx.hold_timers().await?;
        deletion::let_go(work).await?;
        stop_containers(work).await?;
        work.then(Effect::AllSessionsEnded);
        info(work, tenant, policy).await
    }
}

impl Handle for ResumeTenant {
    async fn handle(self, work: &mut Work) -> Result<TenantInfo, ActorError> {
        work.authorize(Action::Administer, &Object::TENANT)?;
        let (tenant, policy) = session_row::tenant_of(&work.env, &mut work.tx).await?;
        work.object = format!("tenant/{}", tenant.tenant_id);
        deletion::stop(work).await?;
        match tenant.state {
            TenantState::Active => return info(work, tenant, policy).await,
            gone @ TenantState::Deleting => return Err(session_row::not_served(gone)),
            TenantState::Suspended => {}
        }
        let tenant = Tenant { state: TenantState::Active, version: tenant.version + 1, ..tenant };
        work.tx.update(&tenant).await?;
        if let Some(held) = work.tx.take::<Suspension>(()).await? {
            work.tx.release_timers(work.now.since(held.since)).await?;
            schedule::resume(work).await?;
            snapshot::scheduled::resume(work).await?;
            asked::put_off(work, held.since).await?;
            put_ceremonies_off(work, held).await?;
        }
        work.then(Effect::TimerSet(work.now));
        info(work, tenant, policy).await
    }
}

impl Handle for GetQuota {
    async fn handle(self, work: &mut Work) -> Result<QuotaReport, ActorError> {
        let action = match work.standing.caller.principal() {
            Principal::Operator(_) => Action::Administer,
            _ => Action::ReadTenant,
        };
        work.authorize(action, &Object::TENANT)?;
        let limit = quota::limit(work).await?;
        let used = quota::used(work).await?;
        Ok(QuotaReport { limit, used: Quota { calls_per_minute: self.calls, ..used } })
    }
}

impl Handle for UpdateQuota {
    async fn handle(self, work: &mut Work) -> Result<Quota, ActorError> {
        work.authorize(Action::Administer, &Object::TENANT)?;
        let limit = quota::limit(work).await?.changed(&self.change);
        check(&limit)?;
        work.object = format!("tenant/{}", work.ownership.tenant);
        work.details.extend([
            ("users".to_owned(), limit.users.to_string()),
            ("containers".to_owned(), limit.containers.to_string()),
            ("memory_bytes".to_owned(), limit.memory_bytes.to_string()),
            ("storage_bytes".to_owned(), limit.storage_bytes.to_string()),
            ("calls_per_minute".to_owned(), limit.calls_per_minute.to_string()),
        ]);
        work.tx.upsert(&limit.row(work.ownership.tenant)).await?;
        work.then(Effect::QuotaIs(limit));
        Ok(limit)
    }
}

fn check(limit: &Quota) -> Result<(), ActorError> {
    for (field, value, most) in [
        ("limit.users", limit.users, MOST.users),
        ("limit.containers", limit.containers, MOST.containers),
        ("limit.memory_bytes", limit.memory_bytes, MOST.memory_bytes),
        ("limit.storage_bytes", limit.storage_bytes, MOST.storage_bytes),
        ("limit.calls_per_minute", limit.calls_per_minute, MOST.calls_per_minute),
    ] {
        if !(0..=most).contains(&value) {
            return Err(ActorError::invalid(field, format!("{value} is not between 0 and {most}")));
        }
    }
    Ok(())
}

/// What lives is stopped: wanted so in this transaction, ordered after it, and looked at again until it is.
async fn stop_containers(work: &mut Work) -> Result<(), ActorError> {
    let mut last = None;
    loop {
        let page = match &last {
            Some(last) => work.tx.find::<Container>(Filter::all().after(last)).await?,
            None => work.tx.find::<Container>(Filter::all()).await?,
        };
        let Some(end) = page.last() else { return Ok(()) };
        last = Some(end.container_id);
        for row in page {
            let rests = matches!(
                row.observed,
                ContainerState::Absent
                    | ContainerState::Stopped
                    | ContainerState::Failed
                    | ContainerState::Held
            );
            if rests || matches!(row.desired, DesiredState::Held | DesiredState::Absent) {
                continue;
            }
            let row = changed(work, row, |row| {
                row.desired = DesiredState::Stopped;
                Ok(())
            })
            .await?;
            let again = work.now + CUT_OFF;
            work.set_timer(LOOK, &row.container_id.to_string(), again, &[]).await?;
            // nobody waits for it, and an order with an answer is dropped when nobody does
            work.then(Effect::Container((&row).into(), Box::new(What::Doubt)));
        }
    }
}

/// The delay of a ceremony counts from its notice; the time in which nobody could veto does not count.
async fn put_ceremonies_off(work: &mut Work, held: Suspension) -> Result<(), ActorError> {
    let now = work.now;
    for state in [CeremonyState::Open, CeremonyState::Ready] {
        for row in work.tx.find::<Ceremony>(Ceremony::state.eq(state)).await? {
            let Some(notified) = row.notified_at else { continue };
            let off = now.since(notified.max(held.since));
            let next = Ceremony {
                notified_at: Some(notified + off),
                matures_at: row.matures_at.map(|at| at + off),
                version: row.version + 1,
                ..row.clone()
            };
            if !work.tx.update_if(&next, Ceremony::version.eq(row.version)).await? {
                return Err(ActorError::Aborted("a ceremony"));
            }
        }
    }
    Ok(())
}
