//! The frame around every piece of work on a tenant's state.
//!
//! [`run`] opens one fenced transaction, loads what the caller is today ([`Standing`]), replays a
//! repeated mutation, lets the handler work, writes the audit record, and commits; a refusal is
//! rolled back and audited in a transaction of its own. So no handler can forget any of it. What
//! a handler decides on it reads inside that transaction: the memory of actors is only a cache.

mod outcome;
mod repeat;
mod stand;
mod together;

use std::sync::{Arc, atomic::Ordering};

use ocmt_store::{FencedTx, Idempotent, StoreError};
use ocmt_types::{MessageId, Ownership, Timestamp, UserId};
pub(crate) use outcome::{Answer, Outcome, both};
pub(crate) use together::{MOST as MOST_TOGETHER, Together, run_together};
use tracing::Instrument as _;

use crate::{
    audit,
    authorize::{Action, Denied, Object, Standing, authorize, authorize_found},
    call::{Call, CallMeta, Incoming, Repeat, Reply},
    caller::{Caller, Principal, SignedIn},
    effect::Effect,
    env::{Env, Scope},
    error::ActorError,
};

/// What a handler works with: the transaction, the caller as the state knows him, and what to do
/// after the commit.
pub(crate) struct Work {
    /// The only way to write.
    pub(crate) tx: FencedTx,
    pub(crate) env: Arc<Env>,
    pub(crate) ownership: Ownership,
    pub(crate) standing: Standing,
    /// One time for the whole piece of work.
    pub(crate) now: Timestamp,
    /// Done by the tenant's actor after the commit, in this order.
    pub(crate) effects: Vec<Effect>,
    /// For the audit record: what it was done to, as text without secrets (`vault/<id>`).
    pub(crate) object: String,
    /// For the audit record: more, as names and values without secrets; at most 16 of 512 bytes.
    pub(crate) details: Vec<(String, String)>,
    /// Answer only when this message was taken by its tenant.
    pub(crate) answer_after: Option<MessageId>,
    /// Of a call under an idempotency key: the letter that its repeats write too ([`Work::post_once`]).
    pub(crate) under_key: Option<MessageId>,
    /// What was written stays although the call is refused: a wrong code is counted.
    pub(crate) keeps_refusal: bool,
    /// A further page of a stream, or a further request to a workload: an earlier record stands for it.
    pub(crate) of_stream: bool,
}

impl Work {
    /// The frame around an open transaction.
    pub(crate) fn around(tx: FencedTx, env: Arc<Env>, standing: Standing) -> Self {
        Self {
            ownership: tx.ownership(),
            tx,
            env,
            now: standing.now,
            standing,
            effects: Vec::new(),
            object: String::new(),
            details: Vec::new(),
            answer_after: None,
            under_key: None,
            keeps_refusal: false,
            of_stream: false,
        }
    }

    /// Decides about a thing that is there.
    pub(crate) fn authorize(&self, action: Action, object: &Object) -> Result<(), Denied> {
        authorize(&self.standing, action, object)
    }

    /// Decides about a thing that may not be there: unknown and foreign answer alike.
    pub(crate) fn authorize_found<T>(
        &self,
        action: Action,
        found: Option<T>,
        object: impl FnOnce(&T) -> Object,
    ) -> Result<T, Denied> {
        authorize_found(&self.standing, action, found, object)
    }

    /// The signed-in user behind the call.
    pub(crate) fn user(&self) -> Result<SignedIn, ActorError> {
        self.standing.caller.user().ok_or(ActorError::Unauthenticated("a session is needed"))
    }

    /// Whose call it is, in a session or by an API key.
    pub(crate) fn person(&self) -> Result<UserId, ActorError> {
        self.standing.caller.person().ok_or(ActorError::Unauthenticated("a session or an API key is needed"))
    }

    /// Refuses to write what is wrapped under a generation of the sealing key that was given up meanwhile.
    pub(crate) async fn check_wrapped(&mut self, wrapped: &[u8]) -> Result<(), ActorError> {
        if self.tx.may_write_wrapped(wrapped).await? {
            return Ok(());
        }
        Err(ActorError::unavailable("SEALING_KEY", "a newer sealing key is in force; repeat"))
    }

    /// Adds an effect.
    pub(crate) fn then(&mut self, effect: Effect) {
        self.effects.push(effect);
    }
}

/// The work behind a request type. The handler of a call is this method, in the folder of the actor
/// that owns the state.
pub(crate) trait Handle: Call {
    /// A look before the transaction, for what strangers may ask: whoever shows a token that was made up
    /// costs a read and no write.
    fn look(&self, _: &Scope) -> impl Future<Output = Result<(), ActorError>> + Send {
        std::future::ready(Ok(()))
    }
    /// Does it, inside `work.tx`. Everything written is undone if this fails.
    fn handle(self, work: &mut Work) -> impl Future<Output = Result<Self::Answer, ActorError>> + Send;
}

/// Work in the frame of calls: a handler, or another part of a call.
pub(crate) trait Piece: Send + 'static {
    /// What comes out.
    type Answer: Send + 'static;
    /// Service and method, as audit records name it.
    const METHOD: &'static str;
    /// What a repeat gets.
    const REPEAT: Repeat;
    /// The answer in the form that is stored for repeats.
    fn encode(answer: &Self::Answer) -> Option<Vec<u8>>;
    /// A stored answer.
    fn decode(stored: &[u8]) -> Option<Self::Answer>;
    /// As [`Handle::look`].
    fn look(&self, _: &Scope) -> impl Future<Output = Result<(), ActorError>> + Send {
        std::future::ready(Ok(()))
    }
    /// Before a stored answer is given out to a repeat: `true` if it leads to something, and whoever repeats has been
    /// found to have the right to it still.
    fn again(
        answer: Self::Answer,
        _: &mut Work,
    ) -> impl Future<Output = Result<(Self::Answer, bool), ActorError>> + Send {
        std::future::ready(Ok((answer, false)))
    }
    /// Does it, inside `work.tx`.
    fn work(self, work: &mut Work) -> impl Future<Output = Result<Self::Answer, ActorError>> + Send;
}

impl<C: Handle> Piece for C {
    type Answer = C::Answer;
    const METHOD: &'static str = C::METHOD;
    const REPEAT: Repeat = C::REPEAT;
    fn encode(answer: &C::Answer) -> Option<Vec<u8>> {
        C::encode(answer)
    }
    fn decode(stored: &[u8]) -> Option<C::Answer> {
        C::decode(stored)
    }
    fn look(&self, scope: &Scope) -> impl Future<Output = Result<(), ActorError>> + Send {
        Handle::look(self, scope)
    }
    fn work(self, work: &mut Work) -> impl Future<Output = Result<C::Answer, ActorError>> + Send {
        self.handle(work)
    }
}

/// Work that no caller asks for: timers, messages from other tenants. Not audited by the frame;
/// it audits itself where it changes what people see.
pub(crate) trait SystemWork: Send + 'static {
    /// What comes out.
    type Output: Send;
    /// Does it, inside `work.tx`.
    fn perform(self, work: &mut Work) -> impl Future<Output = Result<Self::Output, ActorError>> + Send;
}

/// Runs a call from its deadline to its answer.
pub(crate) async fn run<C: Handle>(scope: Scope, incoming: Incoming<C>) -> Outcome {
    let span = incoming.reply.span(C::METHOD, scope.ownership.tenant);
    worked_on(scope, incoming).instrument(span).await
}

async fn worked_on<C: Handle>(scope: Scope, incoming: Incoming<C>) -> Outcome {
    let Incoming { request, caller, meta, mut reply } = incoming;
    reply.taken_up();
    if meta.deadline.has_passed(&*scope.env.clock) {
        reply.send(Err(ActorError::DeadlineExceeded));
        return Outcome::default();
    }
    match audited(&scope, request, &caller, &meta, || reply.begun()).await {
        Ok((answer, done)) => answered(reply, answer, done),
        Err(error) => answered(reply, Err(error), Done::default()),
    }
}

/// Runs a part of a call in the frame of calls; the rest of it answers.
pub(crate) async fn perform<P: Piece>(
    scope: &Scope,
    piece: P,
    caller: &Caller,
    meta: &CallMeta,
) -> Result<(P::Answer, Vec<Effect>), ActorError> {
    if meta.deadline.has_passed(&*scope.env.clock) {
        return Err(ActorError::DeadlineExceeded);
    }
    let (answer, done) = audited(scope, piece, caller, meta, || {}).await?;
    answer.map(|answer| (answer, done.effects))
}

async fn audited<P: Piece>(
    scope: &Scope,
    piece: P,
    caller: &Caller,
    meta: &CallMeta,
    begins: impl FnOnce() + Send,
) -> Result<(Result<P::Answer, ActorError>, Done), ActorError> {
    let (clock, meters) = (&scope.env.clock, &scope.env.meters);
    let begun = clock.boottime();
    let done = attempt(scope, piece, caller, meta, begins).await.inspect(|_| scope.recorded());
    meters.handled(P::METHOD, clock.boottime().saturating_sub(begun));
    let error = match done {
        Ok(done) => return Ok(done),
        Err(error) => error,
    };
    Err(failed(scope, caller, P::METHOD, error).await)
}

/// Counts a call that failed, and writes it down if it was refused; what whoever asked is told.
async fn failed(scope: &Scope, caller: &Caller, method: &'static str, error: ActorError) -> ActorError {
    if error.is_moved() {
        scope.env.meters.fenced();
    }
    if matches!(caller.principal, Principal::Anonymous) {
        // strangers can be refused as often as they like: counted, and never written down for ever
        let so_far = scope.env.strangers_refused.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::debug!(tenant = %scope.ownership.tenant, so_far, "stranger refused");
    } else if error.is_refusal()
        && let Err(unwritten) = audit::refusal(scope, caller, method, &error).await
    {
        // a refusal that cannot be audited is not given out as one: fail closed
        return unwritten;
    }
    tracing::debug!(tenant = %scope.ownership.tenant, request = %caller.request, method, %error, "call failed");
    error
}

/// Runs work that nobody waits for.
pub(crate) async fn run_system<S: SystemWork>(
    scope: &Scope,
    work: S,
) -> Result<(S::Output, Vec<Effect>), ActorError> {
    let caller = Caller::system(scope.ownership.tenant, scope.env.request_id());
    let now = scope.env.now();
    let mut frame = begin(scope, Standing::unknown(caller, now)).await?;
    let output = work.perform(&mut frame).await?;
    frame.tx.commit().await?;
    scope.recorded();
    Ok((output, frame.effects))
}

/// What is left of the work after its commit.
#[derive(Default)]
struct Done {
    effects: Vec<Effect>,
    answer_after: Option<MessageId>,
}

fn answered<T: Send + 'static>(reply: Reply<T>, answer: Result<T, ActorError>, done: Done) -> Outcome {
    let terminal = answer.as_ref().err().is_some_and(ActorError::is_terminal);
    let outcome = answer.as_ref().map_or_else(ActorError::reason, |_| "OK");
    tracing::Span::current().record("outcome", outcome);
    let answer: Answer = Box::new(move |instead| reply.send(instead.and(answer)));
    Outcome {
        effects: done.effects,
        answer: Some(answer),
        answer_after: done.answer_after,
        looked: false,
        terminal,
    }
}

async fn attempt<P: Piece>(
    scope: &Scope,
    piece: P,
    caller: &Caller,
    meta: &CallMeta,
    begins: impl FnOnce() + Send,
) -> Result<(Result<P::Answer, ActorError>, Done), ActorError> {
    piece.look(scope).await.map_err(ActorError::before_it_was_read)?;
    let now = scope.env.now();
    let mut work =
        begin(scope, Standing::unknown(caller.clone(), now)).await.map_err(ActorError::before_it_was_read)?;
    begins();
    match stand::stand(&mut work, P::METHOD).await {
        Err(refused) if work.keeps_refusal => return kept(work, P::METHOD, refused).await,
        other => other?,
    }
    let mut fresh = None;
    if let (Repeat::Replays, Some(key)) = (P::REPEAT, &meta.idempotency) {
        match repeat::look_up(&mut work, key, P::METHOD).await? {
            Idempotent::Fresh(first) => fresh = Some(first),
            Idempotent::Replay(stored) => return repeat::repeated::<P>(work, &stored).await,
            Idempotent::Mismatch => {
                return Err(ActorError::invalid(
                    "idempotency_key",
                    "was used for another request: take a fresh one",
                ));
            }
        }
    }
    let answer = match piece.work(&mut work).await {
        Err(refused) if work.keeps_refusal => return kept(work, P::METHOD, refused).await,
        other => other?,
    };
    // an answer that waits for another tenant is not known yet: such handlers are repeatable themselves, or post once
    if let (Some(fresh), None) = (fresh, work.answer_after) {
        let encoded = P::encode(&answer).ok_or(ActorError::Internal(caller.request))?;
        work.tx.remember(fresh, &encoded, now).await?;
    }
    if !work.of_stream {
        audit::success(&mut work, P::METHOD).await?;
    }
    work.tx.commit().await?;
    Ok((Ok(answer), Done { effects: work.effects, answer_after: work.answer_after }))
}

/// A refusal whose writes stay.
async fn kept<T>(
    mut work: Work,
    method: &'static str,
    refused: ActorError,
) -> Result<(Result<T, ActorError>, Done), ActorError> {
    audit::kept_refusal(&mut work, method, &refused).await?;
    work.tx.commit().await?;
    Ok((Err(refused), Done { effects: work.effects, answer_after: None }))
}

async fn begin(scope: &Scope, standing: Standing) -> Result<Work, ActorError> {
    let tx = scope.fenced().await?;
    Ok(Work::around(tx, Arc::clone(&scope.env), standing))
}

impl From<StoreError> for ActorError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Fenced => Self::moved(),
            StoreError::OutcomeUnknown(what) => {
                tracing::warn!(%what, "outcome of a commit is unknown");
                Self::OutcomeUnknown
            }
            StoreError::AlreadyExists { table } => Self::AlreadyExists(table),
            StoreError::TooMany { .. } => Self::exhausted(
                "TOO_MANY_TENANTS",
                "this address belongs to as many tenants as one may: leave one of them, or use another address",
            ),
            StoreError::Conflict => {
                Self::unavailable("STORE_CONFLICT", "a parallel change came first; repeat")
            }
            StoreError::Full => Self::unavailable("STORE_FULL", "no space is left for writes"),
            StoreError::Unavailable(_) | StoreError::Locked(_) => {
                Self::unavailable("STORE_UNAVAILABLE", "the store does not answer")
            }
            other => {
                tracing::error!(error = %other, "store failed");
                Self::unavailable("STORE_FAILED", "the store failed; the operator has been told")
            }
        }
    }
}
