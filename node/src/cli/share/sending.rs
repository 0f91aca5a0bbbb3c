//! `ocmt share write` and `delete`: what is sent by a share, and waits for its owner's device.

use std::path::Path;

use ocmt_client::{Client, share::Share};
use ocmt_crypto::shared::SharedAct;
use serde_json::json;

use super::people::trusted;
use crate::cli::{approve, args::SharedArgs, context::Context, output::note, secrets};

pub(super) async fn write(
    context: &Context,
    client: &Client,
    of: &SharedArgs,
    value_file: Option<&Path>,
    heard: Option<&str>,
) -> anyhow::Result<()> {
    let share = client.share(of.share).await?;
    if !trusted(context, client, &share.giver_email, heard).await? {
        note("Nothing was sent.");
        return Ok(());
    }
    let value = secrets::value(value_file)?;
    let said = format!("the new value ({} bytes) was delivered to {}", value.len(), share.giver_email);
    send(context, client, of, &share, &SharedAct::Put(value), &said).await
}

pub(super) async fn delete(context: &Context, client: &Client, of: &SharedArgs) -> anyhow::Result<()> {
    let share = client.share(of.share).await?;
    let said = format!("the wish to delete it was delivered to {}", share.giver_email);
    send(context, client, of, &share, &SharedAct::Delete, &said).await
}

async fn send(
    context: &Context,
    client: &Client,
    of: &SharedArgs,
    share: &Share,
    act: &SharedAct,
    said: &str,
) -> anyhow::Result<()> {
    let entry = approve::object_of(share, of.entry.as_deref())?;
    let vault = context.vault(client, &of.passphrase).await?;
    let id = vault.send_by(share, entry, act).await?;
    context.out.value(&json!({ "write": id, "share": share.id, "waits": true }), || {
        format!(
            "{said}: it waits for their device, and counts once `ocmt vault inbox --file` has filed it there"
        )
    })
}
