//! The owner decides who is let through.

use ocmt_store::tables::{PairedSender as Row, Pairing};
use ocmt_types::{PairingId, SenderId};

use super::code;
use crate::{
    api::{
        pairing::{
            ApprovePairing, ListPairedSenders, ListPendingPairings, PairedSender, PendingPage,
            PendingPairing, RejectPairing, RevokePairedSender, SenderPage,
        },
        users::Done,
    },
    authorize::{Action, Object},
    error::ActorError,
    work::{Handle, Work},
};

/// Wrong codes that end a pairing.
const MOST_ATTEMPTS: i64 = 5;
/// Senders who are let through to one agent.
const MOST_SENDERS: i64 = 1_000;
const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 100;

impl Handle for ListPendingPairings {
    async fn handle(self, work: &mut Work) -> Result<PendingPage, ActorError> {
        let user = work.person()?;
        work.authorize(Action::ReadPairings, &Object::of(user))?;
        let limit = page(self.limit);
        let wait =
            Pairing::user_id.eq(user).and(Pairing::rejected.eq(false)).and(Pairing::expires_at.gt(work.now));
        let rows = match self.after {
            Some(after) => work.tx.find::<Pairing>(wait.after(&after).limit(limit)).await?,
            None => work.tx.find::<Pairing>(wait.limit(limit)).await?,
        };
        let next = rows.last().filter(|_| is_full(rows.len(), limit)).map(|row| row.pairing_id);
        let pairings = rows.into_iter().map(|row| PendingPairing {
            id: row.pairing_id,
            container: row.container_id,
            channel: row.channel,
            sender: row.sender_id,
            display_name: row.display_name,
            requested_at: row.created_at,
            expires_at: row.expires_at,
        });
        Ok(PendingPage { pairings: pairings.collect(), next })
    }
}

impl Handle for ApprovePairing {
    async fn handle(self, work: &mut Work) -> Result<PairedSender, ActorError> {
        let row = load(work, self.pairing).await?;
        if row.attempts >= MOST_ATTEMPTS {
            return Err(ActorError::precondition(
                "PAIRING_SPENT",
                "too many wrong codes: the sender gets another one when this one has ended",
            ));
        }
        if self.code.expose().len() != code::LEN || !code::fits(row.pairing_id, &self.code, &row.code_hash) {
            // counted, though the call is refused
            work.tx.update(&Pairing { attempts: row.attempts + 1, ..row }).await?;
            work.keeps_refusal = true;
            return Err(ActorError::precondition("WRONG_CODE", "this is not the code of this sender"));
        }
        if work.tx.count::<Row>(Row::container_id.eq(row.container_id)).await? >= MOST_SENDERS {
            return Err(ActorError::exhausted(
                "TOO_MANY_SENDERS",
                "an agent has at most 1000 paired senders",
            ));
        }
        work.tx.delete::<Pairing>(row.pairing_id).await?;
        let sender = Row {
            tenant_id: row.tenant_id,
            sender_ref: work.env.id(),
            user_id: row.user_id,
            container_id: row.container_id,
            channel: row.channel,
            sender_id: row.sender_id,
            display_name: row.display_name,
            approved_at: work.now,
        };
        work.tx.insert(&sender).await?;
        work.details = about(Some(sender.sender_ref), &sender.channel, &sender.sender_id);
        Ok(info(sender))
    }
}

impl Handle for RejectPairing {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        let row = load(work, self.pairing).await?;
        work.details = about(None, &row.channel, &row.sender_id);
        work.tx.update(&Pairing { rejected: true, ..row }).await?;
        Ok(Done)
    }
}

impl Handle for ListPairedSenders {
    async fn handle(self, work: &mut Work) -> Result<SenderPage, ActorError> {
        let user = work.person()?;
        work.authorize(Action::ReadPairings, &Object::of(user))?;
        let limit = page(self.limit);
        let own = Row::user_id.eq(user);
        let rows = match self.after {
            Some(after) => work.tx.find::<Row>(own.after(&after).limit(limit)).await?,
            None => work.tx.find::<Row>(own.limit(limit)).await?,
        };
        let next = rows.last().filter(|_| is_full(rows.len(), limit)).map(|row| row.sender_ref);
        Ok(SenderPage { senders: rows.into_iter().map(info).collect(), next })
    }
}

impl Handle for RevokePairedSender {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        let found = work.tx.get::<Row>(self.sender).await?;
        let row = work.authorize_found(Action::ChangePairings, found, |row| Object::of(row.user_id))?;
        work.tx.delete::<Row>(row.sender_ref).await?;
        work.object = format!("container/{}", row.container_id);
        work.details = about(Some(row.sender_ref), &row.channel, &row.sender_id);
        Ok(Done)
    }
}

/// Whom the audit names: the row is gone when somebody asks.
fn about(listed: Option<SenderId>, channel: &str, sender: &str) -> Vec<(String, String)> {
    let mut details =
        vec![("channel".to_owned(), channel.to_owned()), ("sender_id".to_owned(), sender.to_owned())];
    details.extend(listed.map(|sender_ref| ("sender".to_owned(), sender_ref.to_string())));
    details
}

/// A pairing of an agent of the caller that is neither over nor decided.
async fn load(work: &mut Work, pairing: PairingId) -> Result<Pairing, ActorError> {
    let now = work.now;
    let found = work.tx.get::<Pairing>(pairing).await?;
    let found = found.filter(|row| row.expires_at > now && !row.rejected);
    let row = work.authorize_found(Action::ChangePairings, found, |row| Object::of(row.user_id))?;
    work.object = format!("pairing/{pairing}");
    Ok(row)
}

fn page(asked: u32) -> u32 {
    if asked == 0 { PAGE } else { asked.min(LARGEST_PAGE) }
}

fn is_full(found: usize, limit: u32) -> bool {
    found >= usize::try_from(limit).unwrap_or(usize::MAX)
}

fn info(row: Row) -> PairedSender {
    PairedSender {
        id: row.sender_ref,
        container: row.container_id,
        channel: row.channel,
        sender: row.sender_id,
        display_name: row.display_name,
        approved_at: row.approved_at,
    }
}
