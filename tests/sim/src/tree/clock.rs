//! The clocks of one machine: to the millisecond within a step of the simulation. They stand still while the
//! machine is frozen: its timers go on in the simulator, but nothing on it learns that time has passed before it
//! moves again. So a life is over without knowing it, as in a machine that was suspended.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ocmt_types::{Clock, Timestamp};

use crate::world::World;

/// Simulated time begins in 2027.
pub(crate) const START: i64 = 1_800_000_000_000;

/// The clock of one machine.
#[derive(Clone)]
pub(crate) struct TreeClock {
    /// Of which world.
    pub(crate) ground: World,
    /// Of which machine.
    pub(crate) machine: usize,
    /// Since when it is frozen, in milliseconds; [`MOVES`] while it is not.
    pub(crate) frozen_since: Arc<AtomicU64>,
}

/// Of a machine that is not frozen.
pub(crate) const MOVES: u64 = u64::MAX;

impl TreeClock {
    fn since_start(&self) -> Duration {
        // outside of the simulated hosts it is the driver who asks
        let time = turmoil::sim_elapsed().unwrap_or_else(|| Duration::from_millis(self.ground.now()));
        time.min(Duration::from_millis(self.frozen_since.load(Ordering::SeqCst)))
    }
}

impl Clock for TreeClock {
    fn now(&self) -> Timestamp {
        Timestamp(START) + self.since_start()
    }

    fn boottime(&self) -> Duration {
        let ahead = self.ground.machines[self.machine].ahead.load(Ordering::SeqCst);
        Duration::from_secs(100) + self.since_start() + Duration::from_millis(ahead)
    }
}
