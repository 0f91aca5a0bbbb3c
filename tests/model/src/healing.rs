//! The time of healing: no more faults, everybody takes every step in turn.

use crate::{
    machine::ticks,
    world::{Scenario, Step, World},
};

impl Scenario {
    /// One tick in which every machine takes every step that a node takes in a heartbeat.
    pub(crate) fn heal(&self, world: &mut World) {
        world.time += 1;
        for at in 0..world.machines.len() {
            self.arrive(world, at);
            let over = |node: &crate::machine::Node| node.over || node.lease.is_over(ticks(world.time));
            if world.machines[at].node.as_ref().is_none_or(over) {
                // a process that ended comes back; a restore that was meant is accepted
                self.start(world, at);
            }
            self.act(world, at, Step::Acknowledge(at));
            self.act(world, at, Step::Renew(at));
            self.act(world, at, Step::Acknowledge(at));
            self.act(world, at, Step::Look(at));
            self.act(world, at, Step::Declare(at));
        }
        for at in 0..world.machines.len() {
            if !world.is_served() {
                self.act(world, at, Step::Claim(at));
            }
        }
    }
}
