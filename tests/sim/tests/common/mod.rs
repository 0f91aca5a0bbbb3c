//! What the seeds of each world are held to.

use std::{ops::Range, process::Command};

use ocmt_sim::Report;

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

    /// A seed repeats itself, and another one is another. Each in a process of its own, as the command above lives it again:
    /// the runtime counts its tasks per process, and in their order it drops those of a node that crashed.
    pub(crate) fn repeats_itself(&self) {
        let trace = |seed: &str| {
            let mut program = Command::new(env!("CARGO_BIN_EXE_ocmt-sim"));
            let lived =
                program.args(self.flags.split_whitespace()).args(["--seed", seed, "--trace"]).output();
            let lived = lived.unwrap();
            assert!(lived.status.success(), "{}", String::from_utf8_lossy(&lived.stderr));
            String::from_utf8(lived.stdout).unwrap()
        };
        let (first, second, other) = (trace("7"), trace("7"), trace("8"));
        assert!(first.lines().count() > self.answered, "a trace tells what happened");
        if let Some((one, two)) = first.lines().zip(second.lines()).find(|(one, two)| one != two) {
            panic!("the same seed went two ways:\n{one}\n{two}");
        }
        assert_eq!(first.len(), second.len());
        assert_ne!(first, other);
    }
}
