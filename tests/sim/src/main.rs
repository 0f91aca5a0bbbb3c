//! Runs seeds until one breaks an invariant, and says how to run that one again.
//!
//! `cargo run -p ocmt-sim -- --seeds 5000`, `cargo run -p ocmt-sim -- --world actors --seed 17 --trace`
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use ocmt_sim::Report;

/// Simulates a cluster under faults, one seed after the other.
#[derive(Parser)]
#[command(
    after_help = "Examples:\n  cargo run -p ocmt-sim -- --seeds 5000\n  cargo run -p ocmt-sim -- --world actors --seed 17 --trace"
)]
struct Args {
    /// What stands on membership, router and store.
    #[arg(long, value_enum, default_value_t = World::Log)]
    world: World,
    /// How many seeds.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Only this one.
    #[arg(long)]
    seed: Option<u64>,
    /// Prints everything that happened.
    #[arg(long)]
    trace: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum World {
    /// A small service of logs.
    Log,
    /// The actors' tree, with containers on a simulated engine.
    Actors,
}

impl World {
    fn run(self, seed: u64) -> anyhow::Result<Report> {
        match self {
            Self::Log => ocmt_sim::run(seed),
            Self::Actors => ocmt_sim::tree::run(seed),
        }
    }

    /// How the command line names it, for the command that repeats a seed.
    const fn flag(self) -> &'static str {
        match self {
            Self::Log => "",
            Self::Actors => "--world actors ",
        }
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let seeds = args.seed.map_or(args.from..args.from + args.seeds, |seed| seed..seed + 1);
    let (mut bad, mut answered, mut lives) = (0, 0, 0);
    for seed in seeds.clone() {
        let report = args.world.run(seed)?;
        answered += report.answered;
        lives += report.lives;
        if args.trace {
            report.events.iter().for_each(|(at, event)| println!("{at:>7} {event:?}"));
        }
        if !report.violations.is_empty() {
            bad += 1;
            eprintln!("seed {seed}:");
            report.violations.iter().take(10).for_each(|violation| eprintln!("  {violation}"));
            eprintln!("again: cargo run -p ocmt-sim -- {}--seed {seed} --trace", args.world.flag());
        }
    }
    println!(
        "{} seeds, {bad} with violations, {answered} calls answered, {lives} lives of nodes",
        seeds.end - seeds.start
    );
    Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
