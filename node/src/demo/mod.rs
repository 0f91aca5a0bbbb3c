//! `ocmt demo`: the whole main job on this machine, told step by step, nothing left behind.
//!
//! One file a chapter. The demo is a client like any other: it holds the users' keys and passphrases and
//! talks to a node that is a process of its own, whose memory is searched in the end.

mod canary;
mod ceremony;
mod containers;
mod docker;
pub mod engine;
mod figures;
mod guardians;
mod people;
mod private_docker;
mod record;
mod sleep;
mod stage;
mod talk;
mod tell;

use std::process::ExitCode;

use ocmt_types::{Clock as _, SystemClock};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::args::DemoArgs;
use people::Person;
use stage::Stage;
use tell::Teller;

/// What the story has come to.
struct Story {
    tell: Teller,
    stage: Stage,
    people: Vec<Person>,
    marks: canary::Planted,
    figures: figures::Figures,
}

/// Plays the main job; exit code 0 if every step did what it should.
///
/// # Errors
/// Only what keeps the result from being printed.
pub async fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let started = SystemClock.boottime();
    let tell = Teller::new();
    let stage = Stage::new(args)?;
    let mut story = Story {
        tell,
        stage,
        people: Vec::new(),
        marks: canary::Planted::new(),
        figures: figures::Figures::default(),
    };
    let outcome = tokio::select! {
        outcome = Box::pin(play(&mut story, args)) => outcome,
        interrupted = interrupted() => Err(interrupted),
    };
    if let Err(error) = &outcome {
        story.tell.failed(error)?;
        story.stage.tell_last_words(&story.tell)?;
    }
    let cleared = Box::pin(story.stage.clear_away(&story.tell)).await;
    if let Err(error) = &cleared {
        story.tell.failed(error)?;
    }
    story.figures.print(&story.tell)?;
    let seconds = (SystemClock.boottime() - started).as_secs_f64();
    let whole = outcome.is_ok() && cleared.is_ok();
    story.tell.line(&format!(
        "\n{} in {seconds:.1} s",
        if whole { "All of it worked" } else { "It did not work" }
    ))?;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn play(story: &mut Story, args: &DemoArgs) -> anyhow::Result<()> {
    stage::set(story, args.runtime).await?;
    people::sign_up(story).await?;
    people::fill_vault(story).await?;
    let mut workload = containers::start(story).await?;
    containers::unlock(story, &mut workload).await?;
    Box::pin(sleep::sleep_and_wake(story, &mut workload)).await?;
    guardians::ask(story).await?;
    Box::pin(ceremony::recover(story)).await?;
    record::verify(story).await?;
    canary::search_everywhere(story, &workload).await?;
    figures::measure_bare(story, &workload).await
}

async fn interrupted() -> anyhow::Error {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    anyhow::anyhow!("interrupted")
}
