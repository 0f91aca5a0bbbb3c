//! Looking for a tenant that somebody names who has proven nothing yet.
//!
//! A token with a made-up tenant costs its sender nothing and this node a look in the database. Claims,
//! releases, timers and operators go over the same few connections, so looks get a part of them and the rest
//! of the looks wait. Tags that nobody has are not remembered: there are as many as a stranger likes to make.

use std::{sync::Arc, time::Duration};

use ocmt_types::TenantId;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::cluster::ClusterStore;
use crate::{StoreError, tables::TenantOwner};

/// How long a look waits for its turn.
const TURN: Duration = Duration::from_secs(2);

/// Looks at once; all clones of a store share them.
#[derive(Clone)]
pub(crate) struct Looks(Arc<Semaphore>);

impl Looks {
    /// Half of so many connections, but one at least.
    pub(crate) fn over(connections: u32) -> Self {
        let looks = usize::try_from(connections / 2).unwrap_or(1).max(1);
        Self(Arc::new(Semaphore::new(looks)))
    }
}

/// A turn to look.
pub struct Look {
    store: ClusterStore,
    _turn: OwnedSemaphorePermit,
}

impl ClusterStore {
    /// A turn to look for a tenant that a stranger names. Whoever looks where somebody may have looked
    /// meanwhile asks that one's answer first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if too many others look.
    pub async fn look(&self) -> Result<Look, StoreError> {
        match timeout(TURN, self.looks.0.clone().acquire_owned()).await {
            Ok(Ok(turn)) => Ok(Look { store: self.clone(), _turn: turn }),
            Ok(Err(_)) | Err(_) => Err(StoreError::Unavailable("too many tenants are looked for".to_owned())),
        }
    }
}

impl Look {
    /// Who owns the tenant; none if it does not exist.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn owner(self, tenant: TenantId) -> Result<Option<TenantOwner>, StoreError> {
        self.store.owner(tenant).await
    }
}
