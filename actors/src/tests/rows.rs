//! Reads of a tenant's rows, whoever has it and whoever takes it meanwhile.

use std::time::Duration;

use ocmt_store::{ReadTx, StoreError};
use ocmt_types::{Ownership, TenantId};

use super::kit::Kit;

impl Kit {
    /// The present ownership of a tenant, if anybody has it.
    pub(crate) async fn owned(&self, tenant: TenantId) -> Option<Ownership> {
        let owner = self.store.cluster().owner(tenant).await.unwrap()?;
        Some(Ownership { tenant, incarnation: owner.incarnation?, epoch: owner.epoch })
    }

    /// A read of a tenant's rows under whatever ownership there is: another claim may come between the look at it and the read,
    /// and then it is looked at again. None while nobody has the tenant.
    pub(crate) async fn reading(&self, tenant: TenantId) -> Option<ReadTx> {
        for _ in 0..1_000 {
            match self.store.read(self.owned(tenant).await?).await {
                Err(StoreError::Fenced) => tokio::task::yield_now().await,
                read => return Some(read.unwrap()),
            }
        }
        panic!("the tenant changes hands for ever");
    }

    /// The same as soon as somebody has the tenant: after a crash it is between two owners.
    pub(crate) async fn rows(&self, tenant: TenantId) -> ReadTx {
        for _ in 0..6_000 {
            if let Some(rows) = self.reading(tenant).await {
                return rows;
            }
            tokio::time::sleep(Duration::from_millis(10)).await; // why: the pause between two looks at a level, bounded by the turns
        }
        panic!("nobody has the tenant");
    }
}
