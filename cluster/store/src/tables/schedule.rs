//! When containers wake by themselves.

use ocmt_types::{ContainerId, ScheduleId, Timestamp, UserId};

use crate::kernel::row::rows;

rows! {
    /// A schedule by which a container wakes. Each of its times is taken once, in the transaction that names the next.
    pub struct Schedule: tenant("schedules") {
        key {
            /// Which schedule.
            schedule_id: ScheduleId,
        }
        /// What wakes.
        container_id: ContainerId,
        /// By whose rights: who made or changed it last.
        user_id: UserId,
        /// Five fields, as its user wrote them.
        cron: String,
        /// IANA name of the zone that the fields are read in.
        time_zone: String,
        /// Whether it wakes anything.
        enabled: bool,
        /// Its next time; none while it wakes nothing.
        next_at: Option<Timestamp>,
        /// Its last time that was taken.
        last_at: Option<Timestamp>,
        /// When a wake was ordered that is not known to have been done.
        ordered_at: Option<Timestamp>,
        /// How often that wake was ordered.
        tries: i64,
        /// When it was made.
        created_at: Timestamp,
    } index(tenant_id, container_id) index(tenant_id, user_id);
}
