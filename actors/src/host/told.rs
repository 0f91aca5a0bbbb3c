//! Requests to a workload that the audit has heard of: one page may make a hundred, and a program one each second.
//!
//! The first of a session to a container is recorded, and again after a while; those between stand under it, as further
//! pages of a stream do. WebSockets are recorded each.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ocmt_types::{ContainerId, SessionId};

/// One record stands for so long.
const FOR: Duration = Duration::from_secs(300);
/// Most that are remembered; past that all are recorded anew.
const MOST: usize = 1 << 16;

/// By boot time.
#[derive(Default)]
pub(crate) struct Told(Mutex<HashMap<(SessionId, ContainerId), Duration>>);

impl Told {
    /// Whether there is a record that stands for this.
    pub(super) fn knows(&self, session: SessionId, container: ContainerId, now: Duration) -> bool {
        let told = self.lock();
        told.get(&(session, container)).is_some_and(|at| now.saturating_sub(*at) < FOR)
    }

    /// It was recorded.
    pub(super) fn note(&self, session: SessionId, container: ContainerId, now: Duration) {
        let mut told = self.lock();
        if told.len() >= MOST {
            told.retain(|_, at| now.saturating_sub(*at) < FOR);
        }
        if told.len() >= MOST {
            told.clear();
        }
        told.insert((session, container), now);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(SessionId, ContainerId), Duration>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
