//! A rotation on the wire.

use ocmt_actors::{
    CallMeta,
    api::vault::{
        BeginRotation, FinishRotation, GroupDeal, ListStagedObjects, PutRewrappedKeys, RotationMode,
    },
};
use ocmt_crypto::sign::VerifyKey;
use ocmt_proto::v1::{self as pb, put_rewrapped_keys_request::Part};
use ocmt_types::{RotationId, VaultId};
use prost::Message as _;
use tonic::{Request, Response, Status, Streaming};

use super::{Answer, Rpc, convert, refuse, vault_wire as wire};
use crate::edge::call;

/// Objects of one page with their bodies.
const STAGED_PAGE: u32 = 20;

pub(super) async fn begin(
    rpc: &Rpc,
    request: Request<pb::BeginRotationRequest>,
) -> Answer<pb::BeginRotationResponse> {
    let it = request.get_ref();
    let mode = match it.mode() {
        pb::RotationMode::Rewrap => RotationMode::Rewrap,
        pb::RotationMode::Rekey => RotationMode::Rekey,
        pb::RotationMode::Unspecified => return Err(convert::invalid("mode", "is not REWRAP or REKEY")),
    };
    let ask = BeginRotation {
        vault: convert::id(&it.vault_id, "vault_id")?,
        epoch: it.new_key_epoch,
        verify_key: VerifyKey(convert::digest(&it.new_verify_key, "new_verify_key")?.0),
        succession: it.succession.to_vec(),
        mode,
        slots: wire::parts(&it.staged_slots),
        replace: it.replace_unfinished,
    };
    let info = rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::BeginRotationResponse { rotation: Some(wire::rotation(info)) }))
}

/// Each batch is a call of its own: what was staged before a cut stays staged.
pub(super) async fn stage(
    rpc: &Rpc,
    request: Request<Streaming<pb::PutRewrappedKeysRequest>>,
) -> Answer<pb::PutRewrappedKeysResponse> {
    let caller = rpc.caller(&request).await?;
    let headers = request.metadata().clone().into_headers();
    let mut stream = request.into_inner();
    let Some(Part::Start(start)) = stream.message().await?.and_then(|message| message.part) else {
        return Err(convert::invalid("part", "of the first message is not start"));
    };
    let vault: VaultId = convert::id(&start.vault_id, "vault_id")?;
    let rotation: RotationId = convert::id(&start.rotation_id, "rotation_id")?;
    let mut standing = None;
    while let Some(message) = stream.message().await? {
        let bytes = message.encoded_len();
        let Some(Part::Batch(batch)) = message.part else {
            return Err(convert::invalid("part", "of a further message is not batch"));
        };
        let deadline = call::deadline(&headers, &*rpc.clock, rpc.longest_call);
        let meta = CallMeta { deadline, idempotency: None, bytes };
        let ask = batch_of(vault, rotation, &batch)?;
        let info = rpc
            .system
            .tenant(caller.tenant())
            .call(caller.clone(), meta, ask)
            .await
            .map_err(|e| refuse(&e))?;
        standing = Some(wire::rotation(info));
    }
    if standing.is_none() {
        // nobody is told that a rotation is there without being asked whose it is
        let meta = CallMeta {
            deadline: call::deadline(&headers, &*rpc.clock, rpc.longest_call),
            idempotency: None,
            bytes: 0,
        };
        let ask = batch_of(vault, rotation, &pb::RotationBatch::default())?;
        let asked = rpc.system.tenant(caller.tenant()).call(caller, meta, ask).await;
        standing = Some(wire::rotation(asked.map_err(|e| refuse(&e))?));
    }
    Ok(Response::new(pb::PutRewrappedKeysResponse { rotation: standing }))
}

fn batch_of(
    vault: VaultId,
    rotation: RotationId,
    batch: &pb::RotationBatch,
) -> Result<PutRewrappedKeys, Status> {
    let keys = batch.keys.iter().map(|key| {
        Ok((convert::digest(&key.object_id, "object_id")?, key.version, key.wrapped_key.to_vec()))
    });
    Ok(PutRewrappedKeys {
        vault,
        rotation,
        keys: keys.collect::<Result<_, Status>>()?,
        objects: batch.objects.iter().map(wire::to_object).collect::<Result<_, _>>()?,
    })
}

pub(super) async fn staged(
    rpc: &Rpc,
    request: Request<pb::ListStagedObjectsRequest>,
) -> Answer<pb::ListStagedObjectsResponse> {
    let it = request.get_ref();
    let ask = ListStagedObjects {
        vault: convert::id(&it.vault_id, "vault_id")?,
        after: wire::page_token(&it.page_token)?,
        limit: convert::page_size(it.page_size, STAGED_PAGE),
    };
    let page = rpc.ask(&request, &[], ask).await?;
    Ok(Response::new(pb::ListStagedObjectsResponse {
        rotation: Some(wire::rotation(page.rotation)),
        succession: page.succession.into(),
        keyring: page.keyring.map(wire::object),
        objects: page.objects.into_iter().map(wire::object).collect(),
        next_page_token: page.next.map(|next| next.to_string()).unwrap_or_default(),
    }))
}

pub(super) async fn finish(
    rpc: &Rpc,
    request: Request<pb::FinishRotationRequest>,
) -> Answer<pb::FinishRotationResponse> {
    let it = request.get_ref();
    let ask = FinishRotation {
        vault: convert::id(&it.vault_id, "vault_id")?,
        rotation: convert::id(&it.rotation_id, "rotation_id")?,
        slots: wire::parts(&it.slots),
        manifest: it.manifest.to_vec(),
        deal: deal(it)?,
    };
    let info = rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::FinishRotationResponse { vault: Some(wire::vault(&info)) }))
}

/// Who opens a group's vault together from then on.
fn deal(it: &pb::FinishRotationRequest) -> Result<Option<GroupDeal>, Status> {
    if it.group_set.is_empty() {
        return Ok(None);
    }
    let part = |part: &pb::GroupPart| Ok((convert::id(&part.user_id, "user_id")?, part.sealed_part.to_vec()));
    let parts = it.group_parts.iter().map(part).collect::<Result<_, Status>>()?;
    Ok(Some(GroupDeal { signed_set: it.group_set.to_vec(), parts }))
}
