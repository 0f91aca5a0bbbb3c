//! How long a tenant's audit is kept.

use std::time::Duration;

use ocmt_actors::api::audit::{GetAuditRetention, RetentionInfo, SetAuditRetention};
use ocmt_proto::v1 as pb;
use tonic::{Request, Status};

use super::{Rpc, convert};

pub(super) async fn set(
    rpc: &Rpc,
    request: &Request<pb::SetAuditRetentionRequest>,
) -> Result<pb::SetAuditRetentionResponse, Status> {
    let it = request.get_ref();
    // what is below zero is shorter than the shortest
    let keep = |keep| Duration::from_millis(u64::try_from(convert::millis(keep)).unwrap_or(0));
    let ask = SetAuditRetention { keep: it.keep.as_ref().map(keep) };
    let set = rpc.ask(request, &it.idempotency_key, ask).await?;
    Ok(pb::SetAuditRetentionResponse { retention: Some(retention(&set)) })
}

pub(super) async fn show(
    rpc: &Rpc,
    request: &Request<pb::GetAuditRetentionRequest>,
) -> Result<pb::GetAuditRetentionResponse, Status> {
    let found = rpc.ask(request, &[], GetAuditRetention).await?;
    Ok(pb::GetAuditRetentionResponse { retention: Some(retention(&found)) })
}

fn retention(info: &RetentionInfo) -> pb::AuditRetention {
    let millis = |keep: Duration| i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
    pb::AuditRetention {
        keep: info.keep.map(|keep| convert::duration(millis(keep))),
        prunes_from: info.prunes_from.map(convert::time),
        pruned_sequence: u64::try_from(info.pruned).unwrap_or(0),
        pruned_at: info.pruned_at.map(convert::time),
    }
}
