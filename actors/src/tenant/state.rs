//! When a tenant may sleep. Pure.

use std::time::Duration;

use ocmt_types::Timestamp;

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quiet {
    /// Stay.
    Stay,
    /// Ask the supervisor to be put to sleep.
    Sleep,
}

/// Since when nothing has happened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QuietState {
    since: Timestamp,
}

impl QuietState {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { since: now }
    }

    /// Something happened.
    pub(crate) fn touch(&mut self, now: Timestamp) {
        self.since = now;
    }

    /// One look: busy starts the quiet time anew.
    pub(crate) fn step(&mut self, busy: bool, now: Timestamp, after: Duration) -> Quiet {
        if busy {
            self.since = now;
            return Quiet::Stay;
        }
        if now.since(self.since) >= after { Quiet::Sleep } else { Quiet::Stay }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unbroken_quiet_time_leads_to_sleep() {
        let after = Duration::from_secs(10);
        let mut quiet = QuietState::new(Timestamp(0));
        assert_eq!(quiet.step(false, Timestamp(9_999), after), Quiet::Stay);
        assert_eq!(quiet.step(true, Timestamp(10_000), after), Quiet::Stay);
        assert_eq!(quiet.step(false, Timestamp(19_999), after), Quiet::Stay);
        assert_eq!(quiet.step(false, Timestamp(20_000), after), Quiet::Sleep);
    }
}
