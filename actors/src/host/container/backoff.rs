//! A container that ends again and again as it starts is left alone for longer and longer.
//!
//! Kept in memory: a host that comes back tries anew.

use std::time::Duration;

use crate::error::ActorError;

/// So many ends in a row cost nothing.
const FREE: u32 = 2;
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(300);
/// What ran for so long has started.
const STEADY: Duration = Duration::from_secs(60);

/// How its starts went. All times are by the clock that does not jump.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    started_at: Option<Duration>,
    not_before: Duration,
}

impl Backoff {
    /// It runs.
    pub(super) fn started(&mut self, now: Duration) {
        self.started_at = Some(now);
    }

    /// It did not come to run, or ended by itself.
    pub(super) fn ended(&mut self, now: Duration) {
        if self.started_at.take().is_some_and(|at| now.saturating_sub(at) >= STEADY) {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        if let Some(doublings) = self.failures.checked_sub(FREE + 1) {
            let pause = FIRST.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST);
            self.not_before = now.saturating_add(pause);
        }
    }

    /// It was asked to stop: that is no failure, and what ran before it is forgotten if it ran for long.
    pub(super) fn rested(&mut self, now: Duration) {
        if self.started_at.take().is_some_and(|at| now.saturating_sub(at) >= STEADY) {
            self.failures = 0;
        }
    }

    /// Refuses to start it yet.
    pub(super) fn check(&self, now: Duration) -> Result<(), ActorError> {
        let left = self.not_before.saturating_sub(now);
        if left.is_zero() {
            return Ok(());
        }
        Err(ActorError::ResourceExhausted {
            reason: "CRASH_LOOP",
            why: format!(
                "the container ended {} times in a row as it started: it is left alone for {} s more; `ocmt container \
                 status` says how it ended",
                self.failures,
                left.as_secs() + 1
            ),
            retry_after: Some(left),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn pauses_double_from_the_third_end_on_up_to_the_longest() {
        let (mut backoff, mut now, mut pauses) = (Backoff::default(), s(1000), Vec::new());
        for _ in 0..12 {
            backoff.started(now);
            backoff.ended(now + s(1));
            now += s(1);
            let pause = backoff.not_before.saturating_sub(now);
            pauses.push(pause.as_secs());
            assert_eq!(backoff.check(now).is_err(), !pause.is_zero());
            now += pause;
            assert!(backoff.check(now).is_ok(), "it may start at the end of the pause");
        }
        assert_eq!(pauses, [0, 0, 5, 10, 20, 40, 80, 160, 300, 300, 300, 300]);
    }

    #[test]
    fn what_ran_for_a_minute_begins_anew_and_a_stop_is_no_end() {
        let mut backoff = Backoff::default();
        for n in 0..5 {
            backoff.ended(s(n));
        }
        backoff.started(s(1000));
        backoff.ended(s(1060));
        assert!(backoff.failures == 1 && backoff.check(s(1060)).is_ok());
        for n in 0..20 {
            backoff.started(s(2000 + n));
            backoff.rested(s(2001 + n));
        }
        assert_eq!(backoff.failures, 1);
    }
}
