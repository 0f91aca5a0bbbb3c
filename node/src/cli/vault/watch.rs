//! `ocmt vault watch`: changes as they come.

use std::collections::HashMap;

use ocmt_client::vault::{Changed, VaultEvent};
use ocmt_proto::v1 as pb;
use ocmt_types::{Digest32, VaultId};

use super::super::{
    args::WatchArgs,
    context::Context,
    output::{self, print},
    show,
};

pub(super) async fn run(context: &Context, args: &WatchArgs) -> anyhow::Result<()> {
    let client = context.client().await?;
    let vault = client.vaults().get_vault(pb::GetVaultRequest { vault_id: String::new() }).await;
    let vault = vault.map_err(ocmt_client::ClientError::from)?.into_inner().vault.unwrap_or_default();
    let vault: VaultId = vault.vault_id.parse().map_err(|_| ocmt_client::ClientError::Answer("vault_id"))?;
    let mut watch = client.watch_vault(vault, &args.resume).await?;
    // after the watch began: what comes in between is told
    let names = if args.names { names(context, args).await? } else { HashMap::new() };
    let mut token = args.resume.clone();
    loop {
        let event = watch.next().await.map_err(|error| output::cut_off(error, "ocmt vault watch", &token))?;
        token.clone_from(&event.resume_token);
        if context.out.json {
            print(&serde_json::to_string(&event)?)?;
        } else {
            print(&format!("{}  {}", show::at(event.at), line(&event, &names)))?;
        }
    }
}

async fn names(context: &Context, args: &WatchArgs) -> anyhow::Result<HashMap<Digest32, String>> {
    let vault = super::open(context, &args.passphrase).await?;
    let mut names = HashMap::new();
    for entry in vault.list().await? {
        let id = vault.keys().entry_id(&ocmt_crypto::entry::EntryName::new(&entry.name)?);
        names.insert(id, entry.name);
    }
    Ok(names)
}

fn line(event: &VaultEvent, names: &HashMap<Digest32, String>) -> String {
    let object = event.object.map_or_else(String::new, |object| {
        let name = names.get(&object.id).cloned();
        let name = name.unwrap_or_else(|| format!("object {}", show::short(&object.id)));
        format!("{name}, version {}", object.version)
    });
    match event.changed {
        Changed::Written => format!("written: {object}"),
        Changed::Deleted => format!("deleted: {object}"),
        Changed::Slots => "the ways to open the vault changed".to_owned(),
        Changed::RotationStarted => "a rotation was started".to_owned(),
        Changed::Rotated => "the vault has new keys".to_owned(),
        Changed::Inbox => "something came into the inbox: `ocmt vault inbox`".to_owned(),
        Changed::Other => "changed in a way that this program does not know".to_owned(),
    }
}
