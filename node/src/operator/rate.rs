//! A bound on what strangers may try, in this process.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// So many tries within a window; the next window begins with the first try after it.
pub(super) struct Rate {
    most: u32,
    window: Duration,
    state: Mutex<(Duration, u32)>,
}

impl Rate {
    pub(super) fn new(most: u32, window: Duration) -> Self {
        Self { most, window, state: Mutex::new((Duration::ZERO, 0)) }
    }

    /// Counts a try at `now` (boot time); if it is one too many, how long to wait.
    pub(super) fn take(&self, now: Duration) -> Result<(), Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (begun, tries) = *state;
        if tries == 0 || now.saturating_sub(begun) >= self.window {
            *state = (now, 1);
            return Ok(());
        }
        if tries >= self.most {
            return Err(self.window.saturating_sub(now.saturating_sub(begun)));
        }
        state.1 += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_past_the_bound_wait_for_the_next_window() {
        let (rate, s) = (Rate::new(2, Duration::from_secs(60)), Duration::from_secs);
        assert_eq!([rate.take(s(100)), rate.take(s(101))], [Ok(()), Ok(())]);
        assert_eq!(rate.take(s(110)), Err(s(50)));
        assert_eq!(rate.take(s(160)), Ok(()));
    }
}
