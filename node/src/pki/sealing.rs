//! The sealing keys on the node's disk: what a copy of the database cannot open without them.
//!
//! `sealing.keys` is a private text file, a line for each generation, oldest first: the generation in decimal,
//! a space, the key's 32 bytes in lower-case hex. It is replaced whole.

use std::path::Path;

use data_encoding::HEXLOWER;
use ocmt_crypto::{
    kdf::{Cost, Passphrase},
    sealing::{SealingKey, SealingKeys},
    sealing_backup,
};
use ocmt_types::Digest32;
use zeroize::Zeroizing;

use super::{
    CaCertificate, PkiError,
    files::{read_private, write_private},
};

const FILE: &str = "sealing.keys";

/// The generations in `folder`; none if there is no file.
pub(super) fn load(folder: &Path) -> Result<Option<SealingKeys>, PkiError> {
    let path = folder.join(FILE);
    let Some(stored) = read_private(&path)? else { return Ok(None) };
    let parsed = parse(&stored).filter(|keys| keys.latest().is_some());
    parsed.map(Some).ok_or_else(|| PkiError::content(&path, "generations of the sealing key"))
}

fn parse(stored: &[u8]) -> Option<SealingKeys> {
    let mut keys = SealingKeys::default();
    for line in std::str::from_utf8(stored).ok()?.lines() {
        let (generation, hex) = line.split_once(' ')?;
        let bytes = Zeroizing::new(HEXLOWER.decode(hex.as_bytes()).ok()?);
        keys.insert(SealingKey::from_bytes(generation.parse().ok()?, bytes.as_slice().try_into().ok()?));
    }
    Some(keys)
}

/// Writes all generations.
pub(super) fn store(folder: &Path, keys: &SealingKeys) -> Result<(), PkiError> {
    let mut text = Zeroizing::new(String::with_capacity(keys.generations().count() * 80));
    for key in keys.generations() {
        text.push_str(&key.generation().to_string());
        text.push(' ');
        HEXLOWER.encode_append(key.expose(), &mut text);
        text.push('\n');
    }
    write_private(&folder.join(FILE), text.as_bytes())
}

/// The generations in `folder` with the fingerprint of the authority that they belong to.
pub(super) fn kept(folder: &Path) -> Result<(Digest32, SealingKeys), PkiError> {
    let missing = |what| PkiError::NotOfACluster { folder: folder.into(), what };
    let ca = CaCertificate::load(&folder.join("ca.pem"))?.ok_or_else(|| missing("ca.pem"))?;
    Ok((ca.fingerprint(), load(folder)?.unwrap_or_default()))
}

/// A backup of what `folder` holds, under a passphrase, and the generations in it.
///
/// # Errors
/// [`PkiError::NoSealingKey`] where there is none.
pub fn save_sealing(folder: &Path, passphrase: &Passphrase) -> Result<(Vec<u8>, Vec<u32>), PkiError> {
    let (ca, keys) = kept(folder)?;
    let generations: Vec<u32> = keys.generations().map(SealingKey::generation).collect();
    if generations.is_empty() {
        return Err(PkiError::NoSealingKey(folder.into()));
    }
    let backup = sealing_backup::seal(&keys, ca, passphrase, Cost::DEFAULT, &mut rand::rng());
    backup
        .map(|backup| (backup, generations))
        .map_err(|_| PkiError::content(&folder.join(FILE), "so few generations"))
}

/// Puts the generations of a backup that `folder` lacks beside those that it has; which these were. For a node
/// that does not run: one that does would write its own over them.
///
/// # Errors
/// [`PkiError::Content`] for another cluster's, and where a generation is there with another key;
/// [`PkiError::Backup`] if it does not open. Nothing is written then.
pub fn restore_sealing(folder: &Path, backup: &[u8], passphrase: &Passphrase) -> Result<Vec<u32>, PkiError> {
    let (ca, mut keys) = kept(folder)?;
    if sealing_backup::authority(backup).map_err(|_| PkiError::Backup)? != ca {
        return Err(PkiError::content(&folder.join("ca.pem"), "the authority that the backup is of"));
    }
    let mut restored = Vec::new();
    for key in sealing_backup::open(backup, passphrase).map_err(|_| PkiError::Backup)?.generations() {
        match keys.generations().find(|held| held.generation() == key.generation()) {
            Some(held) if held.expose() == key.expose() => {}
            Some(_) => {
                let what = "the sealing key of that generation in the backup";
                return Err(PkiError::content(&folder.join(FILE), what));
            }
            None => restored.push(key.duplicate()),
        }
    }
    let generations = restored.iter().map(SealingKey::generation).collect();
    restored.into_iter().for_each(|key| keys.insert(key));
    store(folder, &keys)?;
    Ok(generations)
}

/// A first generation.
pub(super) fn first() -> SealingKeys {
    SealingKeys::new([SealingKey::generate(1, &mut rand::rng())])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn generations_come_back_as_they_were_kept_and_damage_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(load(dir.path()).unwrap().is_none());
        let keys = SealingKeys::new((1..4).map(|n| SealingKey::generate(n, &mut rand::rng())));
        store(dir.path(), &keys).unwrap();
        let back = load(dir.path()).unwrap().unwrap();
        let shown = |keys: &SealingKeys| {
            keys.generations().map(|key| (key.generation(), *key.expose())).collect::<Vec<_>>()
        };
        assert_eq!(shown(&back), shown(&keys));
        for damaged in ["", "1 00\n", "x 00\n", "1\n"] {
            write_private(&dir.path().join(FILE), damaged.as_bytes()).unwrap();
            assert!(matches!(load(dir.path()), Err(PkiError::Content { .. })), "{damaged:?}");
        }
    }

    fn words(text: &str) -> Passphrase {
        Passphrase::new(text).unwrap()
    }

    /// A folder of a cluster's only node, as `ocmt cluster init` makes it.
    fn of_a_cluster() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        crate::pki::Authority::create(dir.path(), &ocmt_types::SystemClock).unwrap();
        store(dir.path(), &first()).unwrap();
        dir
    }

    fn numbers(folder: &Path) -> Vec<u32> {
        load(folder).unwrap().unwrap_or_default().generations().map(SealingKey::generation).collect()
    }

    #[test]
    fn a_node_that_lost_its_key_makes_no_other_and_starts_once_it_is_back() {
        let dir = tempfile::tempdir().unwrap();
        let open = || {
            let names = crate::pki::ServerNames::of(&[], None);
            let clock = std::sync::Arc::new(ocmt_types::SystemClock);
            crate::pki::Pki::open(dir.path(), true, names, clock, &ocmt_types::RandomIds)
        };
        open().unwrap();
        let passphrase = words("violin ledger umbrella quartz");
        let (backup, _) = save_sealing(dir.path(), &passphrase).unwrap();
        std::fs::remove_file(dir.path().join(FILE)).unwrap();
        assert!(matches!(open(), Err(PkiError::NoSealingKey(_))), "nothing of before opens under another");
        assert_eq!(restore_sealing(dir.path(), &backup, &passphrase).unwrap(), [1]);
        open().unwrap();
    }

    #[test]
    fn a_lost_generation_comes_back_from_its_backup_and_no_other_is_touched() {
        let dir = of_a_cluster();
        let passphrase = words("violin ledger umbrella quartz");
        let (backup, saved) = save_sealing(dir.path(), &passphrase).unwrap();
        assert_eq!(saved, [1]);
        let later = SealingKeys::new([SealingKey::generate(2, &mut rand::rng())]);
        store(dir.path(), &later).unwrap();
        assert_eq!(restore_sealing(dir.path(), &backup, &passphrase).unwrap(), [1]);
        assert_eq!(numbers(dir.path()), [1, 2]);
        // a second time there is nothing to do
        assert!(restore_sealing(dir.path(), &backup, &passphrase).unwrap().is_empty());
        std::fs::remove_file(dir.path().join(FILE)).unwrap();
        assert_eq!(restore_sealing(dir.path(), &backup, &passphrase).unwrap(), [1]);
    }

    #[test]
    fn a_backup_of_another_cluster_another_passphrase_and_another_key_change_nothing() {
        let (dir, other) = (of_a_cluster(), of_a_cluster());
        let passphrase = words("violin ledger umbrella quartz");
        let (backup, _) = save_sealing(dir.path(), &passphrase).unwrap();
        assert!(matches!(restore_sealing(other.path(), &backup, &passphrase), Err(PkiError::Content { .. })));
        // nor where it would fill a gap
        let later = SealingKeys::new([SealingKey::generate(2, &mut rand::rng())]);
        store(other.path(), &later).unwrap();
        let refused = restore_sealing(other.path(), &backup, &passphrase).unwrap_err();
        assert!(refused.to_string().contains("authority"), "{refused}");
        assert_eq!(numbers(other.path()), [2]);
        let wrong = words("tramway-Okapi-39-lantern");
        assert!(matches!(restore_sealing(dir.path(), &backup, &wrong), Err(PkiError::Backup)));
        store(dir.path(), &first()).unwrap();
        let before = std::fs::read(dir.path().join(FILE)).unwrap();
        assert!(matches!(restore_sealing(dir.path(), &backup, &passphrase), Err(PkiError::Content { .. })));
        assert_eq!(std::fs::read(dir.path().join(FILE)).unwrap(), before);
    }
}
