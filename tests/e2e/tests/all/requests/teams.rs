//! Groups, and senders on messengers.

use ocmt_proto::v1 as pb;

use super::{Ids, Made, key};

pub(super) fn groups(ids: &Ids) -> Vec<Made> {
    let (group_id, user_id) = (ids.group.clone(), ids.user.clone());
    made! {
        GroupService/CreateGroup "" => pb::CreateGroupRequest { name: "t".into(), idempotency_key: key() };
        GroupService/GetGroup "group" => pb::GetGroupRequest { group_id: group_id.clone() };
        GroupService/ListGroups "" => pb::ListGroupsRequest::default();
        GroupService/AddMember "group, user" => pb::AddMemberRequest { group_id: group_id.clone(),
            user_id: user_id.clone(), role: 2, idempotency_key: key() };
        GroupService/SetMemberRole "group, user" => pb::SetMemberRoleRequest { group_id: group_id.clone(),
            user_id: user_id.clone(), role: 2, idempotency_key: key() };
        GroupService/RemoveMember "group, user" => pb::RemoveMemberRequest { group_id: group_id.clone(),
            user_id, idempotency_key: key() };
        GroupService/CreateResource "group, container" => pb::CreateResourceRequest { group_id: group_id.clone(),
            kind: 2, object_id: ids.container.clone(), idempotency_key: key() };
        GroupService/ListResources "group" => pb::ListResourcesRequest { group_id: group_id.clone(),
            ..Default::default() };
        GroupService/DeleteResource "resource" => pb::DeleteResourceRequest { resource_id: ids.resource.clone(),
            idempotency_key: key() };
        GroupService/GetGroupVault "group" => pb::GetGroupVaultRequest { group_id: group_id.clone() };
        GroupService/AcceptGroupVault "group" => pb::AcceptGroupVaultRequest { group_id: group_id.clone(),
            acceptance: vec![1; 222].into(), idempotency_key: key() };
        GroupService/AdmitToGroupVault "group, user" => pb::AdmitToGroupVaultRequest { group_id: group_id.clone(),
            user_id: ids.user.clone(), slot: vec![1; 100].into(), manifest: vec![1; 100].into(),
            admission: vec![1; 200].into(), idempotency_key: key() };
        GroupService/OpenGroupUnlock "group" => pb::OpenGroupUnlockRequest { group_id: group_id.clone(),
            params: vec![1; 200].into(), cell: None, idempotency_key: key() };
        GroupService/GetGroupUnlock "group" => pb::GetGroupUnlockRequest { group_id: group_id.clone(),
            ceremony_id: vec![1; 32].into() };
        GroupService/ListGroupUnlocks "group" => pb::ListGroupUnlocksRequest { group_id: group_id.clone(), ..Default::default() };
        GroupService/ApproveGroupUnlock "group" => pb::ApproveGroupUnlockRequest { group_id: group_id.clone(),
            ceremony_id: vec![1; 32].into(), approval: vec![1; 200].into(), idempotency_key: key() };
        GroupService/DenyGroupUnlock "group" => pb::DenyGroupUnlockRequest { group_id: group_id.clone(),
            ceremony_id: vec![1; 32].into(), statement: vec![1; 200].into(), idempotency_key: key() };
        GroupService/CancelGroupUnlock "group" => pb::CancelGroupUnlockRequest { group_id: group_id.clone(),
            ceremony_id: vec![1; 32].into(), idempotency_key: key() };
        GroupService/CollectGroupUnlock "group" => pb::CollectGroupUnlockRequest { group_id: group_id.clone(),
            ceremony_id: vec![1; 32].into() };
        GroupService/AppointGroupCell "group" => pb::AppointGroupCellRequest { group_id: group_id.clone(),
            appointment: vec![1; 200].into(), idempotency_key: key() };
        GroupService/DismissGroupCell "group" => pb::DismissGroupCellRequest { group_id: group_id.clone(),
            idempotency_key: key() };
        GroupService/GetGroupCell "group" => pb::GetGroupCellRequest { group_id: group_id.clone() };
        GroupService/GetGroupCellKey "group" => pb::GetGroupCellKeyRequest { group_id: group_id.clone(), lasts_ms: 600_000 };
        GroupService/OpenGroupCell "group" => pb::OpenGroupCellRequest { group_id: group_id.clone(),
            ceremony_id: vec![1; 32].into(), idempotency_key: key() };
        GroupService/DeleteGroup "group" => pb::DeleteGroupRequest { group_id, idempotency_key: key() };
    }
}

pub(super) fn senders(ids: &Ids) -> Vec<Made> {
    let pairing_id = ids.pairing.clone();
    made! {
        PairingService/CheckSender "container" => pb::CheckSenderRequest { container_id: ids.container.clone(),
            channel: "telegram".into(), sender_id: "4711".into(), scope: 1, group_id: String::new(),
            display_name: "Ada".into(), idempotency_key: key() };
        PairingService/ListPendingPairings "" => pb::ListPendingPairingsRequest::default();
        PairingService/ApprovePairing "pairing" => pb::ApprovePairingRequest { pairing_id: pairing_id.clone(),
            pairing_code: "ABCDEFGH".into(), idempotency_key: key() };
        PairingService/RejectPairing "pairing" => pb::RejectPairingRequest { pairing_id,
            idempotency_key: key() };
        PairingService/ListPairedSenders "" => pb::ListPairedSendersRequest::default();
        PairingService/RevokePairedSender "sender" => pb::RevokePairedSenderRequest { sender_ref: ids.sender.clone(),
            idempotency_key: key() };
    }
}

pub(super) fn programs(ids: &Ids) -> Vec<Made> {
    let grant = pb::EntryGrant {
        object_id: ids.object.to_vec().into(),
        version: 1,
        sealed_grant: vec![1; 145].into(),
    };
    made! {
        ShareService/CreateProgramToken "vault, object" => pb::CreateProgramTokenRequest { name: "p".into(),
            vault_id: ids.vault.clone(), program_key: vec![9; 32].into(), grants: vec![grant],
            lifetime: Some(prost_types::Duration { seconds: 600, nanos: 0 }), idempotency_key: key() };
        ShareService/RevokeProgramToken "program" => pb::RevokeProgramTokenRequest {
            program_token_id: ids.program.clone(), idempotency_key: key() };
        ShareService/ReleaseProgramToken "program" => pb::ReleaseProgramTokenRequest {
            program_token_id: ids.program.clone(), idempotency_key: key() };
    }
}

pub(super) fn shares(ids: &Ids) -> Vec<Made> {
    let grant = pb::EntryGrant { object_id: ids.object.to_vec().into(), version: 1, ..Default::default() };
    let share_id = ids.share.clone();
    made! {
        ShareService/CreateShare "vault, object" => pb::CreateShareRequest { vault_id: ids.vault.clone(),
            taker_email: "somebody@e2e.example".into(), permissions: vec![2], grants: vec![grant], lifetime: None,
            idempotency_key: key(), ..Default::default() };
        ShareService/AcceptShare "share" => pb::AcceptShareRequest { share_id: share_id.clone(),
            idempotency_key: key() };
        ShareService/ListShares "" => pb::ListSharesRequest::default();
        ShareService/RevokeShare "share" => pb::RevokeShareRequest { share_id: share_id.clone(),
            idempotency_key: key() };
        ShareService/SendSharedWrite "share" => pb::SendSharedWriteRequest { share_id,
            item: vec![1; 300].into(), idempotency_key: key() };
    }
}

pub(super) fn capabilities(ids: &Ids) -> Vec<Made> {
    let capability_id = ids.capability.clone();
    let lifetime = Some(prost_types::Duration { seconds: 600, nanos: 0 });
    let object = format!("entry:{}", ocmt_types::Digest32(ids.object));
    made! {
        ShareService/RequestCapability "vault, object" => pb::RequestCapabilityRequest { object, permissions: vec![1], lifetime,
            reason: "why".into(), vault_id: ids.vault.clone(), sign_key: Vec::new().into(), idempotency_key: key() };
        ShareService/ListCapabilities "" => pb::ListCapabilitiesRequest::default();
        ShareService/ApproveCapability "capability" => pb::ApproveCapabilityRequest { capability_id: capability_id.clone(),
            permissions: vec![2], lifetime, grants: Vec::new(), share_id: String::new(), write_grants: Vec::new(), idempotency_key: key() };
        ShareService/DenyCapability "capability" => pb::DenyCapabilityRequest { capability_id, idempotency_key: key() };
    }
}
