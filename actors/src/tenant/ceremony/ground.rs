//! What every handler of a ceremony stands on: loading it from its rows, one step of the machine with
//! all that follows from it, and telling everybody.

use std::time::Duration;

use ocmt_crypto::{ceremony::Ceremony as Params, guardian::GuardianSet as SignedSet, sealing::SealingPlace};
use ocmt_store::tables::{
    Approval, Ceremony, CeremonyPurpose as StoredPurpose, CeremonyState as Stored, GuardianSet,
    GuardianshipOut, Session, User, Verdict,
};
use ocmt_types::Digest32;

use super::{
    super::session_row,
    agree,
    state::{Event, Progress},
    tell::{news_of, tell},
};
use crate::{
    api::recovery::{
        CeremonyAct, CeremonyActKind, CeremonyPurpose, CeremonyState, CeremonyView, NodeStatement,
    },
    caller::Assurance,
    effect::Effect,
    error::ActorError,
    work::Work,
};

/// Timer of a ceremony's next deadline; its subject is the ceremony.
pub(in crate::tenant) const TIMER: &str = "ceremony.look";
const MOST_ACTS: usize = 256;

/// A ceremony with all that decides about it, read in one transaction.
pub(in crate::tenant) struct Loaded {
    pub(in crate::tenant) row: Ceremony,
    pub(in crate::tenant) params: Params,
    pub(in crate::tenant) set_row: GuardianSet,
    pub(in crate::tenant) set: SignedSet,
    pub(in crate::tenant) progress: Progress,
}

/// Reads a ceremony of this tenant.
pub(in crate::tenant) async fn load(
    work: &mut Work,
    ceremony: Digest32,
) -> Result<Option<Loaded>, ActorError> {
    // an unlock of a group's vault is the group's, whoever asked for it
    let row = work.tx.get::<Ceremony>(ceremony).await?;
    match row.filter(|row| row.purpose != StoredPurpose::Unlock) {
        Some(row) => load_row(work, row).await.map(Some),
        None => Ok(None),
    }
}

/// All that decides about a ceremony of this row.
pub(in crate::tenant) async fn load_row(work: &mut Work, row: Ceremony) -> Result<Loaded, ActorError> {
    let set_row = work.tx.get::<GuardianSet>(row.set_id).await?.ok_or_else(damaged)?;
    let set = signed_set(&set_row)?;
    let params = Params::decode(&row.params).map_err(|_| damaged())?;
    let progress = progress(work, &row, &set, &params).await?;
    Ok(Loaded { row, params, set_row, set, progress })
}

/// The set as its owner signed it. It was verified when it was dealt.
pub(in crate::tenant) fn signed_set(row: &GuardianSet) -> Result<SignedSet, ActorError> {
    SignedSet::claimed_owner(&row.body)
        .and_then(|owner| SignedSet::verify(&row.body, &owner))
        .map_err(|_| damaged())
}

async fn progress(
    work: &mut Work,
    row: &Ceremony,
    set: &SignedSet,
    params: &Params,
) -> Result<Progress, ActorError> {
    let said = work.tx.find::<Approval>(Approval::ceremony_id.eq(row.ceremony_id)).await?;
    let of = |verdict| {
        said.iter()
            .filter(move |said| said.verdict == verdict)
            .map(|said| (said.guardianship_id, count(said.units)))
            .collect()
    };
    Ok(Progress {
        stage: row.state.into(),
        needed: u32::from(set.threshold()),
        total: u32::from(set.total()),
        delay: Duration::from_millis(params.delay_ms),
        overrides: params.overrides.is_some(),
        lost_mailbox: row.new_email.is_some(),
        agreed: of(Verdict::Override),
        approved: of(Verdict::Approve),
        denied: of(Verdict::Deny),
        notified_at: row.notified_at,
        expires_at: row.expires_at,
        released_at: row.released_at,
        ended_at: row.ended_at,
    })
}

/// One step, written down: the row under a guard of its version, the release key gone with whatever ends
/// the ceremony.
pub(in crate::tenant) async fn moved(
    work: &mut Work,
    loaded: &mut Loaded,
    event: Event,
) -> Result<Vec<CeremonyState>, ActorError> {
    let entered = loaded.progress.step(event, work.now)?;
    let Progress { stage, notified_at, released_at, ended_at, .. } = loaded.progress;
    let row = &mut loaded.row;
    let guard = Ceremony::version.eq(row.version).and(Ceremony::state.eq(row.state));
    row.version += 1;
    row.state = stage.into();
    row.notified_at = notified_at;
    row.matures_at = loaded.progress.matures_at();
    row.approved_units = i64::from(loaded.progress.approved_units());
    row.released_at = released_at;
    row.ended_at = ended_at;
    if !stage.is_live() {
        row.release_private_wrapped = None;
    }
    if !work.tx.update_if(row, guard).await? {
        return Err(ActorError::unavailable("CEREMONY_MOVED", "something else moved the ceremony: repeat"));
    }
    entered.iter().for_each(|stage| work.then(Effect::Ceremony(*stage)));
    Ok(entered)
}

/// One step of a recovery with all that follows: the next deadline, and word to everybody of what it came to.
pub(super) async fn advance(
    work: &mut Work,
    loaded: &mut Loaded,
    event: Event,
) -> Result<Vec<CeremonyState>, ActorError> {
    let entered = moved(work, loaded, event).await?;
    // a completion ends all sessions itself
    if entered.iter().any(|stage| !stage.is_live() && *stage != CeremonyState::Completed) {
        end_opener(work, loaded).await?;
    }
    if entered.contains(&CeremonyState::Open) && loaded.progress.lost_mailbox {
        agree::opened(work, loaded).await?;
    }
    let subject = loaded.row.ceremony_id.to_string();
    match loaded.progress.next_look() {
        Some(at) => work.set_timer(TIMER, &subject, at, &[]).await?,
        None => drop(work.tx.clear_timer(TIMER, &subject).await?),
    }
    let news = match (entered.last(), event) {
        (Some(stage), _) => Some(news_of(*stage)),
        (None, Event::Doubted) => Some("ceremony.doubted"),
        (None, Event::Approved(..)) => Some("ceremony.approved"),
        (None, Event::Denied(..)) => Some("ceremony.refused"),
        (None, Event::Agreed(..)) => Some("ceremony.signed_for"),
        (None, _) => None,
    };
    tell(work, loaded, news).await?;
    Ok(entered)
}

/// A recovery session was held open for its ceremonies; with the last of them it ends.
async fn end_opener(work: &mut Work, loaded: &Loaded) -> Result<(), ActorError> {
    let opener = loaded.row.opened_by;
    for state in Stored::LIVE {
        let live = Ceremony::opened_by.eq(opener).and(Ceremony::state.eq(state));
        if work.tx.count::<Ceremony>(live).await? > 0 {
            return Ok(());
        }
    }
    let session = work.tx.get::<Session>(opener).await?;
    let of_recovery =
        session.filter(|session| session_row::is_of_recovery(session) && session.ended_at.is_none());
    session_row::end(work, of_recovery).await.map(drop)
}

/// The ceremony as its parties see it.
pub(super) async fn view(work: &mut Work, loaded: &Loaded) -> Result<CeremonyView, ActorError> {
    let Loaded { row, params, set_row, .. } = loaded;
    let owner = work.tx.get::<User>(row.user_id).await?.ok_or_else(damaged)?;
    let statement = NodeStatement {
        statement: row.statement.clone(),
        certificate_chain: serde_json::from_slice(&row.certificates).map_err(|_| damaged())?,
    };
    Ok(CeremonyView {
        id: row.ceremony_id.0,
        params: params.encode(),
        purpose: match row.purpose {
            StoredPurpose::Recover => CeremonyPurpose::Recover,
            StoredPurpose::Override => CeremonyPurpose::Override,
            StoredPurpose::Unlock => CeremonyPurpose::Unlock,
        },
        state: row.state.into(),
        vault: row.vault_id,
        // a recovery session is given for the address of the vault's owner, but for that of one who has lost it
        requester_email: row.new_email.clone().unwrap_or_else(|| owner.email.clone()),
        owner_email: owner.email,
        opened_at: row.opened_at,
        delay_started_at: row.notified_at,
        releasable_at: row.matures_at,
        expires_at: row.expires_at,
        units_needed: count(set_row.threshold),
        units_approved: count(row.approved_units),
        acts: acts(work, row).await?,
        // of one that is not open yet there is nothing to approve
        release_statement: (row.release_private_wrapped.is_some() && row.state != Stored::Proposed)
            .then_some(statement),
        locked_until: set_row.locked_until.filter(|until| *until > work.now),
        lost_mailbox: row.new_email.is_some(),
    })
}

/// As its requester is answered. A session that a guardian's word gave is told no address but its own until guardians have
/// signed: whoever stole the link would know whom to call.
pub(super) async fn shown(work: &mut Work, loaded: &Loaded) -> Result<CeremonyView, ActorError> {
    let mut shown = view(work, loaded).await?;
    if work.user()?.assurance == Assurance::Inert {
        shown.owner_email.clear();
        shown.acts.iter_mut().for_each(|act| act.guardian_email.clear());
    }
    Ok(shown)
}

async fn acts(work: &mut Work, row: &Ceremony) -> Result<Vec<CeremonyAct>, ActorError> {
    let mut said = work.tx.find::<Approval>(Approval::ceremony_id.eq(row.ceremony_id)).await?;
    said.sort_by_key(|said| (said.received_at, said.guardianship_id));
    let mut acts = Vec::with_capacity(said.len() + 1);
    for said in said.into_iter().take(MOST_ACTS - 1) {
        let guardian = work.tx.get::<GuardianshipOut>(said.guardianship_id).await?;
        acts.push(CeremonyAct {
            kind: match said.verdict {
                Verdict::Approve => CeremonyActKind::Approved,
                Verdict::Deny => CeremonyActKind::Denied,
                Verdict::Lock => CeremonyActKind::Locked,
                Verdict::Doubt => CeremonyActKind::Doubted,
                Verdict::Override => CeremonyActKind::Overrode,
                Verdict::BadShare => CeremonyActKind::BadShare,
            },
            guardianship: Some(said.guardianship_id),
            guardian_email: guardian.map(|row| row.guardian_email).unwrap_or_default(),
            units: count(said.units),
            at: said.received_at,
        });
    }
    if let (Stored::Vetoed, Some(at)) = (row.state, row.ended_at) {
        let kind = CeremonyActKind::Vetoed;
        acts.push(CeremonyAct { kind, guardianship: None, guardian_email: String::new(), units: 0, at });
    }
    Ok(acts)
}

/// The release key of a ceremony that is released.
pub(in crate::tenant) fn release_key(work: &Work, loaded: &Loaded) -> Result<[u8; 32], ActorError> {
    let wrapped = loaded.row.release_private_wrapped.as_deref().ok_or_else(damaged)?;
    let place = release_row(work, loaded.row.ceremony_id);
    let opened = work.env.sealing.now().unwrap_secret(&release_place(&place), wrapped);
    let missing = |_| ActorError::unavailable("SEALING_KEY", "the sealing key of this ceremony is missing");
    opened.map_err(missing)?.as_slice().try_into().map_err(|_| damaged())
}

/// Where a wrapped release key belongs.
pub(super) fn release_place(row: &[u8]) -> SealingPlace<'_> {
    SealingPlace { purpose: "release key", row }
}

/// The release key of the row under the latest generation of the sealing key.
pub(in crate::tenant) fn rewrapped(work: &Work, row: &Ceremony) -> Result<Option<Vec<u8>>, ActorError> {
    let (place, wrapped) = (release_row(work, row.ceremony_id), row.release_private_wrapped.as_deref());
    let rewrap = |wrapped| work.env.sealing.rewrap(&release_place(&place), wrapped);
    let missing = |_| ActorError::unavailable("SEALING_KEY", "the sealing key of this ceremony is missing");
    wrapped.map(rewrap).transpose().map_err(missing)
}

/// The row of a wrapped release key: tenant and ceremony.
pub(super) fn release_row(work: &Work, ceremony: Digest32) -> Vec<u8> {
    [work.ownership.tenant.as_bytes().as_slice(), &ceremony.0].concat()
}

pub(in crate::tenant) fn count(stored: i64) -> u32 {
    u32::try_from(stored).unwrap_or(0)
}

pub(in crate::tenant) fn damaged() -> ActorError {
    ActorError::unavailable(
        "STORE_DAMAGED",
        "a stored ceremony or set is damaged; the operator has been told",
    )
}

impl From<Stored> for CeremonyState {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Proposed => Self::Proposed,
            Stored::Open => Self::Open,
            Stored::Ready => Self::Ready,
            Stored::Released => Self::Released,
            Stored::Completed => Self::Completed,
            Stored::Denied => Self::Denied,
            Stored::Vetoed => Self::Vetoed,
            Stored::Locked => Self::Locked,
            Stored::Expired => Self::Expired,
            Stored::Cancelled => Self::Cancelled,
        }
    }
}

impl From<CeremonyState> for Stored {
    fn from(stage: CeremonyState) -> Self {
        match stage {
            CeremonyState::Proposed => Self::Proposed,
            CeremonyState::Open => Self::Open,
            CeremonyState::Ready => Self::Ready,
            CeremonyState::Released => Self::Released,
            CeremonyState::Completed => Self::Completed,
            CeremonyState::Denied => Self::Denied,
            CeremonyState::Vetoed => Self::Vetoed,
            CeremonyState::Locked => Self::Locked,
            CeremonyState::Expired => Self::Expired,
            CeremonyState::Cancelled => Self::Cancelled,
        }
    }
}
