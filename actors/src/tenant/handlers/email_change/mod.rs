//! Another address for an account: asked for with a fresh proof of presence, confirmed by a link to the new address in
//! the session that asked, in force after the policy's delay ([`take_effect`]). Until then the old address is the
//! account's: it hears of each step, signs in, and whoever is signed in can stop the change.

pub(crate) mod take_effect;

use std::time::Duration;

use ocmt_crypto::token::{Token, TokenKind};
use ocmt_store::{
    MOST_TENANTS_OF_ADDRESS,
    tables::{Ceremony, CeremonyPurpose, CeremonyState, EmailChange, EmailChangeState, Timer, User},
};
use ocmt_types::{Secret, UserId};

use super::{
    super::recovery::lost,
    channels,
    enrol::own,
    notices::{self, NoticeText},
    session_row::{self, LINK_WINDOW},
};
use crate::{
    api::{
        email_change::{
            CancelEmailChange, ConfirmEmailChange, EmailChangeAsked, EmailChangeConfirmed, GetEmailChange,
            PendingEmailChange, RequestEmailChange,
        },
        users::Done,
    },
    authorize::Action,
    effect::Effect,
    email,
    error::ActorError,
    ports::{Mail, MailBody},
    work::{Handle, Work},
};

/// Timer of a change that waits for its time; its subject is the user.
pub(crate) const TIMER: &str = "email.change";
/// Changes that a user may ask for within [`LINK_WINDOW`]: each writes to an address that is not known to be theirs.
const MOST_ASKED: usize = 5;
const TO_STOP: &str = "`ocmt email show`, `ocmt email cancel`, or `ocmt login` with this address first";

impl Handle for RequestEmailChange {
    async fn handle(self, work: &mut Work) -> Result<EmailChangeAsked, ActorError> {
        let user = own(work, Action::ChangeAddress).await?;
        work.object = format!("user/{}", user.user_id);
        let new_email = email::normalised(&self.new_email)
            .map_err(|_| ActorError::invalid("new_email", "is not an e-mail address"))?;
        if new_email == user.email {
            return Err(ActorError::invalid("new_email", "is the address that the account has"));
        }
        no_recovery(work, user.user_id).await?;
        make_room(work, user.user_id).await?;
        let (tenant, policy) = session_row::tenant_of(&work.env, &mut work.tx).await?;
        // who has the address is not looked at: that would tell whoever asks
        let token = Token::issue(TokenKind::Link, work.ownership.tenant, &mut rand::rng());
        let row = EmailChange {
            tenant_id: work.ownership.tenant,
            token_hash: token.hash(),
            user_id: user.user_id,
            session_id: work.user()?.session,
            old_email: user.email.clone(),
            new_email: new_email.clone(),
            state: EmailChangeState::Asked,
            created_at: work.now,
            expires_at: work.now + policy.link_ttl(),
            effective_at: None,
        };
        work.tx.insert(&row).await?;
        let token = Secret::new(token.expose().to_owned());
        let id = work.env.id();
        work.then(Effect::Mail(Mail {
            id,
            to: new_email,
            body: MailBody::EmailChange { tenant: tenant.name, token },
        }));
        let what = "another address was asked for in place of this one";
        tell(work, &row, &row.old_email, "email.change_asked", what, Some(TO_STOP)).await?;
        Ok(EmailChangeAsked { link_lifetime_ms: policy.link_ttl_ms })
    }
}

impl Handle for ConfirmEmailChange {
    async fn handle(self, work: &mut Work) -> Result<EmailChangeConfirmed, ActorError> {
        let user = own(work, Action::SeeToAddress).await?;
        let who = work.user()?;
        work.object = format!("user/{}", user.user_id);
        let token = Token::parse_kind(TokenKind::Link, self.token.expose()).map_err(|_| bad_link())?;
        let row = work.tx.get::<EmailChange>(token.hash()).await?.ok_or_else(bad_link)?;
        let (_, policy) = session_row::tenant_of(&work.env, &mut work.tx).await?;
        let effective_at = work.now + policy.email_change_delay();
        // one statement: a link is shown once, before its end, in the session that asked and nowhere else
        let good = EmailChange::state
            .eq(EmailChangeState::Asked)
            .and(EmailChange::expires_at.gt(work.now))
            .and(EmailChange::session_id.eq(who.session))
            .and(EmailChange::user_id.eq(who.user));
        let next =
            EmailChange { state: EmailChangeState::Confirmed, effective_at: Some(effective_at), ..row };
        if !work.tx.update_if(&next, good).await? {
            return Err(bad_link());
        }
        no_recovery(work, user.user_id).await?;
        // whoever shows the link has the address, and may hear what there is about it
        if let Some(why) = hindrance(work, &next.new_email).await? {
            return Err(ActorError::precondition("ADDRESS_TAKEN", why));
        }
        work.set_timer(TIMER, &user.user_id.to_string(), effective_at, &[]).await?;
        let what = format!(
            "another address was confirmed; it takes the place of this one in {}",
            in_words(effective_at.since(work.now))
        );
        tell(work, &next, &next.old_email, "email.change_confirmed", &what, Some(TO_STOP)).await?;
        Ok(EmailChangeConfirmed { email: next.new_email, effective_at })
    }
}

impl Handle for GetEmailChange {
    async fn handle(self, work: &mut Work) -> Result<Option<PendingEmailChange>, ActorError> {
        let user = own(work, Action::SeeToAddress).await?;
        let Some(row) = under_way(work, user.user_id).await? else { return Ok(None) };
        // a suspension moves the timer, and not what was said when the link was shown
        let timer = work.tx.get::<Timer>((TIMER.to_owned(), user.user_id.to_string())).await?;
        Ok(Some(PendingEmailChange {
            email: row.new_email,
            requested_at: row.created_at,
            effective_at: row.effective_at.map(|said| timer.map_or(said, |timer| timer.due_at)),
        }))
    }
}

impl Handle for CancelEmailChange {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        let user = own(work, Action::SeeToAddress).await?;
        work.object = format!("user/{}", user.user_id);
        let stopped = stop(work, user.user_id, "a session of the account stopped it").await?;
        if stopped {
            Ok(Done)
        } else {
            Err(ActorError::precondition(
                "NO_EMAIL_CHANGE",
                "the address is not being changed: nothing to stop",
            ))
        }
    }
}

/// Ends the change that is under way, and says so to whoever heard of it; `false` if there is none.
pub(crate) async fn stop(work: &mut Work, user: UserId, why: &str) -> Result<bool, ActorError> {
    let Some(row) = under_way(work, user).await? else { return Ok(false) };
    end(work, user).await?;
    let what = format!("the change of address was stopped: {why}");
    tell_both(work, &row, "email.change_stopped", &what).await?;
    Ok(true)
}

/// Ends what a user who goes has asked for.
pub(super) async fn forget(work: &mut Work, user: UserId) -> Result<(), ActorError> {
    work.tx.clear_timer(TIMER, &user.to_string()).await?;
    work.tx.delete_all::<EmailChange>(EmailChange::user_id.eq(user)).await?;
    channels::forget(work, user).await?;
    lost::forget(work, user).await
}

/// Drops those that are over and count no more.
pub(super) async fn sweep(work: &mut Work) -> Result<(), ActorError> {
    let now = work.now;
    let old = || EmailChange::created_at.le(now - LINK_WINDOW).and(EmailChange::expires_at.le(now));
    for state in [EmailChangeState::Asked, EmailChangeState::Ended] {
        work.tx.delete_all::<EmailChange>(old().and(EmailChange::state.eq(state))).await?;
    }
    Ok(())
}

/// The change that is under way; a link that was not shown in time is none.
async fn under_way(work: &mut Work, user: UserId) -> Result<Option<EmailChange>, ActorError> {
    let now = work.now;
    let rows = work.tx.find::<EmailChange>(EmailChange::user_id.eq(user)).await?;
    Ok(rows.into_iter().find(|row| match row.state {
        EmailChangeState::Asked => row.expires_at > now,
        EmailChangeState::Confirmed => true,
        EmailChangeState::Ended => false,
    }))
}

/// A newer change ends the older one. The rows of older ones stay as long as they count.
async fn make_room(work: &mut Work, user: UserId) -> Result<(), ActorError> {
    let since = work.now - LINK_WINDOW;
    let rows = work.tx.find::<EmailChange>(EmailChange::user_id.eq(user)).await?;
    if rows.iter().filter(|row| row.created_at > since).count() >= MOST_ASKED {
        return Err(ActorError::exhausted(
            "TOO_MANY_EMAIL_CHANGES",
            "five changes of address were asked for in ten minutes: wait",
        ));
    }
    end(work, user).await
}

async fn end(work: &mut Work, user: UserId) -> Result<(), ActorError> {
    let rows = work.tx.find::<EmailChange>(EmailChange::user_id.eq(user)).await?;
    for row in rows.into_iter().filter(|row| row.state != EmailChangeState::Ended) {
        work.tx.update(&EmailChange { state: EmailChangeState::Ended, ..row }).await?;
    }
    work.tx.clear_timer(TIMER, &user.to_string()).await?;
    Ok(())
}

/// While somebody recovers the vault it is in question whose the account is.
async fn no_recovery(work: &mut Work, user: UserId) -> Result<(), ActorError> {
    if !is_recovering(work, user).await? {
        return Ok(());
    }
    Err(ActorError::precondition(
        "CEREMONY_LIVE",
        "a recovery of the vault is under way: the address can be changed when it is over",
    ))
}

/// What a guardian's word alone has proposed does not count: or one with a grudge could hold an address for ever.
async fn is_recovering(work: &mut Work, user: UserId) -> Result<bool, ActorError> {
    for state in CeremonyState::LIVE {
        let live = Ceremony::user_id.eq(user).and(Ceremony::state.eq(state));
        let held = |row: &Ceremony| {
            row.purpose != CeremonyPurpose::Unlock
                && !(row.state == CeremonyState::Proposed && row.new_email.is_some())
        };
        if work.tx.find::<Ceremony>(live).await?.iter().any(held) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A recovery made another address the user's, who had lost the mailbox: both hear of it.
pub(crate) async fn recovered(work: &mut Work, user: UserId, addresses: [&str; 2]) -> Result<(), ActorError> {
    let what = "the account was recovered by its guardians for who had lost its mailbox; it is reached, and signs in, by the new \
                address alone";
    let facts = [("what".to_owned(), what.to_owned()), ("new address".to_owned(), addresses[1].to_owned())];
    let subject = user.to_string();
    for address in addresses {
        let text =
            NoticeText { user: Some(user), address, kind: "email.changed", subject: &subject, facts: &facts };
        notices::write(work, text).await?;
    }
    Ok(())
}

/// Why nobody here can have this address now.
pub(in crate::tenant) async fn hindrance(
    work: &mut Work,
    address: &str,
) -> Result<Option<&'static str>, ActorError> {
    if work.tx.first::<User>(User::email.eq(address)).await?.is_some() {
        return Ok(Some("a user of this tenant has this address"));
    }
    let full = work.tx.addresses(address).await?.len() >= MOST_TENANTS_OF_ADDRESS;
    Ok(full.then_some("this address is that of users in as many tenants as one may have"))
}

/// One answer for every way in which the link is not good.
fn bad_link() -> ActorError {
    ActorError::precondition(
        "BAD_LINK",
        "the link is unknown, used, expired or was asked for in another session: ask for the change again",
    )
}

/// To the old address, and to the new one if somebody has shown that it is theirs.
async fn tell_both(work: &mut Work, row: &EmailChange, kind: &str, what: &str) -> Result<(), ActorError> {
    tell(work, row, &row.old_email, kind, what, None).await?;
    if row.state == EmailChangeState::Confirmed {
        tell(work, row, &row.new_email, kind, what, None).await?;
    }
    Ok(())
}

async fn tell(
    work: &mut Work,
    row: &EmailChange,
    to: &str,
    kind: &str,
    what: &str,
    to_stop: Option<&str>,
) -> Result<(), ActorError> {
    let from = session_row::address_of(work);
    let facts =
        [("what", Some(what.to_owned())), ("from address", from), ("to stop it", to_stop.map(str::to_owned))];
    let facts: Vec<(String, String)> =
        facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    let subject = row.user_id.to_string();
    let text = NoticeText { user: Some(row.user_id), address: to, kind, subject: &subject, facts: &facts };
    notices::write(work, text).await.map(drop)
}

fn in_words(wait: Duration) -> String {
    match wait.as_secs() / 60 {
        minutes if minutes < 120 => format!("{minutes} min"),
        minutes => format!("{} h", minutes / 60),
    }
}
