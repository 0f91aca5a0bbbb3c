//! A node's way to the database: delays, hangs, breaks, and commits whose answers are lost.

use std::{
    sync::{Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use futures_util::FutureExt as _;
use ocmt_store::{Fault, Link, Passage, Point};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::world::World;

/// How long a client waits for a database that does not answer.
const PATIENCE: Duration = Duration::from_millis(800);

/// The link of one process.
pub(crate) struct HostLink {
    world: World,
    machine: usize,
    rng: Mutex<StdRng>,
}

impl HostLink {
    /// A link whose chances come from `seed`.
    pub(crate) fn new(world: World, machine: usize, seed: u64) -> Self {
        Self { world, machine, rng: Mutex::new(StdRng::seed_from_u64(seed)) }
    }

    fn roll(&self, below: u64) -> u64 {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).random_range(0..below)
    }

    fn is_cut(&self) -> bool {
        self.world.machines[self.machine].cut.load(Ordering::SeqCst)
    }

    async fn travel(&self) {
        // one in thirty packets is slow
        let ms = if self.roll(30) == 0 { self.roll(400) } else { self.roll(4) };
        tokio::time::sleep(Duration::from_millis(ms)).await; // why: the packet's way, in simulated time
        self.world.thaw(self.machine).await;
    }

    async fn depart(&self, point: Point) -> Option<Fault> {
        let before = self.world.now();
        self.travel().await;
        if self.is_cut() {
            tokio::time::sleep(PATIENCE).await; // why: the caller's patience with a dead line, simulated
            // nobody knows whether a commit arrived before the line broke
            let applied = self.roll(2) == 0;
            return Some(match point {
                Point::Commit => Fault::OutcomeUnknown { applied },
                _ => Fault::Unavailable,
            });
        }
        // the database ends sessions that are idle in a transaction: a machine that stood still finds it so
        let idle = self.world.now().saturating_sub(before) > 2_000;
        if idle && matches!(point, Point::Statement | Point::Commit) {
            return Some(Fault::Unavailable);
        }
        if point == Point::Commit && self.roll(200) == 0 {
            return Some(Fault::OutcomeUnknown { applied: self.roll(2) == 0 });
        }
        None
    }
}

impl Link for HostLink {
    fn ask(&self, point: Point) -> Passage<'_, Option<Fault>> {
        Box::pin(self.depart(point))
    }

    fn answer(&self, point: Point) -> Passage<'_, ()> {
        Box::pin(async move {
            if point == Point::Commit {
                // the moment of truth: what was committed just now, and who believes what
                self.world.check_the_living(|_| true);
            }
            self.travel().await;
        })
    }
}

impl World {
    /// No life that the database calls dead may serve strict calls, unless its process is gone.
    /// `moves` says of a machine whether it could.
    pub(crate) fn check_the_living(&self, moves: impl Fn(usize) -> bool) {
        let Some(Ok(observed)) = self.store.cluster().observe().now_or_never() else {
            return;
        };
        for life in self.lives().iter() {
            let alive = observed.nodes.iter().any(|(node, _)| node.incarnation == life.incarnation);
            let serves = !life.gone.load(Ordering::SeqCst) && life.lease.strict().is_ok();
            if serves && !alive && moves(life.machine) {
                self.oracle.violation(format!(
                    "at {} ms node {} is dead in the database and serves under its lease",
                    self.now(),
                    life.machine + 1
                ));
            }
        }
    }
}
