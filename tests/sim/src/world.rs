//! What the hosts of one run share: time, weather, the store, and what is known of each machine.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use ocmt_cluster::{ClusterError, Job, Lease, Memory, Remembered, Thread};
use ocmt_store::{Revocations, Store};
use ocmt_types::{Clock, Incarnation, Timestamp};

use crate::oracle::Oracle;

/// Everything of one run. Cheap to clone.
#[derive(Clone)]
pub(crate) struct World {
    /// The database.
    pub(crate) store: Store,
    /// What happened.
    pub(crate) oracle: Oracle,
    /// Simulated time in milliseconds, moved by the driver.
    pub(crate) time: Arc<AtomicU64>,
    /// One for each node.
    pub(crate) machines: Arc<Vec<Machine>>,
    /// The lives that were born, in that order.
    pub(crate) lives: Arc<Mutex<Vec<Life>>>,
    /// Of the run.
    pub(crate) seed: u64,
}

/// What the weather is at one node, and what outlives its process.
#[derive(Default)]
pub(crate) struct Machine {
    /// The database is out of its reach.
    pub(crate) cut: AtomicBool,
    /// The machine stands still until then, in milliseconds.
    pub(crate) frozen_until: AtomicU64,
    /// How far its boot time is ahead, in milliseconds.
    pub(crate) ahead: AtomicU64,
    /// Processes started so far.
    pub(crate) starts: AtomicU64,
    /// Its data folder.
    pub(crate) memory: FolderOfOne,
}

/// A life of a node, as the oracle sees it.
pub(crate) struct Life {
    /// Which one.
    pub(crate) incarnation: Incarnation,
    /// Its lease.
    pub(crate) lease: Lease,
    /// Its process is gone.
    pub(crate) gone: Arc<AtomicBool>,
    /// On which machine.
    pub(crate) machine: usize,
}

impl World {
    /// A new one with `nodes` machines.
    pub(crate) fn new(seed: u64, nodes: usize) -> Self {
        Self {
            store: Store::sim(),
            oracle: Oracle::default(),
            time: Arc::default(),
            machines: Arc::new((0..nodes).map(|_| Machine::default()).collect()),
            lives: Arc::default(),
            seed,
        }
    }

    /// Milliseconds since the start.
    pub(crate) fn now(&self) -> u64 {
        self.time.load(Ordering::SeqCst)
    }

    /// Waits until the machine moves.
    pub(crate) async fn thaw(&self, machine: usize) {
        while self.now() < self.machines[machine].frozen_until.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(20)).await; // why: a frozen machine, in simulated time
        }
    }

    /// The lives so far.
    pub(crate) fn lives(&self) -> MutexGuard<'_, Vec<Life>> {
        self.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process of a machine is gone.
    pub(crate) fn bury(&self, machine: usize) {
        for life in self.lives().iter().filter(|life| life.machine == machine) {
            life.gone.store(true, Ordering::SeqCst);
        }
    }
}

/// The clock of one machine.
#[derive(Clone)]
pub(crate) struct SimClock {
    /// Of which world.
    pub(crate) world: World,
    /// Of which machine.
    pub(crate) machine: usize,
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp(i64::try_from(self.world.now()).unwrap_or(i64::MAX))
    }

    fn boottime(&self) -> Duration {
        let ahead = self.world.machines[self.machine].ahead.load(Ordering::SeqCst);
        Duration::from_secs(100) + Duration::from_millis(self.world.now() + ahead)
    }
}

/// Runs a heartbeat as a task of its host.
pub(crate) struct HostTask;

impl Thread for HostTask {
    fn run(&self, job: Job) -> io::Result<()> {
        #[expect(clippy::disallowed_methods, reason = "it ends with its simulated host")]
        tokio::spawn(job);
        Ok(())
    }
}

/// A data folder in memory.
#[derive(Clone, Default)]
pub(crate) struct FolderOfOne(Arc<Mutex<Option<Remembered>>>, Arc<Mutex<Revocations>>);

impl Memory for FolderOfOne {
    fn recall(&self) -> Result<Option<Remembered>, ClusterError> {
        Ok(*self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn remember(&self, what: Remembered) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
    }

    fn recall_revoked(&self) -> Result<Revocations, ClusterError> {
        Ok(self.1.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn remember_revoked(&self, revoked: &Revocations) {
        *self.1.lock().unwrap_or_else(PoisonError::into_inner) = revoked.clone();
    }
}
