//! The vault's inbox over the wire: sealed items out, ids and sealed objects in.

use ocmt_actors::api::vault::{FileInboxItems, InboxPosition, ListInboxItems, Write};
use ocmt_proto::v1 as pb;
use tonic::{Request, Response, Status};

use super::{
    Answer, Rpc, convert,
    vault::{objects, vault},
};

const PAGE: u32 = 20;

pub(super) async fn list(
    rpc: &Rpc,
    request: Request<pb::ListInboxItemsRequest>,
) -> Answer<pb::ListInboxItemsResponse> {
    let it = request.get_ref();
    let ask = ListInboxItems {
        vault: vault(&it.vault_id)?,
        after: position(&it.page_token)?,
        limit: convert::page_size(it.page_size, PAGE),
    };
    let page = rpc.ask(&request, &[], ask).await?;
    let items = page.items.into_iter().map(|item| pb::VaultInboxItem {
        item_id: item.item.to_string(),
        container_id: item.container.to_string(),
        sealed: item.sealed.into(),
        received_at: Some(convert::time(item.received_at)),
    });
    let next = page.next.map(|next| format!("{}.{}", next.position, next.item));
    Ok(Response::new(pb::ListInboxItemsResponse {
        items: items.collect(),
        next_page_token: next.unwrap_or_default(),
    }))
}

pub(super) async fn file(
    rpc: &Rpc,
    request: Request<pb::FileInboxItemsRequest>,
) -> Answer<pb::FileInboxItemsResponse> {
    let it = request.get_ref();
    let ask = FileInboxItems {
        items: it.item_ids.iter().map(|id| convert::id(id, "item_ids")).collect::<Result<_, _>>()?,
        change: Write {
            vault: vault(&it.vault_id)?,
            puts: objects(&it.puts)?,
            deletes: Vec::new(),
            manifest: it.manifest.to_vec(),
        },
    };
    let written = rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::FileInboxItemsResponse { counter: written.counter }))
}

/// Page tokens of the inbox are the last item's position and id.
fn position(token: &str) -> Result<Option<InboxPosition>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let parse = || {
        let (position, item) = token.split_once('.')?;
        Some(InboxPosition { position: position.parse().ok()?, item: item.parse().ok()? })
    };
    parse().map(Some).ok_or_else(|| convert::invalid("page_token", "is not one of ours"))
}
