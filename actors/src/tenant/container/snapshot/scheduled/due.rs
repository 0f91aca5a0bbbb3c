//! A snapshot by schedule is due.
//!
//! To fire is to *take* the time: one transaction, under the fence, moves the schedule to its next time and writes down
//! that one is due, however many times pass until it is taken. The host of the container begins it once the container
//! rests: it *claims* what is due ([`Claim`]), under the same fence, which writes the row of the snapshot. So one is begun once,
//! whoever looks. One that was begun and came to nothing is begun again, a few times; that nobody began it, a timer finds.

use std::time::Duration;

use ocmt_crypto::audit::Outcome;
use ocmt_store::{
    ReadTx,
    tables::{Container, ContainerState, Snapshot, SnapshotSchedule, SnapshotState, Tenant, TenantState},
};
use ocmt_types::{ContainerId, Digest32, Id as _, ScheduleId, SnapshotId, Timestamp};

use super::{
    super::super::{
        load_free,
        schedule::times::{Times, fires_at},
    },
    OTHER_KEYS, made, of, vault_epoch, verified,
};
use crate::{
    audit,
    authorize::Action,
    clip::clip,
    effect::Effect,
    env::Scope,
    error::ActorError,
    host::message::What,
    tenant::{
        container::snapshot::{CUT_OFF, TIMER, room_for_one_more, store},
        quota, today,
    },
    work::{SystemWork, Work},
};

/// Timer of the next time; its subject is the container.
pub(in crate::tenant) const DUE: &str = "snapshot.due";
/// Timer of one that is due and not taken; its subject is the container.
pub(in crate::tenant) const AGAIN: &str = "snapshot.again";

/// One that is due is begun so often at most.
const TRIES: i64 = 4;
/// The host of a container that rests is told again after this, and after a failure by so much more each time.
const TOLD_AGAIN: Duration = Duration::from_secs(10 * 60);
/// Of one that runs its host finds it out itself when it stops; should that be missed, it is told.
const LOOKED_AT: Duration = Duration::from_secs(60 * 60);
/// What was given up rests so long at least, and twice as long each time that it is again.
const GIVEN_UP_FOR: Duration = Duration::from_secs(60 * 60);
/// But no longer: what is due once a day leaves none out.
const GIVEN_UP_AT_MOST: Duration = Duration::from_secs(8 * 60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const LONGEST_WHY: usize = 300;

/// Sets the timers of the schedule as it is now.
pub(super) async fn set(work: &mut Work, row: &SnapshotSchedule) -> Result<(), ActorError> {
    set_next(work, row).await?;
    let subject = row.container_id.to_string();
    match row.due_at {
        Some(_) => work.set_timer(AGAIN, &subject, work.now + TOLD_AGAIN, &[]).await,
        None => {
            work.tx.clear_timer(AGAIN, &subject).await?;
            Ok(())
        }
    }
}

async fn set_next(work: &mut Work, row: &SnapshotSchedule) -> Result<(), ActorError> {
    let subject = row.container_id.to_string();
    match row.next_at {
        Some(next) => {
            // the same moment of the minute each time, another one for each container
            let spread = ScheduleId::from_bytes(*row.container_id.as_bytes());
            work.set_timer(DUE, &subject, fires_at(spread, next), &[]).await
        }
        None => {
            work.tx.clear_timer(DUE, &subject).await?;
            Ok(())
        }
    }
}

/// The schedule goes.
pub(super) async fn clear(work: &mut Work, container: ContainerId) -> Result<(), ActorError> {
    let subject = container.to_string();
    work.tx.clear_timer(DUE, &subject).await?;
    work.tx.clear_timer(AGAIN, &subject).await?;
    Ok(())
}

/// Takes the time that has come, and names the next.
pub(in crate::tenant) async fn fire(work: &mut Work, subject: &str) -> Result<(), ActorError> {
    let Some(row) = row_of(work, subject).await? else { return Ok(()) };
    let (Some(due), now) = (row.next_at, work.now) else { return Ok(()) };
    let times = times(&row);
    // a zone that is in the tables no more: it rests until its user writes another
    let next_at = times.and_then(|times| times.next(now, Some(due)));
    // told of the second time that passes, and not of each that follows; one that is being taken is in time
    let is_second = row.due_at.is_some() && row.due_at == row.last_at && row.snapshot_id.is_none();
    // what fails goes on where it was: times that are near each other begin no more of it
    let goes_on = (row.due_at.is_some() || row.failure.is_some())
        && row.last_at.is_none_or(|last| due.since(last) < GIVEN_UP_AT_MOST * 2);
    let tries = if goes_on { row.tries } else { 0 };
    let is_put_off = row.due_at.is_some() && row.failure.is_some() && tries > 0;
    let row = SnapshotSchedule { next_at, last_at: Some(due), tries, ..row };
    if let Some(why) = why_it_rests(work, &row).await? {
        return refuse(work, row, "SCHEDULE_RESTS", &why).await;
    }
    let row = SnapshotSchedule { due_at: row.due_at.or(Some(due)), ..row };
    work.tx.update(&row).await?;
    if is_put_off {
        set_next(work, &row).await?;
    } else {
        set(work, &row).await?;
    }
    if is_second {
        let about = vec![("due".to_owned(), due.0.to_string())];
        note(work, &row, "snapshot.overdue", Outcome::Failed, about).await?;
    }
    if is_put_off { Ok(()) } else { tell_host(work, &row).await }
}

/// One that is due is not taken yet: whoever was to begin it may not have heard of it.
pub(in crate::tenant) async fn again(work: &mut Work, subject: &str) -> Result<(), ActorError> {
    let Some(row) = row_of(work, subject).await?.filter(|row| row.due_at.is_some()) else { return Ok(()) };
    work.set_timer(AGAIN, subject, work.now + TOLD_AGAIN, &[]).await?;
    tell_host(work, &row).await
}

/// Tells the host of a container that rests; of another one it is looked at later.
async fn tell_host(work: &mut Work, row: &SnapshotSchedule) -> Result<(), ActorError> {
    if !waits(row) {
        return Ok(());
    }
    let Some(container) = work.tx.get::<Container>(row.container_id).await? else { return Ok(()) };
    if rests(&container) {
        work.then(Effect::Container((&container).into(), Box::new(What::SnapshotDue)));
        return Ok(());
    }
    work.set_timer(AGAIN, &row.container_id.to_string(), work.now + LOOKED_AT, &[]).await
}

/// Whether one is due that nobody has begun.
fn waits(row: &SnapshotSchedule) -> bool {
    row.due_at.is_some() && row.snapshot_id.is_none() && row.rests.is_none()
}

/// Neither runs nor is on its way to: a paused one has files in the middle of something.
fn rests(container: &Container) -> bool {
    matches!(container.observed, ContainerState::Stopped | ContainerState::Failed | ContainerState::Absent)
}

/// Whether the container's host may have something to begin: a look, that claims nothing.
pub(crate) async fn is_due(scope: &Scope, container: ContainerId) -> Result<bool, ActorError> {
    let mut tx = scope.read().await?;
    Ok(stored(&mut tx, container).await?.is_some_and(|row| waits(&row)))
}

async fn stored(tx: &mut ReadTx, container: ContainerId) -> Result<Option<SnapshotSchedule>, ActorError> {
    Ok(tx.get::<SnapshotSchedule>(container).await?)
}

/// Begins what is due, if it may begin now: whoever has claimed it takes it, and nobody else.
#[derive(Clone, Copy)]
pub(crate) struct Claim {
    pub(crate) container: ContainerId,
}

/// What was claimed.
pub(crate) struct Claimed {
    /// Its row is written.
    pub(crate) snapshot: SnapshotId,
    /// As it was signed.
    pub(crate) schedule: Vec<u8>,
    /// By which key, as the user had published it when it was put.
    pub(crate) identity: Digest32,
}

impl SystemWork for Claim {
    /// None if nothing is to be begun now.
    type Output = Option<Claimed>;

    async fn perform(self, work: &mut Work) -> Result<Self::Output, ActorError> {
        let row = stored(&mut work.tx, self.container).await?;
        let Some(row) = row.filter(waits) else { return Ok(None) };
        let tenant = work.tx.get::<Tenant>(()).await?;
        if tenant.is_none_or(|tenant| tenant.state != TenantState::Active) {
            return Ok(None);
        }
        let container = match admitted(work, &row).await {
            Ok(container) if rests(&container) => container,
            // it waits for its next rest
            Ok(_) => return Ok(None),
            Err(error) if error.reason() == "CONTAINER_HELD" => return Ok(None),
            Err(error) if error.is_refusal() => {
                refuse(work, row, error.reason(), &error.to_string()).await?;
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if let Some(why) = why_it_rests(work, &row).await? {
            refuse(work, row, "SCHEDULE_RESTS", &why).await?;
            return Ok(None);
        }
        let snapshot = work.env.id();
        let fresh = Snapshot {
            tenant_id: work.ownership.tenant,
            snapshot_id: snapshot,
            user_id: row.user_id,
            container_id: row.container_id,
            generation: container.generation,
            state: SnapshotState::Taking,
            wrapped_key: Vec::new(),
            size_bytes: 0,
            content_hash: None,
            verified: false,
            opened_by: None,
            failure: None,
            created_at: work.now,
            schedule: Some(row.number),
            sealed_key: None,
            statement: None,
            chain: None,
            opened: false,
        };
        work.tx.insert(&fresh).await?;
        super::super::set(work, snapshot, CUT_OFF).await?;
        let row = SnapshotSchedule { snapshot_id: Some(snapshot), tries: row.tries + 1, ..row };
        work.tx.update(&row).await?;
        Ok(Some(Claimed { snapshot, schedule: row.signed, identity: row.signer }))
    }
}

/// Whether its user may have a snapshot taken today, and there is room for it.
async fn admitted(work: &mut Work, row: &SnapshotSchedule) -> Result<Container, ActorError> {
    let (tenant, request) = (work.ownership.tenant, work.standing.caller.request);
    let standing = today::standing(&mut work.tx, tenant, row.user_id, request, work.now).await?;
    let standing = standing.ok_or(ActorError::NotFound)?;
    let system = std::mem::replace(&mut work.standing, standing);
    let container = load_free(work, Action::EnterContainer, row.container_id).await;
    work.standing = system;
    let container = container?;
    store(&work.env)?;
    // what makes room for it when it is there, and the opened one that stays then, stand in no way
    let kept = verified(row).map_or(usize::MAX, |signed| usize::from(signed.keep).saturating_sub(1));
    let past = made(work, row, None).await?.len().saturating_sub(kept);
    room_for_one_more(work, row.user_id, i64::try_from(past).unwrap_or(0)).await?;
    quota::is_not_used_up(work).await?;
    Ok(container)
}

/// Why nothing is taken by it until its user does something.
async fn why_it_rests(work: &mut Work, row: &SnapshotSchedule) -> Result<Option<String>, ActorError> {
    if let Some(why) = &row.rests {
        return Ok(Some(why.clone()));
    }
    let other = vault_epoch(work, row.user_id).await? != Some(row.vault_epoch);
    Ok(other.then(|| OTHER_KEYS.to_owned()))
}

/// What was due is not taken. Told once a day, not each time that the same stands in the way.
async fn refuse(work: &mut Work, row: SnapshotSchedule, reason: &str, why: &str) -> Result<(), ActorError> {
    let why = clip(why, LONGEST_WHY);
    let is_news = row.failure.as_deref() != Some(why.as_str()) || is_first_of_a_day(&row);
    let row = SnapshotSchedule { due_at: None, tries: 0, failure: Some(why.clone()), ..row };
    work.tx.update(&row).await?;
    set(work, &row).await?;
    if !is_news {
        return Ok(());
    }
    let details = vec![("reason".to_owned(), reason.to_owned()), ("why".to_owned(), why)];
    note(work, &row, "snapshot.refused", Outcome::Denied, details).await
}

/// Whether what has passed since it was due has the first time of a day.
fn is_first_of_a_day(row: &SnapshotSchedule) -> bool {
    let Some(last) = row.last_at else { return false };
    let first = row.due_at.unwrap_or(last);
    let day = Timestamp(first.0 - first.0.rem_euclid(i64::try_from(DAY.as_millis()).unwrap_or(1)));
    let of_the_day = times(row).and_then(|times| times.next(day - Duration::from_millis(1), None));
    last.since(day) >= DAY || of_the_day.is_some_and(|of_the_day| of_the_day >= first)
}

/// One that was begun came to nothing: another is begun, or it is given up until the next time.
pub(in super::super) async fn came_to_nothing(
    work: &mut Work,
    snapshot: &Snapshot,
    why: &str,
) -> Result<(), ActorError> {
    let Some(row) = of(work, snapshot).await? else { return Ok(()) };
    let row = SnapshotSchedule { snapshot_id: None, failure: Some(clip(why, LONGEST_WHY)), ..row };
    if row.tries < TRIES {
        work.tx.update(&row).await?;
        set(work, &row).await?;
        let later = TOLD_AGAIN * u32::try_from(row.tries).unwrap_or(1);
        return match row.due_at {
            Some(_) => work.set_timer(AGAIN, &row.container_id.to_string(), work.now + later, &[]).await,
            None => Ok(()),
        };
    }
    let rests = GIVEN_UP_FOR * 2_u32.saturating_pow(u32::try_from(row.tries - TRIES).unwrap_or(0));
    let until = work.now + rests.min(GIVEN_UP_AT_MOST);
    let next_at = match row.next_at {
        Some(next) if next < until => times(&row).and_then(|times| times.next(until, row.last_at)),
        next => next,
    };
    let row = SnapshotSchedule { due_at: None, next_at, ..row };
    work.tx.update(&row).await?;
    set(work, &row).await?;
    let details = vec![("why".to_owned(), clip(why, LONGEST_WHY))];
    note(work, &row, "snapshot.given_up", Outcome::Failed, details).await
}

/// Its host does not believe the schedule: nothing is taken by it until its user puts another.
pub(in super::super) async fn refused_by_host(
    work: &mut Work,
    snapshot: &Snapshot,
    why: &str,
) -> Result<(), ActorError> {
    work.tx.delete::<Snapshot>(snapshot.snapshot_id).await?;
    work.tx.clear_timer(TIMER, &snapshot.snapshot_id.to_string()).await?;
    let Some(row) = of(work, snapshot).await? else { return Ok(()) };
    let why = clip(why, LONGEST_WHY);
    // what was put meanwhile is another one
    let rests = (Some(row.number) == snapshot.schedule).then(|| why.clone());
    let failure = Some(why.clone());
    let row = SnapshotSchedule { snapshot_id: None, due_at: None, tries: 0, rests, failure, ..row };
    work.tx.update(&row).await?;
    set(work, &row).await?;
    note(work, &row, "snapshot.schedule_refused", Outcome::Failed, vec![("why".to_owned(), why)]).await
}

async fn note(
    work: &mut Work,
    row: &SnapshotSchedule,
    action: &str,
    outcome: Outcome,
    mut details: Vec<(String, String)>,
) -> Result<(), ActorError> {
    details.push(("user".to_owned(), row.user_id.to_string()));
    audit::note(work, action, format!("container/{}", row.container_id), outcome, details).await
}

fn times(row: &SnapshotSchedule) -> Option<Times> {
    verified(row).and_then(|signed| Times::parse(&signed.cron, &signed.time_zone).ok())
}

async fn row_of(work: &mut Work, subject: &str) -> Result<Option<SnapshotSchedule>, ActorError> {
    let Ok(container) = subject.parse::<ContainerId>() else { return Ok(None) };
    stored(&mut work.tx, container).await
}
