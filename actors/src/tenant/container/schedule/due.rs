//! A schedule is due.
//!
//! To fire is to *take* the time: one transaction, under the fence, moves the schedule to its next time, sets the timer
//! for that and orders the wake. So a time is taken once, whoever else looks and whatever is killed when. The order itself
//! may be lost on its way: a second timer orders again until the wake is known to have been done, and since a wake
//! of what runs does nothing, once too often does no harm.

use std::time::Duration;

use ocmt_crypto::audit::Outcome;
use ocmt_store::tables::{Container, ContainerState, Schedule};
use ocmt_types::{ScheduleId, UserId};

use super::{
    super::{acts, load_free},
    times::{LATE, Times, fires_at},
};
use crate::{
    api::container::{Wake, WakeKind},
    audit,
    authorize::Action,
    call::Reply,
    clip::clip,
    effect::Effect,
    env::Scope,
    error::ActorError,
    host::{
        container::row::CUT_OFF,
        message::{Job, JobKind, What},
        tell,
    },
    supervisor,
    tenant::today,
    work::{SystemWork, Work, run_system},
};

/// Timer of the next time; its subject is the schedule.
pub(in crate::tenant) const DUE: &str = "schedule.due";
/// Timer of a wake that is not known to have been done; its subject is the schedule.
pub(in crate::tenant) const AGAIN: &str = "schedule.again";

/// A wake is ordered so often at most.
const TRIES: i64 = 4;
/// Whoever wakes has so long; past it the order is given again.
const WAKE_WITHIN: Duration = Duration::from_secs(55);

/// Sets the timer of the schedule as it is now.
pub(super) async fn set(work: &mut Work, row: &Schedule) -> Result<(), ActorError> {
    let subject = row.schedule_id.to_string();
    work.tx.clear_timer(AGAIN, &subject).await?;
    match row.next_at {
        Some(next) => work.set_timer(DUE, &subject, fires_at(row.schedule_id, next), &[]).await,
        None => {
            work.tx.clear_timer(DUE, &subject).await?;
            Ok(())
        }
    }
}

/// The schedule goes.
pub(super) async fn clear(work: &mut Work, schedule: ScheduleId) -> Result<(), ActorError> {
    let subject = schedule.to_string();
    work.tx.clear_timer(DUE, &subject).await?;
    work.tx.clear_timer(AGAIN, &subject).await?;
    Ok(())
}

/// Takes the time that is due, and names the next.
pub(in crate::tenant) async fn fire(work: &mut Work, subject: &str) -> Result<(), ActorError> {
    let Some(row) = row_of(work, subject).await? else { return Ok(()) };
    let (Some(due), now) = (row.next_at, work.now) else { return Ok(()) };
    let next = match Times::parse(&row.cron, &row.time_zone) {
        Ok(times) => times.next(now, Some(due)),
        // its zone is in the tables no more: it rests until its user writes another
        Err(error) => {
            tracing::warn!(schedule = %row.schedule_id, %error, "stored schedule cannot be read");
            None
        }
    };
    let row = Schedule { next_at: next, last_at: Some(due), ordered_at: None, tries: 0, ..row };
    work.tx.update(&row).await?;
    set(work, &row).await?;
    let about = vec![("due".to_owned(), due.0.to_string())];
    if now.since(due) > LATE {
        return note(work, &row, "schedule.missed", Outcome::Failed, about).await;
    }
    match admitted(work, &row).await {
        Ok(container) => {
            note(work, &row, "schedule.due", Outcome::Allowed, about).await?;
            order(work, row, &container).await
        }
        Err(error) => skip(work, &row, about, error).await,
    }
}

/// A wake that was ordered is not known to have been done: it is ordered again, or given up.
pub(in crate::tenant) async fn again(work: &mut Work, subject: &str) -> Result<(), ActorError> {
    let Some(row) = row_of(work, subject).await? else { return Ok(()) };
    let Some(ordered_at) = row.ordered_at else { return Ok(()) };
    let Some(container) = work.tx.get::<Container>(row.container_id).await? else {
        return settle(work, &row).await;
    };
    // it woke, and may sleep again by now; how it was brought back, nobody said
    if container.observed == ContainerState::Running || container.active_at >= ordered_at {
        settle(work, &row).await?;
        let details = vec![("wake_kind".to_owned(), "unknown".to_owned())];
        return note(work, &row, "schedule.woke", Outcome::Allowed, details).await;
    }
    let container = match admitted(work, &row).await {
        Ok(container) => container,
        Err(error) => {
            settle(work, &row).await?;
            return skip(work, &row, Vec::new(), error).await;
        }
    };
    if row.tries >= TRIES {
        settle(work, &row).await?;
        let why = container
            .failure
            .as_deref()
            .map_or_else(|| "no wake of several was done".to_owned(), |why| clip(why, 500));
        return note(work, &row, "schedule.failed", Outcome::Failed, vec![("why".to_owned(), why)]).await;
    }
    order(work, row, &container).await
}

/// Orders the wake, and sets the timer that orders it again.
async fn order(work: &mut Work, row: Schedule, container: &Container) -> Result<(), ActorError> {
    // the first order is what a later one is measured by
    let ordered_at = row.ordered_at.unwrap_or(work.now);
    let row = Schedule { ordered_at: Some(ordered_at), tries: row.tries + 1, ..row };
    work.tx.update(&row).await?;
    let again = work.now + CUT_OFF * u32::try_from(row.tries).unwrap_or(1);
    work.set_timer(AGAIN, &row.schedule_id.to_string(), again, &[]).await?;
    work.then(Effect::Scheduled(container.into(), container.user_id, Box::new(row)));
    Ok(())
}

/// What the tenant's actor does after the commit: the order, and whoever waits for its answer.
pub(in crate::tenant) fn wake(scope: &Scope, user: UserId, row: Schedule) -> What {
    let env = &scope.env;
    let (reply, woken) = Reply::new(env.request_id(), None);
    let scope = scope.clone();
    // bounded by the deadline of the order
    let deadline = ocmt_types::Deadline::after(&*env.clock, WAKE_WITHIN);
    let since = env.clock.boottime();
    let own = row.user_id == user;
    supervisor::detach(async move {
        let Ok(result) = woken.await else { return };
        let result = result.map(|woken: crate::api::container::Woken| woken.wake);
        match run_system(&scope, Woken { row, result }).await {
            Ok(((), effects)) => tell(&scope, effects),
            // the timer orders again
            Err(error) => tracing::debug!(%error, "scheduled wake was not written down"),
        }
    });
    let kind = if own { JobKind::Scheduled(reply) } else { JobKind::ByOther(reply) };
    What::Job(Job { kind, deadline: Some(deadline), since, wake: Wake::NONE })
}

/// The order was answered.
struct Woken {
    /// As it was ordered.
    row: Schedule,
    result: Result<Wake, ActorError>,
}

impl SystemWork for Woken {
    type Output = ();
    async fn perform(self, work: &mut Work) -> Result<(), ActorError> {
        let found = work.tx.get::<Schedule>(self.row.schedule_id).await?;
        // an answer to an order of before says nothing of this one
        let same = |row: &Schedule| row.ordered_at.is_some() && row.ordered_at == self.row.ordered_at;
        let Some(row) = found.filter(same) else { return Ok(()) };
        match self.result {
            Ok(wake) => {
                settle(work, &row).await?;
                let details = vec![
                    ("wake_kind".to_owned(), kind(wake.kind).to_owned()),
                    ("wake_ms".to_owned(), wake.time.as_millis().to_string()),
                ];
                note(work, &row, "schedule.woke", Outcome::Allowed, details).await
            }
            // the timer orders again, and says in the end what was wrong
            Err(error) => {
                tracing::debug!(schedule = %row.schedule_id, %error, "scheduled wake is ordered again");
                Ok(())
            }
        }
    }
}

/// Its container is to be something else by now: a wake that was ordered is not ordered again.
pub(super) async fn give_up(work: &mut Work, row: &Schedule) -> Result<(), ActorError> {
    settle(work, row).await?;
    let details = vec![("reason".to_owned(), "CHANGED_MEANWHILE".to_owned())];
    note(work, row, "schedule.refused", Outcome::Failed, details).await
}

/// Nothing is ordered any more.
async fn settle(work: &mut Work, row: &Schedule) -> Result<(), ActorError> {
    work.tx.update(&Schedule { ordered_at: None, tries: 0, ..row.clone() }).await?;
    work.tx.clear_timer(AGAIN, &row.schedule_id.to_string()).await?;
    Ok(())
}

/// Whether whoever made the schedule may wake the container today, and it may be woken: it is wanted running then.
async fn admitted(work: &mut Work, row: &Schedule) -> Result<Container, ActorError> {
    let (tenant, request) = (work.ownership.tenant, work.standing.caller.request);
    let standing = today::standing(&mut work.tx, tenant, row.user_id, request, work.now).await?;
    let standing = standing.ok_or(ActorError::NotFound)?;
    let system = std::mem::replace(&mut work.standing, standing);
    let container = load_free(work, Action::UseContainer, row.container_id).await;
    work.standing = system;
    let container = container?;
    acts::want_running(work, container.clone()).await?;
    Ok(container)
}

/// It is not woken this time. Whose right has ended does not ask again and again: the schedule is off until somebody puts
/// it anew. What the store says is no refusal, and is tried again as a whole.
async fn skip(
    work: &mut Work,
    row: &Schedule,
    mut details: Vec<(String, String)>,
    error: ActorError,
) -> Result<(), ActorError> {
    if !error.is_refusal() {
        return Err(error);
    }
    details.push(("reason".to_owned(), error.reason().to_owned()));
    if matches!(error, ActorError::NotFound | ActorError::PermissionDenied(_)) {
        let off = Schedule { enabled: false, next_at: None, ordered_at: None, tries: 0, ..row.clone() };
        work.tx.update(&off).await?;
        set(work, &off).await?;
        details.push(("enabled".to_owned(), "false".to_owned()));
    }
    note(work, row, "schedule.refused", Outcome::Denied, details).await
}

async fn note(
    work: &mut Work,
    row: &Schedule,
    action: &str,
    outcome: Outcome,
    mut details: Vec<(String, String)>,
) -> Result<(), ActorError> {
    details.push(("schedule".to_owned(), row.schedule_id.to_string()));
    details.push(("user".to_owned(), row.user_id.to_string()));
    audit::note(work, action, format!("container/{}", row.container_id), outcome, details).await
}

async fn row_of(work: &mut Work, subject: &str) -> Result<Option<Schedule>, ActorError> {
    let Ok(schedule) = subject.parse::<ScheduleId>() else { return Ok(None) };
    Ok(work.tx.get::<Schedule>(schedule).await?)
}

fn kind(kind: WakeKind) -> &'static str {
    match kind {
        WakeKind::None => "none",
        WakeKind::Unpause => "unpause",
        WakeKind::Start => "start",
        WakeKind::Create => "create",
    }
}
