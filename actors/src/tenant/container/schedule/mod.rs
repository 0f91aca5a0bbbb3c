//! Schedules: a container wakes at times that its user wrote down.
//!
//! A schedule is looked after by whoever may use the container, and wakes it by the rights that person has when it is
//! due ([`due`]). All counts hold exactly, since the transactions of a tenant come one after the other.

pub(in crate::tenant) mod due;
pub(super) mod times;

use ocmt_store::{
    ReadTx,
    tables::{Container, Schedule},
};
use ocmt_types::{ContainerId, ScheduleId, Timestamp, UserId};
use ractor::ActorRef;

use self::times::Times;
use super::{load, load_free};
use crate::{
    api::{
        schedule::{DeleteSchedule, ListSchedules, PutSchedule, ScheduleInfo, SchedulePage, SchedulesCall},
        users::Done,
    },
    authorize::Action,
    error::ActorError,
    tenant::{TenantMessage, TenantState},
    work::{Handle, Work},
};

/// Schedules of one container.
const MOST: i64 = 20;
const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 100;

impl TenantState {
    /// One line per method.
    pub(in crate::tenant) fn schedules(&mut self, myself: &ActorRef<TenantMessage>, call: SchedulesCall) {
        match call {
            SchedulesCall::PutSchedule(call) => self.work(myself, call),
            SchedulesCall::ListSchedules(call) => self.work(myself, call),
            SchedulesCall::DeleteSchedule(call) => self.work(myself, call),
        }
    }
}

impl Handle for PutSchedule {
    async fn handle(self, work: &mut Work) -> Result<ScheduleInfo, ActorError> {
        let user = work.person()?;
        let zone = if self.time_zone.is_empty() { "UTC" } else { &self.time_zone };
        let times = Times::parse(&self.cron, zone)?;
        times.check(work.now)?;
        let before = match self.schedule {
            Some(schedule) => Some(own(work, schedule, self.container).await?),
            None => {
                load_free(work, Action::UseContainer, self.container).await?;
                room_for_one_more(work, self.container).await?;
                None
            }
        };
        // what a clock that was wrong has taken does not keep back what its user writes down anew
        let last_at = before.as_ref().and_then(|row| row.last_at).filter(|last| *last <= work.now);
        let row = Schedule {
            tenant_id: work.ownership.tenant,
            schedule_id: self.schedule.unwrap_or_else(|| work.env.id()),
            container_id: self.container,
            user_id: user,
            time_zone: zone.to_owned(),
            enabled: self.enabled,
            next_at: self.enabled.then(|| times.next(work.now, last_at)).flatten(),
            last_at,
            ordered_at: None,
            tries: 0,
            created_at: before.as_ref().map_or(work.now, |row| row.created_at),
            cron: self.cron,
        };
        if before.is_some() {
            work.tx.update(&row).await?;
        } else {
            work.tx.insert(&row).await?;
        }
        due::set(work, &row).await?;
        work.details = vec![
            ("schedule".to_owned(), row.schedule_id.to_string()),
            ("cron".to_owned(), row.cron.clone()),
            ("time_zone".to_owned(), row.time_zone.clone()),
            ("enabled".to_owned(), row.enabled.to_string()),
        ];
        Ok(info(row))
    }
}

impl Handle for ListSchedules {
    async fn handle(self, work: &mut Work) -> Result<SchedulePage, ActorError> {
        load(work, Action::ReadContainer, self.container).await?;
        let limit = if self.limit == 0 { PAGE } else { self.limit.min(LARGEST_PAGE) };
        let of = Schedule::container_id.eq(self.container);
        let rows = match self.after {
            Some(after) => work.tx.find::<Schedule>(of.after(&after).limit(limit)).await?,
            None => work.tx.find::<Schedule>(of.limit(limit)).await?,
        };
        let full = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let next = rows.last().filter(|_| full).map(|row| row.schedule_id);
        Ok(SchedulePage { schedules: rows.into_iter().map(info).collect(), next })
    }
}

impl Handle for DeleteSchedule {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        let row = work.tx.get::<Schedule>(self.schedule).await?.ok_or(ActorError::NotFound)?;
        load(work, Action::UseContainer, row.container_id).await?;
        forget(work, &row).await?;
        work.details = vec![("schedule".to_owned(), row.schedule_id.to_string())];
        Ok(Done)
    }
}

/// A schedule of this container, for who may use it.
async fn own(work: &mut Work, schedule: ScheduleId, container: ContainerId) -> Result<Schedule, ActorError> {
    load_free(work, Action::UseContainer, container).await?;
    let row = work.tx.get::<Schedule>(schedule).await?;
    row.filter(|row| row.container_id == container).ok_or(ActorError::NotFound)
}

async fn room_for_one_more(work: &mut Work, container: ContainerId) -> Result<(), ActorError> {
    if work.tx.count::<Schedule>(Schedule::container_id.eq(container)).await? < MOST {
        return Ok(());
    }
    let why = format!("a container has at most {MOST} schedules: delete one");
    Err(ActorError::exhausted("TOO_MANY_SCHEDULES", why))
}

/// When a container wakes by itself next.
pub(crate) async fn next_wake(
    tx: &mut ReadTx,
    container: ContainerId,
) -> Result<Option<Timestamp>, ActorError> {
    let of = Schedule::container_id.eq(container).and(Schedule::enabled.eq(true));
    let rows = tx.find::<Schedule>(of).await?;
    Ok(rows.into_iter().filter_map(|row| row.next_at).min())
}

/// The tenant works again: timers were put off meanwhile, and times of schedules are not.
pub(in crate::tenant) async fn resume(work: &mut Work) -> Result<(), ActorError> {
    let mut after = None;
    loop {
        let all = Schedule::enabled.eq(true);
        let rows = match after {
            Some(after) => work.tx.find::<Schedule>(all.after(&after).limit(LARGEST_PAGE)).await?,
            None => work.tx.find::<Schedule>(all.limit(LARGEST_PAGE)).await?,
        };
        let Some(last) = rows.last() else { return Ok(()) };
        after = Some(last.schedule_id);
        for row in rows {
            // an order of before was given up with everything else
            let row = Schedule { ordered_at: None, tries: 0, ..row };
            work.tx.update(&row).await?;
            due::set(work, &row).await?;
        }
    }
}

/// Somebody wants the container paused, stopped or held: that is a later wish than any wake that was ordered.
pub(super) async fn give_up(work: &mut Work, container: ContainerId) -> Result<(), ActorError> {
    for row in work.tx.find::<Schedule>(Schedule::container_id.eq(container)).await? {
        if row.ordered_at.is_some() {
            due::give_up(work, &row).await?;
        }
    }
    Ok(())
}

/// A container goes, and its schedules.
pub(super) async fn forget_container(work: &mut Work, container: ContainerId) -> Result<(), ActorError> {
    forget_all(work, Schedule::container_id.eq(container)).await
}

/// A person goes: the schedules that wake anything by their rights, and those that wake what is theirs.
pub(in crate::tenant) async fn forget_user(work: &mut Work, user: UserId) -> Result<(), ActorError> {
    forget_all(work, Schedule::user_id.eq(user)).await?;
    for container in work.tx.find::<Container>(Container::user_id.eq(user)).await? {
        forget_container(work, container.container_id).await?;
    }
    Ok(())
}

async fn forget_all(work: &mut Work, which: ocmt_store::Filter<Schedule>) -> Result<(), ActorError> {
    loop {
        let rows = work.tx.find::<Schedule>(which.clone().limit(100)).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            forget(work, &row).await?;
        }
    }
}

async fn forget(work: &mut Work, row: &Schedule) -> Result<(), ActorError> {
    work.tx.delete::<Schedule>(row.schedule_id).await?;
    due::clear(work, row.schedule_id).await
}

fn info(row: Schedule) -> ScheduleInfo {
    ScheduleInfo {
        id: row.schedule_id,
        container: row.container_id,
        cron: row.cron,
        time_zone: row.time_zone,
        enabled: row.enabled,
        next_at: row.next_at,
    }
}
