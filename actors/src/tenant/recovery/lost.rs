//! Who has lost the mailbox too: a guardian says so and names another address, and a link that goes there makes a session
//! which proposes one ceremony and is inert until guardians have signed for that (ADR 0046).

use std::time::Duration;

use ocmt_crypto::{
    audit::Outcome,
    token::{Token, TokenKind},
};
use ocmt_store::tables::{
    Assurance, GuardianSet, GuardianSetState, GuardianshipIn, GuardianshipOut, GuardianshipState,
    LostMailbox, Session, User, UserState,
};
use ocmt_types::{Digest32, Secret, SessionId, TenantId, Timestamp, UserId};

use super::{
    super::{
        ceremony::ground,
        handlers::{
            channels,
            email_change::hindrance,
            notices::{self, NoticeText},
            session_issue::{self, Proof},
        },
    },
    letters::{self, Lost},
};
use crate::{
    api::{
        auth::SessionIssued,
        recovery::{Done, ReportLostMailbox},
    },
    audit,
    authorize::{Action, Object},
    effect::Effect,
    email,
    error::ActorError,
    ports::{Mail, MailBody},
    work::{Handle, Work},
};

/// The owner hears that somebody says so.
const REPORTED: &str = "recovery.lost_mailbox";
/// The person is told by telephone to look, and has to find the letter.
const LINK_LASTS: Duration = Duration::from_secs(24 * 3600);
/// One guardian says so that often within a week: each time an address that is not known to be the owner's gets a letter.
const MOST_REPORTED: usize = 3;
const WINDOW: Duration = Duration::from_secs(7 * 24 * 3600);

impl Handle for ReportLostMailbox {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        work.object = format!("guardianship/{}", self.guardianship);
        let new_email = email::normalised(&self.new_email)
            .map_err(|_| ActorError::invalid("new_email", "is not an e-mail address"))?;
        let found = work.tx.get::<GuardianshipIn>(self.guardianship).await?;
        let row = work.authorize_found(Action::ActAsGuardian, found, |row| Object::of(row.user_id))?;
        if !matches!(row.state, GuardianshipState::Dealt | GuardianshipState::Active) {
            return Err(no_part());
        }
        let letter = Lost { guardianship: self.guardianship, new_email };
        // each letter sends a link: a repeat of the call writes the same one
        let body = letters::write(&letter);
        work.answer_after = Some(work.post_once(row.owner_tenant, letters::LOST, &body).await?);
        Ok(Done)
    }
}

/// In the owner's tenant: the link goes out, and the owner hears of it.
pub(super) async fn reported(work: &mut Work, from: TenantId, letter: Lost) -> Result<Vec<u8>, ActorError> {
    let guardian = work.tx.get::<GuardianshipOut>(letter.guardianship).await?;
    let guardian = guardian.filter(|row| row.guardian_tenant == Some(from)).ok_or(ActorError::NotFound)?;
    let set = holds(work, &guardian).await?.ok_or_else(no_part)?;
    let owner = work.tx.get::<User>(guardian.user_id).await?;
    let owner = owner.filter(|user| user.state == UserState::Active).ok_or(ActorError::NotFound)?;
    if letter.new_email == owner.email {
        return Err(ActorError::invalid("new_email", "is the address that the account has"));
    }
    bounded(work, &letter).await?;
    // who has the address is not looked at: that would tell whoever asks
    let token = Token::issue(TokenKind::Link, work.ownership.tenant, &mut rand::rng());
    let row = LostMailbox {
        tenant_id: work.ownership.tenant,
        token_hash: token.hash(),
        user_id: owner.user_id,
        guardianship_id: letter.guardianship,
        new_email: letter.new_email.clone(),
        session_id: None,
        created_at: work.now,
        expires_at: work.now + LINK_LASTS,
    };
    work.tx.insert(&row).await?;
    let body = MailBody::LostMailbox {
        guardian: guardian.guardian_email.clone(),
        token: Secret::new(token.expose().to_owned()),
    };
    let id = work.env.id();
    work.then(Effect::Mail(Mail { id, to: letter.new_email.clone(), body }));
    let facts = [("guardian", guardian.guardian_email), ("new_address", letter.new_email)];
    tell(work, &owner, &set, &facts).await?;
    let details = vec![("guardianship".to_owned(), letter.guardianship.to_string())];
    audit::note(work, REPORTED, format!("user/{}", owner.user_id), Outcome::Allowed, details).await?;
    Ok(Vec::new())
}

fn no_part() -> ActorError {
    ActorError::precondition("NO_PART", "you hold no part of the vault that this person has today")
}

/// The set in force whose units the guardian holds, if there is one.
async fn holds(work: &mut Work, guardian: &GuardianshipOut) -> Result<Option<GuardianSet>, ActorError> {
    let holding = matches!(guardian.state, GuardianshipState::Dealt | GuardianshipState::Active);
    let Some(set) = guardian.set_id.filter(|_| holding) else { return Ok(None) };
    Ok(work.tx.get::<GuardianSet>(set).await?.filter(|set| set.state != GuardianSetState::Retired))
}

async fn tell(
    work: &mut Work,
    owner: &User,
    set: &GuardianSet,
    facts: &[(&str, String)],
) -> Result<(), ActorError> {
    let lock = Duration::from_millis(ground::signed_set(set)?.delays().lock_ms);
    let facts: Vec<_> = facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let subject = owner.user_id.to_string();
    for channel in channels::of(work, owner, lock).await? {
        let address = &channel.address;
        let text = NoticeText {
            user: Some(owner.user_id),
            address,
            kind: REPORTED,
            subject: &subject,
            facts: &facts,
        };
        notices::write(work, text).await?;
    }
    Ok(())
}

/// Each guardian has an allowance of their own: none uses up another's. A link to this address that nobody showed in its day may
/// never have come, and counts no more.
async fn bounded(work: &mut Work, letter: &Lost) -> Result<(), ActorError> {
    let since = work.now - WINDOW;
    let said = LostMailbox::guardianship_id.eq(letter.guardianship).and(LostMailbox::created_at.gt(since));
    let said = work.tx.find::<LostMailbox>(said).await?;
    let lapsed = |row: &LostMailbox| row.session_id.is_none() && row.expires_at <= work.now;
    let counts = |row: &&LostMailbox| row.new_email != letter.new_email || !lapsed(row);
    if said.iter().filter(counts).count() < MOST_REPORTED {
        return Ok(());
    }
    Err(ActorError::exhausted(
        "TOO_MANY_LOST_MAILBOXES",
        "you have said so three times in a week: wait, or let another guardian say it",
    ))
}

/// The link was shown: a session for it; none if the token is of another kind.
pub(in crate::tenant) async fn shown(
    work: &mut Work,
    token: Digest32,
    client: &str,
) -> Result<Option<Result<SessionIssued, ActorError>>, ActorError> {
    let Some(row) = work.tx.get::<LostMailbox>(token).await? else { return Ok(None) };
    let bad =
        || ActorError::Unauthenticated("the link is unknown, used or expired: ask a guardian for a new one");
    let guardian = work.tx.get::<GuardianshipOut>(row.guardianship_id).await?;
    let guards = match &guardian {
        Some(guardian) => holds(work, guardian).await?.is_some(),
        None => false,
    };
    let owner = work.tx.get::<User>(row.user_id).await?.filter(|user| user.state == UserState::Active);
    let (Some(owner), true) = (owner, guards) else { return Ok(Some(Err(bad()))) };
    // whoever shows the link has the address, and may hear what there is about it
    if let Some(why) = hindrance(work, &row.new_email).await? {
        return Ok(Some(Err(ActorError::precondition("ADDRESS_TAKEN", why))));
    }
    let issued = session_issue::issue(work, &owner, Proof::Of(Assurance::Inert), client).await?;
    // one statement: of many that show the same link exactly one gets its session
    let fresh = LostMailbox::session_id.eq(None).and(LostMailbox::expires_at.gt(work.now));
    let used = LostMailbox { session_id: Some(issued.session.id), ..row };
    if !work.tx.update_if(&used, fresh).await? {
        return Ok(Some(Err(bad())));
    }
    Ok(Some(Ok(issued)))
}

/// What a session was given for, if a guardian's word gave it.
pub(in crate::tenant) async fn of_session(
    work: &mut Work,
    user: UserId,
    session: SessionId,
) -> Result<Option<LostMailbox>, ActorError> {
    let of = LostMailbox::user_id.eq(user).and(LostMailbox::session_id.eq(Some(session)));
    Ok(work.tx.first::<LostMailbox>(of).await?)
}

/// Of a user who is removed.
pub(in crate::tenant) async fn forget(work: &mut Work, user: UserId) -> Result<(), ActorError> {
    work.tx.delete_all::<LostMailbox>(LostMailbox::user_id.eq(user)).await?;
    Ok(())
}

/// Drops those that count no more. One whose session lives stays: by it alone the session is known to need signatures.
pub(in crate::tenant) async fn sweep(work: &mut Work) -> Result<(), ActorError> {
    let old = LostMailbox::created_at.le(work.now - WINDOW);
    for row in work.tx.find::<LostMailbox>(old).await? {
        let session = match row.session_id {
            Some(session) => work.tx.get::<Session>(session).await?,
            None => None,
        };
        if session.is_none_or(|session| is_over(&session, work.now)) {
            work.tx.delete_all::<LostMailbox>(LostMailbox::token_hash.eq(row.token_hash)).await?;
        }
    }
    Ok(())
}

fn is_over(session: &Session, now: Timestamp) -> bool {
    session.ended_at.is_some() || session.expires_at <= now
}
