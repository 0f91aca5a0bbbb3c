//! Opening: all that the requester chose is checked against the set and the clock, the
//! release key is made and wrapped, and everybody is told.

use std::time::Duration;

use ocmt_crypto::{
    ceremony::{Ceremony as Params, Purpose, ReleaseStatement},
    seal::SealSecretKey,
};
use ocmt_store::tables::{
    Assurance, Ceremony, CeremonyPurpose, CeremonyState, GuardianSet, GuardianSetState, Session, Vault,
};
use ocmt_types::{Digest32, Timestamp};

use super::{
    super::{handlers::email_change, recovery::lost},
    agree,
    ground::{self, Loaded},
    remind, tell,
};
use crate::{
    api::recovery::{CeremonyView, OpenCeremony},
    authorize::{Action, Object},
    effect::Effect,
    error::ActorError,
    work::{Handle, Work},
};

/// How far the requester's clock may be from ours.
const CLOCKS_DIFFER: Duration = Duration::from_secs(15 * 60);
/// How long after its earliest release a ceremony may wait to be collected: its session lives as long.
const COLLECT_WITHIN: Duration = Duration::from_secs(30 * 24 * 3600);
/// Live ceremonies of one session: no session disturbs another's.
const LIVE_PER_SESSION: i64 = 3;
/// Ceremonies that one session ever opens: each tells many people.
const OPENED_PER_SESSION: i64 = 10;

impl Handle for OpenCeremony {
    async fn handle(self, work: &mut Work) -> Result<CeremonyView, ActorError> {
        let who = work.user()?;
        let params = Params::decode(&self.params)
            .map_err(|_| ActorError::invalid("params", "are not those of a ceremony"))?;
        let found = work.tx.get::<Vault>(params.scope.vault).await?;
        let found = found.and_then(|vault| Some((vault.owner_user?, vault)));
        let (_, vault) =
            work.authorize_found(Action::OpenCeremony, found, |(owner, _)| Object::of(*owner))?;
        let id = params.hash();
        work.object = format!("ceremony/{id}");
        if let Some(loaded) = ground::load(work, id).await? {
            // a repeat; the hash covers every parameter
            if loaded.row.opened_by == who.session {
                return ground::shown(work, &loaded).await;
            }
            return Err(ActorError::AlreadyExists("a ceremony of these parameters"));
        }
        // each other purpose has no delay
        if params.purpose != Purpose::Recovery {
            let why =
                "are those of an unlock: a group's vault is opened by its administrators (OpenGroupUnlock)";
            return Err(ActorError::invalid("params", why));
        }
        let set_row = set_in_force(work, &vault).await?;
        check(work, &params, &set_row).await?;
        agree::check(work, &params, &self.overrides).await?;
        let lost = lost::of_session(work, who.user, who.session).await?;
        let session = limited(work, lost.is_some()).await?;
        let mut row = new_row(work, &params, &set_row, &session)?;
        if let Some(lost) = lost {
            longest(&params, &set_row)?;
            row.state = CeremonyState::Proposed;
            row.new_email = Some(lost.new_email);
        }
        if let Some(wrapped) = &row.release_private_wrapped {
            work.check_wrapped(wrapped).await?;
        }
        work.tx.insert(&row).await?;
        hold_session(work, session, &row).await?;
        if row.new_email.is_none() {
            // who the account belongs to is in question: its address stays
            email_change::stop(work, row.user_id, "a recovery of the vault was opened").await?;
        }
        let mut loaded = ground::load(work, id).await?.ok_or_else(ground::damaged)?;
        announce(work, &loaded).await?;
        agree::take(work, &mut loaded, self.overrides).await?;
        if row.new_email.is_some() {
            work.details.push(("lost_mailbox".to_owned(), "yes".to_owned()));
        }
        if params.overrides.is_some() {
            // neither veto nor lock stops it: whoever is told that it was opened is told that too
            work.details.push(("over_a_stop".to_owned(), "yes".to_owned()));
            work.details.push(("state".to_owned(), format!("{:?}", loaded.progress.stage).to_uppercase()));
        }
        ground::shown(work, &loaded).await
    }
}

/// The set whose units open the vault's recovery slot.
async fn set_in_force(work: &mut Work, vault: &Vault) -> Result<GuardianSet, ActorError> {
    let sets = work.tx.find::<GuardianSet>(GuardianSet::vault_id.eq(vault.vault_id)).await?;
    sets.into_iter()
        .find(|set| set.state != GuardianSetState::Retired)
        .ok_or_else(|| ActorError::precondition("NO_GUARDIANS", "no guardian set of this vault is in force"))
}

async fn check(work: &mut Work, params: &Params, set_row: &GuardianSet) -> Result<(), ActorError> {
    let wrong = |why: String| ActorError::invalid("params", why);
    if params.scope.tenant != work.ownership.tenant {
        return Err(ActorError::NotFound);
    }
    let set = ground::signed_set(set_row)?;
    // the delay is the set's, which the owner signed and the policy of that day allowed: a policy that has
    // become stricter since must not shut out who has lost the passphrase, and so cannot deal anew
    params.check(&set).map_err(|error| wrong(error.to_string()))?;
    let apart = params.opened_at.since(work.now).max(work.now.since(params.opened_at));
    if apart > CLOCKS_DIFFER {
        return Err(wrong("were opened at another time than now: set the clock".to_owned()));
    }
    if params.expires_at <= earliest_release(work, params) {
        return Err(wrong("expire before the delay can have passed".to_owned()));
    }
    if params.expires_at > earliest_release(work, params) + COLLECT_WITHIN {
        return Err(wrong("expire later than 30 days after the delay".to_owned()));
    }
    match set_row.locked_until {
        Some(until) if until > work.now && params.overrides.is_none() => Err(ActorError::precondition(
            "LOCKED_BY_GUARDIAN",
            format!(
                "a guardian has locked recovery of this vault: ask again in {} min",
                minutes(until.since(work.now))
            ),
        )),
        _ => Ok(()),
    }
}

/// Whoever has lost the mailbox too is known by guardians alone: the owner has the longest time to look.
fn longest(params: &Params, set_row: &GuardianSet) -> Result<(), ActorError> {
    if params.delay_ms >= ground::signed_set(set_row)?.delays().lock_ms {
        return Ok(());
    }
    Err(ActorError::invalid(
        "params",
        "have less than the longest delay of the set: who has lost the mailbox too waits for that",
    ))
}

fn earliest_release(work: &Work, params: &Params) -> Timestamp {
    work.now + Duration::from_millis(params.delay_ms)
}

/// The asking session, if it may open one more.
async fn limited(work: &mut Work, by_word: bool) -> Result<Session, ActorError> {
    let who = work.user()?;
    let session = work.tx.get::<Session>(who.session).await?.ok_or(ActorError::NotFound)?;
    if session.assurance == Assurance::Narrowed {
        return Err(ActorError::precondition(
            "SESSION_PUT_OUT",
            "this session was put out: it ends with the ceremonies that it has opened; sign in for recovery to open another",
        ));
    }
    let own = || Ceremony::opened_by.eq(who.session);
    // with the one that a guardian's word let it propose it wakes, and ends
    let most = if by_word { 1 } else { LIVE_PER_SESSION };
    let mut live = 0;
    for state in CeremonyState::LIVE {
        live += work.tx.count::<Ceremony>(own().and(Ceremony::state.eq(state))).await?;
    }
    if live >= most || work.tx.count::<Ceremony>(own()).await? >= OPENED_PER_SESSION {
        let why = "this session has opened too many ceremonies: cancel one, or sign in for recovery again";
        return Err(ActorError::exhausted("TOO_MANY_CEREMONIES", why));
    }
    Ok(session)
}

/// A ceremony that begins now, with its release key made and wrapped.
pub(in crate::tenant) fn new_row(
    work: &Work,
    params: &Params,
    set_row: &GuardianSet,
    session: &Session,
) -> Result<Ceremony, ActorError> {
    let id = params.hash();
    let mut rng = rand::rng();
    let release = SealSecretKey::generate(&mut rng);
    let place = ground::release_row(work, id);
    let wrapped = work
        .env
        .sealing
        .wrap(&ground::release_place(&place), release.expose(), &mut rng)
        .map_err(|_| ActorError::unavailable("SEALING_KEY", "the sealing key is missing"))?;
    let signer = &work.env.signer;
    let statement = ReleaseStatement::sign_with(id, release.public(), signer.node(), |purpose, body| {
        signer.sign(purpose, body)
    });
    let (purpose, state) = match params.overrides {
        Some(_) => (CeremonyPurpose::Override, CeremonyState::Proposed),
        None => (CeremonyPurpose::Recover, CeremonyState::Open),
    };
    Ok(Ceremony {
        tenant_id: work.ownership.tenant,
        ceremony_id: id,
        user_id: session.user_id,
        vault_id: params.scope.vault,
        set_id: set_row.set_id,
        purpose,
        state,
        params: params.encode(),
        opened_by: session.session_id,
        release_public: Digest32(release.public().0),
        release_private_wrapped: Some(wrapped),
        statement,
        certificates: serde_json::to_vec(&signer.certificate_chain()).unwrap_or_default(),
        approved_units: 0,
        opened_at: work.now,
        notified_at: None,
        matures_at: None,
        expires_at: params.expires_at,
        released_at: None,
        ended_at: None,
        version: 1,
        new_email: None,
    })
}

/// Only this session can collect, so it has to live as long as its ceremony. A recovery session is good for
/// nothing else and is held for it; a full one is not made longer.
async fn hold_session(work: &mut Work, session: Session, row: &Ceremony) -> Result<(), ActorError> {
    let params = Params::decode(&row.params).map_err(|_| ground::damaged())?;
    if matches!(session.assurance, Assurance::Inert | Assurance::Recovery) {
        let expires_at = session.expires_at.max(row.expires_at);
        work.tx.update(&Session { expires_at, idle_expires_at: expires_at, ..session }).await?;
        return Ok(());
    }
    if session.expires_at <= earliest_release(work, &params) {
        return Err(ActorError::precondition(
            "SESSION_TOO_SHORT",
            "this session ends before the delay has passed: open the ceremony in a recovery session",
        ));
    }
    Ok(())
}

/// Everybody: the owner's channel, whose hand-over starts the delay, and the guardians.
async fn announce(work: &mut Work, loaded: &Loaded) -> Result<(), ActorError> {
    work.then(Effect::Ceremony(loaded.progress.stage));
    let row = &loaded.row;
    work.set_timer(ground::TIMER, &row.ceremony_id.to_string(), row.expires_at, &[]).await?;
    remind::begin(work, loaded).await?;
    tell::tell(work, loaded, Some(tell::news_of(loaded.progress.stage))).await
}

/// Whole minutes, a started one counted.
fn minutes(time: std::time::Duration) -> u64 {
    time.as_secs().div_ceil(60)
}
