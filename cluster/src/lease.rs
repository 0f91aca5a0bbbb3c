//! The lease: how long a node may believe that it is alive.
//!
//! A node renews its counter in the database once a heartbeat. It counts from the *sending* of the last
//! acknowledged renewal, by its own `CLOCK_BOOTTIME`, which goes on while the machine sleeps:
//!
//! ```text
//! sent                                   strict (4 s)          TTL (6 s)
//!  |--------- serves strict calls ---------|---- UNAVAILABLE ----|  ends, comes back as a new incarnation
//! ```
//!
//! The argument. An observer declares an incarnation dead only while its counter stands at a value that the
//! observer has known for one whole TTL of its own clock, and the database compares that value again in the
//! same statement. So at a death the renewal that made this value was sent more than one TTL ago, and the
//! node stopped serving strict calls two seconds before. That holds if the two clocks' *rates* differ by less
//! than a third; what they show does not matter, and the database's clock is never read.
//!
//! What a clock cannot prove: that a machine was not suspended between looking at it and acting. So writes
//! and strict reads are fenced in the database as well, and the lease only bounds what is answered from
//! memory.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ocmt_types::Clock;

use crate::ClusterError;

/// The times of a lease. All nodes of a cluster have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseTimes {
    /// Between two renewals.
    pub heartbeat: Duration,
    /// How long after sending a renewal that was acknowledged strict calls are served.
    pub strict: Duration,
    /// When the node ends; how long others wait before they declare it dead. More than `strict`.
    pub ttl: Duration,
}

impl Default for LeaseTimes {
    /// 1 s, 4 s, 6 s.
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(1),
            strict: Duration::from_secs(4),
            ttl: Duration::from_secs(6),
        }
    }
}

impl LeaseTimes {
    /// How long one call of the heartbeat may take: a renewal that is answered after this can still be followed
    /// by another before strict calls are refused. A database that answers slowly costs no lease by that alone.
    pub(crate) fn call(&self) -> Duration {
        self.strict.saturating_sub(self.heartbeat)
    }
}

/// What happened to a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeaseEvent {
    /// It was acknowledged; it was sent at this boot time.
    Acknowledged {
        /// When it was sent, which is when the lease counts from.
        sent: Duration,
    },
    /// It touched no row: this incarnation is dead.
    Refused,
}

/// The state of one incarnation's lease; pure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseState {
    times: LeaseTimes,
    /// When the last acknowledged renewal was sent.
    sent: Duration,
    /// Since when strict calls could be served without a gap.
    since: Duration,
    /// Refused, or the TTL passed and was noticed: final.
    over: bool,
}

impl LeaseState {
    /// The lease of an incarnation whose registration was sent at `sent`: the first renewal.
    pub const fn registered(times: LeaseTimes, sent: Duration) -> Self {
        Self { times, sent, since: sent, over: false }
    }

    /// The state after an event that is learnt of at `now`.
    #[must_use]
    pub fn step(self, event: LeaseEvent, now: Duration) -> Self {
        if self.is_over(now) {
            // an acknowledgement that comes this late proves nothing: the node has ended
            return Self { over: true, ..self };
        }
        match event {
            LeaseEvent::Refused => Self { over: true, ..self },
            LeaseEvent::Acknowledged { sent } if sent <= self.sent => self,
            LeaseEvent::Acknowledged { sent } => {
                let since = if self.is_strict(now) { self.since } else { sent };
                Self { sent, since, ..self }
            }
        }
    }

    /// Whether strict calls may be served.
    pub fn is_strict(&self, now: Duration) -> bool {
        !self.over && now < self.sent + self.times.strict
    }

    /// Whether the node must end.
    pub fn is_over(&self, now: Duration) -> bool {
        self.over || now >= self.ends_at()
    }

    /// When the node must end if no further renewal is acknowledged.
    pub fn ends_at(&self) -> Duration {
        self.sent + self.times.ttl
    }

    /// For how long strict calls could be served without a gap; none if they cannot now.
    pub fn held_for(&self, now: Duration) -> Option<Duration> {
        self.is_strict(now).then(|| now.saturating_sub(self.since))
    }

    /// For how long strict calls could not be served; none if they can.
    pub fn lost_for(&self, now: Duration) -> Option<Duration> {
        (!self.is_strict(now)).then(|| now.saturating_sub(self.sent + self.times.strict))
    }

    /// The times it goes by.
    pub const fn times(&self) -> LeaseTimes {
        self.times
    }
}

/// This node's lease, to be asked by whoever serves. Cheap to clone; each question reads the clock.
#[derive(Clone)]
pub struct Lease {
    /// None for a node that is alone with its database.
    held: Option<Arc<Held>>,
}

struct Held {
    state: Mutex<LeaseState>,
    clock: Arc<dyn Clock>,
}

impl Lease {
    /// The lease of a node without peers, always good: the lock of its data folder is the proof.
    pub const fn alone() -> Self {
        Self { held: None }
    }

    pub(crate) fn new(state: LeaseState, clock: Arc<dyn Clock>) -> Self {
        Self { held: Some(Arc::new(Held { state: Mutex::new(state), clock })) }
    }

    /// Refuses unless strict calls may be served at this moment. Ask again just before answering from
    /// memory.
    ///
    /// # Errors
    /// [`ClusterError::NoLease`].
    pub fn strict(&self) -> Result<(), ClusterError> {
        let strict = self.ask(LeaseState::is_strict).unwrap_or(true);
        if strict { Ok(()) } else { Err(ClusterError::NoLease) }
    }

    /// For how long the lease was held without a gap; none if it is not held. For a node without peers the
    /// longest time there is.
    pub fn held_for(&self) -> Option<Duration> {
        self.ask(LeaseState::held_for).unwrap_or(Some(Duration::MAX))
    }

    /// For how long strict calls could not be served; none if they can. It counts within one process: a node
    /// that cannot even register counts from its own start.
    pub fn lost_for(&self) -> Option<Duration> {
        self.ask(LeaseState::lost_for).flatten()
    }

    /// When the node must end if no further renewal is acknowledged, as a time from now: zero if it must. None for a node
    /// without peers.
    pub fn left(&self) -> Option<Duration> {
        self.ask(
            |state, now| {
                if state.is_over(now) { Duration::ZERO } else { state.ends_at().saturating_sub(now) }
            },
        )
    }

    /// The state; none for a node without peers.
    pub(crate) fn state(&self) -> Option<LeaseState> {
        self.ask(|state, _| *state)
    }

    /// Takes an event in and returns the new state.
    pub(crate) fn step(&self, event: LeaseEvent) -> Option<LeaseState> {
        let held = self.held.as_ref()?;
        let mut state = held.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.step(event, held.clock.boottime());
        Some(*state)
    }

    fn ask<T>(&self, question: impl FnOnce(&LeaseState, Duration) -> T) -> Option<T> {
        let held = self.held.as_ref()?;
        let state = *held.state.lock().unwrap_or_else(PoisonError::into_inner);
        // the clock is read after the state: a state that is older than the time is on the safe side
        Some(question(&state, held.clock.boottime()))
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("held_for", &self.held_for()).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::{ManualClock, Timestamp};

    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn registered_at(sent: u64) -> LeaseState {
        LeaseState::registered(LeaseTimes::default(), s(sent))
    }

    fn acknowledged(sent: u64) -> LeaseEvent {
        LeaseEvent::Acknowledged { sent: s(sent) }
    }

    #[test]
    fn it_counts_from_the_sending_and_not_from_the_answer() {
        let lease = registered_at(10).step(acknowledged(11), s(13));
        assert!(lease.is_strict(s(15) - Duration::from_nanos(1)));
        assert!(!lease.is_strict(s(15)), "four seconds after 11, whenever the answer came");
        assert!(!lease.is_over(s(17) - Duration::from_nanos(1)) && lease.is_over(s(17)));
    }

    #[test]
    fn an_answer_after_the_ttl_revives_nothing() {
        let lease = registered_at(10).step(acknowledged(15), s(16));
        assert!(lease.is_over(s(16)) && !lease.is_strict(s(16)));
        let later = lease.step(acknowledged(17), s(18));
        assert!(later.is_over(s(18)) && !later.is_strict(s(18)));
    }

    #[test]
    fn a_refused_renewal_ends_it_at_once() {
        let lease = registered_at(10).step(LeaseEvent::Refused, s(11));
        assert!(lease.is_over(s(11)) && !lease.is_strict(s(11)) && lease.held_for(s(11)).is_none());
    }

    #[test]
    fn answers_out_of_order_never_take_it_back() {
        let lease = registered_at(10).step(acknowledged(12), s(13)).step(acknowledged(11), s(13));
        assert!(lease.is_strict(s(15)));
    }

    #[test]
    fn a_gap_begins_the_holding_anew() {
        let lease = registered_at(10).step(acknowledged(13), s(13));
        assert_eq!(lease.held_for(s(14)), Some(s(4)));
        // the answer comes when the strict window of the renewal before has closed: nobody served in between
        let lease = lease.step(acknowledged(17), s(18));
        assert_eq!(lease.held_for(s(18)), Some(s(1)));
        assert_eq!(lease.lost_for(s(18)), None);
        assert_eq!(lease.lost_for(s(23)), Some(s(2)));
    }

    #[test]
    fn a_suspended_machine_finds_its_lease_gone() {
        let clock = ManualClock::at(Timestamp(10_000));
        let lease = Lease::new(registered_at(10), Arc::new(clock.clone()));
        lease.strict().unwrap();
        clock.advance(s(60));
        assert!(matches!(lease.strict(), Err(ClusterError::NoLease)));
        assert_eq!(lease.left(), Some(Duration::ZERO));
        // the acknowledgement that lay in the socket all the while
        lease.step(acknowledged(11));
        assert!(lease.strict().is_err());
    }

    #[test]
    fn a_node_without_peers_needs_none() {
        let lease = Lease::alone();
        lease.strict().unwrap();
        assert!(lease.lost_for().is_none() && lease.left().is_none());
    }
}
