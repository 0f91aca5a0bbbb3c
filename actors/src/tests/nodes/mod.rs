//! Two nodes over one store: who answers, who may not, and what crosses.

mod asked;
mod cap;
mod codes;
mod fence;
mod invitations;
mod leave;
mod letters;
mod owners;
mod remind;
mod strict;
mod unlocks;

use std::time::Duration;

use ocmt_types::{Incarnation, TenantId};

pub(crate) use owners::hand_over;

use super::kit::Kit;
use crate::{ActorError, Caller, call::Call};

/// Asks as an edge does while a tenant moves, until there is an answer; with one key for all tries.
pub(crate) async fn ask<C: Call + Clone>(
    nodes: [&Kit; 2],
    key: u8,
    caller: &Caller,
    call: C,
) -> Result<C::Answer, ActorError> {
    for turn in usize::from(key)..usize::from(key) + 2_000 {
        let kit = nodes[turn % 2];
        let tenant = kit.system.tenant(caller.tenant());
        match tenant.call(caller.clone(), kit.keyed(key, key), call.clone()).await {
            Err(error) if error.is_retryable() || error.outcome_unknown() => {}
            answer => return answer,
        }
        tokio::time::sleep(Duration::from_millis(2)).await; // why: the pause between two tries of an edge, bounded by the turns
    }
    panic!("no node took it");
}

/// Who has a tenant.
async fn owner(kit: &Kit, tenant: TenantId) -> Option<Incarnation> {
    kit.store.cluster().owner(tenant).await.unwrap().unwrap().incarnation
}
