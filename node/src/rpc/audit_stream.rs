//! Where a tenant's audit is streamed to.

use ocmt_actors::api::audit::{GetAuditStream, RemoveAuditStream, SetAuditStream, StreamInfo};
use ocmt_proto::v1 as pb;
use ocmt_types::Secret;
use tonic::{Request, Status};

use super::{Rpc, convert};

pub(super) async fn set(
    rpc: &Rpc,
    request: &Request<pb::SetAuditStreamRequest>,
) -> Result<pb::SetAuditStreamResponse, Status> {
    let it = request.get_ref();
    let some = |text: &String| Some(text).filter(|text| !text.is_empty()).cloned().map(Secret::new);
    let from = Some(it.from_sequence).filter(|from| *from > 0);
    let ask = SetAuditStream {
        target: some(&it.target),
        secret: some(&it.secret),
        from: from.map(|from| i64::try_from(from).unwrap_or(i64::MAX)),
    };
    let made = rpc.ask(request, &it.idempotency_key, ask).await?;
    Ok(pb::SetAuditStreamResponse { stream: Some(stream(made)) })
}

pub(super) async fn show(
    rpc: &Rpc,
    request: &Request<pb::GetAuditStreamRequest>,
) -> Result<pb::GetAuditStreamResponse, Status> {
    let found = rpc.ask(request, &[], GetAuditStream).await?;
    Ok(pb::GetAuditStreamResponse { stream: Some(stream(found)) })
}

pub(super) async fn remove(
    rpc: &Rpc,
    request: &Request<pb::RemoveAuditStreamRequest>,
) -> Result<pb::RemoveAuditStreamResponse, Status> {
    rpc.ask(request, &request.get_ref().idempotency_key, RemoveAuditStream).await?;
    Ok(pb::RemoveAuditStreamResponse {})
}

fn stream(info: StreamInfo) -> pb::AuditStream {
    pb::AuditStream {
        target_hint: info.hint,
        sent_sequence: u64::try_from(info.sent).unwrap_or(0),
        last_sequence: u64::try_from(info.last).unwrap_or(0),
        failing_since: info.failing_since.map(convert::time),
        detail: info.said,
        taken_at: info.taken_at.map(convert::time),
        updated_at: Some(convert::time(info.updated_at)),
    }
}
