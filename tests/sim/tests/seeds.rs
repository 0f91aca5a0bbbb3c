//! Seeds of the simulation, and that a seed repeats itself.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::World;

const WORLD: World = World { run: ocmt_sim::run, flags: "", answered: 50 };

#[test]
fn the_same_seed_gives_the_same_trace_and_another_another() {
    WORLD.repeats_itself();
}

#[test]
fn no_invariant_breaks_in_the_first_fifty_seeds() {
    WORLD.holds(0..50);
}

#[test]
fn no_invariant_breaks_in_the_second_fifty_seeds() {
    WORLD.holds(50..100);
}

#[test]
fn no_invariant_breaks_in_the_third_fifty_seeds() {
    WORLD.holds(100..150);
}

#[test]
fn no_invariant_breaks_in_the_fourth_fifty_seeds() {
    WORLD.holds(150..200);
}
