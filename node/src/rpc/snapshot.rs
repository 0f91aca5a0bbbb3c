//! Snapshots of ContainerService.

use ocmt_actors::api::snapshot::{
    ArchiveErrand, BySchedule, CreateSnapshot, DeleteSnapshot, GetSnapshotCellKey, ListSnapshots,
    RestoreSnapshot, SnapshotInfo, SnapshotState,
};
use ocmt_proto::v1 as pb;
use tonic::{Request, Response};

use super::{Answer, Rpc, convert};

pub(super) async fn cell_key(
    rpc: &Rpc,
    request: Request<pb::GetSnapshotCellKeyRequest>,
) -> Answer<pb::GetSnapshotCellKeyResponse> {
    let it = request.get_ref();
    let errand = match it.errand() {
        pb::SnapshotErrand::Take => ArchiveErrand::Take,
        pb::SnapshotErrand::Restore => ArchiveErrand::Restore,
        // what is not said is refused before it comes here
        pb::SnapshotErrand::Verify | pb::SnapshotErrand::Unspecified => ArchiveErrand::Verify,
    };
    let ask = GetSnapshotCellKey { container: convert::id(&it.container_id, "container_id")?, errand };
    let stated = rpc.ask(&request, &[], ask).await?;
    let statement = pb::NodeStatement {
        statement: stated.statement.into(),
        certificate_chain_der: stated.certificate_chain.into_iter().map(Into::into).collect(),
    };
    Ok(Response::new(pb::GetSnapshotCellKeyResponse { statement: Some(statement) }))
}

pub(super) async fn create(
    rpc: &Rpc,
    request: Request<pb::CreateSnapshotRequest>,
) -> Answer<pb::CreateSnapshotResponse> {
    let it = request.get_ref();
    let ask = CreateSnapshot {
        container: convert::id(&it.container_id, "container_id")?,
        snapshot: convert::id(&it.snapshot_id, "snapshot_id")?,
        wrapped_key: it.wrapped_key.to_vec(),
        sealed_payload: it.sealed_payload.to_vec(),
        cell_key: convert::digest(&it.cell_key, "cell_key")?,
    };
    let done = rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::CreateSnapshotResponse { snapshot: Some(wire(done.snapshot)) }))
}

pub(super) async fn restore(
    rpc: &Rpc,
    request: Request<pb::RestoreSnapshotRequest>,
) -> Answer<pb::RestoreSnapshotResponse> {
    let it = request.get_ref();
    let ask = RestoreSnapshot {
        container: convert::id(&it.container_id, "container_id")?,
        snapshot: convert::id(&it.snapshot_id, "snapshot_id")?,
        sealed_payload: it.sealed_payload.to_vec(),
        cell_key: convert::digest(&it.cell_key, "cell_key")?,
        verify_only: it.verify_only,
    };
    let done = rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::RestoreSnapshotResponse { generation: done.generation }))
}

pub(super) async fn list(
    rpc: &Rpc,
    request: Request<pb::ListSnapshotsRequest>,
) -> Answer<pb::ListSnapshotsResponse> {
    let it = request.get_ref();
    let ask = ListSnapshots {
        container: convert::id(&it.container_id, "container_id")?,
        after: convert::optional_id(&it.page_token, "page_token")?,
        limit: convert::page_size(it.page_size, 50),
    };
    let page = rpc.ask(&request, &[], ask).await?;
    Ok(Response::new(pb::ListSnapshotsResponse {
        snapshots: page.snapshots.into_iter().map(wire).collect(),
        next_page_token: page.next.map(|next| next.to_string()).unwrap_or_default(),
    }))
}

pub(super) async fn delete(
    rpc: &Rpc,
    request: Request<pb::DeleteSnapshotRequest>,
) -> Answer<pb::DeleteSnapshotResponse> {
    let it = request.get_ref();
    let ask = DeleteSnapshot { snapshot: convert::id(&it.snapshot_id, "snapshot_id")? };
    rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::DeleteSnapshotResponse {}))
}

fn wire(info: SnapshotInfo) -> pb::Snapshot {
    let state = match info.state {
        SnapshotState::Taking => pb::SnapshotState::Taking,
        SnapshotState::Taken => pb::SnapshotState::Taken,
        SnapshotState::Restoring | SnapshotState::Placing => pb::SnapshotState::Restoring,
        SnapshotState::Verifying => pb::SnapshotState::Verifying,
        SnapshotState::Failed => pb::SnapshotState::Failed,
        // in no list
        SnapshotState::Ending => pb::SnapshotState::Unspecified,
    };
    let (sealed_key, taken) = match info.by_schedule {
        None => (Vec::new(), None),
        Some(BySchedule { sealed_key, statement, chain }) => {
            let certificate_chain_der = chain.into_iter().map(Into::into).collect();
            (sealed_key, Some(pb::NodeStatement { statement: statement.into(), certificate_chain_der }))
        }
    };
    pb::Snapshot {
        snapshot_id: info.id.to_string(),
        container_id: info.container.to_string(),
        generation: info.generation,
        size_bytes: info.size_bytes,
        content_hash: info.content_hash.map(|hash| hash.to_vec().into()).unwrap_or_default(),
        wrapped_key: info.wrapped_key.into(),
        created_at: Some(convert::time(info.created_at)),
        verified: info.verified,
        state: state.into(),
        failure: info.failure.unwrap_or_default(),
        opened: info.opened,
        sealed_key: sealed_key.into(),
        taken,
    }
}
