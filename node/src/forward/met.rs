//! Tokens that their owner has lately found good. Whoever knows a tenant's id can make up tokens of it: these were
//! not made up.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ocmt_types::Digest32;

/// Most tokens in one generation; there are two. When the young one is full it becomes the old one, and what was
/// not shown since is forgotten.
const GENERATION: usize = 1 << 15;

/// Hashes of them. It decides about places alone. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Met(Arc<Mutex<Generations>>);

#[derive(Default)]
struct Generations {
    young: HashSet<Digest32>,
    old: HashSet<Digest32>,
}

impl Met {
    pub(super) fn knows(&self, token: &Digest32) -> bool {
        let mut met = self.generations();
        if met.young.contains(token) {
            return true;
        }
        let known = met.old.remove(token);
        if known {
            met.meet(*token);
        }
        known
    }

    /// An owner found it good, or not so.
    pub(super) fn found(&self, token: &Digest32, good: bool) {
        let mut met = self.generations();
        if good {
            met.meet(*token);
        } else {
            met.young.remove(token);
            met.old.remove(token);
        }
    }

    fn generations(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn meet(&mut self, token: Digest32) {
        if self.young.len() >= GENERATION && !self.young.contains(&token) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(n: usize) -> Digest32 {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&n.to_le_bytes());
        Digest32(hash)
    }

    #[test]
    fn it_is_bounded_and_keeps_whom_it_sees() {
        let met = Met::default();
        for n in 0..=2 * GENERATION {
            met.found(&token(n), true);
            assert!(met.knows(&token(0)), "after {n}");
        }
        assert!(!met.knows(&token(1)));
        let held = met.generations();
        assert!(held.young.len() + held.old.len() <= 2 * GENERATION);
    }

    #[test]
    fn what_was_found_bad_is_forgotten() {
        let met = Met::default();
        met.found(&token(1), true);
        met.found(&token(1), false);
        assert!(!met.knows(&token(1)) && !met.knows(&token(2)));
    }
}
