//! `ocmt vault inbox`: what containers and takers of shares sent, filed or dropped as its owner says.

use anyhow::bail;
use ocmt_client::vault::{Arrived, Vault, Worth};

use super::super::{args::InboxArgs, context::Context, output::note, show};

pub(super) async fn run(context: &Context, args: &InboxArgs) -> anyhow::Result<()> {
    let mut vault = super::open(context, &args.passphrase).await?;
    if args.file {
        let filed = vault.file_inbox().await?;
        let left = vault.inbox().await?.len();
        context
            .out
            .list(&filed, &["NAME", "BYTES", "FROM"], |item| vec![name(item), bytes(item), from(item)])?;
        if left > 0 && !context.out.json {
            note(&format!("{} cannot be filed: see `ocmt vault inbox`", show::count(left, "item")));
        }
        return Ok(());
    }
    if args.drop_refused {
        return dropped(context, vault.drop_inbox(|item| item.worth != Worth::Fileable).await?.len());
    }
    if !args.drop.is_empty() {
        return drop_named(context, &mut vault, args).await;
    }
    let items = vault.inbox().await?;
    context.out.list(&items, &["ITEM", "NAME", "BYTES", "FROM", "RECEIVED", "WORTH"], |item| {
        let received = show::at(Some(ocmt_types::Timestamp(item.received_at)));
        let worth = if item.share.is_some() { shared_words(item) } else { words(item.worth) }.to_owned();
        vec![item.item.to_string(), name(item), bytes(item), from(item), received, worth]
    })?;
    if items.iter().any(|item| item.worth == Worth::Fileable) && !context.out.json {
        note("`ocmt vault inbox --file` writes what can be filed to the vault.");
    }
    Ok(())
}

async fn drop_named(context: &Context, vault: &mut Vault, args: &InboxArgs) -> anyhow::Result<()> {
    let there = vault.inbox().await?;
    if let Some(missing) = args.drop.iter().find(|id| !there.iter().any(|item| item.item == **id)) {
        bail!(ocmt_client::ClientError::Usage(format!(
            "there is no item {missing} in the inbox: nothing was dropped"
        )));
    }
    dropped(context, vault.drop_inbox(|item| args.drop.contains(&item.item)).await?.len())
}

fn dropped(context: &Context, count: usize) -> anyhow::Result<()> {
    context.out.done(&format!("{} dropped", show::count(count, "item")))
}

/// A name was chosen by a program: nothing in it may reach the terminal as a command.
fn name(item: &Arrived) -> String {
    item.name.as_ref().map_or_else(|| "-".to_owned(), |name| name.escape_debug().to_string())
}

fn bytes(item: &Arrived) -> String {
    item.bytes.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string())
}

/// The container, or who has the share: by the key that this device knows, else the share alone.
fn from(item: &Arrived) -> String {
    match (&item.taker, item.share, item.container) {
        (Some(taker), ..) => taker.clone(),
        (None, Some(share), _) => format!("share {share}"),
        (None, None, Some(container)) => container.to_string(),
        (None, None, None) => "-".to_owned(),
    }
}

fn shared_words(item: &Arrived) -> &'static str {
    match item.worth {
        Worth::Fileable if item.deletes => "asks to delete it: can be filed",
        Worth::NotAllowed => "its share does not allow this",
        Worth::Done => "was filed, dropped or replaced before",
        Worth::Forged => "by no share of this vault",
        other => words(other),
    }
}

fn words(worth: Worth) -> &'static str {
    match worth {
        Worth::Fileable => "can be filed",
        Worth::NotAllowed => "its unlock may not write this name",
        Worth::Late => "older than what was filed under its name",
        Worth::Done => "was filed or dropped before",
        Worth::Lost => "lost: sealed under keys from before a rotation",
        Worth::Stale => "the secret was written since: it follows an older version",
        Worth::Over => "the time of its share is over",
        Worth::Forged => "made by no cell of yours",
    }
}
