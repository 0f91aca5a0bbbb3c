//! The rotation that this device began, so that it goes on with its own alone.

use data_encoding::HEXLOWER;
use ocmt_crypto::{sign::VerifyKey, vault::Seen};
use ocmt_types::VaultId;

use super::LocalState;
use crate::ClientError;

impl LocalState {
    /// Whether this device began the rotation to this verify key, and began it from this very state of the vault.
    ///
    /// # Errors
    /// [`ClientError::State`].
    pub(crate) fn began_rotation(
        &self,
        vault: VaultId,
        from: &Seen,
        to: &VerifyKey,
    ) -> Result<bool, ClientError> {
        Ok(self.read()?.rotations.get(&vault.to_string()).is_some_and(|known| *known == named(from, to)))
    }

    /// Remembers a rotation before the node hears of it.
    ///
    /// # Errors
    /// [`ClientError::State`].
    pub(crate) fn begin_rotation(
        &self,
        vault: VaultId,
        from: &Seen,
        to: &VerifyKey,
    ) -> Result<(), ClientError> {
        self.change(|content| {
            content.rotations.insert(vault.to_string(), named(from, to));
        })
    }

    /// Forgets it: it is finished.
    ///
    /// # Errors
    /// [`ClientError::State`].
    pub(crate) fn end_rotation(&self, vault: VaultId) -> Result<(), ClientError> {
        self.change(|content| {
            content.rotations.remove(&vault.to_string());
        })
    }
}

fn named(from: &Seen, to: &VerifyKey) -> String {
    format!("{}:{}", HEXLOWER.encode(from.manifest_hash.as_bytes()), HEXLOWER.encode(&to.0))
}
