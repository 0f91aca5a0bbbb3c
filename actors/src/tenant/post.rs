//! Messages between tenants: an outbox row in the sender's transaction, brought by a [`letter`] into the
//! receiver's inbox on whichever node has it, once in effect however often it is delivered.
//!
//! - Send: [`Work::post`] in the transaction of the change. The caller's answer can wait for it
//!   ([`Work::answer_after`]); the sender's lane does not, so two tenants that write to each other
//!   never wait for each other.
//! - Take: `handlers::post::take`, one line per kind, in one transaction with the inbox row that
//!   keeps the answer. A refusal is not kept: nothing was done.
//! - After: `handlers::post::delivered` at the sender, in the transaction that removes the outbox
//!   row. A message that cannot be delivered is tried again by its timer.

use std::time::Duration;

use ocmt_store::tables::Outbox;
use ocmt_types::{Deadline, MessageId, TenantId, Timestamp};
use ractor::ActorRef;

use super::{TenantMessage, TenantState, handlers};
use crate::{
    audit,
    call::Reply,
    caller::Caller,
    effect::Effect,
    env::Scope,
    error::ActorError,
    letter::{self, Post, Posted},
    supervisor,
    work::{Answer, Outcome, SystemWork, Work, run_system},
};

/// Timer of a message that is not delivered yet; its subject is the message.
pub(super) const TIMER: &str = "post.retry";
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(15 * 60);
const DELIVERY_TAKES: Duration = Duration::from_secs(10);

/// A message of another tenant, at the receiver.
pub(crate) struct TakePost {
    pub(crate) from: TenantId,
    pub(crate) message: MessageId,
    pub(crate) kind: String,
    pub(crate) body: Vec<u8>,
    pub(crate) reply: Reply<Vec<u8>>,
}

impl Work {
    /// Writes a message to another tenant (or this one), delivered after the commit.
    pub(crate) async fn post(
        &mut self,
        to: TenantId,
        kind: &str,
        body: &[u8],
    ) -> Result<MessageId, ActorError> {
        let message: MessageId = self.env.id();
        self.write_letter(message, to, kind, body).await?;
        self.then(Effect::Posted(message));
        Ok(message)
    }

    /// The same where each letter has an effect of its own: repeats of a call under its idempotency key write one letter, which
    /// the receiver takes once and answers as the first time. One that was refused is decided again. Nor is there a second
    /// while an equal one is on its way: whoever was told that it could not be taken yet asks again under another key.
    pub(crate) async fn post_once(
        &mut self,
        to: TenantId,
        kind: &str,
        body: &[u8],
    ) -> Result<MessageId, ActorError> {
        let alike = Outbox::to_tenant.eq(to).and(Outbox::kind.eq(kind));
        let on_its_way = self.tx.find::<Outbox>(alike).await?.into_iter().find(|row| row.body == body);
        let message = match on_its_way {
            Some(row) => row.message_id,
            None => {
                let message = self.under_key.unwrap_or_else(|| self.env.id());
                self.write_letter(message, to, kind, body).await?;
                message
            }
        };
        self.then(Effect::Posted(message));
        Ok(message)
    }

    async fn write_letter(
        &mut self,
        message: MessageId,
        to: TenantId,
        kind: &str,
        body: &[u8],
    ) -> Result<(), ActorError> {
        let now = self.now;
        self.tx.send(message, to, kind, body, now).await?;
        self.set_timer(TIMER, &message.to_string(), now + FIRST_RETRY, &[]).await
    }
}

impl TenantState {
    /// Carries a committed message to its tenant, beside all other work.
    pub(super) fn deliver(&mut self, myself: &ActorRef<TenantMessage>, message: MessageId) {
        let (scope, myself) = (self.scope.clone(), myself.clone());
        let task = supervisor::task(async move {
            let result = carry(&scope, message).await;
            let _ = myself.cast(TenantMessage::Delivered(message, result));
        });
        self.deliveries.insert(message, task);
    }

    /// The receiver has answered, or could not be reached.
    pub(super) fn delivered(
        &mut self,
        myself: &ActorRef<TenantMessage>,
        message: MessageId,
        result: Result<Vec<u8>, ActorError>,
    ) {
        self.deliveries.remove(&message);
        let held = self.held.remove(&message);
        match result {
            Err(error) if !error.is_final() => {
                tracing::debug!(tenant = %self.scope.ownership.tenant, %message, %error, "message was not delivered, its timer tries again");
                if let Some(answer) = held {
                    answer(Err(error));
                }
            }
            settled => self.lane.push(myself, settle(self.scope.clone(), message, settled, held)),
        }
    }

    /// A message of another tenant.
    pub(super) fn take_post(&mut self, myself: &ActorRef<TenantMessage>, post: TakePost) {
        self.quiet.touch(self.scope.env.now());
        self.lane.push(myself, take(self.scope.clone(), post));
    }
}

/// When the next attempt is due after so many.
pub(super) fn retry_at(now: Timestamp, attempts: i64) -> Timestamp {
    let doublings = u32::try_from(attempts).unwrap_or(0).min(12);
    now + FIRST_RETRY.saturating_mul(1 << doublings).min(LONGEST_RETRY)
}

async fn carry(scope: &Scope, message: MessageId) -> Result<Vec<u8>, ActorError> {
    let row = {
        let mut tx = scope.read().await?;
        tx.get::<Outbox>(message).await?
    };
    // delivered meanwhile by the retry of its timer: its answer is not known here, its effect is there
    let Some(row) = row else {
        return Err(ActorError::unavailable("DELIVERED_ELSEWHERE", "repeat to see the result"));
    };
    let post = Post { from: scope.ownership.tenant, message, kind: row.kind, body: row.body };
    let deadline = Deadline::after(&*scope.env.clock, DELIVERY_TAKES);
    letter::send(&scope.env, row.to_tenant, post, deadline).await.map(|Posted(answer)| answer)
}

/// At the receiver: takes the message once, and answers a repeat with the first answer.
async fn take(scope: Scope, post: TakePost) -> Outcome {
    let TakePost { from, message, kind, body, reply } = post;
    let named = handlers::post::name_of(&kind);
    match run_system(&scope, Take { from, message, kind, body }).await {
        Ok((answer, effects)) => {
            let answer: Answer = Box::new(move |instead| reply.send(instead.and(Ok(answer))));
            Outcome { effects, answer: Some(answer), ..Outcome::default() }
        }
        Err(error) => {
            let error = audited(&scope, named, error).await;
            let terminal = error.is_terminal();
            reply.send(Err(error));
            Outcome { terminal, ..Outcome::default() }
        }
    }
}

/// What was refused is in the receiver's trail too; a refusal that cannot be audited is not given out.
async fn audited(scope: &Scope, named: &'static str, error: ActorError) -> ActorError {
    if !error.is_refusal() {
        return error;
    }
    let caller = Caller::system(scope.ownership.tenant, scope.env.request_id());
    audit::refusal(scope, &caller, named, &error).await.err().unwrap_or(error)
}

struct Take {
    from: TenantId,
    message: MessageId,
    kind: String,
    body: Vec<u8>,
}

impl SystemWork for Take {
    type Output = Vec<u8>;
    async fn perform(self, work: &mut Work) -> Result<Vec<u8>, ActorError> {
        if let Some(answer) = work.tx.answered(self.from, self.message).await? {
            return Ok(answer);
        }
        let answer = handlers::post::take(work, self.from, &self.kind, &self.body).await?;
        let now = work.now;
        work.tx.answer(self.from, self.message, &self.kind, &answer, now).await?;
        Ok(answer)
    }
}

/// At the sender: what follows from the answer, with the removal of the row.
async fn settle(
    scope: Scope,
    message: MessageId,
    result: Result<Vec<u8>, ActorError>,
    held: Option<Answer>,
) -> Outcome {
    let instead = result.as_ref().map(drop).map_err(Clone::clone);
    let (effects, instead, terminal) = match run_system(&scope, Settle { message, result }).await {
        Ok(((), effects)) => (effects, instead, false),
        Err(error) => (Vec::new(), Err(error.clone()), error.is_terminal()),
    };
    let answer = held
        .map(|held| -> Answer { Box::new(move |later: Result<(), ActorError>| held(later.and(instead))) });
    Outcome { effects, answer, terminal, ..Outcome::default() }
}

struct Settle {
    message: MessageId,
    result: Result<Vec<u8>, ActorError>,
}

impl SystemWork for Settle {
    type Output = ();
    async fn perform(self, work: &mut Work) -> Result<(), ActorError> {
        let Some(row) = work.tx.take::<Outbox>(self.message).await? else {
            return Ok(());
        };
        work.tx.clear_timer(TIMER, &self.message.to_string()).await?;
        handlers::post::delivered(work, &row, &self.result).await
    }
}
