//! Who holds how much of what all share: so many places for each of them, whoever they are.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// `each` places for every `K`. Knows only those that hold or want one. Cheap to clone.
pub(crate) struct Shares<K: Eq + Hash + Clone> {
    each: usize,
    known: Arc<Mutex<HashMap<K, Arc<Semaphore>>>>,
}

impl<K: Eq + Hash + Clone> Clone for Shares<K> {
    fn clone(&self) -> Self {
        Self { each: self.each, known: self.known.clone() }
    }
}

/// One place of one of them; free when dropped.
pub(crate) struct Share<K: Eq + Hash + Clone> {
    of: K,
    shares: Shares<K>,
    places: Option<Arc<Semaphore>>,
    place: Option<OwnedSemaphorePermit>,
}

impl<K: Eq + Hash + Clone> Shares<K> {
    pub(crate) fn new(each: usize) -> Self {
        Self { each, known: Arc::default() }
    }

    /// A place, if one is free.
    pub(crate) fn try_take(&self, of: K) -> Option<Share<K>> {
        let mut share = self.none_yet(of);
        share.place = Some(share.places.clone()?.try_acquire_owned().ok()?);
        Some(share)
    }

    /// A place, if one is free within `patience`.
    pub(crate) async fn take(&self, of: K, patience: Duration) -> Option<Share<K>> {
        let mut share = self.none_yet(of);
        share.place = Some(timeout(patience, share.places.clone()?.acquire_owned()).await.ok()?.ok()?);
        Some(share)
    }

    fn none_yet(&self, of: K) -> Share<K> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let places = known.entry(of.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.each)));
        Share { of, shares: self.clone(), places: Some(places.clone()), place: None }
    }
}

impl<K: Eq + Hash + Clone> Drop for Share<K> {
    fn drop(&mut self) {
        let mut known = self.shares.known.lock().unwrap_or_else(PoisonError::into_inner);
        drop((self.place.take(), self.places.take()));
        // the map's own is the last: nobody holds or waits for one
        if known.get(&self.of).is_some_and(|places| Arc::strong_count(places) == 1) {
            known.remove(&self.of);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn each_has_so_many_and_who_holds_none_is_forgotten() {
        let shares = Shares::new(2);
        let held = [shares.try_take("a").unwrap(), shares.try_take("a").unwrap()];
        assert!(shares.try_take("a").is_none(), "a third");
        assert!(shares.take("a", Duration::from_millis(10)).await.is_none(), "a third, after a while");
        assert!(shares.try_take("b").is_some(), "another has its own");
        let waiting = shares.take("a", Duration::from_secs(20));
        let (got, ()) = tokio::join!(waiting, async { drop(held) });
        assert!(got.is_some(), "a place that became free meanwhile");
        drop(got);
        assert!(shares.known.lock().unwrap().is_empty());
    }
}
