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

use std::{collections::BTreeSet, time::Duration};

use ocmt_types::{Incarnation, Ownership, TenantId};

use super::kit::Kit;
use crate::{ActorError, Caller, call::Call};

/// Asks as an edge does while a tenant moves, until there is an answer; with one key for all tries.
pub(crate) async fn ask<C: Call + Clone>(
    nodes: [&Kit; 2],
    key: u8,
    caller: &Caller,
    call: C,
) -> Result<C::Answer, ActorError> {
    for turn in usize::from(key)..usize::from(key) + 20_000 {
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

/// Takes the tenant from whoever has it, so many times, for the other node to claim; tells who had it.
pub(crate) async fn handed_over(nodes: [&Kit; 2], tenant: TenantId, times: usize) -> BTreeSet<Incarnation> {
    let mut owners = BTreeSet::new();
    for turn in 0..times {
        for (n, kit) in nodes.iter().enumerate() {
            *kit.linked.prefers.lock().unwrap() = Some(n == turn % 2);
        }
        owners.extend(let_go(nodes[0], tenant).await);
        tokio::time::sleep(Duration::from_millis(5)).await; // why: some calls land in between
    }
    owners
}

/// The same, where who had it does not matter.
pub(crate) async fn hand_over(nodes: [&Kit; 2], tenant: TenantId) {
    handed_over(nodes, tenant, 20).await;
}

/// The tenant for this test itself, whoever has it.
async fn taken(kit: &Kit, tenant: TenantId) -> Ownership {
    let_go(kit, tenant).await;
    kit.steal(tenant).await
}

/// Who had it, if anybody.
async fn let_go(kit: &Kit, tenant: TenantId) -> Option<Incarnation> {
    let cluster = kit.store.cluster();
    let row = cluster.owner(tenant).await.unwrap().unwrap();
    if let Some(incarnation) = row.incarnation {
        cluster.release(Ownership { tenant, incarnation, epoch: row.epoch }).await.unwrap();
    }
    row.incarnation
}

/// Who has a tenant.
async fn owner(kit: &Kit, tenant: TenantId) -> Option<Incarnation> {
    kit.store.cluster().owner(tenant).await.unwrap().unwrap().incarnation
}
