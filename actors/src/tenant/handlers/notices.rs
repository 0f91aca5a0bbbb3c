//! Notices to people: a row in the transaction of what they tell of, handed over by the
//! `AlertDispatcher`, tried again by a timer until a carrier has taken it.
//!
//! A notice holds plain facts, never a link or a token. Delays of ceremonies count from
//! `handed_over_at`: see [`handed_over`].

use std::time::Duration;

use ocmt_store::tables::Notice;
use ocmt_types::{NoticeId, Timestamp, UserId};

use crate::{
    effect::Effect,
    error::ActorError,
    ports::{Mail, MailBody},
    tenant::alert,
    work::Work,
};

/// Timer of a notice that was not handed over; its subject is the notice.
pub(crate) const TIMER: &str = "notice.hand_over";
const FIRST_RETRY: Duration = Duration::from_secs(10);
const LONGEST_RETRY: Duration = Duration::from_secs(3600);
/// After so many attempts, which take a week, a notice is given up.
const MOST_ATTEMPTS: i64 = 180;

/// What a notice says.
pub(crate) struct NoticeText<'a> {
    /// To which user of this tenant, if it is to one.
    pub(crate) user: Option<UserId>,
    /// To which address.
    pub(crate) address: &'a str,
    /// What it is: `ceremony.opened`.
    pub(crate) kind: &'a str,
    /// Its subject, an id as text.
    pub(crate) subject: &'a str,
    /// Facts by name.
    pub(crate) facts: &'a [(String, String)],
}

/// Writes a notice. It is handed over as soon as the transaction is committed.
pub(crate) async fn write(work: &mut Work, text: NoticeText<'_>) -> Result<NoticeId, ActorError> {
    let notice_id: NoticeId = work.env.id();
    let now = work.now;
    let row = Notice {
        tenant_id: work.ownership.tenant,
        notice_id,
        user_id: text.user,
        address: text.address.to_owned(),
        kind: text.kind.to_owned(),
        subject: text.subject.to_owned(),
        body: serde_json::to_vec(text.facts).unwrap_or_default(),
        created_at: now,
        attempts: 0,
        next_attempt_at: Some(now),
        handed_over_at: None,
    };
    work.tx.insert(&row).await?;
    work.set_timer(TIMER, &notice_id.to_string(), now, &[]).await?;
    Ok(notice_id)
}

/// The timer of a notice: hands it over, and sets the timer for the case that nobody takes it.
pub(crate) async fn retry(work: &mut Work, notice: &str) -> Result<(), ActorError> {
    let Ok(notice) = notice.parse::<NoticeId>() else {
        return Ok(());
    };
    let Some(mut row) = work.tx.get::<Notice>(notice).await? else {
        return Ok(());
    };
    if row.handed_over_at.is_some() {
        return Ok(());
    }
    if row.attempts >= MOST_ATTEMPTS {
        tracing::warn!(tenant = %work.ownership.tenant, %notice, attempts = row.attempts, "notice was given up: no carrier took it");
        row.next_attempt_at = None;
        work.tx.update(&row).await?;
        return Ok(());
    }
    let again = retry_at(work.now, row.attempts);
    row.attempts += 1;
    row.next_attempt_at = Some(again);
    work.tx.update(&row).await?;
    work.set_timer(TIMER, &notice.to_string(), again, &[]).await?;
    if row.kind.starts_with(alert::raise::KIND) {
        match alert::raise::mail(work, &row).await {
            Ok(Some(mail)) => work.then(Effect::HandOver(notice, mail)),
            // its channel was deleted
            Ok(None) => undeliverable(work, notice).await?,
            // as one that nobody takes: tried again, and given up in the end
            Err(lost) if lost.reason() == "SEALING_KEY" => {
                tracing::debug!(%notice, "the key of an alert's channel is missing, tried again later");
            }
            Err(error) => return Err(error),
        }
        return Ok(());
    }
    let facts = serde_json::from_slice(&row.body).unwrap_or_default();
    let body = MailBody::Notice { tenant: row.tenant_id, kind: row.kind, facts, at: row.created_at };
    work.then(Effect::HandOver(notice, Mail { id: notice, to: row.address, body }));
    Ok(())
}

/// A carrier has taken it: the time counts.
pub(crate) async fn handed_over(work: &mut Work, notice: NoticeId) -> Result<(), ActorError> {
    let Some(mut row) = work.tx.get::<Notice>(notice).await? else {
        return Ok(());
    };
    if row.handed_over_at.is_some() {
        return Ok(());
    }
    row.handed_over_at = Some(work.now);
    row.next_attempt_at = None;
    work.tx.update(&row).await?;
    work.tx.clear_timer(TIMER, &notice.to_string()).await?;
    // what counts from the hand-over hangs on here, by the notice's kind
    super::super::ceremony::tell::notified(work, &row).await
}

/// No carrier will ever take it to its addressee: it is given up, and what waits for its hand-over waits on. Nobody was
/// told, and a delay that counted all the same would count unseen.
pub(crate) async fn undeliverable(work: &mut Work, notice: NoticeId) -> Result<(), ActorError> {
    let Some(mut row) = work.tx.get::<Notice>(notice).await? else {
        return Ok(());
    };
    if row.handed_over_at.is_some() || row.next_attempt_at.is_none() {
        return Ok(());
    }
    tracing::warn!(tenant = %work.ownership.tenant, %notice, kind = row.kind, "notice was given up: its addressee is refused for good");
    row.next_attempt_at = None;
    work.tx.update(&row).await?;
    work.tx.clear_timer(TIMER, &notice.to_string()).await?;
    super::super::ceremony::tell::refused(work, &row).await
}

/// Whether its addressee is refused for good; not that nobody took it for a week.
pub(crate) fn is_refused(row: &Notice) -> bool {
    row.handed_over_at.is_none() && row.next_attempt_at.is_none() && row.attempts < MOST_ATTEMPTS
}

fn retry_at(now: Timestamp, attempts: i64) -> Timestamp {
    let doublings = u32::try_from(attempts).unwrap_or(0).min(12);
    now + FIRST_RETRY.saturating_mul(1 << doublings).min(LONGEST_RETRY)
}
