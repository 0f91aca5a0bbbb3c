//! Hibernation: idle, paused, stopped by timers; and a connection that wakes it from each.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use ocmt_client::{Client, container::State, gateway::Wake};
use ocmt_types::ContainerId;

use super::{
    Story,
    containers::{self, Workload},
    people::OWNER,
};
use crate::local::wait_every;

const PATIENCE: Duration = Duration::from_secs(20);
/// Each look is a call, and each call is in the audit.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Idle to paused, woken; idle to paused to stopped, woken, unlocked again.
pub(super) async fn sleep_and_wake(story: &mut Story, workload: &mut Workload) -> anyhow::Result<()> {
    story.tell.chapter("It sleeps when nobody needs it, and wakes for whoever does")?;
    let id = workload.container.id;
    falls(story, id, State::Paused, "nobody talks: its timer pauses it").await?;
    let wake = containers::talk_and_prove(story, workload, "a connection wakes it; the talk goes on").await?;
    told(story, &wake, "unpause")?;
    falls(story, id, State::Paused, "idle again: paused").await?;
    falls(story, id, State::Stopped, "still idle: its timer stops it").await?;
    let wake = containers::open_cell(
        story,
        workload,
        "Ada connects: it wakes locked, and her device unlocks it again",
    )
    .await?;
    told(story, &wake, "start")?;
    containers::talk_and_prove(story, workload, "and the talk goes on").await?;
    Ok(())
}

async fn falls(story: &Story, id: ContainerId, state: State, words: &str) -> anyhow::Result<()> {
    let client = story.people.get(OWNER).context("nobody has signed up")?.client.clone();
    story.tell.step(words, reaches(&client, id, state)).await
}

async fn reaches(client: &Client, id: ContainerId, state: State) -> anyhow::Result<()> {
    let mut last = None;
    let reached = wait_every(LOOK_EVERY, PATIENCE, async || {
        last = client.container(id).await.ok().map(|container| container.state);
        (last == Some(state)).then_some(())
    });
    if reached.await.is_some() {
        return Ok(());
    }
    let why = client.explain_idle(id).await;
    Err(anyhow!("it did not come to {state} within {} s: it is {last:?} ({why:?})", PATIENCE.as_secs()))
}

fn told(story: &mut Story, wake: &Wake, expected: &str) -> anyhow::Result<()> {
    story.tell.detail(&format!("wake_kind: {}, {} ms", wake.kind, wake.millis))?;
    if wake.kind != expected {
        bail!("it was woken by {}, not by {expected}", wake.kind);
    }
    story.figures.woke(&wake.kind, wake.millis);
    Ok(())
}
