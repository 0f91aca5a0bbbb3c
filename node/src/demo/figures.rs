//! What waking costs, beside what the engine underneath takes for the same container.

use std::time::Duration;

use anyhow::Context as _;
use ocmt_types::{Clock as _, SystemClock};

use super::{Story, containers::Workload, tell::Teller};

/// How often each bare call is measured; the median is shown.
const ROUNDS: usize = 5;

/// Milliseconds, as they come in.
#[derive(Default)]
pub(super) struct Figures {
    woke: Vec<(String, u64)>,
    bare: Vec<(String, Duration)>,
}

impl Figures {
    pub(super) fn woke(&mut self, kind: &str, millis: u64) {
        self.woke.push((kind.to_owned(), millis));
    }

    pub(super) fn print(&self, tell: &Teller) -> anyhow::Result<()> {
        if self.woke.is_empty() {
            return Ok(());
        }
        tell.chapter("Waking, as the node reports it, and the bare call of the engine beside it")?;
        for (kind, millis) in &self.woke {
            let bare = self.bare.iter().find(|(bare, _)| bare == kind);
            let bare = bare.map_or_else(
                || "not measured".to_owned(),
                |(_, took)| format!("{:.0} ms", took.as_secs_f64() * 1000.0),
            );
            tell.line(&format!("  {kind:<8} woken and ready in {millis:>4} ms   bare {kind}: {bare}"))?;
        }
        Ok(())
    }
}

/// Measures bare `unpause` and `start` of the same container, with the node out of the way.
pub(super) async fn measure_bare(story: &mut Story, workload: &Workload) -> anyhow::Result<()> {
    let Story { tell, stage, figures, .. } = story;
    let Some(docker) = &stage.docker else { return Ok(()) };
    tell.chapter("For comparison")?;
    let name = docker.name_of(&workload.container);
    let engine = docker.engine().clone();
    stage.stop_node().await.context("the node stops")?;
    let client = engine.docker()?;
    let (mut unpaused, mut started) = (Vec::new(), Vec::new());
    tell.step("bare unpause and start of the same container, five times each", async {
        // it may sleep or run: from here on it is stopped, then running
        client.unpause_container(&name).await.ok();
        client.stop_container(&name, None).await.ok();
        for _ in 0..ROUNDS {
            let at = SystemClock.boottime();
            client.start_container(&name, None).await?;
            started.push(SystemClock.boottime() - at);
            client.pause_container(&name).await?;
            let at = SystemClock.boottime();
            client.unpause_container(&name).await?;
            unpaused.push(SystemClock.boottime() - at);
            client.kill_container(&name, None).await?;
            crate::local::wait_for(Duration::from_secs(5), async || {
                let state = client.inspect_container(&name, None).await.ok()?.state?;
                (state.running == Some(false)).then_some(())
            })
            .await
            .context("the container did not end")?;
        }
        Ok(())
    })
    .await?;
    figures.bare = vec![("unpause".to_owned(), median(unpaused)), ("start".to_owned(), median(started))];
    Ok(())
}

fn median(mut of: Vec<Duration>) -> Duration {
    of.sort_unstable();
    of.get(of.len() / 2).copied().unwrap_or_default()
}
