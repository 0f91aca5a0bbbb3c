//! What the hosts of one run share beside the [`World`] of every simulation: engines, mail, parcels on their
//! way, and what people know.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use ocmt_cluster::Lease;
use ocmt_runtime::sim::SimRuntime;
use ocmt_store::testing::id;
use ocmt_types::{Clock, ContainerId, NodeId, TenantId, VaultId};

use super::{
    clock::{MOVES, TreeClock},
    mail::Mailbox,
    seen::Seen,
    watch::Watch,
    wire::Parcels,
};
use crate::{oracle::Event, world::World};

/// Everything of one run. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Tree {
    /// What every simulation has.
    pub(crate) ground: World,
    /// One for each machine.
    pub(crate) hosts: Arc<Vec<Host>>,
    /// Mails that were handed over.
    pub(crate) mail: Mailbox,
    /// What is on its way between machines.
    pub(crate) parcels: Parcels,
    /// What is known of each tenant, by its number.
    pub(crate) desk: Arc<Mutex<BTreeMap<u64, Known>>>,
    /// What was last seen in the database.
    pub(crate) watch: Arc<Mutex<Watch>>,
    /// Faults by chance happen.
    pub(crate) stormy: Arc<AtomicBool>,
}

/// What of a machine outlives its process.
pub(crate) struct Host {
    /// The engine for containers.
    pub(crate) engine: SimRuntime,
    /// A process runs.
    pub(crate) up: AtomicBool,
    /// For how long that process has been without a lease.
    pub(crate) lapse: Mutex<Option<Lapse>>,
    /// Its clock.
    pub(crate) clock: TreeClock,
}

/// What people know of their tenant.
#[derive(Clone, Default)]
pub(crate) struct Known {
    /// Which it is.
    pub(crate) tenant: Option<TenantId>,
    /// The session token of its owner.
    pub(crate) owner: String,
    /// The owner's vault.
    pub(crate) vault: Option<VaultId>,
    /// The session token of its other user.
    pub(crate) member: String,
    /// That one's container.
    pub(crate) container: Option<ContainerId>,
}

impl Tree {
    /// A new one with `nodes` machines.
    pub(crate) fn new(seed: u64, nodes: usize) -> Self {
        let ground = World::new(seed, nodes);
        let host = |machine| {
            let frozen_since = Arc::new(AtomicU64::new(MOVES));
            let clock = TreeClock { ground: ground.clone(), machine, frozen_since };
            Host {
                engine: SimRuntime::new(node_id(machine), Arc::new(clock.clone())),
                clock,
                up: AtomicBool::new(false),
                lapse: Mutex::default(),
            }
        };
        Self {
            hosts: Arc::new((0..nodes).map(host).collect()),
            ground,
            mail: Mailbox::default(),
            parcels: Parcels::default(),
            desk: Arc::default(),
            watch: Arc::default(),
            stormy: Arc::default(),
        }
    }

    /// The clock of a machine.
    pub(crate) fn clock(&self, machine: usize) -> Arc<dyn Clock> {
        Arc::new(self.hosts[machine].clock.clone())
    }

    /// Whether a machine stands still.
    pub(crate) fn is_frozen(&self, machine: usize) -> bool {
        self.ground.now() < self.ground.machines[machine].frozen_until.load(Ordering::SeqCst)
    }

    /// Stops and starts the clocks of machines that were frozen just now, or move again.
    pub(crate) fn freeze_clocks(&self) {
        for (machine, host) in self.hosts.iter().enumerate() {
            let since = &host.clock.frozen_since;
            match (self.is_frozen(machine), since.load(Ordering::SeqCst)) {
                (true, MOVES) => since.store(self.ground.now(), Ordering::SeqCst),
                (false, _) => since.store(MOVES, Ordering::SeqCst),
                (true, _) => {}
            }
        }
    }

    /// For the trace.
    pub(crate) fn saw(&self, seen: Seen) {
        self.ground.oracle.saw(self.ground.now(), Event::Tree(seen));
    }

    /// For the trace, in words.
    pub(crate) fn note(&self, what: String) {
        self.ground.oracle.saw(self.ground.now(), Event::Noted(what));
    }

    /// An invariant does not hold.
    pub(crate) fn violation(&self, what: &str) {
        self.ground.oracle.violation(format!("at {} ms {what}", self.ground.now()));
    }

    /// Whether faults by chance happen now.
    pub(crate) fn is_stormy(&self) -> bool {
        self.stormy.load(Ordering::SeqCst)
    }

    /// What is known of the tenants.
    pub(crate) fn desk(&self) -> MutexGuard<'_, BTreeMap<u64, Known>> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of one.
    pub(crate) fn known(&self, tenant: u64) -> Known {
        self.desk().get(&tenant).cloned().unwrap_or_default()
    }

    /// Somebody knows more.
    pub(crate) fn learn(&self, tenant: u64, change: impl FnOnce(&mut Known)) {
        change(self.desk().entry(tenant).or_default());
    }
}

/// The node of a machine.
pub(crate) fn node_id(machine: usize) -> NodeId {
    id(machine as u64 + 1)
}

/// For how long a process has been without a lease, over all its lives.
#[derive(Clone)]
pub(crate) struct Lapse {
    clock: Arc<dyn Clock>,
    since: Duration,
    lease: Arc<Mutex<Option<Lease>>>,
}

impl Lapse {
    /// Begins to count.
    pub(crate) fn begin(clock: Arc<dyn Clock>) -> Self {
        Self { since: clock.boottime(), clock, lease: Arc::default() }
    }

    /// A life has taken this lease.
    pub(crate) fn ended_by(&self, lease: Lease) {
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = Some(lease);
    }

    /// How long it has lasted; none while a lease is held.
    pub(crate) fn length(&self) -> Option<Duration> {
        match &*self.lease.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(lease) => lease.lost_for(),
            None => Some(self.clock.boottime().saturating_sub(self.since)),
        }
    }
}
