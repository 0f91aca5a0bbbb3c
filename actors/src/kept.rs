//! What the node that works on a tenant keeps in memory of rows that nearly every piece of work has to look at.
//!
//! A tenant's transactions come one after the other (ADR 0007), so one that changes the rows forgets what is kept before it
//! commits, and none reads in between. What such a one reads is not to be kept, since it may be undone; nor does a host of
//! the tenant's containers keep anything, which hears of no change.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use ocmt_types::{Epoch, Ownership, TenantId};

/// Tenants of which something is kept.
const MOST: usize = 1_000;

/// Something of each tenant, under the ownership that it was read under.
pub(crate) struct Kept<T>(Mutex<HashMap<TenantId, (Epoch, T)>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Kept<T> {
    /// What was read under this ownership and not changed since.
    pub(crate) fn kept(&self, own: Ownership) -> Option<T> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&own.tenant).filter(|(of, _)| *of == own.epoch).map(|(_, it)| it.clone())
    }

    /// Keeps what was read.
    pub(crate) fn keep(&self, own: Ownership, it: T) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(own.tenant, (own.epoch, it));
    }

    /// For a transaction that changes it, before it commits.
    pub(crate) fn forget(&self, tenant: TenantId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&tenant);
    }
}

#[cfg(test)]
mod tests {
    use ocmt_types::Incarnation;

    use super::*;

    /// What a node knew of a tenant that was elsewhere meanwhile is nothing.
    #[test]
    fn what_is_kept_is_known_under_the_ownership_that_read_it() {
        let tenant = ocmt_store::testing::id(1);
        let own = |epoch| Ownership { tenant, incarnation: Incarnation([1; 16]), epoch: Epoch(epoch) };
        let kept = Kept::default();
        kept.keep(own(1), "rows");
        assert_eq!((kept.kept(own(1)), kept.kept(own(2))), (Some("rows"), None));
        kept.forget(tenant);
        assert_eq!(kept.kept(own(1)), None);
    }
}
