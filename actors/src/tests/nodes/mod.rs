//! Two nodes over one store: who answers, who may not, and what crosses.

mod asked;
mod cap;
mod codes;
mod fence;
mod leave;
mod letters;
mod owners;
mod remind;
mod strict;
mod unlocks;

use ocmt_types::{Incarnation, TenantId};

pub(crate) use owners::hand_over;

use super::kit::Kit;

/// Who has a tenant.
async fn owner(kit: &Kit, tenant: TenantId) -> Option<Incarnation> {
    kit.store.cluster().owner(tenant).await.unwrap().unwrap().incarnation
}
