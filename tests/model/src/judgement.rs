//! What is judged of a state: who serves, who is behind, and who goes on although the database went back.

use crate::{
    database::Life,
    machine::{Machine, Node, TIMES, ticks},
    world::{Variant, World},
};

impl World {
    /// The machine whose actor may answer strict calls and is the owner in the database.
    pub(crate) fn serving_owner(&self, now: u8) -> Option<usize> {
        let serves = |machine: &Machine| {
            machine.node.as_ref().is_some_and(|node| {
                node.actor.is_some() && node.is_strict(now) && self.database.owner == Some(node.life)
            })
        };
        self.machines.iter().position(serves)
    }

    /// Whether somebody would answer a strict read from memory with something else than what is committed.
    pub(crate) fn has_stale_reader(&self, variant: Variant) -> bool {
        self.machines.iter().filter_map(|machine| machine.node.as_ref()).any(|node| {
            let asked = variant == Variant::NoLease || node.is_strict(self.time);
            asked && !node.over && node.actor.is_some_and(|actor| actor.value != self.database.value)
        })
    }

    /// The lives whose acknowledged counter is higher than the database's.
    pub(crate) fn losers(&self) -> Vec<Life> {
        let nodes = self.machines.iter().filter_map(|machine| machine.node.as_ref());
        let lost = |node: &&Node| {
            let row = self.database.leases.iter().find(|row| row.life == node.life);
            node.observer.acknowledged() > row.map_or(0, |row| row.renewals)
        };
        nodes.filter(lost).map(|node| node.life).collect()
    }

    /// Whether a life that lost by the rollback got its lease renewed from what came of it.
    pub(crate) fn was_renewed_after_rollback(&self) -> bool {
        let Some((when, losers)) = &self.rolled_back else {
            return false;
        };
        let nodes = self.machines.iter().filter_map(|machine| machine.node.as_ref());
        nodes.filter(|node| !node.over && losers.contains(&node.life)).any(|node| {
            let sent = node.lease.ends_at().saturating_sub(TIMES.ttl);
            sent > ticks(*when)
        })
    }

    /// Whether the tenant is owned by a life that runs, serves it, and is up to date.
    pub(crate) fn is_served(&self) -> bool {
        self.serving_owner(self.time).is_some()
    }
}
