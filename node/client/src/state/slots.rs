//! What this device shows when it asks for the slots of a backup key or a hardware token: those that were waited for are for
//! the device that asked, whichever session it has by then.

use data_encoding::HEXLOWER;
use rand::Rng as _;

use super::{LocalState, damaged};
use crate::{ClientError, client::Identity};

impl LocalState {
    /// The claim of this device, made at its first use.
    ///
    /// # Errors
    /// [`ClientError::State`].
    pub(crate) fn slot_claim(&self, own: Identity) -> Result<[u8; 32], ClientError> {
        let mut text = String::new();
        let mut fresh = [0; 32];
        rand::rng().fill_bytes(&mut fresh);
        self.change(|content| {
            let kept = content.slot_claims.entry(format!("{}/{}", own.tenant, own.user));
            text.clone_from(kept.or_insert_with(|| HEXLOWER.encode(&fresh)));
        })?;
        let claim = HEXLOWER.decode(text.as_bytes()).ok().and_then(|claim| claim.try_into().ok());
        claim.ok_or_else(|| damaged(&self.path()))
    }
}
