//! Durable timers. The row is the timer; the actor's own alarm is only its fast path.
//!
//! Set one with [`Work::set_timer`] in the transaction of the change it belongs to. To fire is to
//! *take* the row if it is due, in the transaction of what firing does: so an alarm that comes
//! early, late or twice does nothing wrong. What firing of a kind does is one line in
//! `handlers::timers`. Tenants that sleep are woken by the `ReminderActor`.

use std::time::Duration;

use ocmt_store::{Filter, tables::Timer};
use ocmt_types::Timestamp;
use ractor::ActorRef;

use super::{TenantMessage, TenantState, handlers};
use crate::{
    effect::Effect,
    env::Scope,
    error::ActorError,
    supervisor::{self, Task},
    work::{Outcome, SystemWork, Work, run_system},
};

/// The next look at the rows.
pub(super) struct Alarm {
    at: Timestamp,
    _task: Task,
}

/// Firings of one piece of work in the lane; the rest waits behind other work.
const BATCH: usize = 32;
/// A firing that failed is tried again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

impl Work {
    /// Sets the timer (`kind`, `subject`), in place of an earlier one.
    pub(crate) async fn set_timer(
        &mut self,
        kind: &str,
        subject: &str,
        due_at: Timestamp,
        payload: &[u8],
    ) -> Result<(), ActorError> {
        self.tx.set_timer(kind, subject, due_at, payload).await?;
        self.then(Effect::TimerSet(due_at));
        Ok(())
    }
}

impl TenantState {
    /// Looks at the rows at the latest at `at`.
    pub(super) fn arm(&mut self, myself: &ActorRef<TenantMessage>, at: Timestamp) {
        let now = self.scope.env.now();
        if self.alarm.as_ref().is_some_and(|alarm| alarm.at <= at && alarm.at > now) {
            return;
        }
        let (myself, wait) = (myself.clone(), at.since(now));
        let task = supervisor::task(async move {
            tokio::time::sleep(wait).await;
            let _ = myself.cast(TenantMessage::TimerDue);
        });
        self.alarm = Some(Alarm { at, _task: task });
    }

    pub(super) fn fire_due(&mut self, myself: &ActorRef<TenantMessage>) {
        if !std::mem::replace(&mut self.looking, true) {
            self.lane.push(myself, fire_all(self.scope.clone()));
        }
    }
}

async fn fire_all(scope: Scope) -> Outcome {
    let mut effects = Vec::new();
    match fire_batch(&scope, &mut effects).await {
        Ok(()) => Outcome { effects, looked: true, ..Outcome::default() },
        Err(error) => {
            tracing::debug!(tenant = %scope.ownership.tenant, %error, "timers could not be looked at");
            effects.push(Effect::TimerSet(scope.env.now() + AGAIN_AFTER));
            Outcome { effects, looked: true, terminal: error.is_terminal(), ..Outcome::default() }
        }
    }
}

async fn fire_batch(scope: &Scope, effects: &mut Vec<Effect>) -> Result<(), ActorError> {
    for _ in 0..BATCH {
        let next = {
            let mut tx = scope.read().await?;
            tx.first::<Timer>(Filter::all().asc(Timer::due_at)).await?
        };
        let Some(timer) = next else { return Ok(()) };
        if timer.due_at > scope.env.now() {
            effects.push(Effect::TimerSet(timer.due_at));
            return Ok(());
        }
        match run_system(scope, Fire(timer.clone())).await {
            Ok(((), more)) => effects.extend(more),
            Err(error) if error.is_terminal() => return Err(error),
            Err(error) => {
                tracing::warn!(tenant = %scope.ownership.tenant, kind = timer.kind, %error, "timer failed, tried again later");
                run_system(scope, Postpone(timer)).await?;
            }
        }
    }
    effects.push(Effect::TimerSet(scope.env.now()));
    Ok(())
}

struct Fire(Timer);

impl SystemWork for Fire {
    type Output = ();
    async fn perform(self, work: &mut Work) -> Result<(), ActorError> {
        let now = work.now;
        match work.tx.take_due_timer(&self.0.kind, &self.0.subject, now).await? {
            Some(timer) => handlers::timers::fire(work, timer).await,
            None => Ok(()),
        }
    }
}

struct Postpone(Timer);

impl SystemWork for Postpone {
    type Output = ();
    async fn perform(self, work: &mut Work) -> Result<(), ActorError> {
        let at = work.now + AGAIN_AFTER;
        work.set_timer(&self.0.kind, &self.0.subject, at, &self.0.payload).await
    }
}
