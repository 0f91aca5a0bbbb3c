//! VaultService: sealed objects, slots, rotation. Ciphertext goes through; nothing is opened.

use ocmt_actors::api::vault::{
    AddKeySlot, BatchGetEntries, BatchPutEntries, CreateVault, DeleteEntry, GetEntry, GetVault, GroupsOwn,
    ListEntries, PutEntry, RefuseSlotRequest, RemoveKeySlot, ReportUnlock, Write,
};
use ocmt_crypto::{
    object::VaultObject,
    sign::{Signature, VerifyKey},
};
use ocmt_proto::v1::{self as pb, vault_service_server::VaultService};
use ocmt_types::{Digest32, VaultId};
use tonic::{Request, Response, Status, async_trait, codegen::BoxStream};

use super::{
    Answer, Rpc, convert, shared_writes, vault_inbox, vault_rotation, vault_watch, vault_wire as wire,
};

#[async_trait]
impl VaultService for Rpc {
    async fn create_vault(
        &self,
        request: Request<pb::CreateVaultRequest>,
    ) -> Answer<pb::CreateVaultResponse> {
        let it = request.get_ref();
        let ask = CreateVault {
            of_group: convert::optional_id(&it.group_id, "group_id")?.map(|group| {
                Box::new(GroupsOwn {
                    group,
                    acceptance: it.group_acceptance.to_vec(),
                    admission: it.group_admission.to_vec(),
                })
            }),
            vault: convert::id(&it.vault_id, "vault_id")?,
            verify_key: VerifyKey(convert::digest(&it.verify_key, "verify_key")?.0),
            slots: wire::parts(&it.slots),
            objects: objects(&it.objects)?,
            manifest: it.manifest.to_vec(),
        };
        let info = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::CreateVaultResponse { vault: Some(wire::vault(&info)) }))
    }

    async fn get_vault(&self, request: Request<pb::GetVaultRequest>) -> Answer<pb::GetVaultResponse> {
        let ask = GetVault { vault: convert::optional_id(&request.get_ref().vault_id, "vault_id")? };
        let view = self.ask(&request, &[], ask).await?;
        Ok(Response::new(pb::GetVaultResponse {
            vault: Some(wire::vault(&view.info)),
            manifest: view.manifest.into(),
            successions: view.successions.into_iter().map(Into::into).collect(),
            rotation: view.rotation.map(wire::rotation),
            slot_request: view.request.map(wire::slot_request),
        }))
    }

    async fn list_entries(
        &self,
        request: Request<pb::ListEntriesRequest>,
    ) -> Answer<pb::ListEntriesResponse> {
        let it = request.get_ref();
        let ask = ListEntries {
            vault: vault(&it.vault_id)?,
            after: wire::page_token(&it.page_token)?,
            limit: convert::page_size(it.page_size, 500),
        };
        let page = self.ask(&request, &[], ask).await?;
        Ok(Response::new(pb::ListEntriesResponse {
            entries: page.entries.into_iter().map(wire::head).collect(),
            next_page_token: page.next.map(|next| next.to_string()).unwrap_or_default(),
            counter: page.counter,
        }))
    }

    async fn get_entry(&self, request: Request<pb::GetEntryRequest>) -> Answer<pb::GetEntryResponse> {
        let it = request.get_ref();
        let ask = GetEntry {
            vault: vault(&it.vault_id)?,
            object: convert::digest(&it.object_id, "object_id")?,
            version: it.version,
        };
        let found = self.ask(&request, &[], ask).await?;
        let object = found.objects.into_iter().next().map(wire::object);
        let sealed_grant = found.grant.unwrap_or_default().into();
        Ok(Response::new(pb::GetEntryResponse { object, counter: found.counter, sealed_grant }))
    }

    async fn put_entry(&self, request: Request<pb::PutEntryRequest>) -> Answer<pb::PutEntryResponse> {
        let it = request.get_ref();
        let object = wire::to_object(&convert::present(it.object.clone(), "object")?)?;
        let change = Write {
            vault: vault(&it.vault_id)?,
            puts: vec![object],
            deletes: Vec::new(),
            manifest: it.manifest.to_vec(),
        };
        let written = self.ask(&request, &it.idempotency_key, PutEntry(change)).await?;
        Ok(Response::new(pb::PutEntryResponse { counter: written.counter }))
    }

    async fn delete_entry(
        &self,
        request: Request<pb::DeleteEntryRequest>,
    ) -> Answer<pb::DeleteEntryResponse> {
        let it = request.get_ref();
        let object = convert::present(it.object.clone(), "object")?;
        let change = Write {
            vault: vault(&it.vault_id)?,
            puts: Vec::new(),
            deletes: refs(&[object])?,
            manifest: it.manifest.to_vec(),
        };
        let written = self.ask(&request, &it.idempotency_key, DeleteEntry(change)).await?;
        Ok(Response::new(pb::DeleteEntryResponse { counter: written.counter }))
    }

    async fn batch_get_entries(
        &self,
        request: Request<pb::BatchGetEntriesRequest>,
    ) -> Answer<pb::BatchGetEntriesResponse> {
        let it = request.get_ref();
        let objects =
            it.object_ids.iter().map(|id| convert::digest(id, "object_ids")).collect::<Result<_, _>>()?;
        let ask = BatchGetEntries { vault: vault(&it.vault_id)?, objects };
        let found = self.ask(&request, &[], ask).await?;
        Ok(Response::new(pb::BatchGetEntriesResponse {
            objects: found.objects.into_iter().map(wire::object).collect(),
            counter: found.counter,
        }))
    }

    async fn batch_put_entries(
        &self,
        request: Request<pb::BatchPutEntriesRequest>,
    ) -> Answer<pb::BatchPutEntriesResponse> {
        let it = request.get_ref();
        let change = Write {
            vault: vault(&it.vault_id)?,
            puts: objects(&it.puts)?,
            deletes: refs(&it.deletes)?,
            manifest: it.manifest.to_vec(),
        };
        let written = self.ask(&request, &it.idempotency_key, BatchPutEntries(change)).await?;
        Ok(Response::new(pb::BatchPutEntriesResponse { counter: written.counter }))
    }

    async fn watch_vault(
        &self,
        request: Request<pb::WatchVaultRequest>,
    ) -> Answer<BoxStream<pb::WatchVaultResponse>> {
        vault_watch::watch(self, request).await
    }

    async fn list_inbox_items(
        &self,
        request: Request<pb::ListInboxItemsRequest>,
    ) -> Answer<pb::ListInboxItemsResponse> {
        vault_inbox::list(self, request).await
    }

    async fn file_inbox_items(
        &self,
        request: Request<pb::FileInboxItemsRequest>,
    ) -> Answer<pb::FileInboxItemsResponse> {
        vault_inbox::file(self, request).await
    }

    async fn list_shared_writes(
        &self,
        request: Request<pb::ListSharedWritesRequest>,
    ) -> Answer<pb::ListSharedWritesResponse> {
        shared_writes::list(self, request).await
    }

    async fn file_shared_writes(
        &self,
        request: Request<pb::FileSharedWritesRequest>,
    ) -> Answer<pb::FileSharedWritesResponse> {
        shared_writes::file(self, request).await
    }

    async fn get_key_slots(
        &self,
        request: Request<pb::GetKeySlotsRequest>,
    ) -> Answer<pb::GetKeySlotsResponse> {
        let ask = wire::to_get_key_slots(request.get_ref())?;
        let handout = self.ask(&request, &[], ask).await?;
        Ok(Response::new(wire::handout(handout)))
    }

    async fn report_unlock(
        &self,
        request: Request<pb::ReportUnlockRequest>,
    ) -> Answer<pb::ReportUnlockResponse> {
        let it = request.get_ref();
        let proof = it.proof.as_ref().try_into().map(Signature);
        let ask = ReportUnlock {
            vault: vault(&it.vault_id)?,
            handout: convert::id(&it.handout_id, "handout_id")?,
            slot: convert::id(&it.slot_id, "slot_id")?,
            proof: proof.map_err(|_| convert::invalid("proof", "is not 64 bytes"))?,
            renewed: (!it.renewed_slot.is_empty()).then(|| it.renewed_slot.to_vec()),
        };
        let reported = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(wire::reported(reported)))
    }

    async fn refuse_slot_request(
        &self,
        request: Request<pb::RefuseSlotRequestRequest>,
    ) -> Answer<pb::RefuseSlotRequestResponse> {
        let it = request.get_ref();
        let ask = RefuseSlotRequest {
            vault: convert::optional_id(&it.vault_id, "vault_id")?,
            request: convert::optional_id(&it.request_id, "request_id")?,
        };
        self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::RefuseSlotRequestResponse {}))
    }

    async fn add_key_slot(&self, request: Request<pb::AddKeySlotRequest>) -> Answer<pb::AddKeySlotResponse> {
        let it = request.get_ref();
        let ask = AddKeySlot {
            vault: vault(&it.vault_id)?,
            slot: it.slot.to_vec(),
            manifest: it.manifest.to_vec(),
        };
        let written = self.ask(&request, &it.idempotency_key, ask).await?;
        let slot = pb::KeySlot { slot: it.slot.clone(), ..Default::default() };
        Ok(Response::new(pb::AddKeySlotResponse { slot: Some(slot), counter: written.counter }))
    }

    async fn remove_key_slot(
        &self,
        request: Request<pb::RemoveKeySlotRequest>,
    ) -> Answer<pb::RemoveKeySlotResponse> {
        let it = request.get_ref();
        let ask = RemoveKeySlot {
            vault: vault(&it.vault_id)?,
            slot: convert::id(&it.slot_id, "slot_id")?,
            manifest: it.manifest.to_vec(),
        };
        let written = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::RemoveKeySlotResponse { counter: written.counter }))
    }

    async fn begin_rotation(
        &self,
        request: Request<pb::BeginRotationRequest>,
    ) -> Answer<pb::BeginRotationResponse> {
        vault_rotation::begin(self, request).await
    }

    async fn put_rewrapped_keys(
        &self,
        request: Request<tonic::Streaming<pb::PutRewrappedKeysRequest>>,
    ) -> Answer<pb::PutRewrappedKeysResponse> {
        vault_rotation::stage(self, request).await
    }

    async fn list_staged_objects(
        &self,
        request: Request<pb::ListStagedObjectsRequest>,
    ) -> Answer<pb::ListStagedObjectsResponse> {
        vault_rotation::staged(self, request).await
    }

    async fn finish_rotation(
        &self,
        request: Request<pb::FinishRotationRequest>,
    ) -> Answer<pb::FinishRotationResponse> {
        vault_rotation::finish(self, request).await
    }
}

pub(super) fn vault(id: &str) -> Result<VaultId, Status> {
    convert::id(id, "vault_id")
}

pub(super) fn objects(all: &[pb::VaultObject]) -> Result<Vec<VaultObject>, Status> {
    all.iter().map(wire::to_object).collect()
}

pub(super) fn refs(all: &[pb::VaultObjectRef]) -> Result<Vec<(Digest32, u64)>, Status> {
    all.iter().map(|object| Ok((convert::digest(&object.object_id, "object_id")?, object.version))).collect()
}
