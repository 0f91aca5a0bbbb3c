//! The observer: who has not renewed for a whole TTL, and whether the database went back in time. Pure.
//!
//! It looks at counters only. When one last moved is told by the observer's own `CLOCK_BOOTTIME`: no clock of
//! the database and none of the observed node is part of it.
//!
//! It may declare a death only if
//! - its own lease was held without a gap for one TTL: a node that was itself cut off or suspended knows
//!   nothing of the others, and
//! - the same life of the database has answered without a break for more than one TTL: after a restart of
//!   the database everybody gets one TTL to come back before anybody is judged.
//!
//! What passes between two looks counts for no more than what lies between the strict limit and the TTL: a boot
//! time that jumps ahead by a few seconds, too little to cost the observer its own lease, must not shorten what
//! another is given. (The simulation found that; no real machine is known to do it.)
//!
//! It remembers the highest view version and its own highest acknowledged counter. A database that answers
//! a lower one was rolled back, and with it claims and deaths that were acted on: the node must stop.

use std::{collections::BTreeMap, time::Duration};

use ocmt_types::Incarnation;

use crate::lease::{LeaseState, LeaseTimes};

/// A database that answers less than it did before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the database went back in time: {what} was {seen} and is {answered}")]
pub struct WentBack {
    /// What went back.
    pub what: &'static str,
    /// The highest that was seen.
    pub seen: i64,
    /// What was answered now.
    pub answered: i64,
}

/// What one look at the database showed.
#[derive(Debug, Clone)]
pub struct Sighting<'a> {
    /// Which life of the database answered.
    pub life: &'a str,
    /// Its view version.
    pub view_version: i64,
    /// The counters of the incarnations that are not dead, the observer's own included.
    pub counters: BTreeMap<Incarnation, i64>,
    /// When the question was sent.
    pub asked: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Counter {
    renewals: i64,
    /// When the last question was sent that was answered with this value; for the first, when it was answered.
    still_at: Duration,
    /// For how long it has stood by then.
    stood: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Life {
    name: String,
    /// Since when it has answered without a break.
    since: Duration,
}

/// What one incarnation knows of the others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Observer {
    own: Incarnation,
    /// The most that counts of the time between two looks.
    gap: Duration,
    counters: BTreeMap<Incarnation, Counter>,
    database: Option<Life>,
    highest: i64,
    acknowledged: i64,
}

impl Observer {
    /// An observer that has seen view version `highest` in this life or an earlier one.
    pub const fn new(own: Incarnation, highest: i64, times: LeaseTimes) -> Self {
        let gap = times.ttl.saturating_sub(times.strict);
        Self { own, gap, counters: BTreeMap::new(), database: None, highest, acknowledged: 0 }
    }

    /// Its own renewal was acknowledged with this counter.
    ///
    /// # Errors
    /// [`WentBack`] if the counter is not above the one before.
    pub const fn renewed(&mut self, renewals: i64) -> Result<(), WentBack> {
        if renewals <= self.acknowledged {
            return Err(WentBack {
                what: "this node's renewal counter",
                seen: self.acknowledged,
                answered: renewals,
            });
        }
        self.acknowledged = renewals;
        Ok(())
    }

    /// The database answered at `now`.
    ///
    /// # Errors
    /// [`WentBack`] if it answers less than before.
    pub fn sighted(&mut self, sighting: &Sighting<'_>, now: Duration) -> Result<(), WentBack> {
        if sighting.view_version < self.highest {
            return Err(WentBack {
                what: "the view version",
                seen: self.highest,
                answered: sighting.view_version,
            });
        }
        self.highest = sighting.view_version;
        if let Some(&own) = sighting.counters.get(&self.own)
            && own < self.acknowledged
        {
            return Err(WentBack {
                what: "this node's renewal counter",
                seen: self.acknowledged,
                answered: own,
            });
        }
        if self.database.as_ref().is_none_or(|life| life.name != sighting.life) {
            self.database = Some(Life { name: sighting.life.to_owned(), since: now });
        }
        let before = std::mem::take(&mut self.counters);
        self.counters = sighting
            .counters
            .iter()
            .filter(|(incarnation, _)| **incarnation != self.own)
            .map(|(&incarnation, &renewals)| {
                let counter = match before.get(&incarnation) {
                    Some(counter) if counter.renewals == renewals => {
                        let passed = sighting.asked.saturating_sub(counter.still_at).min(self.gap);
                        Counter {
                            still_at: sighting.asked,
                            stood: counter.stood.saturating_add(passed),
                            ..*counter
                        }
                    }
                    _ => Counter { renewals, still_at: now, stood: Duration::ZERO },
                };
                (incarnation, counter)
            })
            .collect();
        Ok(())
    }

    /// The database did not answer, or not in time.
    pub fn unanswered(&mut self) {
        self.database = None;
    }

    /// The incarnations that may be declared dead, each with the counter it stands at; the database compares
    /// that counter again.
    pub fn stale(&self, lease: &LeaseState, now: Duration) -> Vec<(Incarnation, i64)> {
        let ttl = lease.times().ttl;
        let steady = lease.held_for(now).is_some_and(|held| held >= ttl)
            && self.database.as_ref().is_some_and(|life| now.saturating_sub(life.since) > ttl);
        if !steady {
            return Vec::new();
        }
        let stale = self.counters.iter().filter(|(_, counter)| counter.stood > ttl);
        stale.map(|(&incarnation, counter)| (incarnation, counter.renewals)).collect()
    }

    /// The highest view version seen.
    pub const fn highest(&self) -> i64 {
        self.highest
    }

    /// The highest counter acknowledged to this incarnation.
    pub const fn acknowledged(&self) -> i64 {
        self.acknowledged
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::lease::LeaseEvent;

    const OWN: Incarnation = Incarnation([1; 16]);
    const OTHER: Incarnation = Incarnation([2; 16]);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// An observer that looks once a second from second 1 to `until`, and its lease. `other` tells the
    /// counter of the other node at a second, or none where the database does not answer.
    fn watch(until: u64, life: &str, other: impl Fn(u64) -> Option<i64>) -> (Observer, LeaseState) {
        let mut observer = Observer::new(OWN, 0, LeaseTimes::default());
        let mut lease = LeaseState::registered(LeaseTimes::default(), s(0));
        for second in 1..=until {
            match other(second) {
                Some(counter) => {
                    lease = lease.step(LeaseEvent::Acknowledged { sent: s(second) }, s(second));
                    observer.sighted(&sighting(life, 5, counter, second), s(second)).unwrap();
                }
                None => observer.unanswered(),
            }
        }
        (observer, lease)
    }

    fn sighting(life: &str, view_version: i64, other: i64, asked: u64) -> Sighting<'_> {
        let counters = BTreeMap::from([(OWN, 100), (OTHER, other)]);
        Sighting { life, view_version, counters, asked: s(asked) }
    }

    #[test]
    fn a_counter_that_stands_for_a_ttl_is_stale_and_not_before() {
        for (until, stale) in [(13, vec![]), (14, vec![(OTHER, 7)])] {
            let (observer, lease) = watch(until, "a", |second| Some(i64::try_from(second.min(7)).unwrap()));
            assert_eq!(observer.stale(&lease, s(until)), stale, "at second {until}");
        }
    }

    #[test]
    fn whoever_lost_its_own_lease_judges_nobody() {
        let (observer, _) = watch(20, "a", |_| Some(7));
        let young = LeaseState::registered(LeaseTimes::default(), s(17));
        assert!(observer.stale(&young, s(20)).is_empty(), "held for three seconds");
        let gone = LeaseState::registered(LeaseTimes::default(), s(10));
        assert!(observer.stale(&gone, s(20)).is_empty(), "not held");
    }

    #[test]
    fn after_a_break_of_the_database_everybody_gets_a_ttl() {
        // a break of two seconds, shorter than the strict window: the own lease has no gap
        let (observer, lease) = watch(20, "a", |second| (!(13..15).contains(&second)).then_some(7));
        assert!(lease.held_for(s(20)).unwrap() >= s(6));
        assert!(observer.stale(&lease, s(20)).is_empty());
        let (observer, lease) = watch(22, "a", |second| (!(13..15).contains(&second)).then_some(7));
        assert_eq!(observer.stale(&lease, s(22)), [(OTHER, 7)]);
    }

    #[test]
    fn after_a_restart_of_the_database_everybody_gets_a_ttl() {
        let (mut observer, lease) = watch(20, "a", |_| Some(7));
        assert_eq!(observer.stale(&lease, s(20)), [(OTHER, 7)]);
        observer.sighted(&sighting("b", 5, 7, 20), s(20)).unwrap();
        assert!(observer.stale(&lease, s(20)).is_empty());
    }

    #[test]
    fn an_incarnation_that_is_seen_first_gets_a_ttl() {
        let (mut observer, lease) = watch(20, "a", |_| Some(7));
        let mut sighting = sighting("a", 5, 7, 20);
        sighting.counters.insert(Incarnation([3; 16]), 0);
        observer.sighted(&sighting, s(20)).unwrap();
        assert_eq!(observer.stale(&lease, s(20)), [(OTHER, 7)]);
    }

    #[test]
    fn an_answer_that_was_long_on_its_way_proves_nothing_of_that_time() {
        let mut observer = Observer::new(OWN, 0, LeaseTimes::default());
        let lease = LeaseState::registered(LeaseTimes::default(), s(0))
            .step(LeaseEvent::Acknowledged { sent: s(3) }, s(3))
            .step(LeaseEvent::Acknowledged { sent: s(6) }, s(6))
            .step(LeaseEvent::Acknowledged { sent: s(9) }, s(9));
        observer.sighted(&sighting("a", 5, 7, 1), s(1)).unwrap();
        // asked at second 2, answered at second 9: it stood at 7 until second 2, no more is known
        observer.sighted(&sighting("a", 5, 7, 2), s(9)).unwrap();
        assert!(observer.stale(&lease, s(9)).is_empty());
    }

    #[test]
    fn a_jump_of_the_observers_boot_time_shortens_nobodys_lease() {
        let mut observer = Observer::new(OWN, 0, LeaseTimes::default());
        let mut lease = LeaseState::registered(LeaseTimes::default(), s(0));
        // by 2 s between the looks of seconds 10 and 11: too little for a gap in its own lease
        let shown = |second: u64| if second > 10 { second + 2 } else { second };
        for second in 1..=13 {
            let (at, counter) = (s(shown(second)), i64::try_from(second.min(8)).unwrap());
            lease = lease.step(LeaseEvent::Acknowledged { sent: at }, at);
            observer.sighted(&sighting("a", 5, counter, shown(second)), at).unwrap();
        }
        assert!(lease.held_for(s(15)).unwrap() >= s(6));
        assert!(observer.stale(&lease, s(15)).is_empty(), "five seconds after the last renewal");
    }

    #[test]
    fn a_database_that_went_back_is_noticed() {
        let (mut observer, _) = watch(3, "a", |_| Some(7));
        let back = observer.sighted(&sighting("a", 4, 7, 4), s(4)).unwrap_err();
        assert_eq!((back.seen, back.answered), (5, 4));
        observer.renewed(101).unwrap();
        assert!(observer.sighted(&sighting("a", 5, 7, 4), s(4)).is_err(), "its own counter is 100 there");
        assert!(observer.renewed(101).is_err(), "a counter that does not grow");
    }
}
