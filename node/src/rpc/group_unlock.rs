//! Opening a group's vault by several together.

use ocmt_actors::api::group_unlocks::{
    ApproveGroupUnlock, CancelGroupUnlock, CollectGroupUnlock, DenyGroupUnlock, GetGroupUnlock,
    ListGroupUnlocks, OpenGroupUnlock, UnlockView,
};
use ocmt_proto::v1 as pb;
use tonic::{Request, Response};

use super::{
    Answer, Rpc, convert, group_cell,
    recovery_wire::{state, statement},
    vault_wire,
};

pub(super) async fn open(
    rpc: &Rpc,
    request: Request<pb::OpenGroupUnlockRequest>,
) -> Answer<pb::OpenGroupUnlockResponse> {
    let it = request.get_ref();
    let cell = it.cell.as_ref().map(group_cell::asked).transpose()?;
    let ask =
        OpenGroupUnlock { group: convert::id(&it.group_id, "group_id")?, params: it.params.to_vec(), cell };
    let view = rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::OpenGroupUnlockResponse { unlock: Some(unlock(view)) }))
}

pub(super) async fn get(
    rpc: &Rpc,
    request: Request<pb::GetGroupUnlockRequest>,
) -> Answer<pb::GetGroupUnlockResponse> {
    let it = request.get_ref();
    let ask = GetGroupUnlock {
        group: convert::id(&it.group_id, "group_id")?,
        ceremony: convert::digest(&it.ceremony_id, "ceremony_id")?,
    };
    let found = rpc.ask(&request, &[], ask).await?;
    Ok(Response::new(pb::GetGroupUnlockResponse {
        unlock: Some(unlock(found.unlock)),
        signed_set: found.signed_set.into(),
        sealed_part: found.sealed_part.into(),
        cell: found.cell.map(group_cell::evidence),
    }))
}

pub(super) async fn list(
    rpc: &Rpc,
    request: Request<pb::ListGroupUnlocksRequest>,
) -> Answer<pb::ListGroupUnlocksResponse> {
    let it = request.get_ref();
    let ask = ListGroupUnlocks {
        group: convert::id(&it.group_id, "group_id")?,
        after: vault_wire::page_token(&it.page_token)?,
        limit: convert::page_size(it.page_size, 20),
    };
    let found = rpc.ask(&request, &[], ask).await?;
    Ok(Response::new(pb::ListGroupUnlocksResponse {
        unlocks: found.unlocks.into_iter().map(unlock).collect(),
        signed_set: found.signed_set.into(),
        next_page_token: found.next.map(|next| next.to_string()).unwrap_or_default(),
    }))
}

pub(super) async fn approve(
    rpc: &Rpc,
    request: Request<pb::ApproveGroupUnlockRequest>,
) -> Answer<pb::ApproveGroupUnlockResponse> {
    let it = request.get_ref();
    let ask = ApproveGroupUnlock {
        group: convert::id(&it.group_id, "group_id")?,
        ceremony: convert::digest(&it.ceremony_id, "ceremony_id")?,
        approval: it.approval.to_vec(),
    };
    let view = rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::ApproveGroupUnlockResponse { unlock: Some(unlock(view)) }))
}

pub(super) async fn deny(
    rpc: &Rpc,
    request: Request<pb::DenyGroupUnlockRequest>,
) -> Answer<pb::DenyGroupUnlockResponse> {
    let it = request.get_ref();
    let ask = DenyGroupUnlock {
        group: convert::id(&it.group_id, "group_id")?,
        ceremony: convert::digest(&it.ceremony_id, "ceremony_id")?,
        statement: it.statement.to_vec(),
    };
    let view = rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::DenyGroupUnlockResponse { unlock: Some(unlock(view)) }))
}

pub(super) async fn cancel(
    rpc: &Rpc,
    request: Request<pb::CancelGroupUnlockRequest>,
) -> Answer<pb::CancelGroupUnlockResponse> {
    let it = request.get_ref();
    let ask = CancelGroupUnlock {
        group: convert::id(&it.group_id, "group_id")?,
        ceremony: convert::digest(&it.ceremony_id, "ceremony_id")?,
    };
    let view = rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::CancelGroupUnlockResponse { unlock: Some(unlock(view)) }))
}

pub(super) async fn collect(
    rpc: &Rpc,
    request: Request<pb::CollectGroupUnlockRequest>,
) -> Answer<pb::CollectGroupUnlockResponse> {
    let it = request.get_ref();
    let ask = CollectGroupUnlock {
        group: convert::id(&it.group_id, "group_id")?,
        ceremony: convert::digest(&it.ceremony_id, "ceremony_id")?,
    };
    let found = rpc.ask(&request, &[], ask).await?;
    Ok(Response::new(pb::CollectGroupUnlockResponse {
        release_private_key: found.release_private_key.expose().to_vec().into(),
        approvals: found.approvals.into_iter().map(Into::into).collect(),
        signed_set: found.signed_set.into(),
    }))
}

fn unlock(it: UnlockView) -> pb::GroupUnlock {
    let act = |act: ocmt_actors::api::group_unlocks::UnlockAct| pb::GroupUnlockAct {
        email: act.email,
        approved: act.approved,
        at: Some(convert::time(act.at)),
    };
    pb::GroupUnlock {
        ceremony_id: it.id.to_vec().into(),
        params: it.params.into(),
        state: state(it.state).into(),
        requester_email: it.requester_email,
        opened_at: Some(convert::time(it.opened_at)),
        released_at: it.released_at.map(convert::time),
        expires_at: Some(convert::time(it.expires_at)),
        units_needed: it.needed,
        units_approved: it.approved,
        acts: it.acts.into_iter().map(act).collect(),
        release_statement: it.release_statement.map(statement),
        into_cell: it.into_cell,
        handed_at: it.handed_at.map(convert::time),
    }
}
