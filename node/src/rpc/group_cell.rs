//! Opening a group's vault into the cell of one container.

use std::time::Duration;

use ocmt_actors::api::{
    group_cells::{
        AppointGroupCell, CellAsked, CellEvidence, DismissGroupCell, GetGroupCell, GetGroupCellKey,
        OpenGroupCell,
    },
    recovery::NodeStatement,
};
use ocmt_proto::v1 as pb;
use tonic::{Request, Response, Status};

use super::{Answer, Rpc, convert, recovery_wire};

pub(super) async fn appoint(
    rpc: &Rpc,
    request: Request<pb::AppointGroupCellRequest>,
) -> Answer<pb::AppointGroupCellResponse> {
    let it = request.get_ref();
    let ask = AppointGroupCell {
        group: convert::id(&it.group_id, "group_id")?,
        appointment: it.appointment.to_vec(),
    };
    rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::AppointGroupCellResponse {}))
}

pub(super) async fn dismiss(
    rpc: &Rpc,
    request: Request<pb::DismissGroupCellRequest>,
) -> Answer<pb::DismissGroupCellResponse> {
    let it = request.get_ref();
    let ask = DismissGroupCell { group: convert::id(&it.group_id, "group_id")? };
    rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::DismissGroupCellResponse {}))
}

pub(super) async fn get(
    rpc: &Rpc,
    request: Request<pb::GetGroupCellRequest>,
) -> Answer<pb::GetGroupCellResponse> {
    let ask = GetGroupCell { group: convert::id(&request.get_ref().group_id, "group_id")? };
    let found = rpc.ask(&request, &[], ask).await?;
    Ok(Response::new(pb::GetGroupCellResponse {
        appointment: found.appointment.into(),
        owner_email: found.owner_email,
        appointed_at: Some(convert::time(found.appointed_at)),
        manifest: found.manifest.into(),
        successions: found.successions.into_iter().map(Into::into).collect(),
        unlocked_until: found.unlocked_until.map(convert::time),
    }))
}

pub(super) async fn key(
    rpc: &Rpc,
    request: Request<pb::GetGroupCellKeyRequest>,
) -> Answer<pb::GetGroupCellKeyResponse> {
    let it = request.get_ref();
    let ask = GetGroupCellKey {
        group: convert::id(&it.group_id, "group_id")?,
        lasts: Duration::from_millis(it.lasts_ms),
    };
    let stated = rpc.ask(&request, &[], ask).await?;
    let statement =
        NodeStatement { statement: stated.statement, certificate_chain: stated.certificate_chain };
    Ok(Response::new(pb::GetGroupCellKeyResponse { statement: Some(recovery_wire::statement(statement)) }))
}

pub(super) async fn open(
    rpc: &Rpc,
    request: Request<pb::OpenGroupCellRequest>,
) -> Answer<pb::OpenGroupCellResponse> {
    let it = request.get_ref();
    let ask = OpenGroupCell {
        group: convert::id(&it.group_id, "group_id")?,
        ceremony: convert::digest(&it.ceremony_id, "ceremony_id")?,
    };
    let unlocked = rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::OpenGroupCellResponse { unlocked_until: Some(convert::time(unlocked.until)) }))
}

pub(super) fn asked(it: &pb::GroupCellAsked) -> Result<CellAsked, Status> {
    let statement = it.statement.as_ref().ok_or_else(|| convert::invalid("cell", "has no statement"))?;
    Ok(CellAsked {
        order: it.order.to_vec(),
        statement: NodeStatement {
            statement: statement.statement.to_vec(),
            certificate_chain: statement.certificate_chain_der.iter().map(|one| one.to_vec()).collect(),
        },
    })
}

pub(super) fn evidence(it: CellEvidence) -> pb::GroupCellEvidence {
    pb::GroupCellEvidence {
        order: it.asked.order.into(),
        statement: Some(recovery_wire::statement(it.asked.statement)),
        appointment: it.appointment.into(),
    }
}
