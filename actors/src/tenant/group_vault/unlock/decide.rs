//! What the group's administrators say: yes with their part, or no.

use ocmt_crypto::{
    ceremony::{Approval as SignedApproval, StopStatement, Verdict as Said},
    seal::SealPublicKey,
};
use ocmt_store::tables::{Approval, GroupVault, Verdict};
use ocmt_types::Digest32;

use super::{admin_of, advance, load, named, view};
use crate::{
    api::{
        group_unlocks::{ApproveGroupUnlock, CancelGroupUnlock, DenyGroupUnlock, UnlockView},
        recovery::CeremonyState,
    },
    authorize::Action,
    error::ActorError,
    tenant::ceremony::{ground::Loaded, state::Event},
    work::{Handle, Work},
};

impl Handle for ApproveGroupUnlock {
    async fn handle(self, work: &mut Work) -> Result<UnlockView, ActorError> {
        let vault = admin_of(work, Action::ApproveUnlock, self.group).await?;
        let mut loaded = found(work, &vault, self.ceremony).await?;
        let bad =
            || ActorError::invalid("approval", "is not yours for this unlock, its release key and its set");
        let release = SealPublicKey(loaded.row.release_public.0);
        let approval = SignedApproval::verify(&self.approval, &self.ceremony, &release, &loaded.set)
            .map_err(|_| bad())?;
        let by = named(work.user()?.user);
        if approval.guardianship() != by {
            return Err(bad());
        }
        if said(work, &loaded, Verdict::Approve, self.approval).await? {
            let entered = advance(work, &vault, &mut loaded, Event::Approved(by, 1)).await?;
            led_to(work, &entered);
        }
        view::of(work, &loaded).await
    }
}

impl Handle for DenyGroupUnlock {
    async fn handle(self, work: &mut Work) -> Result<UnlockView, ActorError> {
        let vault = admin_of(work, Action::SeeToUnlock, self.group).await?;
        let mut loaded = found(work, &vault, self.ceremony).await?;
        let bad = || ActorError::invalid("statement", "is not yours of no to this unlock");
        let (statement, guardian) =
            StopStatement::verify_guardian(&self.statement, &self.ceremony, &loaded.set)
                .map_err(|_| bad())?;
        let by = named(work.user()?.user);
        if statement.verdict() != Said::Deny || guardian.guardianship != by {
            return Err(bad());
        }
        let is_open = loaded.progress.stage == CeremonyState::Released;
        if said(work, &loaded, Verdict::Deny, self.statement).await? || is_open {
            // one is enough then: where just as many are left as are needed, whoever asked cannot be taken out
            let event = if is_open { Event::Retired } else { Event::Denied(by, 1) };
            let entered = advance(work, &vault, &mut loaded, event).await?;
            led_to(work, &entered);
        }
        view::of(work, &loaded).await
    }
}

impl Handle for CancelGroupUnlock {
    async fn handle(self, work: &mut Work) -> Result<UnlockView, ActorError> {
        let vault = admin_of(work, Action::SeeToUnlock, self.group).await?;
        let mut loaded = found(work, &vault, self.ceremony).await?;
        if loaded.row.user_id != work.user()?.user {
            return Err(ActorError::PermissionDenied("only who asked gives an unlock up: deny it instead"));
        }
        advance(work, &vault, &mut loaded, Event::Cancelled).await?;
        view::of(work, &loaded).await
    }
}

/// For the audit: what a word led to.
fn led_to(work: &mut Work, entered: &[CeremonyState]) {
    if let Some(stage) = entered.last() {
        work.details.push(("state".to_owned(), format!("{stage:?}").to_uppercase()));
    }
}

pub(super) async fn found(
    work: &mut Work,
    vault: &GroupVault,
    ceremony: Digest32,
) -> Result<Loaded, ActorError> {
    let loaded = load(work, vault, ceremony).await?.ok_or(ActorError::NotFound)?;
    work.object = format!("ceremony/{ceremony}");
    Ok(loaded)
}

/// Writes down what the caller said; not if they said it before.
async fn said(work: &mut Work, loaded: &Loaded, verdict: Verdict, body: Vec<u8>) -> Result<bool, ActorError> {
    let (ceremony_id, by) = (loaded.row.ceremony_id, named(work.user()?.user));
    if work.tx.get::<Approval>((ceremony_id, by, verdict)).await?.is_some() {
        return Ok(false);
    }
    let row = Approval {
        tenant_id: work.ownership.tenant,
        ceremony_id,
        guardianship_id: by,
        verdict,
        units: 1,
        body,
        received_at: work.now,
    };
    work.tx.insert(&row).await?;
    Ok(true)
}
