//! Cells that run nothing, of this host: so many at once, and one of a tenant. Each holds memory of the machine, and
//! parts of its ciphertext in this node.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
}

impl Default for Archives {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(AT_ONCE)), tenants: Mutex::default() }
    }
}

/// A place; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    of: Arc<Archives>,
    tenant: TenantId,
    _permit: OwnedSemaphorePermit,
}

impl Archives {
    /// Waits for a place.
    pub(crate) async fn take(self: &Arc<Self>, tenant: TenantId) -> Result<Place, ActorError> {
        let busy = || {
            ActorError::exhausted("SNAPSHOTS_BUSY", "other snapshots are under way: repeat a little later")
        };
        if !self.tenants().insert(tenant) {
            return Err(busy());
        }
        match timeout(WAITS, Arc::clone(&self.free).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Place { of: Arc::clone(self), tenant, _permit: permit }),
            Ok(Err(_)) | Err(_) => {
                self.tenants().remove(&tenant);
                Err(busy())
            }
        }
    }

    fn tenants(&self) -> MutexGuard<'_, HashSet<TenantId>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
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
}
