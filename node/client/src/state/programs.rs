//! The keys of programs as the device saw them that made their tokens.

use data_encoding::HEXLOWER;
use ocmt_types::{Digest32, ProgramTokenId, TenantId};

use super::LocalState;
use crate::ClientError;

impl LocalState {
    /// The key that a program's token was made for, if this device knows it.
    ///
    /// # Errors
    /// [`ClientError::State`].
    pub fn program_pin(
        &self,
        tenant: TenantId,
        token: ProgramTokenId,
    ) -> Result<Option<Digest32>, ClientError> {
        let found = self.read()?.programs.remove(&place(tenant, token));
        let key = |text: String| HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok().map(Digest32);
        Ok(found.and_then(key))
    }

    /// Remembers the key of a program: the one its token was made for, or one that was read where it runs.
    ///
    /// # Errors
    /// [`ClientError::State`].
    pub fn pin_program(
        &self,
        tenant: TenantId,
        token: ProgramTokenId,
        key: Digest32,
    ) -> Result<(), ClientError> {
        self.change(|content| {
            content.programs.insert(place(tenant, token), HEXLOWER.encode(&key.0));
        })
    }
}

fn place(tenant: TenantId, token: ProgramTokenId) -> String {
    format!("{tenant}/{token}")
}
