//! What waits to be handed over, and when to give up. Pure.

use std::{collections::VecDeque, time::Duration};

use super::Parcel;

/// Hand-overs at the same time.
const AT_ONCE: usize = 8;
/// Waiting mails; past it the oldest are let go (stored notices come back by their timers).
const MOST_WAITING: usize = 10_000;
const ATTEMPTS: u32 = 5;

/// A parcel and how often it was tried.
pub(crate) struct Attempt {
    pub(crate) parcel: Parcel,
    tried: u32,
}

impl Attempt {
    pub(super) fn first(parcel: Parcel) -> Self {
        Self { parcel, tried: 1 }
    }

    /// The attempt after this one and the time to wait before it; none after the last.
    pub(super) fn next(self) -> Option<(Self, Duration)> {
        let wait = Duration::from_secs(1 << self.tried);
        (self.tried < ATTEMPTS).then(|| (Self { tried: self.tried + 1, ..self }, wait))
    }
}

/// The queue in front of the carrier.
#[derive(Default)]
pub(super) struct Queue {
    waiting: VecDeque<Attempt>,
    running: usize,
}

impl Queue {
    pub(super) fn push(&mut self, attempt: Attempt) {
        if self.waiting.len() >= MOST_WAITING {
            tracing::warn!(waiting = self.waiting.len(), "too many mails wait, the oldest is let go");
            self.waiting.pop_front();
        }
        self.waiting.push_back(attempt);
    }

    /// What may start now.
    pub(super) fn next(&mut self) -> Option<Attempt> {
        if self.running >= AT_ONCE {
            return None;
        }
        let attempt = self.waiting.pop_front()?;
        self.running += 1;
        Some(attempt)
    }

    pub(super) fn ended(&mut self) {
        self.running = self.running.saturating_sub(1);
    }
}
