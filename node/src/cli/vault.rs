//! `ocmt vault`: everything is sealed and opened here; the node sees ciphertext.

mod asked;
mod bulk;
mod inbox;
mod kit;
mod slots;
mod watch;

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use anyhow::Context as _;
use ocmt_client::vault::{Added, Arrived, Listed, NotRenewed, PutOptions, Vault, Worth};
use ocmt_crypto::{
    entry::{Attributes, Entry},
    kdf::Cost,
    slot::SlotKind,
    vault::RotationMode,
};
use ocmt_types::{Clock as _, SystemClock, Timestamp};

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
        VaultCommand::Ls { passphrase } => list(context, &passphrase).await,
        VaultCommand::History { name, passphrase } => {
            let versions = open(context, &passphrase).await?.history(&name).await?;
            context.out.list(&versions, &["VERSION", "BYTES", "WRITTEN", ""], |version| {
                let written = show::at(Some(Timestamp(version.written_at)));
                let present = if version.present { "the present one" } else { "" };
                vec![version.version.to_string(), version.bytes.to_string(), written, present.to_owned()]
            })
        }
        VaultCommand::Watch(args) => watch::run(context, &args).await,
        VaultCommand::Rm { name, passphrase } => {
            open(context, &passphrase).await?.delete(&name).await?;
            context.out.done(&format!("{name} was deleted"))
        }
        VaultCommand::Inbox(args) => inbox::run(context, &args).await,
        VaultCommand::Export(args) => Box::pin(transfer::export(context, &args)).await,
        VaultCommand::Import(args) => Box::pin(transfer::import(context, &args)).await,
        VaultCommand::Slots(command) => slots::run(context, command).await,
        VaultCommand::BackupKey(args) => slots::backup_key(context, &args).await,
        VaultCommand::Passphrase { passphrase, new } => change_passphrase(context, &passphrase, &new).await,
        VaultCommand::Rotate { rewrap, reason, passphrase } => {
            let mode = if rewrap { RotationMode::Rewrap } else { RotationMode::Rekey };
            let mut vault = open(context, &passphrase).await?;
            let filed = {
                let _waiting = waiting("encrypting everything under new keys");
                vault.rotate(mode, &[], Vec::new(), &reason).await?
            };
            tell_filed(context, &vault, &filed).await;
            tell_not_renewed(context, &vault, mode).await;
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
    if let Some(file) = &args.from_file {
        let secrets = bulk::read(file)?;
        let mut vault = open(context, &args.passphrase).await?;
        let written = vault.put_many(&secrets).await?;
        return context.out.done(&format!("wrote {}", show::count(written, "secret")));
    }
    let name = args.name.as_deref().unwrap_or_default();
    let client = context.client().await?;
    let value = secrets::value(args.value_file.as_deref())?;
    let mut vault = context.vault(&client, &args.passphrase).await?;
    let options = PutOptions {
        if_version: args.if_version,
        expires_at: args.expires.map(|when| when.0),
        remind_at: args.remind.map(|when| when.0),
    };
    let version = vault.put_with(name, &value, &options).await?;
    context.out.done(&format!("{name} was written ({} bytes, version {version})", value.len()))
}

async fn list(context: &Context, passphrase: &PassphraseArgs) -> anyhow::Result<()> {
    let entries = open(context, passphrase).await?.list().await?;
    show_list(context, &entries)
}

pub(super) fn show_list(context: &Context, entries: &[Listed]) -> anyhow::Result<()> {
    let columns = ["NAME", "VERSION", "BYTES", "WRITTEN", "EXPIRES"];
    context.out.list(entries, &columns, |entry| {
        let at = |time: Option<i64>| show::at(time.map(Timestamp));
        vec![
            entry.name.clone(),
            entry.version.to_string(),
            entry.bytes.to_string(),
            at(Some(entry.written_at)),
            at(entry.expires_at),
        ]
    })?;
    if !context.out.json {
        for entry in entries.iter().filter(|entry| entry.due) {
            let now = SystemClock.now().millis();
            let what = match entry.expires_at.filter(|at| *at <= now) {
                Some(at) => format!("has expired, {}", show::when(Some(Timestamp(at)))),
                None => format!("is due, {}", show::when(entry.remind_at.map(Timestamp))),
            };
            note(&format!("{} {what}", entry.name));
        }
    }
    Ok(())
}

async fn get(context: &Context, args: &GetArgs) -> anyhow::Result<()> {
    let vault = open(context, &args.passphrase).await?;
    let name = &args.name;
    let entry = match args.version {
        Some(version) => vault.get_version(name, version).await?,
        None => vault.get(name).await?,
    };
    hand_out(context, name, &entry, args.out.as_deref())
}

/// The value to a file or standard output, or that it is there.
pub(super) fn hand_out(
    context: &Context,
    name: &str,
    entry: &Entry,
    out: Option<&Path>,
) -> anyhow::Result<()> {
    let Some(out) = out else {
        return describe(context, name, entry);
    };
    if out == Path::new("-") {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&entry.value)?;
        return Ok(stdout.flush()?);
    }
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(out);
    let mut file = file.with_context(|| format!("cannot write {}", out.display()))?;
    file.write_all(&entry.value)?;
    context.out.done(&format!("{name} was written to {}", out.display()))
}

fn describe(context: &Context, name: &str, entry: &Entry) -> anyhow::Result<()> {
    let Attributes { written_at, expires_at, remind_at } = entry.attributes;
    let facts = serde_json::json!({
        "name": name,
        "bytes": entry.value.len(),
        "written_at": written_at,
        "expires_at": expires_at,
        "remind_at": remind_at,
    });
    context.out.value(&facts, || {
        let mut text =
            format!("{name} is there: {} bytes, written {}", entry.value.len(), show::when(Some(written_at)));
        for (what, at) in [("expires", expires_at), ("due", remind_at)] {
            if at.is_some() {
                text += &format!(", {what} {}", show::when(at));
            }
        }
        text
    })
}

/// What waited in the inbox could not have been opened under the new keys. The vault has them by now: nothing that
/// goes wrong here is a failure of the command.
async fn tell_filed(context: &Context, vault: &Vault, filed: &[Arrived]) {
    if context.out.json {
        return;
    }
    if !filed.is_empty() {
        let names = filed.iter().filter_map(|item| item.name.as_ref());
        let names: Vec<String> = names.map(|name| name.escape_debug().to_string()).collect();
        note(&format!("filed from the inbox first: {}", names.join(", ")));
    }
    match vault.inbox().await {
        Err(_) => note("what is left in the inbox could not be read: see `ocmt vault inbox`"),
        Ok(left) => {
            let lost = left.iter().filter(|item| item.worth == Worth::Lost).count();
            if lost > 0 {
                let lost = show::count(lost, "item");
                note(&format!("{lost} in the inbox could not be filed and cannot be opened any more"));
            }
        }
    }
}

/// What still goes by the keys of before. No failure of the command, as [`tell_filed`].
async fn tell_not_renewed(context: &Context, vault: &Vault, mode: RotationMode) {
    if context.out.json {
        return;
    }
    match vault.not_renewed(mode).await {
        Err(_) => {
            note("whether snapshots by schedule go on could not be read: see `ocmt snapshot schedule show`");
        }
        Ok(left) => not_renewed(&left).iter().for_each(|line| note(line)),
    }
}

/// What a vault's new keys have left to do, line by line.
pub(super) fn not_renewed(left: &NotRenewed) -> Vec<String> {
    let schedules = left.schedules.iter().map(|(id, why)| {
        // a node's words
        let why: String = why.chars().filter(|c| !c.is_control()).take(200).collect();
        format!(
            "the snapshot schedule of {id} rests ({why}): `ocmt snapshot schedule set CRON --container {id}`"
        )
    });
    let volumes = left.volumes.iter().map(|id| {
        format!("the sealed volume of {id} is under its key of before until its next unlock: `ocmt container unlock {id}`")
    });
    schedules.chain(volumes).collect()
}

async fn change_passphrase(
    context: &Context,
    old: &PassphraseArgs,
    new: &NewPassphraseArgs,
) -> anyhow::Result<()> {
    let mut vault = open(context, old).await?;
    let new = secrets::new_passphrase(new, &[&context.email()])?;
    let filed = {
        let _waiting = waiting("encrypting everything under new keys");
        let drop = vault.slots_of(SlotKind::Passphrase);
        let add = vec![Added::Passphrase(new, vault.cost())];
        vault.rotate(RotationMode::Rekey, &drop, add, "the passphrase was changed").await?
    };
    tell_filed(context, &vault, &filed).await;
    tell_not_renewed(context, &vault, RotationMode::Rekey).await;
    context.out.done("the passphrase was changed; the old one opens nothing any more")
}

#[cfg(test)]
mod tests {
    use ocmt_types::{ContainerId, Id as _};

    use super::*;

    #[test]
    fn what_new_keys_do_not_reach_is_told_with_what_to_do() {
        let (one, two) = (ContainerId::from_bytes([1; 16]), ContainerId::from_bytes([2; 16]));
        let left =
            NotRenewed { schedules: vec![(one, "the vault has other keys".to_owned())], volumes: vec![two] };
        let [schedule, volume] = &not_renewed(&left)[..] else { unreachable!("two lines") };
        assert!(schedule.contains(&format!(
            "rests (the vault has other keys): `ocmt snapshot schedule set CRON --container {one}`"
        )));
        assert!(volume.contains(&format!("`ocmt container unlock {two}`")), "{volume}");
        assert!(not_renewed(&NotRenewed::default()).is_empty());
    }
}
