//! Issuing sessions under the cap, and giving them another token when they are worth more.

use std::time::Duration;

use ocmt_crypto::token::{Token, TokenKind};
use ocmt_store::tables::{Assurance, Session, TenantState, User};
use ocmt_types::{Secret, SessionId, UserId};

use super::{
    factors, new_place,
    session_row::{address_of, effective, end, holders, info, live_of, not_served, tenant_of},
};
use crate::{
    api::auth::SessionIssued, caller, effect::Effect, error::ActorError, policy::TenantPolicy, work::Work,
};

/// The second factor is shown within this.
pub(crate) const PENDING_LASTS: Duration = Duration::from_secs(10 * 60);
/// A session that a guardian's word gave has to propose its ceremony within this.
const INERT_LASTS: Duration = Duration::from_secs(24 * 3600);
/// Characters of what a client calls itself.
const LONGEST_CLIENT: usize = 100;
/// Sessions that the record of a sign-in names as ended to make room for it: one as a rule, more after a lowered cap.
const MOST_NAMED: usize = 8;

/// What somebody has shown to get a session, or another token of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// What gives a session this assurance.
    Of(Assurance),
    /// A passkey: two factors at once.
    Passkey,
}

impl Proof {
    fn assurance(self) -> Assurance {
        match self {
            Self::Of(assurance) => assurance,
            Self::Passkey => Assurance::Mfa,
        }
    }
}

/// Issues a session for what has been shown: whole, if the account and the policy want no second factor.
pub(crate) async fn issue(
    work: &mut Work,
    user: &User,
    shown: Proof,
    client: &str,
) -> Result<SessionIssued, ActorError> {
    let (tenant, policy) = tenant_of(&work.env, &mut work.tx).await?;
    if tenant.state != TenantState::Active {
        return Err(not_served(tenant.state));
    }
    let now = work.now;
    let assurance = match shown.assurance() {
        Assurance::Link if factors::has_one(user) || policy.wants_factor() => Assurance::PendingMfa,
        other => other,
    };
    let lasts = match assurance {
        Assurance::PendingMfa => PENDING_LASTS.min(policy.session_absolute()),
        Assurance::Inert => INERT_LASTS.min(policy.session_absolute()),
        _ => policy.session_absolute(),
    };
    make_room(work, user.user_id, assurance, None, &policy).await?;
    let token = Token::issue(TokenKind::Session, work.ownership.tenant, &mut rand::rng());
    let row = Session {
        tenant_id: work.ownership.tenant,
        session_id: work.env.id(),
        user_id: user.user_id,
        token_hash: token.hash(),
        assurance,
        client: client.chars().filter(|c| !c.is_control()).take(LONGEST_CLIENT).collect(),
        created_at: now,
        authenticated_at: now,
        seen_at: now,
        idle_expires_at: now + policy.session_idle(),
        expires_at: now + lasts,
        ended_at: None,
        address: address_of(work),
        passkey: shown == Proof::Passkey,
    };
    work.tx.insert(&row).await?;
    // what a lost mailbox is asked back with is told in words of its own
    if assurance != Assurance::Inert {
        new_place::tell(work, user, &row).await?;
    }
    issued(work, &row, &token, &policy).await
}

/// Gives a session another token, and the assurance that was shown just now. The token before is dead with the
/// commit; what is open goes on.
pub(crate) async fn renew(
    work: &mut Work,
    session: Session,
    shown: Proof,
) -> Result<SessionIssued, ActorError> {
    let (_, policy) = tenant_of(&work.env, &mut work.tx).await?;
    let now = work.now;
    // nothing that it shows gives back what was taken from it
    let assurance = match session.assurance {
        Assurance::Narrowed => Assurance::Narrowed,
        _ => shown.assurance(),
    };
    let passkey = session.passkey || shown == Proof::Passkey;
    let mut row = Session { assurance, authenticated_at: now, seen_at: now, passkey, ..session.clone() };
    row.idle_expires_at = now + policy.session_idle();
    let pends = |session: &Session| effective(session, &policy) == caller::Assurance::PendingMfa;
    // one that still lacks what the policy wants lasts no longer than it did
    if pends(&session) && !pends(&row) {
        row.expires_at = now + policy.session_absolute();
        make_room(work, row.user_id, assurance, Some(row.session_id), &policy).await?;
    }
    let token = Token::issue(TokenKind::Session, work.ownership.tenant, &mut rand::rng());
    row.token_hash = token.hash();
    if !work.tx.update_if(&row, Session::token_hash.eq(session.token_hash)).await? {
        return Err(ActorError::Aborted("the session"));
    }
    work.then(Effect::SessionRenewed(Box::new(row.clone()), policy.clone()));
    issued(work, &row, &token, &policy).await
}

async fn issued(
    work: &mut Work,
    row: &Session,
    token: &Token,
    policy: &TenantPolicy,
) -> Result<SessionIssued, ActorError> {
    let pending_factors = match effective(row, policy) {
        caller::Assurance::PendingMfa => factors::of(work, row.user_id).await?,
        _ => Vec::new(),
    };
    work.object = format!("session/{}", row.session_id);
    Ok(SessionIssued {
        token: Secret::new(token.expose().to_owned()),
        tenant: row.tenant_id,
        session: info(row, policy),
        pending_factors,
    })
}

/// The cap holds exactly, for recovery sessions, for those whose second factor is due and for the others apart:
/// the oldest live ones end in the same transaction, but none that a live ceremony needs.
async fn make_room(
    work: &mut Work,
    user: UserId,
    assurance: Assurance,
    own: Option<SessionId>,
    policy: &TenantPolicy,
) -> Result<(), ActorError> {
    let mut live = live_of(work, user, policy).await?;
    live.retain(|session| kind(session.assurance) == kind(assurance) && Some(session.session_id) != own);
    live.sort_by_key(|session| (session.created_at, session.session_id));
    let cap = usize::try_from(policy.sessions_per_user).unwrap_or(1).max(1);
    let too_many = (live.len() + 1).saturating_sub(cap);
    if too_many > 0 {
        let held = holders(work, user).await?;
        live.retain(|session| !held.contains(&session.session_id));
        live.truncate(too_many);
        let named: Vec<_> =
            live.iter().take(MOST_NAMED).map(|session| session.session_id.to_string()).collect();
        if !named.is_empty() {
            work.details.push(("ended_for_room".to_owned(), named.join(" ")));
        }
        end(work, live).await?;
    }
    Ok(())
}

/// What is counted apart: whoever can read the mail of an account alone does not push its sessions out.
fn kind(assurance: Assurance) -> u8 {
    match assurance {
        Assurance::Recovery | Assurance::Narrowed => 0,
        Assurance::PendingMfa => 1,
        Assurance::Link | Assurance::Mfa => 2,
        Assurance::Inert => 3,
    }
}
