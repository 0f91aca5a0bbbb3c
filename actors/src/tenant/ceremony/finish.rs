//! After release: the approvals are handed to the requester, and the rotation that ends the ceremony.

use ocmt_crypto::{
    slot::{KeySlot, SlotKind},
    vault::ProofOf,
};
use ocmt_store::tables::{
    Approval, Ceremony, GuardianSet, GuardianshipOut, Link, RotationMode, Slot, User, Vault, Verdict,
};
use ocmt_types::Secret;

use super::{
    super::{
        api_key,
        handlers::{channels, email_change},
        program, recovery, session_row, share, vault,
    },
    ground::{self, Loaded, advance},
    state::Event,
    stop::{own, requester, retire_all},
};
use crate::{
    api::{
        recovery::{CollectShares, Collected, CollectedApproval, CompleteCeremony, Completed},
        vault::FinishRotation,
    },
    authorize::Action,
    error::ActorError,
    work::{Handle, Work},
};

impl Handle for CollectShares {
    async fn handle(self, work: &mut Work) -> Result<Collected, ActorError> {
        let mut loaded = own(work, Action::CollectShares, self.ceremony).await?;
        requester(work, &loaded)?;
        loaded.progress.step(Event::Collect, work.now)?;
        let key = ground::release_key(work, &loaded)?;
        let approvals = approvals(work, &loaded).await?;
        work.details.push(("approvals".to_owned(), approvals.len().to_string()));
        Ok(Collected { release_private_key: Secret::new(key), approvals, signed_set: loaded.set_row.body })
    }
}

async fn approvals(work: &mut Work, loaded: &Loaded) -> Result<Vec<CollectedApproval>, ActorError> {
    let of = Approval::ceremony_id.eq(loaded.row.ceremony_id).and(Approval::verdict.eq(Verdict::Approve));
    let mut approvals = Vec::new();
    for row in work.tx.find::<Approval>(of).await? {
        let guardian = work.tx.get::<GuardianshipOut>(row.guardianship_id).await?;
        approvals.push(CollectedApproval {
            guardianship: row.guardianship_id,
            guardian_email: guardian.map(|row| row.guardian_email).unwrap_or_default(),
            approval: row.body,
        });
    }
    Ok(approvals)
}

impl Handle for CompleteCeremony {
    async fn handle(self, work: &mut Work) -> Result<Completed, ActorError> {
        let mut loaded = own(work, Action::CompleteCeremony, self.ceremony).await?;
        requester(work, &loaded)?;
        let before = work.tx.get::<Vault>(loaded.row.vault_id).await?.ok_or(ActorError::NotFound)?;
        self.proven(work, &before).await?;
        self.check_slots(work, &before).await?;
        self.note_bad_shares(work).await?;
        // authorised once more inside, by the release that still stands at this point
        let finish = FinishRotation {
            vault: before.vault_id,
            rotation: self.rotation,
            slots: self.slots,
            manifest: self.manifest,
            deal: None,
        };
        let vault = vault::ground::load(work, Action::RotateVault, Some(before.vault_id)).await?;
        let vault = vault::rotation::finish(work, vault, finish).await?.vault;
        let vault = vault::ground::info(work, &vault).await?;
        retire_set(work, &loaded).await?;
        new_address(work, &loaded.row).await?;
        advance(work, &mut loaded, Event::Completed).await?;
        let sessions = session_row::end_all(work, loaded.row.user_id, None).await?;
        let ended_credentials = sessions + api_key::forget_user(work, loaded.row.user_id).await?;
        retire_all(work, before.vault_id, Some(self.ceremony)).await?;
        work.tx.delete_all::<Link>(Link::user_id.eq(loaded.row.user_id)).await?;
        program::forget_user(work, loaded.row.user_id).await?;
        share::end_of_user(work, loaded.row.user_id).await?;
        work.object = format!("ceremony/{}", self.ceremony);
        Ok(Completed { vault, ceremony: ground::view(work, &loaded).await?, ended_credentials })
    }
}

impl CompleteCeremony {
    /// Whoever asks has the vault open: it stands for step-up.
    async fn proven(&self, work: &mut Work, before: &Vault) -> Result<(), ActorError> {
        vault::redeem(work, before, ProofOf::Completion(self.ceremony), self.handout, self.proof).await
    }

    /// A new passphrase, and nothing that the old set's shares still open; all under fresh data keys.
    async fn check_slots(&self, work: &mut Work, before: &Vault) -> Result<(), ActorError> {
        if before.rotation_mode != Some(RotationMode::Rekey) {
            return Err(ActorError::precondition(
                "ROTATION_NEEDED",
                "a recovery ends in a rotation that re-keys: begin one of that mode",
            ));
        }
        let old = work.tx.find::<Slot>(Slot::vault_id.eq(before.vault_id)).await?;
        let mut fresh = false;
        for slot in &self.slots {
            let slot = KeySlot::from_bytes(slot)
                .map_err(|_| ActorError::invalid("slots", "has one that is no key slot"))?;
            if slot.kind() == SlotKind::Recovery {
                return Err(ActorError::invalid(
                    "slots",
                    "still has the recovery slot of the used set: drop it, and deal a new set afterwards",
                ));
            }
            fresh |= slot.kind() == SlotKind::Passphrase && old.iter().all(|old| old.slot_id != slot.id());
        }
        if fresh { Ok(()) } else { Err(ActorError::invalid("slots", "has no new passphrase slot")) }
    }

    async fn note_bad_shares(&self, work: &mut Work) -> Result<(), ActorError> {
        for guardianship in &self.bad_guardianships {
            let key = (self.ceremony, *guardianship, Verdict::Approve);
            let Some(approval) = work.tx.get::<Approval>(key).await? else {
                return Err(ActorError::invalid("bad_guardianship_ids", "names one who has not approved"));
            };
            let bad = Approval {
                verdict: Verdict::BadShare,
                units: 0,
                body: Vec::new(),
                received_at: work.now,
                ..approval
            };
            work.tx.upsert(&bad).await?;
            if work.details.len() < 15 {
                work.details.push(("bad_share".to_owned(), guardianship.to_string()));
            }
        }
        Ok(())
    }
}

/// Whoever had lost the mailbox too is reached at the other address from now on, and by no other way.
async fn new_address(work: &mut Work, row: &Ceremony) -> Result<(), ActorError> {
    let Some(address) = &row.new_email else { return Ok(()) };
    let user = work.tx.get::<User>(row.user_id).await?.ok_or_else(ground::damaged)?;
    if user.email == *address {
        return Ok(());
    }
    email_change::stop(work, row.user_id, "a recovery of the vault was completed").await?;
    let old = user.email.clone();
    if let Some(why) = channels::moved(work, user, address).await? {
        return Err(ActorError::precondition(
            "ADDRESS_TAKEN",
            format!("{why}: nothing was changed; let that user take another address, and complete again"),
        ));
    }
    email_change::recovered(work, row.user_id, [&old, address]).await
}

/// Its shares have served: nobody is to have them any more.
async fn retire_set(work: &mut Work, loaded: &Loaded) -> Result<(), ActorError> {
    let set = work.tx.get::<GuardianSet>(loaded.set_row.set_id).await?.ok_or_else(ground::damaged)?;
    recovery::retire(work, set, &[]).await
}
