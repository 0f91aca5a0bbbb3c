//! The ways to open a vault: adding one, and taking one away for good.

use ocmt_crypto::{
    backup_key::BackupKey,
    kdf::Cost,
    slot::{NewSlot, RecoveryKey, SlotKind},
    vault::RotationMode,
};
use ocmt_proto::v1 as pb;
use ocmt_types::SlotId;
use rand::Rng as _;
use zeroize::Zeroizing;

use super::{Arrived, Vault};
use crate::{ClientError, client::idempotency_key, hardware::Token, passphrase::NewPassphrase};

/// A way to open the vault that is to be.
pub enum Added {
    /// A passphrase.
    Passphrase(NewPassphrase, Cost),
    /// A backup key.
    Backup(BackupKey, Cost),
    /// A hardware token: its challenge, and its answer to that.
    Hardware([u8; 32], Zeroizing<Vec<u8>>, Cost),
    /// The key that guardians share.
    Recovery(RecoveryKey),
}

impl Added {
    /// A hardware token, asked here with a fresh challenge; twice, since a token that answers otherwise
    /// the next time would never open anything.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if the token does not answer, or answers differently.
    pub async fn hardware(token: &Token, cost: Cost) -> Result<Self, ClientError> {
        let mut challenge = [0; 32];
        rand::rng().fill_bytes(&mut challenge);
        let answer = token.answer(&challenge).await?;
        if *token.answer(&challenge).await? != *answer {
            let text = "the hardware token answers the same challenge differently each time: set it up for challenge-response with HMAC-SHA1";
            return Err(ClientError::Usage(text.to_owned()));
        }
        Ok(Self::Hardware(challenge, answer, cost))
    }

    pub(super) fn slot(&self) -> NewSlot<'_> {
        match self {
            Self::Passphrase(passphrase, cost) => NewSlot::Passphrase(passphrase.as_passphrase(), *cost),
            Self::Backup(key, cost) => NewSlot::Backup(key, *cost),
            Self::Hardware(challenge, answer, cost) => NewSlot::Hardware(*challenge, answer, *cost),
            Self::Recovery(key) => NewSlot::Recovery(key),
        }
    }
}

impl Vault {
    /// The ids of slots of a kind.
    pub fn slots_of(&self, kind: SlotKind) -> Vec<SlotId> {
        self.open
            .slots()
            .iter()
            .filter(|slot| slot.kind() == kind)
            .map(ocmt_crypto::slot::KeySlot::id)
            .collect()
    }

    /// Adds a way to open the vault, beside those there are. Takes nothing away, so nothing is re-keyed.
    ///
    /// # Errors
    /// [`ClientError::Refused`] without a fresh proof of presence, or if another device wrote first.
    pub async fn add_slot(&mut self, new: &Added) -> Result<SlotId, ClientError> {
        let (id, change) = {
            let mut edit = self.open.edit();
            // one Argon2id: a client does nothing else meanwhile
            let id = tokio::task::block_in_place(|| edit.add_slot(&new.slot(), &mut rand::rng()))?;
            (id, edit.finish()?)
        };
        let slot = change.added_slots.first().ok_or(ClientError::Answer("slot"))?;
        let request = pb::AddKeySlotRequest {
            vault_id: self.id().to_string(),
            slot: slot.clone().into(),
            manifest: change.manifest.clone().into(),
            idempotency_key: idempotency_key(),
        };
        self.client.vaults().add_key_slot(request).await?;
        self.apply(change)?;
        Ok(id)
    }

    /// Takes ways to open the vault away, and puts others in their place. Whoever had one of them may have
    /// kept the vault key: everything is encrypted anew under new keys, in the same act. What was filed from the
    /// inbox before it.
    ///
    /// # Errors
    /// [`ClientError::Crypto`] if none would be left; as [`Vault::rotate`].
    pub async fn replace_slots(
        &mut self,
        drop: &[SlotId],
        add: Vec<Added>,
        reason: &str,
    ) -> Result<Vec<Arrived>, ClientError> {
        self.rotate(RotationMode::Rekey, drop, add, reason).await
    }
}
