//! Passkeys of the tenant's users.

use ocmt_store::tables::{Passkey, PasskeyChallenge, PasskeyWish, Session, User, UserState};
use ocmt_types::{Digest32, EnrollmentId, UserId};

use super::{
    enrol::{own, tell},
    factors,
    session_issue::{self, Proof},
};
use crate::{
    api::{
        auth::SessionIssued,
        passkeys::{
            BeginPasskeyAssertion, BeginPasskeyRegistration, ConsumePasskey, FinishPasskeyAssertion,
            FinishPasskeyRegistration, ListPasskeys, PasskeyInfo, PasskeyOffer, RemovePasskey,
        },
        users::Done,
    },
    audit,
    authorize::{Action, Object},
    caller::{Assurance, SignedIn},
    env::{Env, Scope},
    error::ActorError,
    passkeys::{self, Challenge, Passkeys, Shown},
    work::{Handle, Work},
};

/// One answer for every way in which a sign-in by passkey is not good.
pub(crate) const BAD_PASSKEY: ActorError = ActorError::Unauthenticated(
    "the passkey is unknown, or its challenge was used, has expired or was asked for elsewhere: begin again",
);
/// Passkeys of one user.
const MOST: usize = 20;

impl Handle for BeginPasskeyRegistration {
    async fn handle(self, work: &mut Work) -> Result<PasskeyOffer, ActorError> {
        let user = own(work, Action::EnrolFactor).await?;
        let known = of(work, user.user_id).await?;
        if known.len() >= MOST {
            return Err(ActorError::exhausted(
                "TOO_MANY_PASSKEYS",
                "an account has at most 20 passkeys: take one off first",
            ));
        }
        let known: Vec<_> = known.into_iter().map(|passkey| passkey.credential).collect();
        let challenge = wired(&work.env)?.invite(user.user_id, &user.email, &known)?;
        offer(work, challenge, PasskeyWish::Register, None).await
    }
}

impl Handle for FinishPasskeyRegistration {
    async fn handle(self, work: &mut Work) -> Result<PasskeyInfo, ActorError> {
        let user = own(work, Action::EnrolFactor).await?;
        let challenge = take(work, self.registration, PasskeyWish::Register, None).await?;
        let made = wired(&work.env)?.made(&challenge.state, &self.credential)?;
        if of(work, user.user_id).await?.len() >= MOST
            || !work.tx.list_passkey(made.credential_hash, user.user_id).await?
        {
            return Err(ActorError::precondition("KNOWN_PASSKEY", "this passkey is an account's already"));
        }
        let row = Passkey {
            tenant_id: work.ownership.tenant,
            passkey_id: work.env.id(),
            user_id: user.user_id,
            name: self.name,
            credential_hash: made.credential_hash,
            credential: made.credential,
            created_at: work.now,
            last_used_at: None,
        };
        work.tx.insert(&row).await?;
        work.tx.update(&User { passkeys: user.passkeys + 1, ..user.clone() }).await?;
        tell(work, &user, "factor.added", &format!("a passkey was added ({})", row.name)).await?;
        work.object = format!("passkey/{}", row.passkey_id);
        Ok(info(&row))
    }
}

impl Handle for BeginPasskeyAssertion {
    async fn handle(self, work: &mut Work) -> Result<PasskeyOffer, ActorError> {
        let who = showing(work)?;
        let known: Vec<_> = of(work, who.user).await?.into_iter().map(|passkey| passkey.credential).collect();
        if known.is_empty() {
            return Err(ActorError::precondition("NO_PASSKEY", "this account has no passkey"));
        }
        let challenge = wired(&work.env)?.ask(&known)?;
        offer(work, challenge, PasskeyWish::Assert, Some(self.binding_hash)).await
    }
}

impl Handle for FinishPasskeyAssertion {
    async fn handle(self, work: &mut Work) -> Result<SessionIssued, ActorError> {
        let who = showing(work)?;
        let binding = audit::sha256(self.binding_secret.expose());
        let challenge = take(work, self.assertion, PasskeyWish::Assert, Some(binding)).await?;
        let shown = Shown::parse(&self.credential)?;
        let of_user = Passkey::credential_hash.eq(shown.credential_hash()).and(Passkey::user_id.eq(who.user));
        let row = work.tx.first::<Passkey>(of_user).await?.ok_or_else(passkeys::wrong)?;
        check(work, row, &challenge.state, &shown).await?;
        let session = work.tx.get::<Session>(who.session).await?.ok_or(ActorError::NotFound)?;
        session_issue::renew(work, session, Proof::Passkey).await
    }
}

impl Handle for ConsumePasskey {
    async fn look(&self, scope: &Scope) -> Result<(), ActorError> {
        let mut tx = scope.read().await?;
        let known = tx.first::<Passkey>(Passkey::credential_hash.eq(self.credential_hash)).await?;
        known.map(drop).ok_or(BAD_PASSKEY)
    }

    async fn handle(self, work: &mut Work) -> Result<SessionIssued, ActorError> {
        let shown = Shown::parse(&self.credential)?;
        let wish = work.tx.take_passkey_sign_in(self.assertion, self.binding_hash, work.now).await?;
        let wish = wish.ok_or(BAD_PASSKEY)?;
        let row = work.tx.first::<Passkey>(Passkey::credential_hash.eq(shown.credential_hash())).await?;
        let row = row.ok_or(BAD_PASSKEY)?;
        let user = work.tx.get::<User>(row.user_id).await?;
        let user = user.filter(|user| user.state == UserState::Active).ok_or(BAD_PASSKEY)?;
        check(work, row, &wish.state, &shown).await.map_err(|_| BAD_PASSKEY)?;
        session_issue::issue(work, &user, Proof::Passkey, &self.client).await
    }
}

impl Handle for ListPasskeys {
    async fn handle(self, work: &mut Work) -> Result<Vec<PasskeyInfo>, ActorError> {
        let who = work.user()?;
        work.authorize(Action::ReadSessions, &Object::of(who.user))?;
        let mut rows = of(work, who.user).await?;
        rows.sort_by_key(|row| (row.created_at, row.passkey_id));
        Ok(rows.iter().map(info).collect())
    }
}

impl Handle for RemovePasskey {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        let found = work.tx.get::<Passkey>(self.passkey).await?;
        let row = work.authorize_found(Action::ChangeFactors, found, |row| Object::of(row.user_id))?;
        let user = work.tx.get::<User>(row.user_id).await?.ok_or(ActorError::NotFound)?;
        let left = User { passkeys: user.passkeys - 1, ..user.clone() };
        factors::may_be_left(work, &left).await?;
        remove(work, &row).await?;
        work.tx.update(&left).await?;
        if !factors::has_one(&left) {
            factors::forget_codes(work, user.user_id).await?;
        }
        tell(work, &user, "factor.removed", &format!("a passkey was taken off ({})", row.name)).await?;
        work.object = format!("passkey/{}", row.passkey_id);
        Ok(Done)
    }
}

/// Takes every passkey off an account that goes.
pub(super) async fn forget(work: &mut Work, user: UserId) -> Result<(), ActorError> {
    for row in of(work, user).await? {
        remove(work, &row).await?;
    }
    work.tx.delete_all::<PasskeyChallenge>(PasskeyChallenge::user_id.eq(user)).await?;
    Ok(())
}

async fn remove(work: &mut Work, row: &Passkey) -> Result<(), ActorError> {
    work.tx.delete::<Passkey>(row.passkey_id).await?;
    work.tx.unlist_passkey(row.credential_hash).await?;
    Ok(())
}

async fn of(work: &mut Work, user: UserId) -> Result<Vec<Passkey>, ActorError> {
    Ok(work.tx.find::<Passkey>(Passkey::user_id.eq(user)).await?)
}

fn wired(env: &Env) -> Result<&Passkeys, ActorError> {
    env.passkeys.as_ref().ok_or_else(off)
}

/// The cluster has no name that passkeys could belong to.
pub(crate) fn off() -> ActorError {
    ActorError::precondition(
        "PASSKEYS_OFF",
        "passkeys belong to a host name, and this cluster is reached under an address: set listen.public_url",
    )
}

/// Whoever may show a passkey: to finish a sign-in, or as proof of presence.
fn showing(work: &mut Work) -> Result<SignedIn, ActorError> {
    let who = work.user()?;
    let action = match who.assurance {
        Assurance::PendingMfa => Action::CompleteMfa,
        Assurance::Inert | Assurance::Recovery | Assurance::Link | Assurance::Mfa => Action::StepUp,
    };
    work.authorize(action, &Object::of(who.user))?;
    work.object = format!("session/{}", who.session);
    Ok(who)
}

/// Keeps a challenge for the asking session, in place of its earlier one.
async fn offer(
    work: &mut Work,
    challenge: Challenge,
    wish: PasskeyWish,
    binding_hash: Option<Digest32>,
) -> Result<PasskeyOffer, ActorError> {
    let who = work.user()?;
    let earlier = PasskeyChallenge::session_id.eq(who.session).and(PasskeyChallenge::wish.eq(wish));
    work.tx.delete_all::<PasskeyChallenge>(earlier).await?;
    let row = PasskeyChallenge {
        tenant_id: work.ownership.tenant,
        challenge_id: work.env.id(),
        user_id: who.user,
        session_id: who.session,
        wish,
        binding_hash,
        state: challenge.state,
        expires_at: work.now + passkeys::LASTS,
    };
    work.tx.insert(&row).await?;
    Ok(PasskeyOffer { id: row.challenge_id, options: challenge.options, expires_at: row.expires_at })
}

/// Consumes a challenge of the asking session: of many who answer exactly one gets it.
async fn take(
    work: &mut Work,
    challenge: EnrollmentId,
    wish: PasskeyWish,
    binding_hash: Option<Digest32>,
) -> Result<PasskeyChallenge, ActorError> {
    let who = work.user()?;
    let good = PasskeyChallenge::session_id
        .eq(who.session)
        .and(PasskeyChallenge::wish.eq(wish))
        .and(PasskeyChallenge::binding_hash.eq(binding_hash))
        .and(PasskeyChallenge::expires_at.gt(work.now));
    work.tx.take_if::<PasskeyChallenge>(challenge, good).await?.ok_or_else(passkeys::wrong)
}

/// Whether the passkey is good; writes down that it was shown.
async fn check(work: &mut Work, row: Passkey, state: &[u8], shown: &Shown) -> Result<(), ActorError> {
    let credential = wired(&work.env)?.check(state, &row.credential, row.user_id, shown)?;
    let used = Passkey { credential, last_used_at: Some(work.now), ..row.clone() };
    if !work.tx.update_if(&used, Passkey::credential.eq(row.credential)).await? {
        return Err(passkeys::wrong());
    }
    Ok(())
}

fn info(row: &Passkey) -> PasskeyInfo {
    PasskeyInfo {
        id: row.passkey_id,
        name: row.name.clone(),
        created_at: row.created_at,
        last_used_at: row.last_used_at,
    }
}

/// Challenges that nobody answered.
pub(super) async fn sweep(work: &mut Work) -> Result<(), ActorError> {
    work.tx.delete_all::<PasskeyChallenge>(PasskeyChallenge::expires_at.le(work.now)).await?;
    Ok(())
}
