//! `ocmt vault slots` and `ocmt vault backup-key`: the ways to open the vault.

use std::{
    fs,
    io::{self, IsTerminal as _},
    path::Path,
};

use ocmt_client::{
    ClientError,
    hardware::Token,
    vault::{Added, Arrived, Vault},
};
use ocmt_crypto::{
    backup_key::BackupKey,
    slot::{KeySlot, SlotKind},
    vault::RotationMode,
};
use ocmt_types::{Clock as _, SystemClock};
use serde::Serialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    super::{
        args::{BackupKeyArgs, HardwareArgs, SlotAddCommand, SlotsCommand},
        context::Context,
        output::{note, waiting},
        share, show,
    },
    asked, kit, open, tell_filed, tell_not_renewed,
};

/// A way to open the vault, for a list.
#[derive(Serialize)]
struct SlotLine {
    slot: String,
    opened_by: &'static str,
    used_now: bool,
}

pub(super) async fn run(context: &Context, command: SlotsCommand) -> anyhow::Result<()> {
    match command {
        SlotsCommand::Ls { passphrase } => list(context, &open(context, &passphrase).await?),
        SlotsCommand::Add(SlotAddCommand::Hardware(args)) => add_hardware(context, &args).await,
        SlotsCommand::Rm { slot, passphrase } => {
            remove(context, &mut open(context, &passphrase).await?, &slot).await
        }
        SlotsCommand::Asked => asked::show(context).await,
        SlotsCommand::Refuse => asked::refuse(context).await,
    }
}

const fn opened_by(kind: SlotKind) -> &'static str {
    match kind {
        SlotKind::Passphrase => "passphrase",
        SlotKind::Backup => "backup key",
        SlotKind::Hardware => "hardware token",
        SlotKind::Recovery => "guardians",
        SlotKind::Member => "member of the group",
    }
}

fn list(context: &Context, vault: &Vault) -> anyhow::Result<()> {
    let slots = vault.keys().slots().iter();
    let lines: Vec<SlotLine> = slots
        .map(|slot| SlotLine {
            slot: slot.id().to_string(),
            opened_by: opened_by(slot.kind()),
            used_now: vault.keys().opened_through() == Some(slot.id()),
        })
        .collect();
    context.out.list(&lines, &["SLOT", "OPENED BY", ""], |line| {
        let used = if line.used_now { "used now" } else { "" };
        vec![line.slot.clone(), line.opened_by.to_owned(), used.to_owned()]
    })
}

async fn add_hardware(context: &Context, args: &HardwareArgs) -> anyhow::Result<()> {
    let command = args.command.as_ref().unwrap_or(&args.passphrase.hardware_command);
    let token = Token::parse(command)?;
    let mut vault = open(context, &args.passphrase).await?;
    let new = {
        let _waiting = waiting("asking the token, twice: touch it each time it blinks");
        Added::hardware(&token, vault.cost()).await?
    };
    let id = {
        let _waiting = waiting("adding it to your vault");
        vault.add_slot(&new).await?
    };
    context.out.value(&json!({ "slot": id.to_string(), "opened_by": "hardware token" }), || {
        let how = if *command == ocmt_client::hardware::DEFAULT_COMMAND {
            "--hardware".to_owned()
        } else {
            format!("--hardware --hardware-command '{command}'")
        };
        format!("slot {id}: the token opens your vault from now on, with {how}")
    })
}

async fn remove(context: &Context, vault: &mut Vault, named: &str) -> anyhow::Result<()> {
    let (id, kind) = find(vault.keys().slots(), named)?;
    let filed = {
        let _waiting = waiting("encrypting everything under new keys");
        vault.replace_slots(&[id], Vec::new(), "a way to open the vault was taken away").await?
    };
    context.out.done(&format!("the {} opens nothing any more", opened_by(kind)))?;
    tell_filed(context, vault, &filed).await;
    tell_not_renewed(context, vault, RotationMode::Rekey).await;
    if kind == SlotKind::Recovery && !context.out.json {
        note("Your guardians' parts are worthless now: name guardians anew with `ocmt recovery setup`.");
    }
    if let [last] = vault.keys().slots()
        && !context.out.json
    {
        let last = opened_by(last.kind());
        note(&format!(
            "One way to open your vault is left, the {last}: if you lose that, the vault is lost."
        ));
    }
    Ok(())
}

/// The slot of this id, or of the only id that begins so.
fn find(slots: &[KeySlot], named: &str) -> Result<(ocmt_types::SlotId, SlotKind), ClientError> {
    let named = named.to_lowercase();
    let mut fits = slots.iter().filter(|slot| slot.id().to_string().starts_with(&named));
    match (fits.next(), fits.next()) {
        (Some(slot), None) if named.len() >= 4 => Ok((slot.id(), slot.kind())),
        (None, _) => Err(ClientError::Usage(format!(
            "no way to open the vault is called {named}: `ocmt vault slots ls` lists them"
        ))),
        _ => Err(ClientError::Usage(format!("{named} is too short to say which: give more of its id"))),
    }
}

pub(super) async fn backup_key(context: &Context, args: &BackupKeyArgs) -> anyhow::Result<()> {
    let file = args.out.as_ref().or(args.kit.as_ref());
    if file.is_none() && !io::stdout().is_terminal() {
        let text = "a backup key is shown on a terminal only: write it to a new file with --out FILE, or a page to print with --kit FILE";
        return Err(ClientError::Usage(text.to_owned()).into());
    }
    let mut vault = open(context, &args.passphrase).await?;
    let key = BackupKey::generate(&mut rand::rng());
    let text = key.to_text();
    // before it counts: what cannot be kept must not be the key
    if let Some(file) = file {
        let content = if args.kit.is_some() { kit_page(context, &vault, &text).await? } else { line(&text) };
        share::write(file, content.as_bytes())?;
    }
    let old = if args.keep_old { Vec::new() } else { vault.slots_of(SlotKind::Backup) };
    let filed = match put(&mut vault, key, &old).await {
        Ok(filed) => filed,
        Err(error) => {
            if let Some(file) = file {
                leave_nothing(file, &error);
            }
            return Err(error.into());
        }
    };
    let replaced = old.len();
    let told = match file {
        Some(file) => json!({ "file": file, "replaced": replaced }),
        None => json!({ "backup_key": *text, "replaced": replaced }),
    };
    context.out.value(&told, || match file {
        Some(file) if args.kit.is_some() => {
            format!("your recovery kit was written to {}: open it in a browser and print it", file.display())
        }
        Some(file) => format!("the backup key was written to {}", file.display()),
        None => text.to_string(),
    })?;
    if !context.out.json {
        note(&advice(replaced, file.is_some()));
    }
    // nothing in it may keep the new key from being shown
    tell_filed(context, &vault, &filed).await;
    if replaced > 0 {
        tell_not_renewed(context, &vault, RotationMode::Rekey).await;
    }
    Ok(())
}

fn line(key: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("{key}\n"))
}

async fn kit_page(context: &Context, vault: &Vault, key: &str) -> anyhow::Result<Zeroizing<String>> {
    let session = context.session()?;
    let made = show::at(Some(SystemClock.now()));
    let (owner, vault) = (vault.client().who_am_i().await?.email, vault.id().to_string());
    let about = kit::About { owner: &owner, endpoint: &session.endpoint, vault: &vault, made: &made };
    Ok(kit::page(key, &about).ok_or(ClientError::Answer("backup_key"))?)
}

/// What was filed from the inbox, if the vault was encrypted anew for it.
async fn put(
    vault: &mut Vault,
    key: BackupKey,
    old: &[ocmt_types::SlotId],
) -> Result<Vec<Arrived>, ClientError> {
    let new = Added::Backup(key, vault.cost());
    if old.is_empty() {
        let _waiting = waiting("adding the backup key to your vault");
        return vault.add_slot(&new).await.map(|_| Vec::new());
    }
    let _waiting = waiting("encrypting everything under new keys");
    vault.replace_slots(old, vec![new], "the backup key was replaced").await
}

/// Takes the file away again, unless the key may count all the same.
fn leave_nothing(file: &Path, error: &ClientError) {
    // what fails here after the node's answer leaves a key that counts
    if error.reason().is_some() && !error.is_retryable() {
        // what is left of it opens nothing
        let _ = fs::remove_file(file);
        return;
    }
    note(&format!(
        "{} may be your backup key or not: `ocmt vault slots ls --backup-key-file {}` tells.",
        file.display(),
        file.display()
    ));
}

fn advice(replaced: usize, in_a_file: bool) -> String {
    let mut text = if in_a_file {
        "Print it or write it down, keep it away from this device, and delete the file.".to_owned()
    } else {
        "Write it down and keep it away from this device: it is not shown again.".to_owned()
    };
    text.push_str(" Whoever has it\nand gets into your account opens your vault. If you lose the passphrase, set a new one with it:\n`ocmt vault passphrase --backup-key`.");
    if replaced > 0 {
        text.push_str(" The backup key of before opens nothing any more.");
    }
    text
}
