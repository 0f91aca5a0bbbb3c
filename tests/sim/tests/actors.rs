//! Seeds of the simulation of the actors' tree, and that a seed repeats itself.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::World;

const WORLD: World = World { run: ocmt_sim::tree::run, flags: "--world actors ", answered: 25 };

#[test]
fn the_same_seed_gives_the_same_trace_and_another_another() {
    WORLD.repeats_itself();
}

#[test]
fn no_invariant_breaks_in_the_first_twenty_seeds() {
    WORLD.holds(0..20);
}

#[test]
fn no_invariant_breaks_in_the_second_twenty_seeds() {
    WORLD.holds(20..40);
}

#[test]
fn no_invariant_breaks_in_the_third_twenty_seeds() {
    WORLD.holds(40..60);
}
