//! Cells that run nothing, of this host: so many at once, and one of a tenant. Each holds memory of the machine, and
//! parts of its ciphertext in this node.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ocmt_types::TenantId;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::error::ActorError;

/// Of one host.
const AT_ONCE: usize = 3;
/// Whoever asks waits so long for a place.
const WAITS: Duration = Duration::from_secs(10);

/// The places.
#[derive(Debug)]
pub(crate) struct Archives {
    free: Arc<Semaphore>,
    tenants: Mutex<HashSet<TenantId>>,
    waiting: AtomicUsize,
}

impl Default for Archives {
    fn default() -> Self {
        Self {
            free: Arc::new(Semaphore::new(AT_ONCE)),
            tenants: Mutex::default(),
            waiting: AtomicUsize::new(0),
        }
    }
}

/// A place; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _turn: Turn,
    _permit: OwnedSemaphorePermit,
}

/// A tenant's only one, with its place or on the way to it; whoever gives up gives it back.
#[derive(Debug)]
struct Turn {
    of: Arc<Archives>,
    tenant: TenantId,
}

/// Somebody waits for a place.
struct Waits<'a>(&'a AtomicUsize);

impl Archives {
    /// Waits for a place.
    pub(crate) async fn take(self: &Arc<Self>, tenant: TenantId) -> Result<Place, ActorError> {
        let busy = || {
            ActorError::exhausted("SNAPSHOTS_BUSY", "other snapshots are under way: repeat a little later")
        };
        if !self.tenants().insert(tenant) {
            return Err(busy());
        }
        let turn = Turn { of: Arc::clone(self), tenant };
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(Place { _turn: turn, _permit: permit });
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waits = Waits(&self.waiting);
        match timeout(WAITS, Arc::clone(&self.free).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Place { _turn: turn, _permit: permit }),
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }

    /// A place that is free now beside another one, for what can be done later as well: the last is left to those who
    /// wait for it.
    pub(crate) fn free(self: &Arc<Self>, tenant: TenantId) -> Option<Place> {
        if !self.tenants().insert(tenant) {
            return None;
        }
        let turn = Turn { of: Arc::clone(self), tenant };
        // those who wait for a place have a client that waits with them
        let permit = Arc::clone(&self.free).try_acquire_owned().ok();
        let permit = permit.filter(|_| self.free.available_permits() > 0 && !self.is_wanted())?;
        Some(Place { _turn: turn, _permit: permit })
    }

    /// Whether somebody waits for a place.
    pub(crate) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    fn tenants(&self) -> MutexGuard<'_, HashSet<TenantId>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.of.tenants().remove(&self.tenant);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_store::testing::id;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_tenant_has_one_place_and_the_host_a_few() {
        let archives = Arc::<Archives>::default();
        let first = archives.take(id(1)).await.unwrap();
        assert_eq!(archives.take(id(1)).await.unwrap_err().reason(), "SNAPSHOTS_BUSY");
        let (second, _third) = (archives.take(id(2)).await.unwrap(), archives.take(id(3)).await.unwrap());
        assert_eq!(archives.take(id(4)).await.unwrap_err().reason(), "SNAPSHOTS_BUSY");
        drop(second);
        let _fourth = archives.take(id(4)).await.unwrap();
        drop(first);
        archives.take(id(1)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_can_wait_takes_a_place_that_is_free_and_no_others() {
        let archives = Arc::<Archives>::default();
        let first = archives.free(id(1)).unwrap();
        assert!(archives.free(id(1)).is_none(), "one of a tenant");
        assert_eq!(archives.take(id(1)).await.unwrap_err().reason(), "SNAPSHOTS_BUSY");
        let second = archives.free(id(2)).unwrap();
        assert!(archives.free(id(4)).is_none(), "the last is for those who wait");
        let third = archives.take(id(3)).await.unwrap();
        assert!(archives.free(id(4)).is_none());
        drop(first);
        assert!(archives.free(id(4)).is_none());
        drop((second, third));
        let others = (archives.free(id(4)).unwrap(), archives.free(id(1)).unwrap());
        assert!(archives.free(id(2)).is_none(), "again the last");
        drop(others);
        archives.take(id(1)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_gives_up_waiting_keeps_no_turn() {
        let archives = Arc::<Archives>::default();
        let mut held = Vec::new();
        for n in 1..=3 {
            held.push(archives.take(id(n)).await.unwrap());
        }
        assert!(!archives.is_wanted());
        {
            let mut waits = std::pin::pin!(archives.take(id(4)));
            assert!(timeout(Duration::from_secs(1), waits.as_mut()).await.is_err());
            assert!(archives.is_wanted(), "whoever has a place hurries");
        }
        assert!(!archives.is_wanted());
        held.pop();
        archives.take(id(4)).await.unwrap();
    }
}
