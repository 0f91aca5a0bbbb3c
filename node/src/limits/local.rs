//! What one node counts for itself: all limits where there is no Redis, and some in any case.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use governor::{
    Quota, RateLimiter, clock, middleware::StateInformationMiddleware, state::keyed::DashMapStateStore,
};
use ocmt_types::Clock;

use super::{Count, Step, class::BackOff};

/// Subjects that one limit remembers, or some more: it is looked at every [`TIDY_EVERY`] counts. Those that have all of
/// theirs back are forgotten; while that does not help, all share one count, without a back-off.
const MOST_SUBJECTS: usize = 1 << 17;
/// Between two looks for who may be forgotten.
const TIDY_EVERY: usize = 1 << 12;
const THE_REST: &str = "the rest";

/// One limit of this node.
pub(super) struct Local {
    step: Step,
    limiter: RateLimiter<String, DashMapStateStore<String>, Boottime, StateInformationMiddleware>,
    clock: Arc<dyn Clock>,
    kept_out: Mutex<HashMap<String, KeptOut>>,
    taken: AtomicUsize,
    crowded: AtomicBool,
    most: usize,
}

/// Who went on past the limit.
#[derive(Clone, Copy)]
struct KeptOut {
    strikes: u32,
    until: Duration,
}

/// The clock that does not jump, for governor.
#[derive(Clone)]
struct Boottime(Arc<dyn Clock>);

impl clock::Clock for Boottime {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.boottime()
    }
}

impl Local {
    pub(super) fn new(step: Step, clock: Arc<dyn Clock>) -> Self {
        Self::with_room(step, clock, MOST_SUBJECTS)
    }

    fn with_room(step: Step, clock: Arc<dyn Clock>, most: usize) -> Self {
        // a period is at least a microsecond, so there is a quota
        let quota = Quota::with_period(step.period).unwrap_or(Quota::per_second(step.most));
        let limiter = RateLimiter::dashmap_with_clock(quota.allow_burst(step.most), Boottime(clock.clone()));
        Self {
            step,
            limiter: limiter.with_middleware(),
            clock,
            kept_out: Mutex::default(),
            taken: AtomicUsize::new(0),
            crowded: AtomicBool::new(false),
            most,
        }
    }

    /// Counts one more.
    pub(super) fn count(&self, subject: &str) -> Count {
        if self.taken.fetch_add(1, Ordering::Relaxed).is_multiple_of(TIDY_EVERY.min(self.most / 4 + 1)) {
            self.tidy();
        }
        let crowded = self.crowded.load(Ordering::Relaxed);
        let subject = if crowded { THE_REST } else { subject };
        let now = self.clock.boottime();
        if let Some(wait) = self.wait_of(subject, now) {
            return Count { left: 0, wait: Some(wait), full: self.step.whole() };
        }
        match self.limiter.check_key(&subject.to_owned()) {
            Ok(state) => {
                let left = state.remaining_burst_capacity();
                let full = self.step.period * self.step.most.get().saturating_sub(left);
                Count { left, wait: None, full }
            }
            Err(not_until) => {
                let wait = not_until.wait_time_from(now);
                let back_off = self.step.back_off.filter(|_| !crowded);
                let wait = back_off.map_or(wait, |it| wait.max(self.strike(subject, now, it)));
                Count { left: 0, wait: Some(wait), full: self.step.whole() }
            }
        }
    }

    fn wait_of(&self, subject: &str, now: Duration) -> Option<Duration> {
        self.step.back_off?;
        let kept_out = self.kept_out.lock().unwrap_or_else(PoisonError::into_inner);
        kept_out.get(subject).and_then(|it| it.until.checked_sub(now)).filter(|wait| !wait.is_zero())
    }

    fn strike(&self, subject: &str, now: Duration, back_off: BackOff) -> Duration {
        let mut kept_out = self.kept_out.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept_out.get(subject).filter(|it| now <= it.until + back_off.longest);
        // somebody else's attempt has just been the one too many
        if let Some(wait) = known.and_then(|it| it.until.checked_sub(now)).filter(|wait| !wait.is_zero()) {
            return wait;
        }
        let strikes = known.map_or(1, |it| it.strikes.saturating_add(1));
        let wait = back_off.first.saturating_mul(2_u32.saturating_pow(strikes - 1)).min(back_off.longest);
        if kept_out.len() < self.most || kept_out.contains_key(subject) {
            kept_out.insert(subject.to_owned(), KeptOut { strikes, until: now + wait });
        }
        wait
    }

    fn tidy(&self) {
        if self.limiter.len() >= self.most / 2 {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        self.crowded.store(self.limiter.len() >= self.most, Ordering::Relaxed);
        if let Some(back_off) = self.step.back_off {
            let now = self.clock.boottime();
            let mut kept_out = self.kept_out.lock().unwrap_or_else(PoisonError::into_inner);
            kept_out.retain(|_, it| now <= it.until + back_off.longest);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::num::NonZeroU32;

    use ocmt_types::ManualClock;

    use super::*;

    fn step(most: u32, back_off: Option<BackOff>) -> Step {
        Step { most: NonZeroU32::new(most).unwrap(), period: Duration::from_secs(10), back_off }
    }

    fn local(most: u32, back_off: Option<BackOff>) -> (Local, ManualClock) {
        let clock = ManualClock::default();
        (Local::new(step(most, back_off), Arc::new(clock.clone())), clock)
    }

    #[test]
    fn so_many_at_once_and_then_one_each_period() {
        let (local, clock) = local(3, None);
        assert_eq!(
            [2, 1, 0].map(|left| (local.count("a").left, left)).map(|(is, should)| is == should),
            [true; 3]
        );
        let wait = local.count("a").wait.unwrap();
        assert!(wait <= Duration::from_secs(10) && !wait.is_zero(), "{wait:?}");
        assert!(local.count("b").wait.is_none(), "somebody else has all of theirs");
        clock.advance(wait);
        assert!(local.count("a").wait.is_none());
        assert!(local.count("a").wait.is_some());
    }

    #[test]
    fn whoever_goes_on_waits_twice_as_long_each_time_and_is_forgiven() {
        let (first, longest) = (Duration::from_secs(60), Duration::from_secs(240));
        let (local, clock) = local(1, Some(BackOff { first, longest }));
        assert!(local.count("a").wait.is_none());
        for expected in [60, 120, 240, 240] {
            assert_eq!(local.count("a").wait, Some(Duration::from_secs(expected)));
            // trying while one waits makes nothing worse
            assert_eq!(local.count("a").wait, Some(Duration::from_secs(expected)));
            // a place that is given back meanwhile is not for who waits
            clock.advance(Duration::from_secs(expected - 1));
            assert_eq!(local.count("a").wait, Some(Duration::from_secs(1)));
            clock.advance(Duration::from_secs(1));
            assert!(local.count("a").wait.is_none(), "after {expected} s");
        }
        clock.advance(longest + first);
        assert!(local.count("a").wait.is_none());
        assert_eq!(local.count("a").wait, Some(first), "all is forgotten");
    }

    #[test]
    fn a_crowd_of_strangers_takes_bounded_memory_and_shares_one_count() {
        let clock = Arc::new(ManualClock::default());
        let local = Local::with_room(step(5, None), clock.clone(), 100);
        let refused = (0..20_000).filter(|n| local.count(&n.to_string()).wait.is_some()).count();
        assert!(local.limiter.len() <= 130, "{}", local.limiter.len());
        assert!(refused > 19_000, "{refused}");
        clock.advance(Duration::from_secs(3600));
        local.tidy();
        assert!(local.count("somebody new").wait.is_none());
    }
}
