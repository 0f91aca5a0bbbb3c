//! What the actors count of their own work, for whoever watches the node.
//!
//! Labels are words of the code: methods, kinds, states. Never a tenant, a user or anything that a caller may choose, so the
//! number of series has an end.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::{
    api::{container::WakeKind, recovery::CeremonyState},
    env::Env,
    system::System,
};
use ocmt_store::tables::CeremonyState as Stored;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Method {
    method: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

const STATES: [CeremonyState; 9] = [
    CeremonyState::Open,
    CeremonyState::Ready,
    CeremonyState::Released,
    CeremonyState::Completed,
    CeremonyState::Denied,
    CeremonyState::Vetoed,
    CeremonyState::Locked,
    CeremonyState::Expired,
    CeremonyState::Cancelled,
];

/// The counts of one node's tree.
pub(crate) struct Meters {
    /// From taking a call up to its commit.
    handled: Histograms<Method>,
    /// From sending a call to taking it up: the mailboxes on its way, and the lane.
    waited: Histogram,
    /// Sent and not taken up.
    waiting: Gauge,
    activations: Counter,
    fenced: Counter,
    wakes: Histograms<Kind>,
    ceremonies: Family<State, Counter>,
}

impl Meters {
    pub(crate) fn new() -> Self {
        let new = Self {
            handled: Family::new_with_constructor(short as fn() -> Histogram),
            waited: short(),
            waiting: Gauge::default(),
            activations: Counter::default(),
            fenced: Counter::default(),
            wakes: Family::new_with_constructor(long as fn() -> Histogram),
            ceremonies: Family::default(),
        };
        // there from the start: an alert on what happens once sees it rise from zero
        for kind in [WakeKind::None, WakeKind::Unpause, WakeKind::Start, WakeKind::Create] {
            drop(new.wakes.get_or_create(&Kind { kind: kind.as_str() }));
        }
        for state in STATES {
            drop(new.ceremonies.get_or_create(&State { state: Stored::from(state).as_str() }));
        }
        new
    }

    pub(crate) fn handled(&self, method: &'static str, time: Duration) {
        self.handled.get_or_create(&Method { method }).observe(time.as_secs_f64());
    }

    pub(crate) fn activated(&self) {
        self.activations.inc();
    }

    /// Work was refused because the tenant is another node's by now.
    pub(crate) fn fenced(&self) {
        self.fenced.inc();
    }

    pub(crate) fn woken(&self, kind: WakeKind, time: Duration) {
        self.wakes.get_or_create(&Kind { kind: kind.as_str() }).observe(time.as_secs_f64());
    }

    pub(crate) fn ceremony(&self, state: CeremonyState) {
        self.ceremonies.get_or_create(&State { state: Stored::from(state).as_str() }).inc();
    }
}

/// A call on its way to whoever takes it up. Dropped, it has arrived or will not.
pub(crate) struct Queued {
    env: Arc<Env>,
    since: Duration,
}

impl Queued {
    pub(crate) fn now(env: &Arc<Env>) -> Self {
        env.meters.waiting.inc();
        Self { env: Arc::clone(env), since: env.clock.boottime() }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        let meters = &self.env.meters;
        meters.waiting.dec();
        let waited = self.env.clock.boottime().saturating_sub(self.since);
        meters.waited.observe(waited.as_secs_f64());
    }
}

impl System {
    /// Shows what the actors count under these names.
    pub fn register_meters(&self, registry: &mut Registry) {
        let it = &self.env.meters;
        let seconds = || Unit::Seconds;
        registry.register_with_unit(
            "actor_handling",
            "From taking a call up to its commit, by method",
            seconds(),
            it.handled.clone(),
        );
        registry.register_with_unit(
            "actor_waiting",
            "From sending a call to taking it up",
            seconds(),
            it.waited.clone(),
        );
        registry.register("actor_mailbox_depth", "Calls that were sent and not taken up", it.waiting.clone());
        registry.register("tenant_activations", "Tenants that were activated here", it.activations.clone());
        registry.register(
            "fence_rejections",
            "Work refused because the tenant was another node's by then",
            it.fenced.clone(),
        );
        registry.register_with_unit(
            "container_wake",
            "From asking for a sleeping container to its readiness, by kind",
            seconds(),
            it.wakes.clone(),
        );
        registry.register(
            "ceremony_transitions",
            "Recovery ceremonies that entered a state",
            it.ceremonies.clone(),
        );
    }

    /// Calls of strangers that were refused since the start; these leave no audit record.
    pub fn strangers_refused(&self) -> u64 {
        self.env.strangers_refused.load(Ordering::Relaxed)
    }

    /// How often a container here was found not to be as it was made, since the start.
    pub fn drifted(&self) -> u64 {
        self.env.drifted.load(Ordering::Relaxed)
    }
}

/// A millisecond to half a minute.
fn short() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0])
}

/// What an engine for containers takes.
fn long() -> Histogram {
    Histogram::new([0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0])
}
