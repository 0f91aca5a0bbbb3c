//! What takers of shares sent to a vault, over the wire: signed items out, ids and sealed objects in.

use ocmt_actors::api::vault::{FileSharedWrites, ListSharedWrites, Renewal, Write};
use ocmt_proto::v1 as pb;
use tonic::{Request, Response, Status};

use super::{
    Answer, Rpc, convert, share_wire,
    vault::{objects, refs, vault},
};

const PAGE: u32 = 20;

pub(super) async fn list(
    rpc: &Rpc,
    request: Request<pb::ListSharedWritesRequest>,
) -> Answer<pb::ListSharedWritesResponse> {
    let it = request.get_ref();
    let ask = ListSharedWrites {
        vault: vault(&it.vault_id)?,
        after: share_wire::after(&it.page_token)?,
        limit: convert::page_size(it.page_size, PAGE),
    };
    let page = rpc.ask(&request, &[], ask).await?;
    let writes = page.writes.into_iter().map(|write| pb::VaultSharedWrite {
        write_id: write.id.to_string(),
        share_id: write.share.to_string(),
        taker_email: write.taker_email,
        sealed: write.sealed.into(),
        received_at: Some(convert::time(write.received_at)),
    });
    Ok(Response::new(pb::ListSharedWritesResponse {
        writes: writes.collect(),
        next_page_token: share_wire::page_token(page.next),
    }))
}

pub(super) async fn file(
    rpc: &Rpc,
    request: Request<pb::FileSharedWritesRequest>,
) -> Answer<pb::FileSharedWritesResponse> {
    let it = request.get_ref();
    let ask = FileSharedWrites {
        writes: it.write_ids.iter().map(|id| convert::id(id, "write_ids")).collect::<Result<_, _>>()?,
        change: Write {
            vault: vault(&it.vault_id)?,
            puts: objects(&it.puts)?,
            deletes: refs(&it.deletes)?,
            manifest: it.manifest.to_vec(),
        },
        renewals: it.renewals.iter().map(renewal).collect::<Result<_, _>>()?,
    };
    let written = rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::FileSharedWritesResponse { counter: written.counter }))
}

fn renewal(from: &pb::ShareRenewal) -> Result<Renewal, Status> {
    Ok(Renewal {
        share: convert::id(&from.share_id, "share_id")?,
        object: convert::digest(&from.object_id, "object_id")?,
        sealed: from.sealed_grant.to_vec(),
        write_grant: from.write_grant.to_vec(),
    })
}
