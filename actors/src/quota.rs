//! The limits of a tenant, set by operators. What is allowed, what is used, and calls within a minute.

use std::time::Duration;

use ocmt_store::tables::QuotaRow;
use ocmt_types::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::ActorError;

/// Limits, or what is used of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Users, invited ones included.
    pub users: i64,
    /// Containers.
    pub containers: i64,
    /// Memory of containers that run or are paused, in bytes.
    pub memory_bytes: i64,
    /// Ciphertext of vaults, conversations and snapshots, and volumes that were given a size, in bytes.
    pub storage_bytes: i64,
    /// Calls of signed-in users within any minute.
    pub calls_per_minute: i64,
}

/// What an operator changes of it; what is absent stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaChange {
    /// Users.
    pub users: Option<i64>,
    /// Containers.
    pub containers: Option<i64>,
    /// Memory, in bytes.
    pub memory_bytes: Option<i64>,
    /// Ciphertext and volumes, in bytes.
    pub storage_bytes: Option<i64>,
    /// Calls within any minute.
    pub calls_per_minute: Option<i64>,
}

impl Quota {
    /// Of a tenant for which no operator has set others: room for a large team, and an end for a runaway.
    pub const DEFAULT: Self = Self {
        users: 10_000,
        containers: 10_000,
        memory_bytes: 1 << 40,
        storage_bytes: 1 << 40,
        calls_per_minute: 600_000,
    };

    pub(crate) fn of(row: Option<&QuotaRow>) -> Self {
        row.map_or(Self::DEFAULT, |row| Self {
            users: row.users,
            containers: row.containers,
            memory_bytes: row.memory_bytes,
            storage_bytes: row.storage_bytes,
            calls_per_minute: row.calls_per_minute,
        })
    }

    pub(crate) fn row(&self, tenant_id: TenantId) -> QuotaRow {
        QuotaRow {
            tenant_id,
            users: self.users,
            containers: self.containers,
            memory_bytes: self.memory_bytes,
            storage_bytes: self.storage_bytes,
            calls_per_minute: self.calls_per_minute,
        }
    }

    pub(crate) fn changed(&self, change: &QuotaChange) -> Self {
        Self {
            users: change.users.unwrap_or(self.users),
            containers: change.containers.unwrap_or(self.containers),
            memory_bytes: change.memory_bytes.unwrap_or(self.memory_bytes),
            storage_bytes: change.storage_bytes.unwrap_or(self.storage_bytes),
            calls_per_minute: change.calls_per_minute.unwrap_or(self.calls_per_minute),
        }
    }
}

/// Refuses what would go past a limit, by the limit's name.
pub(crate) fn within(reason: &'static str, name: &str, wanted: i64, limit: i64) -> Result<(), ActorError> {
    if wanted <= limit {
        return Ok(());
    }
    Err(ActorError::exhausted(
        reason,
        format!(
            "the tenant's quota of {name} is {limit}, and this would make it {wanted}: free some, or ask an operator for more"
        ),
    ))
}

/// Seconds that are counted: a minute, and the one that is not over.
const SECONDS: usize = 61;

/// Calls of the last minute, counted by the second: never more than the limit within any minute, whenever it
/// begins. In memory, by the only actor that takes the tenant's calls.
pub(crate) struct Calls {
    limit: i64,
    per_second: [i64; SECONDS],
    sum: i64,
    /// The second that is counted now.
    second: i64,
}

impl Calls {
    /// Nothing counted, under the limits that hold if no others are known.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self::of(now, Quota::DEFAULT.calls_per_minute)
    }

    /// Nothing counted, of so many.
    pub(crate) fn of(now: Timestamp, limit: i64) -> Self {
        Self { limit, per_second: [0; SECONDS], sum: 0, second: second(now) }
    }

    pub(crate) fn limit_to(&mut self, quota: &Quota) {
        self.limit = quota.calls_per_minute;
    }

    /// Counts a call, or refuses it and says when to come back.
    pub(crate) fn take(&mut self, now: Timestamp) -> Result<(), ActorError> {
        self.pass(now);
        if self.sum >= self.limit {
            return Err(ActorError::ResourceExhausted {
                reason: "QUOTA_CALLS",
                why: format!("the tenant's quota of calls is {} within a minute", self.limit),
                retry_after: Some(self.next_room()),
            });
        }
        if let Some(count) = self.per_second.get_mut(place(self.second)) {
            *count += 1;
            self.sum += 1;
        }
        Ok(())
    }

    /// Calls within the last minute.
    pub(crate) fn used(&mut self, now: Timestamp) -> i64 {
        self.pass(now);
        self.sum
    }

    /// Forgets what is longer ago than a minute. A clock that goes back counts into the second that it was.
    fn pass(&mut self, now: Timestamp) {
        let now = second(now);
        if now - self.second >= i64::try_from(SECONDS).unwrap_or(i64::MAX) {
            (self.per_second, self.sum) = ([0; SECONDS], 0);
        } else {
            for passed in self.second + 1..=now {
                if let Some(count) = self.per_second.get_mut(place(passed)) {
                    self.sum -= std::mem::take(count);
                }
            }
        }
        self.second = self.second.max(now);
    }

    fn next_room(&self) -> Duration {
        let oldest = (1..=SECONDS).find(|ahead| {
            let place = place(self.second + i64::try_from(*ahead).unwrap_or(0));
            self.per_second.get(place).is_some_and(|count| *count > 0)
        });
        Duration::from_secs(oldest.unwrap_or(SECONDS) as u64)
    }
}

fn second(at: Timestamp) -> i64 {
    at.0.div_euclid(1000)
}

fn place(second: i64) -> usize {
    let seconds = i64::try_from(SECONDS).unwrap_or(i64::MAX);
    usize::try_from(second.rem_euclid(seconds)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn calls(limit: i64) -> Calls {
        let mut calls = Calls::new(Timestamp(0));
        calls.limit_to(&Quota { calls_per_minute: limit, ..Quota::DEFAULT });
        calls
    }

    #[test]
    fn a_call_past_the_limit_is_told_when_there_is_room() {
        let mut calls = calls(2);
        calls.take(Timestamp(500)).unwrap();
        calls.take(Timestamp(30_000)).unwrap();
        let refused = calls.take(Timestamp(40_000)).unwrap_err();
        assert_eq!((refused.reason(), refused.retry_after()), ("QUOTA_CALLS", Some(Duration::from_secs(21))));
        assert!(calls.take(Timestamp(60_999)).is_err());
        calls.take(Timestamp(61_000)).unwrap();
        assert_eq!(calls.used(Timestamp(61_000)), 2);
        assert_eq!(calls.used(Timestamp(10_000_000)), 0);
    }

    proptest! {
        #[test]
        fn no_minute_has_more_than_the_limit(steps in proptest::collection::vec(0..20_000_i64, 1..200), limit in 1..20_i64) {
            let (mut calls, mut now, mut taken) = (calls(limit), 0, Vec::new());
            for step in steps {
                now += step;
                if calls.take(Timestamp(now)).is_ok() {
                    taken.push(now);
                }
                let within = taken.iter().filter(|at| **at > now - 60_000).count();
                prop_assert!(i64::try_from(within).unwrap() <= limit);
            }
        }
    }
}
