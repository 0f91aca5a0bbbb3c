//! What the model shows of ownership, and that each thing left out is found.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::collections::BTreeSet;

use ocmt_model::{Scenario, Variant};
use stateright::{Checker as _, HasDiscoveries, Model as _};

/// Two nodes that run; the first owns the tenant. Any of them may be slow, suspended or cut off.
const TWO: Scenario = Scenario {
    variant: Variant::Sound,
    machines: 2,
    running: 2,
    chaos: 6,
    crashes: 0,
    claims: 2,
    writes: 2,
    drain: false,
    rollback: false,
};

/// The same, and processes crash and start again.
const RESTARTS: Scenario = Scenario { crashes: 1, claims: 3, chaos: 5, ..TWO };

/// The same, and the tenant is given up and taken.
const DRAINS: Scenario = Scenario { drain: true, claims: 3, chaos: 5, ..TWO };

/// The same, and the database is rolled back.
const ROLLBACKS: Scenario = Scenario { rollback: true, writes: 1, chaos: 5, ..TWO };

/// A healthy node joins one that serves.
const JOIN: Scenario = Scenario { running: 1, ..TWO };

/// Explores every state; panics at the first that breaks a property.
fn holds(scenario: Scenario) {
    let checker = scenario.checker().threads(2).spawn_bfs().join();
    println!("{} states, {} unique", checker.state_count(), checker.unique_state_count());
    for property in
        ["no stale strict read", "no steal from a live owner", "no lost update", "nobody is stuck"]
    {
        checker.assert_no_discovery(property);
    }
    checker.assert_no_discovery("a rolled back database renews nobody who would lose by it");
}

/// The steps to a state that breaks `property`.
fn broken(scenario: Scenario, property: &'static str) -> usize {
    // one thread: breadth first finds the shortest
    let stop = HasDiscoveries::AllOf(BTreeSet::from([property]));
    let checker = scenario.checker().finish_when(stop).spawn_bfs().join();
    println!("{} states, {} unique", checker.state_count(), checker.unique_state_count());
    let path = checker.assert_any_discovery(property);
    let steps = path.into_actions();
    println!("{property}: {steps:?}");
    steps.len()
}

#[test]
fn two_nodes_never_serve_one_tenant_in_two_ways() {
    holds(TWO);
}

#[test]
fn a_restarted_node_neither_steals_nor_is_robbed() {
    holds(RESTARTS);
}

#[test]
fn a_tenant_given_up_is_served_again() {
    holds(DRAINS);
}

#[test]
fn a_rolled_back_database_is_noticed() {
    holds(ROLLBACKS);
}

#[test]
fn a_node_that_joins_takes_nothing_from_the_living() {
    holds(JOIN);
}

#[test]
fn takeover_is_reached() {
    let stop = HasDiscoveries::AllOf(BTreeSet::from(["another node takes over"]));
    let checker = TWO.checker().finish_when(stop).spawn_bfs().join();
    checker.assert_any_discovery("another node takes over");
}

#[test]
fn without_incarnations_a_restarted_node_is_robbed() {
    let scenario = Scenario { variant: Variant::NoIncarnation, ..RESTARTS };
    broken(scenario, "no steal from a live owner");
}

#[test]
fn without_the_epoch_a_straggler_writes_over_its_successor() {
    let scenario = Scenario { variant: Variant::NoEpoch, chaos: 2, ..TWO };
    broken(scenario, "no lost update");
}

#[test]
fn without_the_fence_an_old_owner_writes_over_the_new() {
    broken(Scenario { variant: Variant::NoFence, ..TWO }, "no lost update");
}

#[test]
fn without_the_lease_an_old_owner_answers_from_memory() {
    broken(Scenario { variant: Variant::NoLease, ..TWO }, "no stale strict read");
}

#[test]
fn placement_taken_for_ownership_reads_stale_when_a_node_joins() {
    let steps = broken(Scenario { variant: Variant::PlacementOwns, ..JOIN }, "no stale strict read");
    assert!(steps < 10, "it took {steps} steps");
}

#[test]
fn without_memory_a_rolled_back_database_goes_on() {
    broken(
        Scenario { variant: Variant::Forgetful, ..ROLLBACKS },
        "a rolled back database renews nobody who would lose by it",
    );
}
