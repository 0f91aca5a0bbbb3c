//! Rows of sessions: found by token, checked in every call, ended.

use std::{collections::BTreeSet, time::Duration};

use ocmt_store::{
    ReadTx,
    tables::{
        Assurance as StoredAssurance, Ceremony, CeremonyPurpose, CeremonyState, Inbox, Invite, Link, Notice,
        Pairing, Session, Tenant, TenantState, TotpEnrollment, User, UserState,
    },
};
use ocmt_types::{Digest32, SessionId, Timestamp, UserId};

use super::{
    super::{api_key, ceremony::events as ceremony_events, program, recovery::lost, share},
    channels, email_change, ending, factors, passkeys, roles, sso,
};
use crate::{
    api::auth::{Assurance, SessionInfo},
    authorize::{Authority, FACTOR_DUE},
    caller::SignedIn,
    effect::Effect,
    env::{Env, Scope},
    error::ActorError,
    policy::TenantPolicy,
    work::{SystemWork, Work},
};

/// Timer that drops what has lapsed.
pub(crate) const SWEEP: &str = "session.sweep";
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// Ended sessions and stored answers are kept this long.
const KEEP: Duration = Duration::from_secs(24 * 3600);
/// Messages that were taken and notices that were handed over are kept this long.
const KEEP_DELIVERED: Duration = Duration::from_secs(30 * 24 * 3600);
/// Within so long the unused links of a user are counted.
pub(crate) const LINK_WINDOW: Duration = Duration::from_secs(10 * 60);
/// Use is written down in steps of this, so that reading does not mean writing.
const SEEN_STEP: Duration = Duration::from_secs(60);

/// To whoever shows a session that would be good, where the tenant's state is not active.
pub(crate) fn not_served(state: TenantState) -> ActorError {
    match state {
        TenantState::Deleting => ActorError::precondition(
            "TENANT_DELETED",
            "this tenant is deleted: nothing of it is served any more",
        ),
        TenantState::Active | TenantState::Suspended => ActorError::precondition(
            "TENANT_SUSPENDED",
            "this tenant is not served: whoever operates this system has stopped it, and nothing of it is lost",
        ),
    }
}

const ENDED: ActorError = ActorError::Unauthenticated("the session is unknown or has ended");

/// The policy in force. What cannot be read is not replaced by a guess.
pub(crate) fn policy_of(env: &Env, tenant: &Tenant) -> Result<TenantPolicy, ActorError> {
    if tenant.policy.is_empty() {
        return Ok(env.policy.clone());
    }
    serde_json::from_slice(&tenant.policy).map_err(|error| {
        tracing::error!(tenant = %tenant.tenant_id, %error, "stored policy cannot be read");
        ActorError::unavailable(
            "POLICY_UNREADABLE",
            "the tenant's policy cannot be read; the operator has been told",
        )
    })
}

/// The tenant's row and policy.
pub(crate) async fn tenant_of(env: &Env, tx: &mut ReadTx) -> Result<(Tenant, TenantPolicy), ActorError> {
    let tenant = tx.get::<Tenant>(()).await?.ok_or(ActorError::NotFound)?;
    let policy = policy_of(env, &tenant)?;
    Ok((tenant, policy))
}

/// The live session of a token, by a strict read.
pub(crate) async fn load_by_token(
    scope: &Scope,
    token_hash: &Digest32,
) -> Result<Option<(Session, TenantPolicy)>, ActorError> {
    let mut tx = scope.read().await?;
    let found = tx.first::<Session>(Session::token_hash.eq(token_hash)).await?;
    live_with_policy(scope, &mut tx, found).await
}

/// A live session by its id, for its streams.
pub(crate) async fn load_by_id(
    scope: &Scope,
    session: SessionId,
) -> Result<Option<(Session, TenantPolicy)>, ActorError> {
    let mut tx = scope.read().await?;
    let found = tx.get::<Session>(session).await?;
    match live_with_policy(scope, &mut tx, found).await {
        // what is tied to a session by its id is a stream, and none is for whoever's second factor is due
        Ok(Some((session, policy))) if effective(&session, &policy) == Assurance::PendingMfa => {
            Err(FACTOR_DUE.into())
        }
        // to a stream the session of a suspended tenant is over: it ends, and is not held until somebody says more
        Err(ActorError::FailedPrecondition { .. }) => Ok(None),
        other => other,
    }
}

async fn live_with_policy(
    scope: &Scope,
    tx: &mut ReadTx,
    found: Option<Session>,
) -> Result<Option<(Session, TenantPolicy)>, ActorError> {
    let Some(session) = found else {
        return Ok(None);
    };
    let (tenant, policy) = tenant_of(&scope.env, tx).await?;
    let user = tx.get::<User>(session.user_id).await?;
    let active = user.is_some_and(|user| user.state == UserState::Active);
    if !active || !is_live(&session, &policy, scope.env.now()) {
        return Ok(None);
    }
    if tenant.state != TenantState::Active {
        return Err(not_served(tenant.state));
    }
    Ok(Some((session, policy)))
}

/// A live session, as the state knows it now.
pub(crate) struct Lives {
    pub(crate) who: SignedIn,
    /// What the user may do today.
    pub(crate) authority: Authority,
    /// See [`crate::authorize::Standing`].
    pub(crate) has_factor: bool,
    pub(crate) step_up: Duration,
}

/// The session's user as the state knows him now, if the session lives; writes its use down in coarse steps.
pub(crate) async fn stand_of_live(work: &mut Work, who: SignedIn) -> Result<Lives, ActorError> {
    let now = work.now;
    let session = work.tx.get::<Session>(who.session).await?.ok_or(ENDED)?;
    let (tenant, policy) = tenant_of(&work.env, &mut work.tx).await?;
    if session.user_id != who.user || !is_live(&session, &policy, now) {
        return Err(ENDED);
    }
    if tenant.state != TenantState::Active {
        return Err(not_served(tenant.state));
    }
    let who = SignedIn {
        assurance: effective(&session, &policy),
        authenticated_at: session.authenticated_at,
        ..who
    };
    let user =
        work.tx.get::<User>(who.user).await?.filter(|user| user.state == UserState::Active).ok_or(ENDED)?;
    let address = address_of(work).or_else(|| session.address.clone());
    let moved = address != session.address;
    let lacks_passkey = lacks_passkey(&session, &policy);
    if moved || now.since(session.seen_at) >= SEEN_STEP.min(policy.session_idle() / 10) {
        let idle_expires_at = now + policy.session_idle();
        work.tx.update(&Session { seen_at: now, idle_expires_at, address, ..session }).await?;
    }
    let authority = roles::authority(&mut work.tx, user.role, user.custom_role.as_deref()).await?;
    // one that showed a code where a passkey is wanted has shown what the account has, and may add a passkey
    let has_factor = factors::has_one(&user) && !lacks_passkey;
    Ok(Lives { who, authority, has_factor, step_up: policy.step_up() })
}

/// What a session is worth today: a policy that wants a second factor applies to sessions of before.
pub(super) fn effective(session: &Session, policy: &TenantPolicy) -> Assurance {
    match session.assurance {
        StoredAssurance::Link if policy.wants_factor() => Assurance::PendingMfa,
        _ if lacks_passkey(session, policy) => Assurance::PendingMfa,
        other => Assurance::from(other),
    }
}

/// A second factor was shown, and it was not the passkey that the policy wants.
fn lacks_passkey(session: &Session, policy: &TenantPolicy) -> bool {
    session.assurance == StoredAssurance::Mfa && policy.require_passkey && !session.passkey
}

/// Where the call comes from, as text.
pub(super) fn address_of(work: &Work) -> Option<String> {
    work.standing.caller.addr.map(|addr| addr.to_canonical().to_string())
}

/// A stream of the session was used: the session goes on.
pub(crate) struct Touch(pub(crate) SessionId);

impl SystemWork for Touch {
    type Output = ();
    async fn perform(self, work: &mut Work) -> Result<(), ActorError> {
        let now = work.now;
        let Some(session) = work.tx.get::<Session>(self.0).await? else {
            return Ok(());
        };
        let (_, policy) = tenant_of(&work.env, &mut work.tx).await?;
        if is_live(&session, &policy, now) {
            let idle_expires_at = now + policy.session_idle();
            work.tx.update(&Session { seen_at: now, idle_expires_at, ..session }).await?;
        }
        Ok(())
    }
}

/// Sessions that have opened a recovery which is not over. Only they can collect, so they stay until then. An unlock of a
/// group's vault holds none: whoever asked goes on in another, and a session that was stolen with one open is to end.
pub(crate) async fn holders(work: &mut Work, user: UserId) -> Result<BTreeSet<SessionId>, ActorError> {
    let mut holders = BTreeSet::new();
    for state in CeremonyState::LIVE {
        let live = Ceremony::user_id.eq(user).and(Ceremony::state.eq(state));
        let live = work.tx.find::<Ceremony>(live).await?;
        let recoveries = live.into_iter().filter(|row| row.purpose != CeremonyPurpose::Unlock);
        holders.extend(recoveries.map(|row| row.opened_by));
    }
    Ok(holders)
}

/// Live sessions of a user.
pub(crate) async fn live_of(
    work: &mut Work,
    user: UserId,
    policy: &TenantPolicy,
) -> Result<Vec<Session>, ActorError> {
    let now = work.now;
    let mut rows = work.tx.find::<Session>(Session::user_id.eq(user).and(Session::ended_at.eq(None))).await?;
    rows.retain(|row| is_live(row, policy, now));
    Ok(rows)
}

/// Ends these sessions in the transaction, and their streams after it.
pub(crate) async fn end(
    work: &mut Work,
    sessions: impl IntoIterator<Item = Session>,
) -> Result<u32, ActorError> {
    let now = work.now;
    let mut ended: Vec<SessionId> = Vec::new();
    for session in sessions {
        ended.push(session.session_id);
        work.tx.update(&Session { ended_at: Some(now), ..session }).await?;
    }
    let count = u32::try_from(ended.len()).unwrap_or(u32::MAX);
    if count > 0 {
        work.then(Effect::SessionsEnded(ended));
    }
    Ok(count)
}

/// Whether it is good for ceremonies alone.
pub(crate) fn is_of_recovery(session: &Session) -> bool {
    matches!(
        session.assurance,
        StoredAssurance::Inert | StoredAssurance::Recovery | StoredAssurance::Narrowed
    )
}

/// Takes everything but its ceremony from a session that has opened one: whoever was to be put out has no more of the
/// account by it than by a link alone. Whether there was anything to take.
pub(crate) async fn narrow(work: &mut Work, session: Session) -> Result<bool, ActorError> {
    if session.ended_at.is_some() || is_of_recovery(&session) {
        return Ok(false);
    }
    let id = session.session_id;
    work.tx.update(&Session { assurance: StoredAssurance::Narrowed, ..session }).await?;
    // its streams end, and its next call is looked at anew
    work.then(Effect::SessionsEnded(vec![id]));
    Ok(true)
}

/// Ends the streams of a user who may do less than when they were opened. The sessions go on: their next call is
/// looked at anew, and a stream is opened again by who still may.
pub(crate) async fn end_streams(work: &mut Work, user: UserId) -> Result<(), ActorError> {
    let live = work.tx.find::<Session>(Session::user_id.eq(user).and(Session::ended_at.eq(None))).await?;
    work.then(Effect::SessionsEnded(live.into_iter().map(|session| session.session_id).collect()));
    Ok(())
}

/// Ends all sessions of a user but these.
pub(crate) async fn end_all(
    work: &mut Work,
    user: UserId,
    except: impl IntoIterator<Item = SessionId>,
) -> Result<u32, ActorError> {
    let except: BTreeSet<SessionId> = except.into_iter().collect();
    let rows = work.tx.find::<Session>(Session::user_id.eq(user).and(Session::ended_at.eq(None))).await?;
    end(work, rows.into_iter().filter(|row| !except.contains(&row.session_id))).await
}

/// A session as its user sees it.
pub(crate) fn info(row: &Session, policy: &TenantPolicy) -> SessionInfo {
    SessionInfo {
        id: row.session_id,
        user: row.user_id,
        assurance: effective(row, policy),
        client: row.client.clone(),
        address: row.address.clone(),
        created_at: row.created_at,
        authenticated_at: row.authenticated_at,
        last_seen_at: row.seen_at,
        expires_at: expires_at(row, policy),
        idle_expires_at: idle_expires_at(row, policy),
        stepped_up_until: row.authenticated_at + policy.step_up(),
    }
}

/// Drops what has lapsed: links, invitations, sessions, kept answers, and deliveries of long ago.
pub(crate) async fn sweep(work: &mut Work) -> Result<(), ActorError> {
    let now = work.now;
    // ended links are counted for as long as their window lasts
    let ended = Link::expires_at.le(now).and(Link::created_at.le(now - LINK_WINDOW));
    work.tx.delete_all::<Link>(ended).await?;
    work.tx.delete_all::<Invite>(Invite::expires_at.le(now)).await?;
    work.tx.delete_all::<Pairing>(Pairing::expires_at.le(now)).await?;
    program::sweep(work).await?;
    api_key::sweep(work).await?;
    ending::remind(work).await?;
    share::sweep(work).await?;
    work.tx.delete_all::<Notice>(Notice::handed_over_at.le(Some(now - KEEP_DELIVERED))).await?;
    // and those that nobody took, long after they were given up
    work.tx.delete_all::<Notice>(Notice::created_at.le(now - KEEP_DELIVERED)).await?;
    work.tx.delete_all::<Inbox>(Inbox::received_at.le(now - KEEP_DELIVERED)).await?;
    work.tx.delete_all::<Session>(Session::expires_at.le(now - KEEP)).await?;
    work.tx.delete_all::<TotpEnrollment>(TotpEnrollment::expires_at.le(now)).await?;
    passkeys::sweep(work).await?;
    sso::sweep(work).await?;
    email_change::sweep(work).await?;
    lost::sweep(work).await?;
    channels::sweep(work).await?;
    ceremony_events::sweep(work).await?;
    work.tx.forget_answers(now - KEEP).await?;
    work.set_timer(SWEEP, "", now + SWEEP_EVERY, &[]).await
}

fn is_live(session: &Session, policy: &TenantPolicy, now: Timestamp) -> bool {
    session.ended_at.is_none() && now < expires_at(session, policy) && now < idle_expires_at(session, policy)
}

/// A recovery session waits for days, unused, until its ceremony is released: opening one sets its end. One that was put out
/// waits as well, and not for longer than it had.
/// Any other ends when it is not used.
pub(in crate::tenant) fn idle_expires_at(session: &Session, policy: &TenantPolicy) -> Timestamp {
    match session.assurance {
        StoredAssurance::Inert | StoredAssurance::Recovery | StoredAssurance::Narrowed => {
            expires_at(session, policy)
        }
        StoredAssurance::PendingMfa | StoredAssurance::Link | StoredAssurance::Mfa => {
            session.seen_at + policy.session_idle()
        }
    }
}

/// A policy that was made stricter applies to sessions that were issued before.
pub(in crate::tenant) fn expires_at(session: &Session, policy: &TenantPolicy) -> Timestamp {
    if matches!(session.assurance, StoredAssurance::Inert | StoredAssurance::Recovery) {
        return session.expires_at;
    }
    session.expires_at.min(session.created_at + policy.session_absolute())
}
