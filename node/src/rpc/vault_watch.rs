//! WatchVault over the wire: one message for each event, with where to go on behind it.

use futures_util::StreamExt as _;
use ocmt_actors::api::vault::{ChangeAt, VaultEvent, VaultEventKind, WatchVault};
use ocmt_proto::v1 as pb;
use ocmt_types::Timestamp;
use tonic::{Request, Response, Status, codegen::BoxStream};

use super::{Answer, Rpc, convert, refuse, vault::vault};

pub(super) async fn watch(
    rpc: &Rpc,
    request: Request<pb::WatchVaultRequest>,
) -> Answer<BoxStream<pb::WatchVaultResponse>> {
    let it = request.get_ref();
    let ask = WatchVault { vault: vault(&it.vault_id)?, from: place(&it.resume_token)? };
    let caller = rpc.caller(&request).await?;
    let events = rpc.system.watch_vault(caller, rpc.meta(&request, &[]), ask).await;
    let events = events.map_err(|error| refuse(&error))?;
    let events = events.map(|event| event.map(message).map_err(|error| refuse(&error)));
    Ok(Response::new(events.boxed()))
}

fn message(event: VaultEvent) -> pb::WatchVaultResponse {
    let kind = match event.kind {
        VaultEventKind::ObjectWritten => pb::VaultEventKind::ObjectWritten,
        VaultEventKind::ObjectDeleted => pb::VaultEventKind::ObjectDeleted,
        VaultEventKind::SlotsChanged => pb::VaultEventKind::SlotsChanged,
        VaultEventKind::RotationStarted => pb::VaultEventKind::RotationStarted,
        VaultEventKind::Rotated => pb::VaultEventKind::Rotated,
        VaultEventKind::Inbox => pb::VaultEventKind::Inbox,
        VaultEventKind::Begun => pb::VaultEventKind::Begun,
    };
    let object = event
        .object
        .map(|(object, version)| pb::VaultObjectRef { object_id: object.0.to_vec().into(), version });
    let ChangeAt { change, object: of_change, at } = event.at;
    pb::WatchVaultResponse {
        kind: kind.into(),
        counter: event.counter,
        object,
        at: Some(convert::time(at)),
        resume_token: format!("{change}.{of_change}.{}", at.0),
    }
}

/// Resume tokens are the change, the object of it, and when it was committed.
fn place(token: &str) -> Result<Option<ChangeAt>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let parse = || {
        let (change, rest) = token.split_once('.')?;
        let (object, at) = rest.split_once('.')?;
        Some(ChangeAt {
            change: change.parse().ok()?,
            object: object.parse().ok()?,
            at: Timestamp(at.parse().ok()?),
        })
    };
    parse().map(Some).ok_or_else(|| convert::invalid("resume_token", "is not one of ours"))
}
