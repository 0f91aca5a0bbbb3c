//! What all supervisors share: starting tasks, judging exits, and when to start a child again.
//!
//! This is the one place of the crate that starts a task. Actors are never named and never in a
//! process-wide registry: each supervisor keeps its own map of children.

use std::{collections::VecDeque, future::Future, time::Duration};

use ocmt_types::Timestamp;
use ractor::{ActorId, SupervisionEvent};

/// A task that ends with its holder.
pub(crate) struct Task(tokio::task::AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Task {
    /// Whether it goes on still.
    pub(crate) fn goes_on(&self) -> bool {
        !self.0.is_finished()
    }
}

/// Starts a task that is aborted when the returned handle is dropped.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place where actors start tasks")]
pub(crate) fn task(work: impl Future<Output = ()> + Send + 'static) -> Task {
    Task(tokio::spawn(work).abort_handle())
}

/// Starts a task that outlives its starter (a hand-over that must not be cut in the middle).
#[expect(clippy::disallowed_methods, reason = "the one place where actors start tasks")]
pub(crate) fn detach(work: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(work));
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exit {
    /// Which child.
    pub(crate) child: ActorId,
    /// By a panic or an error, not by a stop.
    pub(crate) failed: bool,
}

/// Reads a supervision event, logs a failure once, and says which child is gone.
pub(crate) fn exit_of(event: &SupervisionEvent, what: &'static str) -> Option<Exit> {
    match event {
        SupervisionEvent::ActorTerminated(child, _, reason) => {
            tracing::debug!(actor = what, child = %child.get_id(), reason = reason.as_deref(), "child stopped");
            Some(Exit { child: child.get_id(), failed: false })
        }
        SupervisionEvent::ActorFailed(child, error) => {
            tracing::warn!(actor = what, child = %child.get_id(), %error, "child failed");
            Some(Exit { child: child.get_id(), failed: true })
        }
        SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => None,
    }
}

/// Failures within this time count together.
const WINDOW: Duration = Duration::from_secs(60);
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// When a child that failed is started again: at once the first time, then after a pause that
/// doubles with each failure of the last minute, up to 30 s. Pure: time comes in.
#[derive(Debug, Clone, Default)]
pub(crate) struct RestartPolicy {
    failures: VecDeque<Timestamp>,
}

impl RestartPolicy {
    /// Notes a failure and answers the time before which the child is not started again.
    pub(crate) fn failed(&mut self, now: Timestamp) -> Timestamp {
        while self.failures.front().is_some_and(|at| now.since(*at) > WINDOW) || self.failures.len() > 16 {
            self.failures.pop_front();
        }
        let earlier = self.failures.len();
        self.failures.push_back(now);
        let Some(doublings) = earlier.checked_sub(1) else {
            return now;
        };
        let factor = 1_u32 << u32::try_from(doublings).unwrap_or(u32::MAX).min(10);
        now + FIRST_DELAY.saturating_mul(factor).min(LONGEST_DELAY)
    }

    /// Whether anything has failed lately; a policy without failures need not be kept.
    pub(crate) fn is_clean(&self, now: Timestamp) -> bool {
        self.failures.iter().all(|at| now.since(*at) > WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_is_at_once_and_later_ones_wait_longer_up_to_a_bound() {
        let mut policy = RestartPolicy::default();
        let now = Timestamp(1_000_000);
        let delays: Vec<_> = (0..12).map(|_| policy.failed(now).since(now).as_millis()).collect();
        assert_eq!(delays[..5], [0, 100, 200, 400, 800]);
        assert_eq!(delays[11], 30_000);
    }

    #[test]
    fn a_quiet_minute_forgives() {
        let mut policy = RestartPolicy::default();
        let now = Timestamp(0);
        policy.failed(now);
        policy.failed(now);
        let later = now + Duration::from_secs(61);
        assert!(policy.is_clean(later));
        assert_eq!(policy.failed(later), later);
    }
}
