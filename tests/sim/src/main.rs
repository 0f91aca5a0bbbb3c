//! Runs seeds until one breaks an invariant, and says how to run that one again.
//!
//! `cargo run -p ocmt-sim -- --seeds 5000`, `cargo run -p ocmt-sim -- --seed 17 --trace`
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::process::ExitCode;

use clap::Parser;

/// Simulates a cluster under faults, one seed after the other.
#[derive(Parser)]
#[command(after_help = "Example: cargo run -p ocmt-sim -- --seeds 5000")]
struct Args {
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

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let seeds = args.seed.map_or(args.from..args.from + args.seeds, |seed| seed..seed + 1);
    let (mut bad, mut answered, mut lives) = (0, 0, 0);
    for seed in seeds.clone() {
        let report = ocmt_sim::run(seed)?;
        answered += report.answered;
        lives += report.lives;
        if args.trace {
            report.events.iter().for_each(|(at, event)| println!("{at:>7} {event:?}"));
        }
        if !report.violations.is_empty() {
            bad += 1;
            eprintln!("seed {seed}:");
            report.violations.iter().take(10).for_each(|violation| eprintln!("  {violation}"));
            eprintln!("again: cargo run -p ocmt-sim -- --seed {seed} --trace");
        }
    }
    println!(
        "{} seeds, {bad} with violations, {answered} calls answered, {lives} lives of nodes",
        seeds.end - seeds.start
    );
    Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
