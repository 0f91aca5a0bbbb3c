//! A change of guardians: owner and guardians are told, then it waits, then it may be made for a while. So whoever has the
//! account and the vault for an hour names no guardians of their own unheard, and the owner takes it back from any session.
//!
//! Durable: the timer of the set before holds what was proposed and when; how long it waits is what that set's owner signed.

use std::time::Duration;

use ocmt_crypto::{audit::Outcome, guardian::GuardianSet as SignedSet};
use ocmt_store::tables::{Ceremony, CeremonyState, GuardianSet, GuardianshipOut, Timer, User};
use ocmt_types::{GuardianSetId, GuardianshipId, TenantId, Timestamp, VaultId};
use serde::{Deserialize, Serialize};

use super::{
    super::{
        ceremony,
        handlers::notices::{self, NoticeText},
        span::span,
    },
    deal::from_owner,
    letters::{self, Changing},
};
use crate::{api::recovery::GuardianKeys, audit, error::ActorError, work::Work};

/// Timer of a change that waits; its subject is the set before, its payload what was proposed.
pub(in crate::tenant) const TIMER: &str = "guardian.change";
/// Timer of a look whether guardians who were dismissed have got successors; its subject is their set.
pub(in crate::tenant) const DISMISSED_TIMER: &str = "guardian.dismissed";

/// Between one proposal, or its end, and another: each tells many people.
const PAUSE: Duration = Duration::from_secs(10 * 60);
/// The owner's own device deals anew sooner.
const DEALS_ANEW: Duration = Duration::from_secs(10 * 60);

const PROPOSED: &str = "guardian.change_proposed";
const DUE: &str = "guardian.change_due";
const LAPSED: &str = "guardian.change_lapsed";
const TAKEN_BACK: &str = "guardian.change_taken_back";
const MADE: &str = "guardian.change_made";
const DISMISSED: &str = "guardian.dismissed";
/// What guardians are told of.
const KINDS: [&str; 5] = [PROPOSED, LAPSED, TAKEN_BACK, MADE, DISMISSED];

/// Who is to guard, how many are needed, and how long they wait.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Plan {
    threshold: u8,
    /// Lock, recovery, change and its window.
    delays_ms: [u64; 4],
    /// By guardianship: units, and the keys they are sealed to.
    seats: Vec<(GuardianshipId, u8, GuardianKeys)>,
}

impl Plan {
    fn of(set: &SignedSet) -> Self {
        let delays = set.delays();
        let seat = |guardian: &ocmt_crypto::guardian::Guardian| {
            let keys = GuardianKeys { signing: guardian.keys.identity.0, sealing: guardian.keys.sealing.0 };
            (guardian.guardianship, guardian.weight(), keys)
        };
        let mut seats: Vec<_> = set.guardians().iter().map(seat).collect();
        seats.sort_by_key(|(guardianship, ..)| *guardianship);
        Self {
            threshold: set.threshold(),
            delays_ms: [delays.lock_ms, delays.recovery_ms, delays.change_ms, delays.change_window_ms],
            seats,
        }
    }
}

/// What the timer holds.
#[derive(Serialize, Deserialize)]
struct Proposal {
    /// None once it was taken back.
    plan: Option<Plan>,
    /// When it was proposed, or taken back.
    at: Timestamp,
}

/// From when on a change can be made, and until when.
#[derive(Clone, Copy)]
struct Window {
    from: Timestamp,
    until: Timestamp,
}

impl Window {
    fn of(before: &SignedSet, proposed_at: Timestamp) -> Self {
        let delays = before.delays();
        let from = proposed_at + Duration::from_millis(delays.change_ms);
        Self { from, until: from + Duration::from_millis(delays.change_window_ms) }
    }
}

/// The set before, if this one is a change of it that may be made now; none if it is no change. The first call for a change
/// proposes it: everybody is told, and it is refused like all that come too early.
pub(super) async fn check(
    work: &mut Work,
    vault: VaultId,
    set: &SignedSet,
    seats: &[GuardianshipOut],
) -> Result<Option<GuardianSet>, ActorError> {
    let plan = Plan::of(set);
    let Some(before) = changed(work, vault, &plan).await? else {
        given_up(work, vault, &plan).await?;
        return Ok(None);
    };
    let signed = ceremony::ground::signed_set(&before)?;
    if let Some(known) = proposal(work, &before).await? {
        let window = Window::of(&signed, known.at);
        if known.plan.as_ref() == Some(&plan) && work.now < window.until {
            return if work.now >= window.from { Ok(Some(before)) } else { Err(waits(work, window)) };
        }
        if work.now < known.at + PAUSE {
            return Err(ActorError::ResourceExhausted {
                reason: "CHANGED_JUST_NOW",
                why: "a change of guardians was proposed or taken back just now: wait before the next"
                    .to_owned(),
                retry_after: Some((known.at + PAUSE).since(work.now)),
            });
        }
    }
    let window = Window::of(&signed, work.now);
    let names: Vec<&str> = seats.iter().map(|seat| seat.guardian_email.as_str()).collect();
    let named = format!("{} of {}", plan.threshold, names.join(", "));
    keep(work, &before, &Proposal { plan: Some(plan), at: work.now }, window.from).await?;
    tell(work, &before, PROPOSED, Some((window, named))).await?;
    // that it was proposed stays, though nothing is dealt yet
    work.keeps_refusal = true;
    Err(waits(work, window))
}

/// The set that this plan changes. None for the first guardians of a vault, for the same ones again (as after a veto), and
/// after a recovery, whose guardians have served.
async fn changed(work: &mut Work, vault: VaultId, plan: &Plan) -> Result<Option<GuardianSet>, ActorError> {
    let Some(before) = newest(work, vault).await? else { return Ok(None) };
    // longer delays too: they would bind the owner for as long, and nobody had heard of it
    if *plan == Plan::of(&ceremony::ground::signed_set(&before)?) {
        return Ok(None);
    }
    let served = Ceremony::set_id.eq(before.set_id).and(Ceremony::state.eq(CeremonyState::Completed));
    Ok(if work.tx.count::<Ceremony>(served).await? > 0 { None } else { Some(before) })
}

/// Something is dealt that nothing was waited for: what was proposed meanwhile is proposed no more.
async fn given_up(work: &mut Work, vault: VaultId, dealt: &Plan) -> Result<(), ActorError> {
    let Some(before) = newest(work, vault).await? else { return Ok(()) };
    let proposed = proposal(work, &before).await?.is_some_and(|known| known.plan.is_some());
    work.tx.clear_timer(TIMER, &before.set_id.to_string()).await?;
    // after a recovery there are others, of whom everybody hears by that
    if proposed && *dealt == Plan::of(&ceremony::ground::signed_set(&before)?) {
        tell(work, &before, LAPSED, None).await?;
    }
    Ok(())
}

/// The set that was dealt last, in force or not: dismissing guardians first saves nobody the wait.
async fn newest(work: &mut Work, vault: VaultId) -> Result<Option<GuardianSet>, ActorError> {
    let all = work.tx.find::<GuardianSet>(GuardianSet::vault_id.eq(vault)).await?;
    Ok(all.into_iter().max_by_key(|set| (set.key_epoch, set.created_at)))
}

async fn proposal(work: &mut Work, before: &GuardianSet) -> Result<Option<Proposal>, ActorError> {
    let timer = work.tx.get::<Timer>((TIMER.to_owned(), before.set_id.to_string())).await?;
    timer.map(|timer| read(&timer.payload)).transpose()
}

fn read(payload: &[u8]) -> Result<Proposal, ActorError> {
    serde_json::from_slice(payload).map_err(|_| ceremony::ground::damaged())
}

async fn keep(
    work: &mut Work,
    before: &GuardianSet,
    proposal: &Proposal,
    due: Timestamp,
) -> Result<(), ActorError> {
    // ids, numbers and keys: there is nothing in it that JSON cannot hold
    let payload = serde_json::to_vec(proposal).unwrap_or_default();
    work.set_timer(TIMER, &before.set_id.to_string(), due, &payload).await
}

fn waits(work: &Work, window: Window) -> ActorError {
    let why = format!(
        "owner and guardians are told of this change of guardians: it can be made in {}, and for {} from then on",
        span(window.from.since(work.now)),
        span(window.until.since(window.from)),
    );
    ActorError::precondition("CHANGE_WAITS", why)
}

/// It was made.
pub(super) async fn made(work: &mut Work, before: &GuardianSet) -> Result<(), ActorError> {
    work.tx.clear_timer(TIMER, &before.set_id.to_string()).await?;
    tell(work, before, MADE, None).await
}

/// The owner has taken somebody back: a change that names them is none any more.
pub(super) async fn taken_back(work: &mut Work, row: &GuardianshipOut) -> Result<(), ActorError> {
    let Some(before) = newest(work, row.vault_id).await? else { return Ok(()) };
    let Some(Proposal { plan: Some(plan), .. }) = proposal(work, &before).await? else { return Ok(()) };
    if plan.seats.iter().all(|(guardianship, ..)| *guardianship != row.guardianship_id) {
        return Ok(());
    }
    end(work, &before).await
}

/// The owner takes a change back without ending a guardianship: it may name none but those who sit.
pub(super) async fn withdrawn(work: &mut Work, vault: VaultId) -> Result<(), ActorError> {
    let none = || ActorError::precondition("NO_CHANGE", "no change of guardians waits");
    let before = newest(work, vault).await?.ok_or_else(none)?;
    let known = proposal(work, &before).await?.ok_or_else(none)?;
    if known.plan.is_none() {
        return Err(none());
    }
    end(work, &before).await
}

async fn end(work: &mut Work, before: &GuardianSet) -> Result<(), ActorError> {
    let due = work.now + PAUSE;
    keep(work, before, &Proposal { plan: None, at: work.now }, due).await?;
    tell(work, before, TAKEN_BACK, None).await
}

/// The timer: it can be made from now on, or cannot any more.
pub(in crate::tenant) async fn fire(work: &mut Work, timer: &Timer) -> Result<(), ActorError> {
    let Some(before) = set_of(work, &timer.subject).await? else { return Ok(()) };
    let proposal = read(&timer.payload)?;
    if proposal.plan.is_none() {
        return Ok(());
    }
    let window = Window::of(&ceremony::ground::signed_set(&before)?, proposal.at);
    if work.now >= window.until {
        return tell(work, &before, LAPSED, None).await;
    }
    keep(work, &before, &proposal, window.until).await?;
    tell_owner(work, &before, DUE, &times(window)).await
}

async fn set_of(work: &mut Work, subject: &str) -> Result<Option<GuardianSet>, ActorError> {
    let Ok(id) = subject.parse::<GuardianSetId>() else { return Ok(None) };
    Ok(work.tx.get::<GuardianSet>(id).await?)
}

/// Guardians were dismissed with the vault open. Everybody hears of it, unless others have come in their place by then.
pub(in crate::tenant) async fn dismissed(work: &mut Work, set: GuardianSetId) -> Result<(), ActorError> {
    let at = work.now + DEALS_ANEW;
    work.set_timer(DISMISSED_TIMER, &set.to_string(), at, &[]).await
}

/// The timer of that look.
pub(in crate::tenant) async fn look(work: &mut Work, subject: &str) -> Result<(), ActorError> {
    let Some(set) = set_of(work, subject).await? else { return Ok(()) };
    match newest(work, set.vault_id).await? {
        Some(newest) if newest.set_id == set.set_id => tell(work, &set, DISMISSED, None).await,
        _ => Ok(()),
    }
}

/// Tells the owner, the guardians of the set before, and the audit. Who is named is for the owner alone.
async fn tell(
    work: &mut Work,
    before: &GuardianSet,
    kind: &'static str,
    proposed: Option<(Window, String)>,
) -> Result<(), ActorError> {
    let Some(owner) = work.tx.get::<User>(before.user_id).await? else { return Ok(()) };
    let mut facts = vec![("owner".to_owned(), owner.email)];
    let mut own = Vec::new();
    if let Some((window, named)) = proposed {
        facts.extend(times(window));
        own.push(("to_be_needed".to_owned(), named));
    }
    own.extend(facts.iter().cloned());
    tell_owner(work, before, kind, &own).await?;
    for guardian in ceremony::ground::signed_set(before)?.guardians() {
        let row = work.tx.get::<GuardianshipOut>(guardian.guardianship).await?;
        let Some(tenant) = row.and_then(|row| row.guardian_tenant) else { continue };
        let letter =
            Changing { guardianship: guardian.guardianship, kind: kind.to_owned(), facts: facts.clone() };
        letters::send(work, tenant, letters::CHANGING, &letter).await?;
    }
    let what = vec![("what".to_owned(), kind.to_owned())];
    audit::note(work, TIMER, format!("vault/{}", before.vault_id), Outcome::Allowed, what).await
}

fn times(window: Window) -> Vec<(String, String)> {
    vec![
        ("can_be_made_at".to_owned(), window.from.millis().to_string()),
        ("lapses_at".to_owned(), window.until.millis().to_string()),
    ]
}

async fn tell_owner(
    work: &mut Work,
    before: &GuardianSet,
    kind: &str,
    facts: &[(String, String)],
) -> Result<(), ActorError> {
    let Some(owner) = work.tx.get::<User>(before.user_id).await? else { return Ok(()) };
    let subject = before.vault_id.to_string();
    // the letter's words depend on whether its reader is the owner
    let mut facts = facts.to_vec();
    if facts.iter().all(|(name, _)| name != "owner") {
        facts.push(("owner".to_owned(), owner.email.clone()));
    }
    let text = NoticeText {
        user: Some(owner.user_id),
        address: &owner.email,
        kind,
        subject: &subject,
        facts: &facts,
    };
    notices::write(work, text).await.map(drop)
}

/// At the guardian's tenant.
pub(super) async fn changing(
    work: &mut Work,
    from: TenantId,
    letter: Changing,
) -> Result<Vec<u8>, ActorError> {
    let row = from_owner(work, from, letter.guardianship).await?;
    if !KINDS.contains(&letter.kind.as_str()) {
        return Err(ActorError::Unimplemented("kind of a change of guardians"));
    }
    if let Some(user) = work.tx.get::<User>(row.user_id).await? {
        let text = NoticeText {
            user: Some(user.user_id),
            address: &user.email,
            kind: &letter.kind,
            subject: &row.guardianship_id.to_string(),
            facts: &letter.facts,
        };
        notices::write(work, text).await?;
    }
    Ok(Vec::new())
}
