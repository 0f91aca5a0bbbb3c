//! What is done with an open vault of a group: read and write it, admit, hand out, rotate.

use std::{collections::BTreeSet, time::Duration};

use ocmt_crypto::{
    group::Acceptance,
    guardian::{self, Delays, GuardianKeys, Plan, Seat},
    seal::SealPublicKey,
    slot::{KeySlot, NewSlot},
    vault::RotationMode,
};
use ocmt_proto::v1 as pb;
use ocmt_types::{Clock as _, GuardianshipId, Id as _, IdGen, RandomIds, SlotId, SystemClock, UserId};

use super::{GroupVault, Part, Participant, admission};
use crate::{
    ClientError,
    client::idempotency_key,
    group::MemberRole,
    program::ProgramAccess,
    share::{Permission, PersonKeys, Share},
    vault::{Added, Vault},
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

    /// Admits a member who has accepted, with keys whose words were compared on this device.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if the member has not accepted, believes another administrator, or accepted with other keys
    /// than were compared; [`ClientError::Refused`] without a fresh proof of presence.
    pub async fn admit(&mut self, email: &str) -> Result<(), ClientError> {
        let keys = self.own.compared(email)?;
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
        // where several open it together they get a part when its key is dealt anew
        let added = if self.together.is_some() {
            None
        } else {
            let mut edit = self.vault.keys().edit();
            let slot = edit.add_slot(&NewSlot::Member(keys.sealing), &mut rand::rng())?;
            Some((slot, edit.finish()?))
        };
        let slot = added.as_ref().map(|(slot, _)| *slot);
        let admission = admission(self.vault.keys(), self.group, &keys, slot);
        let change = added.map(|(_, change)| change);
        let added = change.as_ref().and_then(|change| change.added_slots.first()).cloned();
        let request = pb::AdmitToGroupVaultRequest {
            group_id: self.group.to_string(),
            user_id: member.user.to_string(),
            slot: added.unwrap_or_default().into(),
            manifest: change.as_ref().map(|change| change.manifest.clone()).unwrap_or_default().into(),
            admission: admission.sign(&self.own.keys().keyring().identity_signing).into(),
            idempotency_key: idempotency_key(),
        };
        self.own.client().groups().admit_to_group_vault(request).await?;
        match change {
            Some(change) => self.vault.apply(change),
            None => Ok(()),
        }
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

    /// Who takes part, as the node says: it could name somebody who has left. Whoever rotates says who of them stays.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn admitted(&self) -> Result<Vec<Participant>, ClientError> {
        let mut all = self.own.client().group_vault(self.group).await?.participants;
        all.retain(|one| one.part == Part::Admitted);
        Ok(all)
    }

    /// Whether several administrators open it together.
    pub const fn opens_together(&self) -> bool {
        self.together.is_some()
    }

    /// Encrypts everything anew under new keys, which `stays` alone have. If it is cut off, it goes on when it is run
    /// again; how many slots of others are gone.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if the words of one who stays were not compared on this device, or the slot that the node
    /// names for them is sealed to other keys; as [`Vault::rotate`].
    pub async fn rotate(&mut self, stays: &[Participant], reason: &str) -> Result<usize, ClientError> {
        if let Some(need) = self.together {
            return self.deal(need, stays, reason).await.map(|_| 0);
        }
        let mut kept = BTreeSet::new();
        for member in stays {
            let Some(slot) = member.slot else { continue };
            self.is_of(slot, member)?;
            kept.insert(slot);
        }
        let drop: Vec<SlotId> =
            self.vault.keys().slots().iter().map(KeySlot::id).filter(|id| !kept.contains(id)).collect();
        self.vault.rotate(RotationMode::Rekey, &drop, Vec::new(), reason).await?;
        Ok(drop.len())
    }

    /// Shares the vault's key among the administrators of `holders`: from now on `need` of them open it together, and everything
    /// is encrypted anew. How many parts there are.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if too few administrators take part, or the words of one were not compared; as [`Vault::rotate`].
    pub async fn share_key(&mut self, need: u8, holders: &[Participant]) -> Result<u8, ClientError> {
        self.deal(need, holders, "the key is shared").await
    }

    /// A rotation that deals anew, signed by the vault's own key.
    async fn deal(&mut self, need: u8, stays: &[Participant], reason: &str) -> Result<u8, ClientError> {
        let admins = stays.iter().filter(|one| one.role == MemberRole::Admin);
        let mut seats = Vec::new();
        for admin in admins {
            let keys = self.keys_compared(admin)?;
            let accepted =
                Acceptance::open(&admin.acceptance, &keys.signing).map_err(|_| others(&admin.email))?;
            if accepted.sealing != keys.sealing || accepted.scope != self.vault.keys().scope() {
                return Err(others(&admin.email));
            }
            seats.push(Seat {
                guardianship: GuardianshipId::from_bytes(*admin.user.as_bytes()),
                keys: GuardianKeys { identity: keys.signing, sealing: keys.sealing },
                units: 1,
            });
        }
        let holders = u8::try_from(seats.len()).unwrap_or(u8::MAX);
        if need < 2 || holders < need {
            let text = format!(
                "{holders} administrators take part: at least 2 have to open it together, and no more than there are"
            );
            return Err(ClientError::Usage(text));
        }
        self.vault.file_before_rekeying().await?;
        let keyring = self.vault.keys().keyring();
        let ids: &dyn IdGen = &RandomIds;
        let plan = Plan {
            id: ids.id(),
            scope: self.vault.keys().scope(),
            owner_sealing: keyring.identity_seal.public(),
            threshold: need,
            // of no use to an unlock, and lawful
            delays: Delays::DEFAULT,
            seats,
            dealt_at: SystemClock.now(),
            dev: false,
        };
        let dealt = guardian::deal(&plan, &keyring.identity_signing, &mut rand::rng())?;
        let drop: Vec<SlotId> = self.vault.keys().slots().iter().map(KeySlot::id).collect();
        let add = [Added::Recovery(dealt.recovery_key)];
        let (rotation_id, completed) = self.vault.stage(RotationMode::Rekey, &drop, &add, reason).await?;
        let part = |units: &guardian::SealedUnits| pb::GroupPart {
            user_id: UserId::from_bytes(*units.guardianship.as_bytes()).to_string(),
            sealed_part: units.sealed.clone().into(),
        };
        let request = pb::FinishRotationRequest {
            vault_id: self.vault.id().to_string(),
            rotation_id,
            slots: completed.slots.iter().cloned().map(Into::into).collect(),
            manifest: completed.manifest.clone().into(),
            group_set: dealt.signed_set.into(),
            group_parts: dealt.units.iter().map(part).collect(),
            idempotency_key: idempotency_key(),
        };
        self.own.client().vaults().finish_rotation(request).await?;
        self.vault.adopt(completed)?;
        self.own.state().end_rotation(self.vault.id())?;
        self.own.state().forget_unlock(self.group)?;
        self.together = Some(need);
        Ok(holders)
    }

    fn keys_compared(&self, member: &Participant) -> Result<PersonKeys, ClientError> {
        if member.user == self.own.client().identity()?.user {
            return Ok(self.own.person_keys());
        }
        self.own.compared(&member.email)
    }

    /// That a slot is sealed to the keys of whom the node names for it: it shall not keep one of somebody who left under the
    /// name of somebody who stays. Keys that the node shows prove nothing of that.
    fn is_of(&self, slot: SlotId, member: &Participant) -> Result<(), ClientError> {
        let keys = self.keys_compared(member)?;
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
