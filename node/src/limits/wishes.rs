//! Wishes of people who need not be known, for a link or an account: one that comes again under its key is the same wish, and is
//! answered as the first time. There is nobody yet under whose name that could be written down, so each node remembers those
//! that came to it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ocmt_types::Clock;

use super::Limiter;

/// As long as a link is good.
const FOR: Duration = Duration::from_secs(600);
/// Most that are remembered; past that all are new.
const MOST: usize = 1 << 14;

/// By boot time.
pub(super) struct Wishes {
    clock: Arc<dyn Clock>,
    taken: Mutex<HashMap<[u8; 32], Duration>>,
}

impl Wishes {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, taken: Mutex::default() }
    }

    /// Takes it, if it was not taken lately.
    fn take(&self, wish: [u8; 32]) -> bool {
        let now = self.clock.boottime();
        let lately = |at: &Duration| now.saturating_sub(*at) < FOR;
        let mut taken = self.lock();
        if taken.get(&wish).is_some_and(lately) {
            return false;
        }
        if taken.len() >= MOST {
            taken.retain(|_, at| lately(at));
        }
        if taken.len() >= MOST {
            taken.clear();
        }
        taken.insert(wish, now);
        true
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Duration>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wish that came for the first time. Dropped before it is [`Wish::granted`] it may come once more: what was refused is not kept.
#[derive(Default)]
pub struct Wish(Option<(Limiter, [u8; 32])>);

impl Wish {
    /// It was taken.
    pub fn granted(mut self) {
        self.0 = None;
    }
}

impl Drop for Wish {
    fn drop(&mut self) {
        if let Some((limiter, wish)) = self.0.take() {
            limiter.0.wishes.lock().remove(&wish);
        }
    }
}

impl Limiter {
    /// The wish with this digest of itself, its key and what it is for; none if it was taken before.
    pub(super) fn wish(&self, digest: [u8; 32]) -> Option<Wish> {
        self.0.wishes.take(digest).then(|| Wish(Some((self.clone(), digest))))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::ManualClock;

    use super::*;
    use crate::config::{Rates, Redis};

    #[test]
    fn a_wish_is_taken_once_for_its_time_unless_it_was_refused() {
        let clock = Arc::new(ManualClock::default());
        let shared: Arc<dyn Clock> = clock.clone();
        let limiter = Limiter::open(&Rates::default(), &Redis::default(), &shared).unwrap();
        drop(limiter.wish([1; 32]).expect("it is new"));
        limiter.wish([1; 32]).expect("it was refused").granted();
        assert!(limiter.wish([1; 32]).is_none());
        assert!(limiter.wish([2; 32]).is_some());
        clock.advance(FOR);
        assert!(limiter.wish([1; 32]).is_some());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let wishes = Wishes::new(Arc::new(ManualClock::default()));
        for n in 0..u64::try_from(MOST).unwrap() * 3 {
            let mut wish = [0; 32];
            wish[..8].copy_from_slice(&n.to_be_bytes());
            assert!(wishes.take(wish));
        }
        assert!(wishes.lock().len() <= MOST);
    }
}
