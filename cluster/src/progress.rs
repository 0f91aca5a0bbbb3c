//! Whether the runtime that serves is moving.
//!
//! The heartbeat has a thread of its own, so it would go on renewing for a node whose main runtime hangs:
//! alive for the cluster, dead for its users. So the main runtime ticks, and without ticks the heartbeat
//! does not renew.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ocmt_types::Clock;

/// The ticks of the main runtime. Cheap to clone.
#[derive(Clone)]
pub struct Progress {
    /// Boot time of the last tick, in milliseconds.
    at: Arc<AtomicU64>,
    clock: Arc<dyn Clock>,
    heartbeat: Duration,
}

impl Progress {
    pub(crate) fn new(clock: Arc<dyn Clock>, heartbeat: Duration) -> Self {
        let progress = Self { at: Arc::default(), clock, heartbeat };
        progress.tick();
        progress
    }

    /// The runtime moves.
    pub fn tick(&self) {
        self.at.store(millis(self.clock.boottime()), Ordering::Release);
    }

    /// Ticks four times a heartbeat, for ever: a task of the main runtime.
    pub async fn run(self) {
        loop {
            self.tick();
            tokio::time::sleep(self.heartbeat / 4).await;
        }
    }

    /// The time between two renewals.
    pub(crate) fn heartbeat(&self) -> Duration {
        self.heartbeat
    }

    /// Whether it ticked within two heartbeats.
    pub(crate) fn moves(&self) -> bool {
        let stood = millis(self.clock.boottime()).saturating_sub(self.at.load(Ordering::Acquire));
        stood <= millis(self.heartbeat * 2)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
