//! One machine: at most one life of its node, and what outlives it.

use std::time::Duration;

use ocmt_cluster::{LeaseEvent, LeaseState, LeaseTimes, Observer, Sighting};

use crate::database::{Database, Life, incarnation};

/// A heartbeat is one tick, the strict time two, the TTL three.
pub(crate) const TIMES: LeaseTimes = LeaseTimes { heartbeat: ticks(1), strict: ticks(2), ttl: ticks(3) };

/// A time of the model.
pub(crate) const fn ticks(count: u8) -> Duration {
    Duration::from_secs(count as u64)
}

/// The tenant's actor on this machine: the state it loaded, under which claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Actor {
    /// Of its claim.
    pub epoch: i64,
    /// What it believes the tenant's value to be.
    pub value: u8,
}

/// A write that was sent to the database and has not arrived; it outlives the process that sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Write {
    /// By whom.
    pub life: Life,
    /// Under which claim.
    pub epoch: i64,
    /// What the value was when it was computed.
    pub base: u8,
}

/// A life of a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Node {
    /// Which one.
    pub life: Life,
    /// The real lease.
    pub lease: LeaseState,
    /// The real observer.
    pub observer: Observer,
    /// When it last looked.
    pub looked: u8,
    /// The answer to a renewal, on its way: when it was sent, and the counter.
    pub answer: Option<(Duration, i64)>,
    /// Somebody whom it decided to declare dead, and the counter it stood at.
    pub verdict: Option<(Life, i64)>,
    /// The tenant's actor.
    pub actor: Option<Actor>,
    /// It knows that it is over.
    pub over: bool,
    /// The nodes that it sees, by machine: for the variant that takes placement for ownership.
    pub sees: Vec<usize>,
}

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Machine {
    /// The life of the node that runs.
    pub node: Option<Node>,
    /// A write on its way to the database.
    pub write: Option<Write>,
}

impl Node {
    /// A life that registered at `now`.
    pub fn born(life: Life, now: u8, database: &Database) -> Self {
        Self {
            life,
            lease: LeaseState::registered(TIMES, ticks(now)),
            observer: Observer::new(incarnation(life), database.view_version, TIMES),
            looked: now,
            answer: None,
            verdict: None,
            actor: None,
            over: false,
            sees: Vec::new(),
        }
    }

    /// The answer to its renewal arrives.
    pub fn acknowledged(&mut self, now: u8) {
        if let Some((sent, renewals)) = self.answer.take() {
            if self.observer.renewed(renewals).is_err() {
                self.end();
            } else {
                self.lease = self.lease.step(LeaseEvent::Acknowledged { sent }, ticks(now));
            }
        }
    }

    /// It looks at the database, and decides who is dead.
    pub fn look(&mut self, now: u8, database: &Database) {
        let counters = database.counters().collect();
        let sighting =
            Sighting { life: "", view_version: database.view_version, counters, asked: ticks(now) };
        self.looked = now;
        if self.observer.sighted(&sighting, ticks(now)).is_err() {
            return self.end();
        }
        self.sees = database.leases.iter().filter(|row| !row.ended).map(|row| row.machine).collect();
        let stale = self.observer.stale(&self.lease, ticks(now));
        self.verdict = stale.first().map(|(incarnation, seen)| (incarnation.0[0], *seen));
    }

    /// Whether it may answer a strict call from memory.
    pub fn is_strict(&self, now: u8) -> bool {
        !self.over && self.lease.is_strict(ticks(now))
    }

    /// This life is over.
    pub fn end(&mut self) {
        self.over = true;
        self.actor = None;
        self.verdict = None;
        self.answer = None;
    }
}
