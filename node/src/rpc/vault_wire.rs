//! Vaults between the wire's messages and the actors' types.

use bytes::Bytes;
use ocmt_actors::api::vault::{
    GetKeySlots, Handout, ObjectHead, Reported, RotationInfo, RotationMode, SlotRequest, StoredSlot,
    VaultInfo,
};
use ocmt_crypto::{object::VaultObject, slot::SlotKind};
use ocmt_proto::v1 as pb;
use ocmt_types::Digest32;
use tonic::Status;

use super::convert;

pub(super) fn vault(info: &VaultInfo) -> pb::Vault {
    pb::Vault {
        vault_id: info.id.to_string(),
        user_id: info.user.map(|user| user.to_string()).unwrap_or_default(),
        group_id: info.group.map(|group| group.to_string()).unwrap_or_default(),
        key_epoch: info.key_epoch,
        counter: info.counter,
        object_count: info.objects,
        slot_count: info.slots,
        verify_key: info.verify_key.to_vec().into(),
        created_at: Some(convert::time(info.created_at)),
        updated_at: Some(convert::time(info.updated_at)),
        inbox_count: info.inbox,
    }
}

pub(super) fn object(object: VaultObject) -> pb::VaultObject {
    pb::VaultObject {
        object_id: object.object_id.0.to_vec().into(),
        version: object.version,
        wrapped_key: object.wrapped_key.into(),
        body: object.body.into(),
    }
}

pub(super) fn to_object(object: &pb::VaultObject) -> Result<VaultObject, Status> {
    Ok(VaultObject {
        object_id: convert::digest(&object.object_id, "object_id")?,
        version: object.version,
        wrapped_key: object.wrapped_key.to_vec(),
        body: object.body.to_vec(),
    })
}

pub(super) fn head(head: ObjectHead) -> pb::VaultObjectHead {
    pb::VaultObjectHead {
        object_id: head.leaf.object_id.0.to_vec().into(),
        version: head.leaf.version,
        wrapped_key: head.wrapped_key.into(),
        body_hash: head.leaf.body_hash.0.to_vec().into(),
        body_size: head.body_bytes,
        updated_at: Some(convert::time(head.updated_at)),
    }
}

pub(super) fn handout(handout: Handout) -> pb::GetKeySlotsResponse {
    pb::GetKeySlotsResponse {
        vault_id: handout.vault.to_string(),
        slots: handout.slots.into_iter().map(slot).collect(),
        key_epoch: handout.key_epoch,
        manifest: handout.manifest.into(),
        successions: handout.successions.into_iter().map(Into::into).collect(),
        handout_id: handout.handout.to_string(),
        challenge: handout.challenge.0.to_vec().into(),
        argon2_memory_mib: handout.least_cost.0,
        argon2_passes: handout.least_cost.1,
    }
}

/// What is to be opened with what.
pub(super) fn to_get_key_slots(request: &pb::GetKeySlotsRequest) -> Result<GetKeySlots, Status> {
    let kind = match request.kind {
        0 => None,
        kind => {
            let kind = u8::try_from(kind).ok().and_then(|kind| SlotKind::from_byte(kind).ok());
            Some(kind.ok_or_else(|| convert::invalid("kind", "is not a kind of key slot"))?)
        }
    };
    let claim = match request.claim.as_ref() {
        [] => None,
        claim => Some(claim.try_into().map_err(|_| convert::invalid("claim", "is not 32 bytes"))?),
    };
    Ok(GetKeySlots { vault: convert::optional_id(&request.vault_id, "vault_id")?, kind, claim })
}

pub(super) fn reported(reported: Reported) -> pb::ReportUnlockResponse {
    pb::ReportUnlockResponse { slots: reported.slots.into_iter().map(slot).collect() }
}

pub(super) fn slot_request(request: SlotRequest) -> pb::SlotRequest {
    pb::SlotRequest {
        request_id: request.id.to_string(),
        kind: request.kind.map_or(0, |kind| kind as i32),
        asked_at: Some(convert::time(request.asked_at)),
        ready_at: Some(convert::time(request.ready_at)),
        expires_at: Some(convert::time(request.expires_at)),
        refused: request.refused,
        handed_out: request.handed_out,
        client: request.client,
    }
}

/// Kinds of slots have the same numbers on the wire as in their canonical form.
fn slot(slot: StoredSlot) -> pb::KeySlot {
    pb::KeySlot {
        slot_id: slot.id.to_string(),
        kind: i32::from(slot.kind),
        slot: slot.slot.into(),
        created_at: Some(convert::time(slot.created_at)),
        last_used_at: None,
    }
}

pub(super) fn rotation(info: RotationInfo) -> pb::Rotation {
    let mode = match info.mode {
        RotationMode::Rewrap => pb::RotationMode::Rewrap,
        RotationMode::Rekey => pb::RotationMode::Rekey,
    };
    pb::Rotation {
        rotation_id: info.id.to_string(),
        new_key_epoch: info.epoch,
        new_verify_key: info.verify_key.to_vec().into(),
        mode: mode.into(),
        staged_slots: info.slots.into_iter().map(Into::into).collect(),
        staged_count: info.staged,
        remaining_count: info.remaining,
        started_at: Some(convert::time(info.started_at)),
        ..Default::default()
    }
}

pub(super) fn parts(parts: &[Bytes]) -> Vec<Vec<u8>> {
    parts.iter().map(|part| part.to_vec()).collect()
}

/// Page tokens of object lists are the last object's id in hexadecimal.
pub(super) fn page_token(token: &str) -> Result<Option<Digest32>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = data_encoding::HEXLOWER.decode(token.as_bytes()).ok();
    let id = bytes.and_then(|bytes| Digest32::try_from(bytes.as_slice()).ok());
    id.map(Some).ok_or_else(|| convert::invalid("page_token", "is not one of ours"))
}
