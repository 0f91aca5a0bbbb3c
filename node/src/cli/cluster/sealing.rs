//! `ocmt cluster sealing-key`: the backup of what no dump holds.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use anyhow::Context as _;
use ocmt_actors::GATEWAY_OVERLAP;
use ocmt_client::ClientError;
use ocmt_cluster::FolderMemory;
use ocmt_crypto::{audit::Actor, sealing_backup};
use ocmt_store::{ClusterAct, Rotation};
use ocmt_types::{Clock as _, IdGen, RandomIds, SystemClock};

use crate::{
    cli::{
        args::{NewPassphraseArgs, SealingKeyCommand},
        output::{self, Output},
        secrets, show,
        store::{Place, load},
    },
    pki,
};

pub(super) async fn run(command: &SealingKeyCommand, out: Output) -> anyhow::Result<()> {
    match command {
        SealingKeyCommand::Rotate { config, compromised } => {
            Box::pin(rotate(config, *compromised, out)).await
        }
        SealingKeyCommand::Save { data_dir, to, new } => save(data_dir, to, new, out),
        SealingKeyCommand::Restore { data_dir, from, passphrase_file } => {
            restore(data_dir, from, passphrase_file.as_deref(), out)
        }
    }
}

async fn rotate(config: &Path, compromised: bool, out: Output) -> anyhow::Result<()> {
    let config = load(config)?;
    let folder = config.node.data_dir.join("pki");
    let (node, held) = pki::sealing_of(&folder)?.context("no node ran here: it has no sealing key")?;
    let ids: &dyn IdGen = &RandomIds;
    let (at, request, object) = (SystemClock.now(), ids.id(), format!("node/{node}"));
    let details = vec![("compromised".to_owned(), compromised.to_string())];
    // whoever holds the database's login; no certificate of an operator is asked for
    let act = ClusterAct {
        actor: Actor::Anonymous,
        ..ClusterAct::of_node(node, at, request, "cluster.sealing_rotate", object, details)
    };
    let store = Place::of(&config)?.open().await?;
    let overlap_until = (!compromised).then(|| at + GATEWAY_OVERLAP);
    let rotation = store.operators().rotate_sealing(node, held, overlap_until, &act).await;
    store.close().await;
    let generation = match rotation? {
        Rotation::Due(generation) => generation,
        Rotation::NotAlone => anyhow::bail!(
            "the latest sealing key is not in use everywhere yet: `ocmt cluster status` shows how far it is"
        ),
        Rotation::Overlaps(until) => anyhow::bail!(
            "gateway tokens of the key before the latest are good until {}: rotate then, or end them with --compromised",
            show::at(Some(until))
        ),
    };
    let shown = serde_json::json!({ "generation": generation, "node": node.to_string() });
    out.value(&shown, || format!("generation {generation} is made by this node while it runs\n"))
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
    let folder = data_dir.join("pki");
    let owner = fs::metadata(&folder).with_context(|| format!("cannot read {}", folder.display()))?.uid();
    if owner != rustix::process::geteuid().as_raw() {
        let text = format!("{} belongs to another user: run this as that user", folder.display());
        return Err(ClientError::Usage(text).into());
    }
    let passphrase = secrets::passphrase_in("Passphrase of the backup: ", passphrase)?;
    // a node that runs has keys of its own in memory, and writes them over these
    let _alone = FolderMemory::open(data_dir)?;
    let generations = pki::restore_sealing(&folder, &backup, &passphrase)?;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Keys that root wrote would be root's, and a node that runs as somebody else could not read them.
    #[test]
    fn nothing_is_put_back_into_a_folder_of_another_user() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, from) = (dir.path().join("pki"), dir.path().join("sealing.backup"));
        fs::create_dir(&folder).unwrap();
        fs::write(&from, "x").unwrap();
        let said = || restore(dir.path(), &from, Some(&from), Output { json: true }).unwrap_err().to_string();
        assert!(!said().contains("belongs to another user"), "{}", said());
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&folder, Some(65_534), None).unwrap();
            assert!(said().contains("belongs to another user"), "{}", said());
        }
    }

    #[test]
    fn beside_a_running_node_nothing_is_put_back() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("pki");
        let names = pki::ServerNames::of(&[], None);
        let clock = std::sync::Arc::new(ocmt_types::SystemClock);
        pki::Pki::open(&folder, true, names, clock, &ocmt_types::RandomIds).unwrap();
        let words = dir.path().join("words");
        fs::write(&words, "violin ledger umbrella quartz").unwrap();
        let backup = dir.path().join("sealing.backup");
        let out = Output { json: true };
        let new = NewPassphraseArgs { new_passphrase_file: Some(words.clone()), new_passphrase_fd: None };
        save(dir.path(), &backup, &new, out).unwrap();
        assert_eq!(fs::metadata(&backup).unwrap().mode() & 0o777, 0o600);
        let again = save(dir.path(), &backup, &new, out).unwrap_err();
        assert!(again.to_string().contains("is there already"), "{again}");
        let before = fs::read(folder.join("sealing.keys")).unwrap();
        let node = FolderMemory::open(dir.path()).unwrap();
        let refused = restore(dir.path(), &backup, Some(&words), out).unwrap_err();
        assert!(refused.to_string().contains("in use by another process"), "{refused}");
        assert_eq!(fs::read(folder.join("sealing.keys")).unwrap(), before);
        drop(node);
        restore(dir.path(), &backup, Some(&words), out).unwrap();
        fs::write(&backup, vec![0; sealing_backup::MAX_LEN + 1]).unwrap();
        assert!(
            restore(dir.path(), &backup, Some(&words), out).unwrap_err().to_string().contains("is no backup")
        );
    }
}
