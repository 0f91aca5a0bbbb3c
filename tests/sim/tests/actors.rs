//! Seeds of the simulation of the actors' tree, and that a seed repeats itself.
#![allow(clippy::unwrap_used, missing_docs)]

use ocmt_sim::{Event, Report, tree::run};

fn holds(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let Report { violations, answered, lives, .. } = run(seed).unwrap();
        assert!(
            violations.is_empty(),
            "{violations:#?}\nagain: cargo run -p ocmt-sim -- --world actors --seed {seed} --trace"
        );
        assert!(answered > 25 && lives >= 3, "seed {seed} did nothing: {answered} answers, {lives} lives");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_another() {
    let traces: Vec<Vec<(u64, Event)>> = [7, 7, 8].map(|seed| run(seed).unwrap().events).into();
    assert_eq!(traces[0], traces[1]);
    assert_ne!(traces[0], traces[2]);
}

#[test]
fn no_invariant_breaks_in_the_first_twenty_seeds() {
    holds(0..20);
}

#[test]
fn no_invariant_breaks_in_the_second_twenty_seeds() {
    holds(20..40);
}

#[test]
fn no_invariant_breaks_in_the_third_twenty_seeds() {
    holds(40..60);
}
