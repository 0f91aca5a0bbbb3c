//! `ocmt cluster sealing-key`: the backup of what no dump holds.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use anyhow::Context as _;
use ocmt_client::ClientError;
use ocmt_crypto::sealing_backup;

use crate::{
    cli::{
        args::{NewPassphraseArgs, SealingKeyCommand},
        output::{self, Output},
        secrets,
    },
    pki,
};

pub(super) fn run(command: &SealingKeyCommand, out: Output) -> anyhow::Result<()> {
    match command {
        SealingKeyCommand::Save { data_dir, to, new } => save(data_dir, to, new, out),
        SealingKeyCommand::Restore { data_dir, from, passphrase_file } => {
            restore(data_dir, from, passphrase_file.as_deref(), out)
        }
    }
}

fn save(data_dir: &Path, to: &Path, new: &NewPassphraseArgs, out: Output) -> anyhow::Result<()> {
    // before somebody thinks of a passphrase
    anyhow::ensure!(!to.exists(), "{} is there already: give another file", to.display());
    let passphrase = secrets::new_passphrase(new, &[])?;
    let (backup, generations) = pki::save_sealing(&data_dir.join("pki"), passphrase.as_passphrase())?;
    write(to, &backup).with_context(|| format!("cannot write {}", to.display()))?;
    let shown = serde_json::json!({ "generations": generations, "file": to });
    out.value(&shown, || format!("{} holds {}", to.display(), told(&generations)))?;
    if !out.json {
        output::note("Keep it away from dumps of the database, and destroy the file that was saved before.");
    }
    Ok(())
}

/// Whole and on disk, or not there.
fn write(to: &Path, backup: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let written = file.write_all(backup).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(to);
    }
    written
}

fn restore(data_dir: &Path, from: &Path, passphrase: Option<&Path>, out: Output) -> anyhow::Result<()> {
    let length = fs::metadata(from).with_context(|| format!("cannot read {}", from.display()))?.len();
    let most = u64::try_from(sealing_backup::MAX_LEN).unwrap_or(u64::MAX);
    if length > most {
        let text = format!("{} is no backup of a sealing key: it has {length} bytes", from.display());
        return Err(ClientError::Usage(text).into());
    }
    let backup = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    let passphrase = secrets::passphrase_in("Passphrase of the backup: ", passphrase)?;
    let generations = pki::restore_sealing(&data_dir.join("pki"), &backup, &passphrase)?;
    let shown = serde_json::json!({ "restored": generations });
    out.value(&shown, || {
        if generations.is_empty() {
            "nothing was missing".to_owned()
        } else {
            format!("restored {}", told(&generations))
        }
    })
}

fn told(generations: &[u32]) -> String {
    let list: Vec<String> = generations.iter().map(u32::to_string).collect();
    format!("generation {} of the sealing key", list.join(", "))
}
