//! The sealing keys on the node's disk: what a copy of the database cannot open without them.
//!
//! `sealing.keys` is a private text file, a line for each generation, oldest first: the generation in decimal,
//! a space, the key's 32 bytes in lower-case hex. It is replaced whole.

use std::path::Path;

use data_encoding::HEXLOWER;
use ocmt_crypto::sealing::{SealingKey, SealingKeys};
use zeroize::Zeroizing;

use super::{
    PkiError,
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
}
