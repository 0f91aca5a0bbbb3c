//! For how long this process has been without a lease, over all its lives.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ocmt_cluster::Lease;
use ocmt_types::Clock;

/// Counts from the start of the process until a life of it takes a lease, then from the loss of that one, until
/// the next life takes the next. Clones are the same.
#[derive(Clone)]
pub(super) struct Lapse(Arc<Held>);

struct Held {
    clock: Arc<dyn Clock>,
    since: Duration,
    lease: Mutex<Option<Lease>>,
}

impl Lapse {
    /// Begins to count.
    pub(super) fn begin(clock: Arc<dyn Clock>) -> Self {
        let since = clock.boottime();
        Self(Arc::new(Held { clock, since, lease: Mutex::default() }))
    }

    /// A life has taken this lease.
    pub(super) fn ended_by(&self, lease: Lease) {
        *self.0.lease.lock().unwrap_or_else(PoisonError::into_inner) = Some(lease);
    }

    /// How long it has lasted; none while a lease is held.
    pub(super) fn length(&self) -> Option<Duration> {
        let lease = self.0.lease.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match lease {
            Some(lease) => lease.lost_for(),
            None => Some(self.0.clock.boottime().saturating_sub(self.0.since)),
        }
    }
}

#[cfg(test)]
mod tests {
    use ocmt_types::{ManualClock, Timestamp};

    use super::*;

    #[test]
    fn it_counts_from_the_start_of_the_process_until_a_life_takes_a_lease() {
        let clock = ManualClock::at(Timestamp(5_000));
        let lapse = Lapse::begin(Arc::new(clock.clone()));
        clock.advance(Duration::from_secs(700));
        assert_eq!(lapse.length(), Some(Duration::from_secs(700)));
        lapse.clone().ended_by(Lease::alone());
        assert_eq!(lapse.length(), None);
    }
}
