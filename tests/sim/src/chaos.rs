//! The faults of a run, drawn from its seed.

use std::sync::atomic::Ordering;

use rand::{RngExt as _, rngs::StdRng};
use turmoil::Sim;

use crate::{oracle::Event, world::World};

/// What goes on.
#[derive(Default)]
pub(crate) struct Chaos {
    /// Crashed machines, and when they come back.
    down: Vec<(usize, u64)>,
    /// Pairs that cannot reach each other, until when.
    apart: Vec<(usize, usize, u64)>,
    /// Machines that cannot reach the database, until when.
    cut: Vec<(usize, u64)>,
    next: u64,
}

impl Chaos {
    /// Ends what is over at `now`, and begins something new when it is time.
    pub(crate) fn step(&mut self, sim: &mut Sim<'_>, world: &World, rng: &mut StdRng) {
        self.end(sim, world, world.now());
        if world.now() < self.next {
            return;
        }
        self.next = world.now() + rng.random_range(300..3_000);
        let machine = rng.random_range(0..world.machines.len());
        let until = |rng: &mut StdRng, most: u64| world.now() + rng.random_range(200..most);
        match rng.random_range(0..7) {
            0 if self.down.is_empty() => {
                let back = until(rng, 10_000);
                note(world, format!("crash n{} until {back}", machine + 1));
                world.bury(machine);
                sim.crash(name(machine));
                self.down.push((machine, back));
            }
            1 => {
                let other = (machine + rng.random_range(1..world.machines.len())) % world.machines.len();
                let back = until(rng, 15_000);
                note(world, format!("part n{} and n{} until {back}", machine + 1, other + 1));
                sim.partition(name(machine), name(other));
                self.apart.push((machine, other, back));
            }
            2 => {
                let back = until(rng, 12_000);
                note(world, format!("cut n{} from the database until {back}", machine + 1));
                world.machines[machine].cut.store(true, Ordering::SeqCst);
                self.cut.push((machine, back));
            }
            3 => {
                let back = until(rng, 20_000);
                note(world, format!("freeze n{} until {back}", machine + 1));
                world.machines[machine].frozen_until.store(back, Ordering::SeqCst);
            }
            4 => {
                let by = rng.random_range(500..30_000);
                note(world, format!("the clock of n{} jumps by {by}", machine + 1));
                world.machines[machine].ahead.fetch_add(by, Ordering::SeqCst);
            }
            5 => {
                let back = until(rng, 8_000);
                note(world, format!("the database stalls until {back}"));
                for machine in 0..world.machines.len() {
                    world.machines[machine].cut.store(true, Ordering::SeqCst);
                    self.cut.push((machine, back));
                }
            }
            _ => {
                note(world, "the database restarts".to_owned());
                if let Some(faults) = world.store.faults() {
                    faults.restart();
                }
            }
        }
    }

    /// Everything ends.
    pub(crate) fn heal(&mut self, sim: &mut Sim<'_>, world: &World) {
        note(world, "heal".to_owned());
        self.end(sim, world, u64::MAX);
        for machine in world.machines.iter() {
            machine.cut.store(false, Ordering::SeqCst);
            machine.frozen_until.store(0, Ordering::SeqCst);
        }
    }

    fn end(&mut self, sim: &mut Sim<'_>, world: &World, now: u64) {
        for (machine, _) in take(&mut self.down, |(_, until)| *until <= now) {
            sim.bounce(name(machine));
        }
        for (one, other, _) in take(&mut self.apart, |(_, _, until)| *until <= now) {
            sim.repair(name(one), name(other));
        }
        for (machine, _) in take(&mut self.cut, |(_, until)| *until <= now) {
            let still = self.cut.iter().any(|(other, _)| *other == machine);
            world.machines[machine].cut.store(still, Ordering::SeqCst);
        }
    }
}

fn take<T>(all: &mut Vec<T>, over: impl Fn(&T) -> bool) -> Vec<T> {
    let (ended, left) = std::mem::take(all).into_iter().partition(over);
    *all = left;
    ended
}

/// The host of a machine.
pub(crate) fn name(machine: usize) -> String {
    format!("n{}", machine + 1)
}

fn note(world: &World, what: String) {
    world.oracle.saw(world.now(), Event::Noted(what));
}
