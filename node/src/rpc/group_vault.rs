//! Vaults of groups: who takes part, and with whose word. What is in them goes through VaultService.

use ocmt_actors::api::group_vaults::{
    AcceptGroupVault, AdmitToGroupVault, GetGroupVault, Participant, RotationDue,
};
use ocmt_proto::v1 as pb;
use tonic::{Request, Response};

use super::{Answer, Rpc, convert, group::role};

pub(super) async fn get(
    rpc: &Rpc,
    request: Request<pb::GetGroupVaultRequest>,
) -> Answer<pb::GetGroupVaultResponse> {
    let ask = GetGroupVault { group: convert::id(&request.get_ref().group_id, "group_id")? };
    let found = rpc.ask(&request, &[], ask).await?;
    Ok(Response::new(pb::GetGroupVaultResponse {
        vault_id: found.vault.map(|vault| vault.to_string()).unwrap_or_default(),
        rotation_due: match found.due {
            None => pb::RotationDue::Unspecified,
            Some((RotationDue::Left, _)) => pb::RotationDue::Left,
            Some((RotationDue::Unlocked, _)) => pb::RotationDue::Unlocked,
        }
        .into(),
        rotation_due_since: found.due.map(|(_, since)| convert::time(since)),
        units_needed: found.shared.map_or(0, |(needed, _)| needed),
        units_total: found.shared.map_or(0, |(_, total)| total),
        participants: found.participants.into_iter().map(participant).collect(),
    }))
}

pub(super) async fn accept(
    rpc: &Rpc,
    request: Request<pb::AcceptGroupVaultRequest>,
) -> Answer<pb::AcceptGroupVaultResponse> {
    let it = request.get_ref();
    let ask = AcceptGroupVault {
        group: convert::id(&it.group_id, "group_id")?,
        acceptance: it.acceptance.to_vec(),
    };
    rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::AcceptGroupVaultResponse {}))
}

pub(super) async fn admit(
    rpc: &Rpc,
    request: Request<pb::AdmitToGroupVaultRequest>,
) -> Answer<pb::AdmitToGroupVaultResponse> {
    let it = request.get_ref();
    let ask = AdmitToGroupVault {
        group: convert::id(&it.group_id, "group_id")?,
        user: convert::id(&it.user_id, "user_id")?,
        slot: it.slot.to_vec(),
        manifest: it.manifest.to_vec(),
        admission: it.admission.to_vec(),
    };
    let written = rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::AdmitToGroupVaultResponse { counter: written.counter }))
}

fn participant(one: Participant) -> pb::VaultParticipant {
    pb::VaultParticipant {
        member: Some(pb::Member {
            user_id: one.user.to_string(),
            email: one.email,
            role: role(one.role),
            added_at: None,
        }),
        acceptance: one.acceptance.unwrap_or_default().into(),
        admission: one.admission.unwrap_or_default().into(),
        admitted_by: one.admitted_by.map(|user| user.to_string()).unwrap_or_default(),
        slot_id: one.slot.map(|slot| slot.to_string()).unwrap_or_default(),
    }
}
