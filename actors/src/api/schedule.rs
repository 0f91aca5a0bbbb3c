//! Schedules: when a container wakes by itself.

use ocmt_types::{ContainerId, ScheduleId, Timestamp};
use serde::{Deserialize, Serialize};

use super::users::Done;
use crate::call::calls;

/// Make a schedule, or change one. It wakes its container by the rights that whoever made or changed it last has then.
#[derive(Debug, Clone)]
pub struct PutSchedule {
    /// Which one to change; none to make one.
    pub schedule: Option<ScheduleId>,
    /// What is to wake.
    pub container: ContainerId,
    /// Five fields: minute, hour, day of the month, month, day of the week; at most 100 bytes. Its times have to be at
    /// least five minutes apart.
    pub cron: String,
    /// IANA name of the zone that the fields are read in; empty for UTC.
    pub time_zone: String,
    /// Whether it wakes anything.
    pub enabled: bool,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleInfo {
    /// Which.
    pub id: ScheduleId,
    /// What wakes.
    pub container: ContainerId,
    /// Five fields.
    pub cron: String,
    /// IANA name of the zone that the fields are read in.
    pub time_zone: String,
    /// Whether it wakes anything.
    pub enabled: bool,
    /// Its next time; none while it wakes nothing.
    pub next_at: Option<Timestamp>,
}

/// A page of the schedules of a container, in the order of their ids.
#[derive(Debug, Clone)]
pub struct ListSchedules {
    /// Of which container.
    pub container: ContainerId,
    /// Behind this one.
    pub after: Option<ScheduleId>,
    /// 1 to 100; 0 means 50.
    pub limit: u32,
}

/// Answer of [`ListSchedules`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulePage {
    /// Schedules.
    pub schedules: Vec<ScheduleInfo>,
    /// Give it as `after` for the next page; none at the end.
    pub next: Option<ScheduleId>,
}

/// Delete a schedule.
#[derive(Debug, Clone)]
pub struct DeleteSchedule {
    /// Which.
    pub schedule: ScheduleId,
}

calls! {
    /// Calls about schedules.
    Schedules: SchedulesCall of "ContainerService" {
        write PutSchedule => ScheduleInfo,
        read ListSchedules => SchedulePage,
        write DeleteSchedule => Done,
    }
}
