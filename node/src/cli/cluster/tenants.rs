//! `ocmt tenant ls, show, suspend, resume, limits`: what operators do to tenants.

use ocmt_client::{pages::Pages, tenant::Quotas};
use ocmt_proto::v1 as pb;
use serde::Serialize;

use super::{
    At,
    connect::{Operator, key, refused},
    remove::confirmed,
    seen::time,
};
use crate::cli::{
    args::{LimitArgs, OperatedCommand},
    show, tenant,
};

/// Bytes of a MiB.
const MIB: u64 = 1 << 20;

/// A tenant as operators see it.
#[derive(Serialize)]
struct TenantSeen {
    tenant: String,
    name: String,
    state: String,
}

impl TenantSeen {
    fn of(tenant: String, name: String, state: pb::TenantState) -> Self {
        let state = state.as_str_name().trim_start_matches("TENANT_STATE_").to_lowercase();
        Self { tenant, name, state }
    }
}

impl From<pb::Tenant> for TenantSeen {
    fn from(it: pb::Tenant) -> Self {
        let state = it.state();
        Self::of(it.tenant_id, it.name, state)
    }
}

pub(super) async fn run(at: &At, command: OperatedCommand) -> anyhow::Result<()> {
    match command {
        OperatedCommand::Ls(operator) => list(at, &Operator::connect(at, &operator).await?).await,
        OperatedCommand::Show { operator, which } => {
            let request = pb::GetTenantRequest { tenant_id: which.to_string() };
            let mut tenants = Operator::connect(at, &operator).await?.tenants();
            let answer = tenants.get_tenant(request).await.map_err(refused)?.into_inner();
            say(at, answer.tenant.unwrap_or_default())
        }
        OperatedCommand::Suspend { operator, which, reason } => {
            let tenant_id = which.to_string();
            let request = pb::SuspendTenantRequest { tenant_id, reason, idempotency_key: key() };
            let mut tenants = Operator::connect(at, &operator).await?.tenants();
            let answer = tenants.suspend_tenant(request).await.map_err(refused)?.into_inner();
            say(at, answer.tenant.unwrap_or_default())
        }
        OperatedCommand::Resume { operator, which } => {
            let request = pb::ResumeTenantRequest { tenant_id: which.to_string(), idempotency_key: key() };
            let mut tenants = Operator::connect(at, &operator).await?.tenants();
            let answer = tenants.resume_tenant(request).await.map_err(refused)?.into_inner();
            say(at, answer.tenant.unwrap_or_default())
        }
        OperatedCommand::Destroy { operator, which, name, yes } => {
            let operator = Operator::connect(at, &operator).await?;
            let act = pb::DestructiveAct::DeleteTenant;
            let Some(confirmation_token) = confirmed(&operator, act, &which, yes).await? else {
                return Ok(());
            };
            let request = pb::DeleteTenantRequest {
                tenant_id: which.to_string(),
                confirm_name: name.clone(),
                confirmation_token,
                idempotency_key: key(),
            };
            let answer = operator.tenants().delete_tenant(request).await.map_err(refused)?.into_inner();
            let ends = time(answer.deletes_at);
            at.out.value(&serde_json::json!({ "deletes_at": ends }), || {
                format!("tenant {name} ({which}) is deleted at {}", show::at(ends))
            })
        }
        OperatedCommand::Limits(args) => limits(at, &args).await,
    }
}

fn say(at: &At, tenant: pb::Tenant) -> anyhow::Result<()> {
    let seen = TenantSeen::from(tenant);
    at.out.value(&seen, || format!("tenant {} ({}) is {}", seen.name, seen.tenant, seen.state))
}

async fn list(at: &At, operator: &Operator) -> anyhow::Result<()> {
    let (mut tenants, mut seen, mut page_token) = (operator.tenants(), Vec::new(), String::new());
    let mut pages = Pages::default();
    loop {
        let request = pb::ListTenantsRequest { page_size: 100, page_token };
        let page = tenants.list_tenants(request).await.map_err(refused)?.into_inner();
        seen.extend(page.tenants.into_iter().map(|it| {
            let state = it.state();
            TenantSeen::of(it.tenant_id, it.name, state)
        }));
        pages.turn(&page.next_page_token)?;
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
    }
    at.out.list(&seen, &["TENANT", "NAME", "STATE"], |it| {
        vec![it.tenant.clone(), it.name.clone(), it.state.clone()]
    })
}

async fn limits(at: &At, args: &LimitArgs) -> anyhow::Result<()> {
    let mut tenants = Operator::connect(at, &args.operator).await?.tenants();
    let named = [
        ("users", args.users),
        ("containers", args.containers),
        ("memory_bytes", args.memory_mib.map(|mib| mib.saturating_mul(MIB))),
        ("storage_bytes", args.storage_mib.map(|mib| mib.saturating_mul(MIB))),
        ("calls_per_minute", args.calls),
    ];
    let paths: Vec<String> =
        named.iter().filter(|(_, value)| value.is_some()).map(|(path, _)| (*path).to_owned()).collect();
    if !paths.is_empty() {
        let [users, containers, memory_bytes, storage_bytes, calls_per_minute] =
            named.map(|(_, value)| value.unwrap_or_default());
        let limit = pb::Quota { users, containers, memory_bytes, storage_bytes, calls_per_minute };
        let request = pb::UpdateQuotaRequest {
            tenant_id: args.which.to_string(),
            limit: Some(limit),
            update_mask: Some(prost_types::FieldMask { paths }),
            idempotency_key: key(),
        };
        tenants.update_quota(request).await.map_err(refused)?;
    }
    let request = pb::GetQuotaRequest { tenant_id: args.which.to_string() };
    let answer = tenants.get_quota(request).await.map_err(refused)?.into_inner();
    let (limit, used) = (answer.limit.unwrap_or_default(), answer.used.unwrap_or_default());
    let quotas = Quotas { limit: limit.into(), used: used.into() };
    at.out.value(&quotas, || tenant::limits(&quotas))
}
