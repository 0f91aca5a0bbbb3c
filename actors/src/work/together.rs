//! Reads that wait side by side in a lane, done in one transaction: the claim is checked, their caller looked up and the audit
//! written to the disk once for all of them. Each is decided, recorded and answered as if it were alone.
//!
//! Whoever comes while the transaction is open joins it: the tenant has no other writer until it ends, so what was read in it
//! is what there is.

use std::mem;

use tracing::{Instrument as _, Span};

use super::{Done, Outcome, Work, answered, begin, failed, run, stand};
use crate::{
    audit,
    authorize::Standing,
    call::{Call, Incoming, Repeat},
    effect::Effect,
    env::Scope,
    error::ActorError,
    work::Handle,
};

/// So many are done together at most: a change that waits behind them does not wait long.
pub(crate) const MOST: usize = 64;
/// After so many that were set aside, the rest is done one by one.
const ASIDE: usize = 2;

/// Calls that may share a transaction: they read, whoever asks is who may, so they have no [`Handle::look`], and their
/// answers wait for nobody.
pub(crate) trait Together: Handle + Clone {}

/// Where those come from that are to be done: gives whoever has come since it was last asked. Once it has nobody to give,
/// nobody comes any more.
pub(crate) trait More<C: Call>: FnMut() -> Vec<Incoming<C>> + Send {}

impl<C: Call, F: FnMut() -> Vec<Incoming<C>> + Send> More<C> for F {}

/// Why they were not done together.
enum Apart {
    /// The first of them was refused, or failed, as it would have been alone: nothing was done before it.
    First(ActorError, Span),
    /// This one was, behind others. Nothing of the others is left either.
    Of(usize),
}

/// Runs them, in their order but for those that are refused.
pub(crate) async fn run_together<C: Together>(scope: Scope, mut more: impl More<C>) -> Outcome {
    const { assert!(matches!(C::REPEAT, Repeat::Runs), "a call whose answer is kept is run by itself") };
    let mut all = Outcome::default();
    let mut calls = taken_up(&scope, &mut more);
    let mut aside = 0;
    while !calls.is_empty() && aside < ASIDE {
        match attempt(&scope, &mut calls, &mut more).await {
            Ok(done) => {
                for (call, (answer, effects)) in calls.into_iter().zip(done) {
                    all.join(answered(call.reply, answer, Done { effects, answer_after: None }));
                }
                return all;
            }
            Err(Apart::First(error, span)) => {
                let Incoming { caller, reply, .. } = calls.remove(0);
                let error = failed(&scope, &caller, C::METHOD, error).await;
                all.join(span.in_scope(|| answered(reply, Err(error), Done::default())));
            }
            Err(Apart::Of(at)) => {
                aside += 1;
                let alone = calls.remove(at);
                all.join(run(scope.clone(), alone).await);
            }
        }
        // it took its time, and may take it again
        calls = calls.into_iter().filter_map(|call| if_waited_for(&scope, call)).collect();
        if calls.is_empty() {
            calls = taken_up(&scope, &mut more);
        }
    }
    while !calls.is_empty() {
        for call in mem::take(&mut calls) {
            all.join(run(scope.clone(), call).await);
        }
        calls = taken_up(&scope, &mut more);
    }
    all
}

/// Whoever has come and is waited for; if there is nobody, nobody comes any more.
fn taken_up<C: Call>(scope: &Scope, more: &mut impl More<C>) -> Vec<Incoming<C>> {
    loop {
        let come = more();
        let nobody = come.is_empty();
        let calls: Vec<_> = come.into_iter().filter_map(|call| if_waited_for(scope, call)).collect();
        if nobody || !calls.is_empty() {
            return calls;
        }
    }
}

/// The call, unless whoever asked has gone or is told that it is too late.
fn if_waited_for<C: Call>(scope: &Scope, mut call: Incoming<C>) -> Option<Incoming<C>> {
    call.reply.taken_up();
    if call.reply.is_abandoned() {
        return None;
    }
    if call.meta.deadline.has_passed(&*scope.env.clock) {
        call.reply.send(Err(ActorError::DeadlineExceeded));
        return None;
    }
    Some(call)
}

type Each<C> = Vec<(Result<<C as Call>::Answer, ActorError>, Vec<Effect>)>;

/// Does all of `calls` in one transaction, and whoever comes before its end.
async fn attempt<C: Together>(
    scope: &Scope,
    calls: &mut Vec<Incoming<C>>,
    more: &mut impl More<C>,
) -> Result<Each<C>, Apart> {
    let (clock, meters) = (&scope.env.clock, &scope.env.meters);
    let Some(first) = calls.first() else { return Ok(Vec::new()) };
    let begun = clock.boottime();
    let span = first.reply.span(C::METHOD, scope.ownership.tenant);
    let nobody = Standing::unknown((*first.caller).clone(), scope.env.now());
    let mut work = match begin(scope, nobody).await {
        Ok(work) => work,
        Err(error) => {
            meters.handled(C::METHOD, clock.boottime().saturating_sub(begun));
            return Err(Apart::First(error.before_it_was_read(), span));
        }
    };
    work.tx.gather();
    let mut of_first = Some(span);
    let mut done: Each<C> = Vec::with_capacity(calls.len());
    let mut spans = Vec::with_capacity(calls.len());
    loop {
        while let Some(call) = calls.get_mut(done.len()) {
            let span = of_first.take();
            let span = span.unwrap_or_else(|| call.reply.span(C::METHOD, scope.ownership.tenant));
            call.reply.begun();
            match one(&mut work, call).instrument(span.clone()).await {
                Ok(answer) => done.push((Ok(answer), mem::take(&mut work.effects))),
                // what it has written and what it waits for is the business of one that is alone
                Err(error) if done.is_empty() && !work.keeps_refusal && work.answer_after.is_none() => {
                    meters.handled(C::METHOD, clock.boottime().saturating_sub(begun));
                    return Err(Apart::First(error, span));
                }
                Err(_) => return Err(Apart::Of(done.len())),
            }
            spans.push(span);
        }
        match taken_up(scope, more) {
            nobody if nobody.is_empty() => break,
            come => calls.extend(come),
        }
    }
    let committed = work.tx.commit().await.map_err(ActorError::from);
    match &committed {
        Ok(()) => scope.recorded(),
        Err(error) if error.is_moved() => meters.fenced(),
        Err(_) => {}
    }
    for ((answer, effects), span) in done.iter_mut().zip(&spans) {
        meters.handled(C::METHOD, clock.boottime().saturating_sub(begun));
        span.record("outcome", committed.as_ref().map_or_else(ActorError::reason, |()| "OK"));
        if let Err(error) = &committed {
            (*answer, *effects) = (Err(error.clone()), Vec::new());
        }
    }
    Ok(done)
}

/// One of them, in the transaction of all.
async fn one<C: Together>(work: &mut Work, call: &Incoming<C>) -> Result<C::Answer, ActorError> {
    // it may have come after the transaction began: it is decided by its own time
    work.now = work.env.now();
    work.standing = Standing::unknown((*call.caller).clone(), work.now);
    stand::stand(work, C::METHOD).await?;
    let answer = call.request.clone().handle(work).await?;
    if work.answer_after.is_some() {
        // it waits for another tenant, and the others do not
        return Err(ActorError::Internal(call.caller.request));
    }
    audit::success(work, C::METHOD).await?;
    Ok(answer)
}
