//! Reads that wait side by side in a lane, done in one transaction: the claim is checked, their caller looked up and the audit
//! written to the disk once for all of them. Each is decided, recorded and answered as if it were alone.

use std::mem;

use ocmt_types::Timestamp;
use tracing::Instrument as _;

use super::{Done, Outcome, Work, answered, begin, run, stand};
use crate::{
    audit,
    authorize::Standing,
    call::{Incoming, Repeat},
    effect::Effect,
    env::Scope,
    error::ActorError,
    work::Handle,
};

/// So many are done together at most: a change that waits behind them does not wait long.
pub(crate) const MOST: usize = 64;
/// After so many that were set aside, the rest is done one by one.
const ASIDE: usize = 2;

/// Why they were not done together.
enum Apart {
    /// This one was refused, or failed. Nothing of the others is left either.
    Of(usize),
    /// The transaction did not begin.
    All,
}

/// Runs them, in their order but for those that are refused.
pub(crate) async fn run_together<C: Handle + Clone>(scope: Scope, mut calls: Vec<Incoming<C>>) -> Outcome {
    const { assert!(matches!(C::REPEAT, Repeat::Runs), "a call whose answer is kept is run by itself") };
    let mut all = Outcome::default();
    let mut aside = 0;
    // whoever has gone is not read for
    calls.retain(|call| !call.reply.is_abandoned());
    while calls.len() > 1 && aside < ASIDE {
        let alone = match attempt(&scope, &mut calls).await {
            Ok(done) => {
                for (call, (answer, effects)) in mem::take(&mut calls).into_iter().zip(done) {
                    all.join(answered(call.reply, answer, Done { effects, answer_after: None }));
                }
                return all;
            }
            Err(Apart::Of(at)) => calls.remove(at),
            Err(Apart::All) => break,
        };
        aside += 1;
        all.join(run(scope.clone(), alone).await);
    }
    for call in calls {
        all.join(run(scope.clone(), call).await);
    }
    all
}

type Each<C> = Vec<(Result<<C as crate::call::Call>::Answer, ActorError>, Vec<Effect>)>;

async fn attempt<C: Handle + Clone>(scope: &Scope, calls: &mut [Incoming<C>]) -> Result<Each<C>, Apart> {
    let (clock, meters) = (&scope.env.clock, &scope.env.meters);
    let (begun, now) = (clock.boottime(), scope.env.now());
    let mut spans = Vec::with_capacity(calls.len());
    for (call, at) in calls.iter_mut().zip(0..) {
        call.reply.taken_up();
        if call.meta.deadline.has_passed(&**clock) || call.request.look(scope).await.is_err() {
            return Err(Apart::Of(at));
        }
        spans.push(call.reply.span(C::METHOD, scope.ownership.tenant));
    }
    let nobody =
        calls.first().map(|call| Standing::unknown((*call.caller).clone(), now)).ok_or(Apart::All)?;
    let mut work = begin(scope, nobody).await.map_err(|_| Apart::All)?;
    work.tx.gather();
    let mut done: Each<C> = Vec::with_capacity(calls.len());
    for ((call, at), span) in calls.iter_mut().zip(0..).zip(&spans) {
        call.reply.begun();
        let answer = one(&mut work, call, now).instrument(span.clone()).await.map_err(|_| Apart::Of(at))?;
        done.push((Ok(answer), mem::take(&mut work.effects)));
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
async fn one<C: Handle + Clone>(
    work: &mut Work,
    call: &Incoming<C>,
    now: Timestamp,
) -> Result<C::Answer, ActorError> {
    work.standing = Standing::unknown((*call.caller).clone(), now);
    stand::stand(work, C::METHOD).await?;
    let answer = call.request.clone().handle(work).await?;
    if work.answer_after.is_some() {
        // it waits for another tenant, and the others do not
        return Err(ActorError::Internal(call.caller.request));
    }
    audit::success(work, C::METHOD).await?;
    Ok(answer)
}
