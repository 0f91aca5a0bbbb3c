//! Tenants: whether they are served, and what of their limits is used. Nothing that is in one is here.

use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
    response::Response,
};
use ocmt_proto::v1::{self as pb, tenant_service_server::TenantService as _};
use ocmt_types::Timestamp;
use tonic::Status;

use super::{
    super::{answer::html, frame::Frame, view::at},
    Console, MOST,
    at::At,
    nodes::Wanted,
    view::{Limit, OneTenant, Tenant, Tenants},
};

const MIB: u64 = 1 << 20;

/// One page of them.
pub(super) async fn list(
    State(console): State<Console>,
    Query(Wanted { after }): Query<Wanted>,
    who: At,
) -> Response {
    let (further, asked) = (!after.is_empty(), pb::ListTenantsRequest { page_size: MOST, page_token: after });
    match console.rpc.list_tenants(who.call(asked)).await {
        Ok(answer) => {
            let (frame, answer) = (who.frame(), answer.into_inner());
            let row = |one: pb::TenantSummary| OneTenant {
                state: state(&frame, one.state()),
                id: one.tenant_id,
                name: one.name,
            };
            let tenants = answer.tenants.into_iter().map(row).collect();
            html(StatusCode::OK, &Tenants { frame, tenants, further, next: answer.next_page_token }, [])
        }
        Err(status) => who.refused(&status),
    }
}

/// One of them, with its limits.
pub(super) async fn show(State(console): State<Console>, Path(id): Path<String>, who: At) -> Response {
    match looked_at(&console, &who, &id).await {
        Ok((tenant, quota)) => {
            let frame = who.frame();
            let time = |time: Option<prost_types::Timestamp>| {
                time.map(|time| at(Timestamp(time.seconds.saturating_mul(1000)))).unwrap_or_default()
            };
            let one = OneTenant {
                state: state(&frame, tenant.state()),
                id: tenant.tenant_id.clone(),
                name: tenant.name.clone(),
            };
            let limits =
                limits(&frame, &quota.limit.unwrap_or_default(), &quota.used.unwrap_or_default()).into();
            let (made, deleted) = (time(tenant.created_at), time(tenant.deletes_at));
            html(StatusCode::OK, &Tenant { frame, one, made, deleted, limits }, [])
        }
        Err(status) => who.refused(&status),
    }
}

async fn looked_at(
    console: &Console,
    who: &At,
    id: &str,
) -> Result<(pb::Tenant, pb::GetQuotaResponse), Status> {
    let tenant = pb::GetTenantRequest { tenant_id: id.to_owned() };
    let tenant = console.rpc.get_tenant(who.call(tenant)).await?.into_inner().tenant.unwrap_or_default();
    let quota = pb::GetQuotaRequest { tenant_id: id.to_owned() };
    Ok((tenant, console.rpc.get_quota(who.call(quota)).await?.into_inner()))
}

fn state(frame: &Frame, state: pb::TenantState) -> String {
    let said = match state {
        pb::TenantState::Active => frame.say("tenant.is_active"),
        pb::TenantState::Suspended => frame.say("tenant.is_suspended"),
        pb::TenantState::Deleting => frame.say("tenant.is_deleting"),
        pb::TenantState::Unspecified => frame.say("node.is_unknown"),
    };
    said.to_owned()
}

fn limits(frame: &Frame, limit: &pb::Quota, used: &pb::Quota) -> [Limit; 5] {
    let count = |what: &str, used: u64, limit: u64, unit: &str| Limit {
        what: what.to_owned(),
        said: format!("{used} / {limit}{unit}"),
        used: used.min(limit),
        limit: limit.max(1),
    };
    [
        count(frame.say("tenant.users"), used.users, limit.users, ""),
        count(frame.say("node.containers"), used.containers, limit.containers, ""),
        count(frame.say("tenant.memory"), used.memory_bytes / MIB, limit.memory_bytes / MIB, " MiB"),
        count(frame.say("tenant.storage"), used.storage_bytes / MIB, limit.storage_bytes / MIB, " MiB"),
        count(frame.say("tenant.calls"), used.calls_per_minute, limit.calls_per_minute, ""),
    ]
}
