//! The sealing key on the node's disk: what a copy of the database cannot open without it.

use std::path::Path;

use ocmt_types::Secret;
use zeroize::Zeroizing;

use super::{
    PkiError,
    files::{read_private, write_private},
};

/// The key in `folder`, made if there is none.
pub fn load_sealing_key(folder: &Path) -> Result<Secret<[u8; 32]>, PkiError> {
    let path = folder.join("sealing.key");
    if let Some(stored) = read_private(&path)? {
        return <[u8; 32]>::try_from(stored.as_slice())
            .map(Secret::new)
            .map_err(|_| PkiError::content(&path, "a 32-byte key"));
    }
    let key = Zeroizing::new(rand::random::<[u8; 32]>());
    write_private(&path, key.as_slice())?;
    Ok(Secret::new(*key))
}
