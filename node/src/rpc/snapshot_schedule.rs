//! Schedules of snapshots of ContainerService.

use ocmt_actors::api::snapshot::{
    DeleteSnapshotSchedule, GetSnapshotSchedule, PutSnapshotSchedule, SnapshotScheduleInfo,
};
use ocmt_proto::v1 as pb;
use tonic::{Request, Response};

use super::{Answer, Rpc, convert};

pub(super) async fn put(
    rpc: &Rpc,
    request: Request<pb::PutSnapshotScheduleRequest>,
) -> Answer<pb::PutSnapshotScheduleResponse> {
    let it = request.get_ref();
    let ask = PutSnapshotSchedule {
        container: convert::id(&it.container_id, "container_id")?,
        signed: it.signed.to_vec(),
        vault_epoch: it.vault_epoch,
    };
    let schedule = rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::PutSnapshotScheduleResponse { schedule: Some(wire(schedule)) }))
}

pub(super) async fn get(
    rpc: &Rpc,
    request: Request<pb::GetSnapshotScheduleRequest>,
) -> Answer<pb::GetSnapshotScheduleResponse> {
    let ask =
        GetSnapshotSchedule { container: convert::id(&request.get_ref().container_id, "container_id")? };
    let found = rpc.ask(&request, &[], ask).await?;
    Ok(Response::new(pb::GetSnapshotScheduleResponse { schedule: found.schedule.map(wire) }))
}

pub(super) async fn delete(
    rpc: &Rpc,
    request: Request<pb::DeleteSnapshotScheduleRequest>,
) -> Answer<pb::DeleteSnapshotScheduleResponse> {
    let it = request.get_ref();
    let ask = DeleteSnapshotSchedule { container: convert::id(&it.container_id, "container_id")? };
    rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::DeleteSnapshotScheduleResponse {}))
}

fn wire(info: SnapshotScheduleInfo) -> pb::SnapshotSchedule {
    pb::SnapshotSchedule {
        signed: info.signed.into(),
        next_at: info.next_at.map(convert::time),
        due_at: info.due_at.map(convert::time),
        rests: info.rests.unwrap_or_default(),
        failure: info.failure.unwrap_or_default(),
        created_at: Some(convert::time(info.created_at)),
    }
}
