//! What is done with an open vault of a group: read and write it, admit, hand out, rotate.

use std::{collections::BTreeSet, time::Duration};

use ocmt_crypto::{
    group::Acceptance,
    seal::SealPublicKey,
    slot::{KeySlot, NewSlot},
    vault::RotationMode,
};
use ocmt_proto::v1 as pb;
use ocmt_types::SlotId;

use super::{GroupVault, Part, Participant, admission};
use crate::{
    ClientError,
    client::idempotency_key,
    program::ProgramAccess,
    share::{Permission, Share},
    vault::Vault,
};

impl GroupVault<'_> {
    /// Its secrets: read and written as in every vault.
    pub const fn secrets(&self) -> &Vault {
        &self.vault
    }

    /// Its secrets, to write.
    pub const fn secrets_mut(&mut self) -> &mut Vault {
        &mut self.vault
    }

    /// Admits a member who has accepted, with keys that this device has pinned.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if the member has not accepted, believes another administrator, or accepted with other keys
    /// than were compared; [`ClientError::Refused`] without a fresh proof of presence.
    pub async fn admit(&mut self, email: &str) -> Result<(), ClientError> {
        let keys = self.own.pinned(email)?;
        let status = self.own.client().group_vault(self.group).await?;
        let member = status.of(email)?;
        match member.part {
            Part::Accepted => {}
            Part::None => {
                let text = format!("{email} has not accepted yet: they run `ocmt group vault join`");
                return Err(ClientError::Usage(text));
            }
            Part::Admitted => {
                return Err(ClientError::Usage(format!("{email} takes part in this vault already")));
            }
        }
        let accepted = Acceptance::open(&member.acceptance, &keys.signing).map_err(|_| others(email))?;
        let same = (accepted.group, accepted.scope) == (self.group, self.vault.keys().scope());
        if !same || accepted.sealing != keys.sealing {
            return Err(others(email));
        }
        if accepted.admitter != self.own.identity_key() {
            let text = format!(
                "{email} believes another administrator about this vault: that one admits them, or they run `ocmt group \
                 vault join` again and name you"
            );
            return Err(ClientError::Usage(text));
        }
        let (slot, change) = {
            let mut edit = self.vault.keys().edit();
            let slot = edit.add_slot(&NewSlot::Member(keys.sealing), &mut rand::rng())?;
            (slot, edit.finish()?)
        };
        let admission = admission(self.vault.keys(), self.group, &keys, Some(slot));
        let request = pb::AdmitToGroupVaultRequest {
            group_id: self.group.to_string(),
            user_id: member.user.to_string(),
            slot: change.added_slots.first().cloned().unwrap_or_default().into(),
            manifest: change.manifest.clone().into(),
            admission: admission.sign(&self.own.keys().keyring().identity_signing).into(),
            idempotency_key: idempotency_key(),
        };
        self.own.client().groups().admit_to_group_vault(request).await?;
        self.vault.apply(change)
    }

    /// Offers entries of it, as they are now, to somebody of the tenant whose keys this device has pinned: in the own name.
    ///
    /// # Errors
    /// As [`Vault::give`].
    pub async fn give(
        &self,
        taker: &str,
        entries: &[String],
        permissions: &[Permission],
        lifetime: Option<Duration>,
    ) -> Result<Share, ClientError> {
        self.own.give_of(&self.vault, taker, entries, permissions, lifetime).await
    }

    /// Makes a token with which a program reads these entries of it: for the own account.
    ///
    /// # Errors
    /// As [`Vault::create_program_token`].
    pub async fn create_program_token(
        &self,
        name: &str,
        entries: &[String],
        program_key: SealPublicKey,
        lifetime: Duration,
    ) -> Result<ProgramAccess, ClientError> {
        self.own.create_token_of(&self.vault, name, entries, program_key, lifetime).await
    }

    /// Encrypts everything anew under new keys, which those alone have who take part now. If it is cut off, it goes on
    /// when it is run again; how many slots of who left are gone.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if the node names somebody for a slot that is sealed to other keys; as [`Vault::rotate`].
    pub async fn rotate(&mut self, reason: &str) -> Result<usize, ClientError> {
        let status = self.own.client().group_vault(self.group).await?;
        let mut kept = BTreeSet::new();
        for member in status.participants.iter().filter(|one| one.part == Part::Admitted) {
            let Some(slot) = member.slot else { continue };
            self.is_of(slot, member).await?;
            kept.insert(slot);
        }
        let drop: Vec<SlotId> =
            self.vault.keys().slots().iter().map(KeySlot::id).filter(|id| !kept.contains(id)).collect();
        self.vault.rotate(RotationMode::Rekey, &drop, Vec::new(), reason).await?;
        Ok(drop.len())
    }

    /// That a slot is sealed to the keys of whom the node names for it: it shall not keep one of somebody who left under the
    /// name of somebody who stays.
    async fn is_of(&self, slot: SlotId, member: &Participant) -> Result<(), ClientError> {
        let tenant = self.own.client().identity()?.tenant;
        let keys = match self.own.state().person_pin(tenant, &member.email)? {
            Some(pinned) => pinned,
            None if member.user == self.own.client().identity()?.user => self.own.person_keys(),
            None => self.own.client().keys_of(&member.email).await?,
        };
        let accepted =
            Acceptance::open(&member.acceptance, &keys.signing).map_err(|_| others(&member.email))?;
        let sealed = self.vault.keys().slots().iter().find(|one| one.id() == slot).map(KeySlot::public);
        if sealed == Some(accepted.sealing) { Ok(()) } else { Err(others(&member.email)) }
    }
}

fn others(email: &str) -> ClientError {
    ClientError::Usage(format!(
        "what the node shows for {email} was made with other keys than theirs: call them, and compare words again with \
         --words"
    ))
}
