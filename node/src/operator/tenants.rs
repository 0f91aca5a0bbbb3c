//! TenantService's administration: what operators see of tenants, their limits, and whether they are served.
//!
//! Each act is done and audited by the tenant's own actor, wherever that is, and then recorded in the cluster's
//! chain: a crash between the two leaves the tenant's record alone, and a repeat of the request writes the other.
//! Nothing that is in a tenant is to be had here.

use std::time::Duration;

use ocmt_actors::{ActorError, OperatorAct, OperatorAnswer, QuotaChange, api::tenant::TenantInfo};
use ocmt_proto::v1::{self as pb, tenant_service_server::TenantService};
use ocmt_store::tables::ActKind;
use ocmt_types::TenantId;
use tonic::{Request, Response, Status, async_trait};

use super::{
    OperatorRpc,
    access::{Asking, no_such, refuse, stored},
    destroy::confirmation,
};
use crate::rpc::{convert, tenant as wire};

/// How long an act waits for the tenant's node.
const PATIENCE: Duration = Duration::from_secs(10);

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl TenantService for OperatorRpc {
    async fn get_tenant(&self, request: Request<pb::GetTenantRequest>) -> Answer<pb::GetTenantResponse> {
        let asking = self.asking(&request, "/ocmt.v1.TenantService/GetTenant", &[]).await?;
        let id = convert::id(&request.get_ref().tenant_id, "tenant_id")?;
        let info = self.tenant(&asking, id, OperatorAct::Inspect).await?;
        Ok(Response::new(pb::GetTenantResponse { tenant: Some(wire::tenant(&info)) }))
    }

    async fn list_tenants(
        &self,
        request: Request<pb::ListTenantsRequest>,
    ) -> Answer<pb::ListTenantsResponse> {
        self.asking(&request, "/ocmt.v1.TenantService/ListTenants", &[]).await?;
        let it = request.get_ref();
        let (most, after) = (
            convert::page_size(it.page_size, 50).min(100),
            convert::optional_id(&it.page_token, "page_token")?,
        );
        let page = self.parts.store.operators().tenants(after, most).await.map_err(|e| stored(&e))?;
        let full = u32::try_from(page.len()).is_ok_and(|len| len == most);
        let next = page.last().filter(|_| full).map(|tenant| tenant.tenant_id.to_string());
        let summary = |tenant: ocmt_store::tables::Tenant| pb::TenantSummary {
            tenant_id: tenant.tenant_id.to_string(),
            name: tenant.name,
            state: wire::state(tenant.state.into()).into(),
            role_id: String::new(),
        };
        Ok(Response::new(pb::ListTenantsResponse {
            tenants: page.into_iter().map(summary).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn get_quota(&self, request: Request<pb::GetQuotaRequest>) -> Answer<pb::GetQuotaResponse> {
        let asking = self.asking(&request, "/ocmt.v1.TenantService/GetQuota", &[]).await?;
        let id = convert::id(&request.get_ref().tenant_id, "tenant_id")?;
        match self.act(&asking, id, OperatorAct::Quota).await? {
            OperatorAnswer::Quota(report) => Ok(Response::new(wire::quotas(&report))),
            _ => Err(mismatch()),
        }
    }

    async fn update_quota(
        &self,
        request: Request<pb::UpdateQuotaRequest>,
    ) -> Answer<pb::UpdateQuotaResponse> {
        let it = request.get_ref();
        let asking = self.asking(&request, "/ocmt.v1.TenantService/UpdateQuota", &it.idempotency_key).await?;
        if let Some(answer) = self.answered(&asking).await? {
            return Ok(Response::new(answer));
        }
        let id = convert::id(&it.tenant_id, "tenant_id")?;
        let limit = match self.act(&asking, id, OperatorAct::SetQuota(change(it)?)).await? {
            OperatorAnswer::Limit(limit) => Some(wire::quota(&limit)),
            _ => return Err(mismatch()),
        };
        let answer = pb::UpdateQuotaResponse { limit };
        let act = asking.act("tenant.quota", format!("tenant/{id}"), &answer);
        self.parts.store.operators().record(&act).await.map_err(|e| stored(&e))?;
        Ok(Response::new(answer))
    }

    async fn suspend_tenant(
        &self,
        request: Request<pb::SuspendTenantRequest>,
    ) -> Answer<pb::SuspendTenantResponse> {
        let it = request.get_ref();
        let asking =
            self.asking(&request, "/ocmt.v1.TenantService/SuspendTenant", &it.idempotency_key).await?;
        if let Some(answer) = self.answered(&asking).await? {
            return Ok(Response::new(answer));
        }
        let id = convert::id(&it.tenant_id, "tenant_id")?;
        let info = self.tenant(&asking, id, OperatorAct::Suspend { reason: it.reason.clone() }).await?;
        let answer = pb::SuspendTenantResponse { tenant: Some(wire::tenant(&info)) };
        let mut act = asking.act("tenant.suspend", format!("tenant/{id}"), &answer);
        act.details.push(("reason".to_owned(), it.reason.clone()));
        self.parts.store.operators().record(&act).await.map_err(|e| stored(&e))?;
        Ok(Response::new(answer))
    }

    async fn resume_tenant(
        &self,
        request: Request<pb::ResumeTenantRequest>,
    ) -> Answer<pb::ResumeTenantResponse> {
        let it = request.get_ref();
        let asking =
            self.asking(&request, "/ocmt.v1.TenantService/ResumeTenant", &it.idempotency_key).await?;
        if let Some(answer) = self.answered(&asking).await? {
            return Ok(Response::new(answer));
        }
        let id = convert::id(&it.tenant_id, "tenant_id")?;
        let info = self.tenant(&asking, id, OperatorAct::Resume).await?;
        let answer = pb::ResumeTenantResponse { tenant: Some(wire::tenant(&info)) };
        let act = asking.act("tenant.resume", format!("tenant/{id}"), &answer);
        self.parts.store.operators().record(&act).await.map_err(|e| stored(&e))?;
        Ok(Response::new(answer))
    }

    /// The confirmation is used up first, in a transaction of its own with the record of the wish: a crash behind it
    /// leaves the tenant as it is, and the operator begins again.
    async fn delete_tenant(
        &self,
        request: Request<pb::DeleteTenantRequest>,
    ) -> Answer<pb::DeleteTenantResponse> {
        let it = request.get_ref();
        let asking =
            self.asking(&request, "/ocmt.v1.TenantService/DeleteTenant", &it.idempotency_key).await?;
        if let Some(answer) = self.answered(&asking).await? {
            return Ok(Response::new(answer));
        }
        let id: TenantId = convert::id(&it.tenant_id, "tenant_id")?;
        // a name that is wrong uses up no confirmation
        if self.tenant(&asking, id, OperatorAct::Inspect).await?.name != it.confirm_name {
            return Err(convert::invalid("confirm_name", "is not the tenant's name"));
        }
        let object = format!("tenant/{id}");
        let confirmation = confirmation(&asking, &it.confirmation_token, ActKind::DeleteTenant, id);
        let wish = asking.wish("tenant.delete", object.clone());
        let operators = self.parts.store.operators();
        if !operators.confirmed(&confirmation, &wish).await.map_err(|e| stored(&e))? {
            return Err(self.unconfirmed(&asking, "tenant.delete", object).await);
        }
        let delete = OperatorAct::Delete { confirm_name: it.confirm_name.clone() };
        let OperatorAnswer::Deletion(asked) = self.act(&asking, id, delete).await? else {
            return Err(mismatch());
        };
        let answer = pb::DeleteTenantResponse { deletes_at: Some(convert::time(asked.deletes_at)) };
        let act = asking.act("tenant.deletion_waits", object, &answer);
        operators.record(&act).await.map_err(|e| stored(&e))?;
        Ok(Response::new(answer))
    }
}

impl OperatorRpc {
    /// For the operator who is about to confirm it.
    pub(super) async fn what_a_deletion_takes(
        &self,
        asking: &Asking,
        id: TenantId,
    ) -> Result<String, Status> {
        let info = self.tenant(asking, id, OperatorAct::Inspect).await?;
        let OperatorAnswer::Quota(report) = self.act(asking, id, OperatorAct::Quota).await? else {
            return Err(mismatch());
        };
        let used = report.used;
        Ok(format!(
            "tenant {} ({id}) is deleted after the delay of this cluster, with its {} users, {} containers and their volumes, vaults and keys ({} bytes of storage). Its owners are told, and any of them or an operator stops it until then; afterwards nothing brings it back. Its audit stays.",
            info.name, used.users, used.containers, used.storage_bytes
        ))
    }

    async fn act(
        &self,
        asking: &Asking,
        tenant: TenantId,
        act: OperatorAct,
    ) -> Result<OperatorAnswer, Status> {
        match self.parts.hands.administer(tenant, asking.acting(), act, PATIENCE).await {
            Err(ActorError::NotFound) => Err(no_such(format_args!("tenant {tenant}"))),
            answer => answer.map_err(|e| refuse(&e)),
        }
    }

    async fn tenant(
        &self,
        asking: &Asking,
        tenant: TenantId,
        act: OperatorAct,
    ) -> Result<TenantInfo, Status> {
        match self.act(asking, tenant, act).await? {
            OperatorAnswer::Tenant(info) => Ok(*info),
            _ => Err(mismatch()),
        }
    }
}

/// A node of another release has answered something else.
fn mismatch() -> Status {
    refuse(&ActorError::unavailable("LETTER_UNREADABLE", "the tenant's node is of another release"))
}

/// What the mask names.
fn change(it: &pb::UpdateQuotaRequest) -> Result<QuotaChange, Status> {
    let limit = convert::present(it.limit, "limit")?;
    let mask = convert::present(it.update_mask.clone(), "update_mask")?;
    let number = |value: u64| Some(i64::try_from(value).unwrap_or(i64::MAX));
    let mut change = QuotaChange::default();
    for path in &mask.paths {
        match path.as_str() {
            "users" => change.users = number(limit.users),
            "containers" => change.containers = number(limit.containers),
            "memory_bytes" => change.memory_bytes = number(limit.memory_bytes),
            "storage_bytes" => change.storage_bytes = number(limit.storage_bytes),
            "calls_per_minute" => change.calls_per_minute = number(limit.calls_per_minute),
            _ => return Err(convert::invalid("update_mask", format!("names `{path}`, which is no limit"))),
        }
    }
    if change == QuotaChange::default() {
        return Err(convert::invalid("update_mask", "names no limit"));
    }
    Ok(change)
}

#[cfg(test)]
mod tests {
    use ocmt_actors::Quota;

    use super::*;

    #[test]
    fn the_mask_says_which_limits_change() {
        let ask = |paths: &[&str]| pb::UpdateQuotaRequest {
            limit: Some(wire::quota(&Quota { users: 7, ..Quota::DEFAULT })),
            update_mask: Some(prost_types::FieldMask {
                paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            }),
            ..Default::default()
        };
        let only_users = QuotaChange { users: Some(7), ..QuotaChange::default() };
        assert_eq!(change(&ask(&["users"])).ok(), Some(only_users));
        assert!(change(&ask(&["people"])).is_err());
        assert!(change(&ask(&[])).is_err());
    }
}
