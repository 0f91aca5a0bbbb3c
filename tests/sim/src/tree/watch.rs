//! What each commit did to the vaults, seen at the moment of the commit, past all links.

use std::{collections::BTreeMap, sync::PoisonError};

use futures_util::FutureExt as _;
use ocmt_store::{
    Filter, Store,
    tables::{TenantOwner, Vault},
};
use ocmt_types::{Incarnation, Ownership, TenantId};

use super::{seen::Seen, world::Tree};

/// The last counter of each tenant's vault.
#[derive(Default)]
pub(crate) struct Watch(BTreeMap<u64, i64>);

impl Tree {
    /// Something was committed by this life: which vaults are others now?
    pub(super) fn see_commit(&self, by: Option<Incarnation>) {
        let tenants: Vec<(u64, TenantId)> =
            self.desk().iter().filter_map(|(n, known)| Some((*n, known.tenant?))).collect();
        for (n, tenant) in tenants {
            // the store in memory answers at once to whoever has no link
            let Some(Some((owner, counter))) = counter_of(&self.ground.store, tenant).now_or_never() else {
                continue;
            };
            let before = {
                let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
                watch.0.insert(n, counter)
            };
            if before != Some(counter) {
                let (epoch, owner) = (owner.epoch.0, owner.incarnation);
                let counter = u64::try_from(counter).unwrap_or(0);
                self.saw(Seen::Committed { tenant: n, epoch, counter, by, owner });
            }
        }
    }
}

/// Who has a tenant, and how far its vault has come.
async fn counter_of(store: &Store, tenant: TenantId) -> Option<(TenantOwner, i64)> {
    let owner = store.cluster().owner(tenant).await.ok()??;
    let ownership = Ownership { tenant, incarnation: owner.incarnation?, epoch: owner.epoch };
    let vault = store.read(ownership).await.ok()?.first::<Vault>(Filter::all()).await.ok()??;
    Some((owner, vault.manifest_counter))
}
