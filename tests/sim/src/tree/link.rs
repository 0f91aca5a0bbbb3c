//! A node's way to the database: short delays, since a transaction of the tree has many statements, and the same
//! faults as in the other world.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::Ordering},
    time::Duration,
};

use ocmt_store::{Fault, Link, Passage, Point};
use ocmt_types::Incarnation;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::time::timeout;

use super::world::Tree;

/// How long a client waits for a database that does not answer.
const PATIENCE: Duration = Duration::from_millis(800);
/// The database ends sessions that are idle in a transaction for so long.
const IDLE: Duration = Duration::from_secs(2);

/// The link of one life.
pub(crate) struct TreeLink {
    tree: Tree,
    machine: usize,
    /// Whose it is, once it has registered.
    life: Arc<OnceLock<Incarnation>>,
    rng: Mutex<StdRng>,
}

impl TreeLink {
    /// A link whose chances come from `seed`.
    pub(crate) fn new(tree: Tree, machine: usize, life: Arc<OnceLock<Incarnation>>, seed: u64) -> Self {
        Self { tree, machine, life, rng: Mutex::new(StdRng::seed_from_u64(seed)) }
    }

    fn roll(&self, below: u64) -> u64 {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).random_range(0..below)
    }

    async fn travel(&self) {
        let ms = match self.roll(200) {
            0 => self.roll(300),
            1..60 => 1,
            _ => 0,
        };
        if ms > 0 {
            tokio::time::sleep(Duration::from_millis(ms)).await; // why: the packet's way, in simulated time
        }
    }

    /// Whether the machine moves, for the database's patience: nobody else writes while it holds its turn.
    async fn moves(&self) -> bool {
        timeout(IDLE, self.tree.ground.thaw(self.machine)).await.is_ok()
    }

    async fn depart(&self, point: Point) -> Option<Fault> {
        self.travel().await;
        if point == Point::Begin && self.tree.is_stormy() && self.roll(30) == 0 {
            let ms = self.roll(2_500);
            tokio::time::sleep(Duration::from_millis(ms)).await; // why: all connections are in use, in simulated time
        }
        if matches!(point, Point::Statement | Point::Commit) {
            if !self.moves().await {
                return Some(Fault::Unavailable);
            }
        } else {
            self.tree.ground.thaw(self.machine).await;
        }
        if self.tree.ground.machines[self.machine].cut.load(Ordering::SeqCst) {
            tokio::time::sleep(PATIENCE).await; // why: the caller's patience with a dead line, simulated
            // nobody knows whether a commit arrived before the line broke
            let applied = self.roll(2) == 0;
            return Some(match point {
                Point::Commit => Fault::OutcomeUnknown { applied },
                _ => Fault::Unavailable,
            });
        }
        if point == Point::Commit && self.tree.is_stormy() && self.roll(150) == 0 {
            return Some(Fault::OutcomeUnknown { applied: self.roll(2) == 0 });
        }
        None
    }
}

impl Link for TreeLink {
    fn ask(&self, point: Point) -> Passage<'_, Option<Fault>> {
        Box::pin(self.depart(point))
    }

    fn answer(&self, point: Point) -> Passage<'_, ()> {
        Box::pin(async move {
            if point == Point::Commit {
                // the moment of truth: what was committed just now, and who believes what
                self.tree.ground.check_the_living(|machine| !self.tree.is_frozen(machine));
                self.tree.see_commit(self.life.get().copied());
            }
            self.travel().await;
            if point == Point::Commit {
                self.tree.ground.thaw(self.machine).await;
            }
        })
    }
}
