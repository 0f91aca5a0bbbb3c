//! What the cell counts so that the node knows whether the container is in use. Counts say nothing
//! of content.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// Counters since the cell started, and what is open now.
#[derive(Debug, Default)]
pub struct Activity {
    frames_in: AtomicU64,
    frames_out: AtomicU64,
    last_ms: AtomicU64,
    execs: Arc<AtomicUsize>,
    log_followers: Arc<AtomicUsize>,
}

/// A reading of [`Activity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ActivityReading {
    /// Frames from the user's client, since the start.
    pub frames_in: u64,
    /// Frames to the user's client, since the start.
    pub frames_out: u64,
    /// When the last one passed: boot time in milliseconds; 0 if none did.
    pub last_ms: u64,
    /// Commands that run over channels now.
    pub execs: usize,
    /// Followers of the logs now.
    pub log_followers: usize,
}

impl ActivityReading {
    /// Goes up with every frame, and never down.
    pub fn total(&self) -> u64 {
        self.frames_in.saturating_add(self.frames_out)
    }
}

impl Activity {
    /// A frame came in at `now_ms`.
    pub fn frame_in(&self, now_ms: u64) {
        self.frames_in.fetch_add(1, Ordering::Relaxed);
        self.last_ms.fetch_max(now_ms, Ordering::Relaxed);
    }

    /// A frame went out at `now_ms`.
    pub fn frame_out(&self, now_ms: u64) {
        self.frames_out.fetch_add(1, Ordering::Relaxed);
        self.last_ms.fetch_max(now_ms, Ordering::Relaxed);
    }

    /// A command runs until the answer is dropped.
    pub fn exec(&self) -> Open {
        Open::count(&self.execs)
    }

    /// A follower of the logs stays until the answer is dropped.
    pub fn log_follower(&self) -> Open {
        Open::count(&self.log_followers)
    }

    /// The counts now.
    pub fn read(&self) -> ActivityReading {
        ActivityReading {
            frames_in: self.frames_in.load(Ordering::Relaxed),
            frames_out: self.frames_out.load(Ordering::Relaxed),
            last_ms: self.last_ms.load(Ordering::Relaxed),
            execs: self.execs.load(Ordering::Relaxed),
            log_followers: self.log_followers.load(Ordering::Relaxed),
        }
    }
}

/// Something that is counted while it is held.
#[derive(Debug)]
pub struct Open(Arc<AtomicUsize>);

impl Open {
    fn count(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counter))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
