//! Vaults and their rotation.

use ocmt_proto::v1 as pb;

use super::{Ids, Made, key, uuid};

pub(super) fn vaults(ids: &Ids) -> Vec<Made> {
    let (vault_id, manifest) = (ids.vault.clone(), bytes::Bytes::from(vec![1; 64]));
    let object_id = bytes::Bytes::from(ids.object.to_vec());
    made! {
        VaultService/CreateVault "" => pb::CreateVaultRequest { vault_id: uuid(),
            verify_key: vec![1; 32].into(), slots: vec![vec![1; 32].into()], objects: vec![object(ids)],
            manifest: manifest.clone(), idempotency_key: key(), ..Default::default() };
        VaultService/GetVault "vault" => pb::GetVaultRequest { vault_id: vault_id.clone() };
        VaultService/ListEntries "vault" => pb::ListEntriesRequest { vault_id: vault_id.clone(),
            ..Default::default() };
        VaultService/GetEntry "vault, object" => pb::GetEntryRequest { vault_id: vault_id.clone(),
            object_id: object_id.clone(), version: 0 };
        VaultService/PutEntry "vault, object" => pb::PutEntryRequest { vault_id: vault_id.clone(),
            object: Some(object(ids)), manifest: manifest.clone(), idempotency_key: key() };
        VaultService/DeleteEntry "vault, object" => pb::DeleteEntryRequest { vault_id: vault_id.clone(),
            object: Some(object_ref(ids)), manifest: manifest.clone(), idempotency_key: key() };
        VaultService/BatchGetEntries "vault, object" => pb::BatchGetEntriesRequest { vault_id: vault_id.clone(),
            object_ids: vec![object_id] };
        VaultService/BatchPutEntries "vault, object" => pb::BatchPutEntriesRequest { vault_id: vault_id.clone(), puts: vec![object(ids)],
            deletes: vec![], manifest: manifest.clone(), idempotency_key: key() };
        VaultService/WatchVault "vault" => pb::WatchVaultRequest { vault_id: vault_id.clone(),
            resume_token: String::new() };
        VaultService/ListInboxItems "vault" => pb::ListInboxItemsRequest { vault_id: vault_id.clone(),
            ..Default::default() };
        VaultService/FileInboxItems "vault" => pb::FileInboxItemsRequest { vault_id: vault_id.clone(),
            item_ids: vec![uuid()], puts: vec![], manifest: bytes::Bytes::new(), idempotency_key: key() };
        VaultService/ListSharedWrites "vault" => pb::ListSharedWritesRequest { vault_id: vault_id.clone(),
            ..Default::default() };
        VaultService/FileSharedWrites "vault" => pb::FileSharedWritesRequest { vault_id: vault_id.clone(),
            write_ids: vec![uuid()], idempotency_key: key(), ..Default::default() };
        VaultService/GetKeySlots "vault" => pb::GetKeySlotsRequest { vault_id: vault_id.clone(),
            ..Default::default() };
        VaultService/ReportUnlock "vault, slot" => pb::ReportUnlockRequest { vault_id: vault_id.clone(),
            handout_id: uuid(), slot_id: ids.slot.clone(), proof: vec![1; 64].into(),
            renewed_slot: Default::default(), idempotency_key: key() };
        VaultService/RefuseSlotRequest "vault" => pb::RefuseSlotRequestRequest { vault_id: vault_id.clone(),
            request_id: uuid(), idempotency_key: key() };
        VaultService/AddKeySlot "vault" => pb::AddKeySlotRequest { vault_id: vault_id.clone(),
            slot: vec![1; 64].into(), manifest: manifest.clone(), idempotency_key: key() };
        VaultService/RemoveKeySlot "vault, slot" => pb::RemoveKeySlotRequest { vault_id,
            slot_id: ids.slot.clone(), manifest, idempotency_key: key() };
    }
}

pub(super) fn rotation(ids: &Ids) -> Vec<Made> {
    let (vault_id, rotation_id) = (ids.vault.clone(), ids.rotation.clone());
    let start = pb::RotationStart {
        vault_id: vault_id.clone(),
        rotation_id: rotation_id.clone(),
        idempotency_key: key(),
    };
    made! {
        VaultService/BeginRotation "vault" => pb::BeginRotationRequest { vault_id: vault_id.clone(),
            new_key_epoch: 2, new_verify_key: vec![1; 32].into(), succession: vec![1; 64].into(), mode: 1,
            staged_slots: vec![vec![1; 32].into()], reason: "r".into(), replace_unfinished: true,
            idempotency_key: key() };
        VaultService/PutRewrappedKeys "vault, rotation" => pb::PutRewrappedKeysRequest { part: Some(pb::put_rewrapped_keys_request::Part::Start(start)) };
        VaultService/ListStagedObjects "vault" => pb::ListStagedObjectsRequest { vault_id: vault_id.clone(), ..Default::default() };
        VaultService/FinishRotation "vault, rotation" => pb::FinishRotationRequest { vault_id, rotation_id,
            slots: vec![vec![1; 32].into()], manifest: vec![1; 64].into(), idempotency_key: key(),
            ..Default::default() };
    }
}

pub(super) fn conversations(ids: &Ids) -> Vec<Made> {
    use pb::append_transcript_request::Part;
    let conversation_id = ids.conversation.clone();
    let start = pb::TranscriptStart {
        conversation_id: conversation_id.clone(),
        first_sequence: 1,
        idempotency_key: key(),
        ..Default::default()
    };
    made! {
        TranscriptService/OpenConversation "vault" => pb::OpenConversationRequest { vault_id: ids.vault.clone(),
            conversation_id: uuid(), wrapped_key: vec![1; 72].into(), container_id: String::new(),
            idempotency_key: key() };
        TranscriptService/AppendTranscript "conversation" => pb::AppendTranscriptRequest { part: Some(Part::Start(start)) };
        TranscriptService/ReadTranscript "conversation" => pb::ReadTranscriptRequest {
            conversation_id: conversation_id.clone(), ..Default::default() };
        TranscriptService/ListConversations "" => pb::ListConversationsRequest::default();
        TranscriptService/DeleteConversation "conversation" => pb::DeleteConversationRequest { conversation_id,
            manifest: vec![1; 64].into(), idempotency_key: key() };
    }
}

pub(super) fn object(ids: &Ids) -> pb::VaultObject {
    pb::VaultObject {
        object_id: ids.object.to_vec().into(),
        version: 1,
        wrapped_key: vec![1; 76].into(),
        body: vec![1; 64].into(),
    }
}

pub(super) fn object_ref(ids: &Ids) -> pb::VaultObjectRef {
    pb::VaultObjectRef { object_id: ids.object.to_vec().into(), version: 1 }
}
