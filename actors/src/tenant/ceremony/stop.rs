//! What guardians and the owner say in a ceremony: approve, deny, doubt, lock, veto; and time.

use ocmt_crypto::{
    ceremony::{Approval as SignedApproval, StopStatement, Verdict as Said},
    seal::SealPublicKey,
};
use ocmt_store::tables::{
    Approval, Ceremony, CeremonyState as Stored, GuardianSet, GuardianshipOut, Verdict,
};
use ocmt_types::{Digest32, GuardianshipId, TenantId, VaultId};

use super::{
    super::recovery::letters::{Heard, SaidIn, VerdictKind},
    agree,
    ground::{self, Loaded, advance},
    state::Event,
};
use crate::{
    api::recovery::{CancelCeremony, CeremonyState, CeremonyView, VetoCeremony, Vetoed},
    audit,
    authorize::{Action, Object},
    caller::Assurance,
    error::ActorError,
    work::{Handle, Work},
};

impl Handle for VetoCeremony {
    async fn handle(self, work: &mut Work) -> Result<Vetoed, ActorError> {
        let mut loaded = own(work, Action::VetoCeremony, self.ceremony).await?;
        if !self.retirement.is_empty() {
            return agree::retire(work, loaded, &self.retirement).await;
        }
        let mut veto = Event::Vetoed;
        if !self.statement.is_empty() {
            StopStatement::verify_veto(&self.statement, &self.ceremony, &loaded.set)
                .map_err(|_| ActorError::invalid("statement", "is not the owner's veto of this ceremony"))?;
            veto = Event::VetoedByKey;
        }
        advance(work, &mut loaded, veto).await?;
        let deal_anew = loaded.row.approved_units > 0;
        Ok(Vetoed { ceremony: ground::view(work, &loaded).await?, deal_anew })
    }
}

impl Handle for CancelCeremony {
    async fn handle(self, work: &mut Work) -> Result<CeremonyView, ActorError> {
        let mut loaded = own(work, Action::CancelCeremony, self.ceremony).await?;
        requester(work, &loaded)?;
        advance(work, &mut loaded, Event::Cancelled).await?;
        ground::shown(work, &loaded).await
    }
}

/// A ceremony over a vault of the caller's.
pub(super) async fn own(work: &mut Work, action: Action, ceremony: Digest32) -> Result<Loaded, ActorError> {
    let found = ground::load(work, ceremony).await?;
    let loaded = work.authorize_found(action, found, |loaded| Object::of(loaded.row.user_id))?;
    let who = work.user()?;
    if who.assurance == Assurance::Inert && loaded.row.opened_by != who.session {
        return Err(ActorError::NotFound);
    }
    work.object = format!("ceremony/{ceremony}");
    Ok(loaded)
}

/// Only the session that opened a ceremony goes on with it.
pub(super) fn requester(work: &Work, loaded: &Loaded) -> Result<(), ActorError> {
    if work.user()?.session == loaded.row.opened_by {
        return Ok(());
    }
    Err(ActorError::PermissionDenied("only the session that opened the ceremony goes on with it"))
}

/// What a guardian said in another tenant. Verified here, counted once, answered with the ceremony.
pub(in crate::tenant) async fn said(
    work: &mut Work,
    from: TenantId,
    letter: SaidIn,
) -> Result<Heard, ActorError> {
    let ceremony = Digest32(letter.ceremony);
    let guardian = work.tx.get::<GuardianshipOut>(letter.guardianship).await?;
    let guardian = guardian.filter(|row| row.guardian_tenant == Some(from)).ok_or(ActorError::NotFound)?;
    let mut loaded = ground::load(work, ceremony).await?.ok_or(ActorError::NotFound)?;
    let units = verified(&loaded, &letter)?;
    let verdict = letter.verdict.into();
    let key = (ceremony, letter.guardianship, verdict);
    if work.tx.get::<Approval>(key).await?.is_some() {
        // said and committed before: counted once, however often and from wherever it is sent
        return heard(work, &loaded).await;
    }
    if verdict == Verdict::Lock {
        once_a_lock_period(work, &loaded, guardian).await?;
    }
    let row = Approval {
        tenant_id: work.ownership.tenant,
        ceremony_id: ceremony,
        guardianship_id: letter.guardianship,
        verdict,
        units: i64::from(units),
        body: letter.body,
        received_at: work.now,
    };
    work.tx.insert(&row).await?;
    let event = match verdict {
        Verdict::Approve => Event::Approved(letter.guardianship, units),
        Verdict::Deny => Event::Denied(letter.guardianship, units),
        Verdict::Lock => Event::Locked,
        Verdict::Override => Event::Agreed(letter.guardianship, units),
        Verdict::Doubt | Verdict::BadShare => Event::Doubted,
    };
    let entered = advance(work, &mut loaded, event).await?;
    if verdict == Verdict::Lock {
        stop_others(work, &loaded, Event::Locked).await?;
    }
    let details = vec![
        ("guardianship".to_owned(), letter.guardianship.to_string()),
        ("units".to_owned(), units.to_string()),
    ];
    let action = format!("ceremony.{}", letter.verdict.name());
    let object = format!("ceremony/{ceremony}");
    audit::note(work, &action, object, ocmt_crypto::audit::Outcome::Allowed, details).await?;
    // a lock says itself where it led
    moved(work, ceremony, entered.iter().filter(|stage| **stage != CeremonyState::Locked)).await?;
    heard(work, &loaded).await
}

/// Where a ceremony came to without a call of its owner or requester, for the audit.
pub(super) async fn moved(
    work: &mut Work,
    ceremony: Digest32,
    entered: impl Iterator<Item = &CeremonyState> + Send,
) -> Result<(), ActorError> {
    for stage in entered {
        let details = vec![("state".to_owned(), format!("{stage:?}").to_uppercase())];
        let object = format!("ceremony/{ceremony}");
        audit::note(work, "ceremony.moved", object, ocmt_crypto::audit::Outcome::Allowed, details).await?;
    }
    Ok(())
}

async fn heard(work: &mut Work, loaded: &Loaded) -> Result<Heard, ActorError> {
    Ok(Heard { version: loaded.row.version, view: ground::view(work, loaded).await? })
}

/// That the guardian's own key signed it, for this ceremony, its release key and its set; the units it
/// carries.
fn verified(loaded: &Loaded, letter: &SaidIn) -> Result<u32, ActorError> {
    let ceremony = &loaded.row.ceremony_id;
    let by: (GuardianshipId, u32) = match letter.verdict {
        VerdictKind::Approve => {
            let bad =
                |_| ActorError::invalid("approval", "is not of a guardian of this ceremony's set for it");
            let release = SealPublicKey(loaded.row.release_public.0);
            let approval =
                SignedApproval::verify(&letter.body, ceremony, &release, &loaded.set).map_err(bad)?;
            (approval.guardianship(), u32::try_from(approval.units().len()).unwrap_or(0))
        }
        VerdictKind::Override => agree::signed(&letter.body, loaded)?,
        VerdictKind::Deny | VerdictKind::Lock | VerdictKind::Doubt => {
            let bad =
                || ActorError::invalid("statement", "is not of a guardian of this ceremony's set on it");
            let (statement, guardian) =
                StopStatement::verify_guardian(&letter.body, ceremony, &loaded.set).map_err(|_| bad())?;
            let expected = match letter.verdict {
                VerdictKind::Deny => Said::Deny,
                VerdictKind::Lock => Said::Lock,
                VerdictKind::Approve | VerdictKind::Override | VerdictKind::Doubt => Said::Doubt,
            };
            if statement.verdict() != expected {
                return Err(bad());
            }
            (guardian.guardianship, u32::from(guardian.weight()))
        }
    };
    if by.0 == letter.guardianship { Ok(by.1) } else { Err(ActorError::NotFound) }
}

/// Writes the lock down. One guardian's second lock within a lock period is refused.
async fn once_a_lock_period(
    work: &mut Work,
    loaded: &Loaded,
    guardian: GuardianshipOut,
) -> Result<(), ActorError> {
    let period = std::time::Duration::from_millis(loaded.set.delays().lock_ms);
    if guardian.locked_at.is_some_and(|at| at + period > work.now) {
        return Err(ActorError::precondition("LOCKED_LATELY", "a guardian locks once in a lock period"));
    }
    work.tx.update(&GuardianshipOut { locked_at: Some(work.now), ..guardian }).await?;
    let until = work.now + period;
    let set_row = work.tx.get::<GuardianSet>(loaded.set_row.set_id).await?.ok_or_else(ground::damaged)?;
    work.tx.update(&GuardianSet { locked_until: set_row.locked_until.max(Some(until)), ..set_row }).await?;
    Ok(())
}

/// The other ceremonies of the vault that are not released yet.
async fn stop_others(work: &mut Work, loaded: &Loaded, event: Event) -> Result<(), ActorError> {
    for mut other in
        live_of(work, loaded.row.vault_id, &[Stored::Proposed, Stored::Open, Stored::Ready]).await?
    {
        if other.row.ceremony_id == loaded.row.ceremony_id {
            continue;
        }
        // by the clock it may have ended or been released, which nobody has noticed yet: that must not
        // make this stop fail
        let mut today = other.progress.clone();
        today.step(Event::Look, work.now)?;
        let stops = today.stage.is_live() && today.stage != CeremonyState::Released && !today.overrides;
        let entered = advance(work, &mut other, if stops { event } else { Event::Look }).await?;
        moved(work, other.row.ceremony_id, entered.iter()).await?;
    }
    Ok(())
}

/// The set counts no more: whatever was opened over it ends.
pub(in crate::tenant) async fn retire_all(
    work: &mut Work,
    vault: VaultId,
    except: Option<Digest32>,
) -> Result<(), ActorError> {
    for mut loaded in live_of(work, vault, &Stored::LIVE).await? {
        if Some(loaded.row.ceremony_id) != except {
            // a look may find that it has ended by its own deadline
            let event = if loaded.row.expires_at > work.now { Event::Retired } else { Event::Look };
            let entered = advance(work, &mut loaded, event).await?;
            moved(work, loaded.row.ceremony_id, entered.iter()).await?;
        }
    }
    Ok(())
}

async fn live_of(work: &mut Work, vault: VaultId, states: &[Stored]) -> Result<Vec<Loaded>, ActorError> {
    let mut live = Vec::new();
    for state in states {
        let rows =
            work.tx.find::<Ceremony>(Ceremony::vault_id.eq(vault).and(Ceremony::state.eq(*state))).await?;
        for row in rows {
            live.extend(ground::load(work, row.ceremony_id).await?);
        }
    }
    Ok(live)
}

/// The timer of a ceremony.
pub(in crate::tenant) async fn look(work: &mut Work, subject: &str) -> Result<(), ActorError> {
    match by_subject(work, subject).await? {
        Some(mut loaded) if loaded.progress.stage.is_live() => {
            let entered = advance(work, &mut loaded, Event::Look).await?;
            moved(work, loaded.row.ceremony_id, entered.iter()).await
        }
        Some(_) | None => Ok(()),
    }
}

pub(super) async fn by_subject(work: &mut Work, subject: &str) -> Result<Option<Loaded>, ActorError> {
    let Some(ceremony) = parse_hex(subject) else { return Ok(None) };
    ground::load(work, ceremony).await
}

pub(in crate::tenant) fn parse_hex(text: &str) -> Option<Digest32> {
    let mut out = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (i, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(Digest32(out))
}
