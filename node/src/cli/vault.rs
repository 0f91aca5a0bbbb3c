//! `ocmt vault`: everything is sealed and opened here; the node sees ciphertext.

mod slots;

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use anyhow::Context as _;
use ocmt_client::vault::{Added, Vault};
use ocmt_crypto::{kdf::Cost, slot::SlotKind, vault::RotationMode};

use super::{
    args::{GetArgs, NewPassphraseArgs, PassphraseArgs, PutArgs, VaultCommand},
    context::Context,
    output::{note, waiting},
    secrets, show, transfer,
};

pub(super) async fn run(context: &Context, command: VaultCommand) -> anyhow::Result<()> {
    match command {
        VaultCommand::Create { new } => create(context, &new).await,
        VaultCommand::Put(args) => put(context, &args).await,
        VaultCommand::Get(args) => get(context, &args).await,
        VaultCommand::Ls { passphrase } => {
            let entries = open(context, &passphrase).await?.list().await?;
            context.out.list(&entries, &["NAME", "VERSION", "BYTES", "WRITTEN"], |entry| {
                let written = show::at(Some(ocmt_types::Timestamp(entry.written_at)));
                vec![entry.name.clone(), entry.version.to_string(), entry.bytes.to_string(), written]
            })
        }
        VaultCommand::Rm { name, passphrase } => {
            open(context, &passphrase).await?.delete(&name).await?;
            context.out.done(&format!("{name} was deleted"))
        }
        VaultCommand::Export(args) => Box::pin(transfer::export(context, &args)).await,
        VaultCommand::Import(args) => Box::pin(transfer::import(context, &args)).await,
        VaultCommand::Slots(command) => slots::run(context, command).await,
        VaultCommand::BackupKey(args) => slots::backup_key(context, &args).await,
        VaultCommand::Passphrase { passphrase, new } => change_passphrase(context, &passphrase, &new).await,
        VaultCommand::Rotate { rewrap, reason, passphrase } => {
            let mode = if rewrap { RotationMode::Rewrap } else { RotationMode::Rekey };
            let mut vault = open(context, &passphrase).await?;
            {
                let _waiting = waiting("encrypting everything under new keys");
                vault.rotate(mode, &[], Vec::new(), &reason).await?;
            }
            context.out.done("the vault has new keys; cells that were unlocked are locked")
        }
    }
}

async fn open(context: &Context, passphrase: &PassphraseArgs) -> anyhow::Result<Vault> {
    let client = context.client().await?;
    context.vault(&client, passphrase).await
}

async fn create(context: &Context, new: &NewPassphraseArgs) -> anyhow::Result<()> {
    let client = context.client().await?;
    let passphrase = secrets::new_passphrase(new, &[&context.email()])?;
    let vault = {
        let _waiting = waiting("making your vault");
        client.create_vault(passphrase, Cost::DEFAULT, &context.state).await?
    };
    let id = vault.id().to_string();
    context.out.value(&serde_json::json!({ "vault": id }), || format!("vault {id}"))?;
    if !context.out.json {
        note(
            "Nobody can reset its passphrase, nor read what is in it. So that you can get it back if you\nlose the passphrase, make a backup key (`ocmt vault backup-key`), name guardians (`ocmt recovery setup --help`),\nor both.",
        );
    }
    Ok(())
}

async fn put(context: &Context, args: &PutArgs) -> anyhow::Result<()> {
    let client = context.client().await?;
    let value = secrets::value(args.value_file.as_deref())?;
    let mut vault = context.vault(&client, &args.passphrase).await?;
    vault.put(&args.name, &value).await?;
    context.out.done(&format!("{} was written ({} bytes)", args.name, value.len()))
}

async fn get(context: &Context, args: &GetArgs) -> anyhow::Result<()> {
    let vault = open(context, &args.passphrase).await?;
    let entry = vault.get(&args.name).await?;
    let Some(out) = &args.out else {
        let written = entry.attributes.written_at;
        let facts =
            serde_json::json!({ "name": args.name, "bytes": entry.value.len(), "written_at": written });
        return context.out.value(&facts, || {
            format!(
                "{} is there: {} bytes, written {}",
                args.name,
                entry.value.len(),
                show::when(Some(written))
            )
        });
    };
    if out == Path::new("-") {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&entry.value)?;
        return Ok(stdout.flush()?);
    }
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(out);
    let mut file = file.with_context(|| format!("cannot write {}", out.display()))?;
    file.write_all(&entry.value)?;
    context.out.done(&format!("{} was written to {}", args.name, out.display()))
}

async fn change_passphrase(
    context: &Context,
    old: &PassphraseArgs,
    new: &NewPassphraseArgs,
) -> anyhow::Result<()> {
    let mut vault = open(context, old).await?;
    let new = secrets::new_passphrase(new, &[&context.email()])?;
    {
        let _waiting = waiting("encrypting everything under new keys");
        let drop = vault.slots_of(SlotKind::Passphrase);
        let add = vec![Added::Passphrase(new, Cost::DEFAULT)];
        vault.rotate(RotationMode::Rekey, &drop, add, "the passphrase was changed").await?;
    }
    context.out.done("the passphrase was changed; the old one opens nothing any more")
}
