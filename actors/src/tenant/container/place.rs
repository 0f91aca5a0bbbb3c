//! Where a new container goes: to the host with the most memory left.
//!
//! What hosts have comes from the view, what is reserved from the rows. The choice is a guess, the reservation
//! is not: it is one guarded statement in the transaction that writes the container's row, so parallel creates
//! on any nodes never overcommit a host. A tenant's home and its container's host may differ.

use std::cmp::Reverse;

use ocmt_types::NodeId;

use crate::{error::ActorError, work::Work};

/// Reserves memory for a container on the host it is to be pinned to.
pub(super) async fn place(work: &mut Work, memory_mib: i64) -> Result<NodeId, ActorError> {
    let (here, hosts) = (work.env.node, work.env.neighbours.hosts());
    if hosts.is_empty() {
        // one node: its engine says what it can do
        work.tx.reserve_memory(here, memory_mib, None).await?;
        return Ok(here);
    }
    let reserved = work.tx.reserved_memory().await?;
    let mut hosts: Vec<_> = hosts
        .into_iter()
        .filter(|host| host.reachable && host.memory_mib > 0)
        .map(|host| (host.memory_mib - reserved.get(&host.node).copied().unwrap_or(0), host))
        .filter(|(free, _)| *free >= memory_mib)
        .collect();
    hosts.sort_by_key(|(free, host)| (Reverse(*free), host.node != here, host.node));
    for (_, host) in hosts {
        if work.tx.reserve_memory(host.node, memory_mib, Some(host.memory_mib)).await? {
            return Ok(host.node);
        }
    }
    Err(ActorError::exhausted(
        "NO_HOST_HAS_ROOM",
        format!(
            "no host has {memory_mib} MiB of memory left: choose less memory, remove a container, or have an \
             operator add a host"
        ),
    ))
}
