//! What the seeds of each world are held to.

use std::ops::Range;

use ocmt_sim::{Event, Report};

/// A world of the simulation.
pub(crate) struct World {
    /// Lives one seed of it.
    pub(crate) run: fn(u64) -> anyhow::Result<Report>,
    /// What the program wants to hear to live it again.
    pub(crate) flags: &'static str,
    /// More calls than this are answered, or the seed did nothing.
    pub(crate) answered: usize,
}

impl World {
    /// No seed breaks an invariant.
    pub(crate) fn holds(&self, seeds: Range<u64>) {
        for seed in seeds {
            let Report { violations, answered, lives, .. } = (self.run)(seed).unwrap();
            assert!(
                violations.is_empty(),
                "{violations:#?}\nagain: cargo run -p ocmt-sim -- {}--seed {seed} --trace",
                self.flags
            );
            let busy = answered > self.answered && lives >= 3;
            assert!(busy, "seed {seed} did nothing: {answered} answers, {lives} lives");
        }
    }

    /// A seed repeats itself, and another one is another.
    pub(crate) fn repeats_itself(&self) {
        let traces: Vec<Vec<(u64, Event)>> = [7, 7, 8].map(|seed| (self.run)(seed).unwrap().events).into();
        assert_eq!(traces[0], traces[1]);
        assert_ne!(traces[0], traces[2]);
    }
}
