//! A node that has been without its lease for too long pauses what it runs.
//!
//! Others cannot reach its containers any more, and nobody's idle clock runs. Stands on the engine alone, since
//! the store is what is usually gone, and on no actor: a node that lost its lease has come back as a process
//! that waits for the store. A frozen cell cannot lock itself, so what is frozen is thawed for a moment now and
//! then: a cell whose unlock has ended in the meantime locks by its own clock. Nothing is thawed for good
//! here: with the lease come the rows, and a paused container is woken by the next request.

use std::{sync::Arc, time::Duration};

use ocmt_runtime::{ContainerRef, Runtime, State};

/// How often the lease is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Paused containers are thawed after so long …
const BREATH_EVERY: Duration = Duration::from_secs(300);
/// … for so long.
const BREATH: Duration = Duration::from_secs(2);

/// Pauses all containers of this node when the lease has been lost for `limit`, and keeps them paused until it
/// is back. Never ends. `lost_for` answers none while the lease is good.
pub async fn dead_man(
    runtime: Arc<dyn Runtime>,
    limit: Duration,
    lost_for: impl Fn() -> Option<Duration> + Send + Sync,
) {
    let is_over = || lost_for().is_some_and(|lost| lost >= limit);
    loop {
        if is_over() {
            tracing::warn!(limit_s = limit.as_secs(), "no lease for too long: what runs here is paused");
            keep_paused(&*runtime, &is_over).await;
            tracing::info!("lease is back: paused containers are woken by their next request");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Stops whatever of this node runs or is paused, all at once, each with `grace` to seal and lock itself first. For
/// a node that is over for good: nobody can reach its containers any more, nobody will thaw what is frozen, and
/// an unlocked cell holds keys. Best effort: what does not stop is logged.
pub async fn stop_all(runtime: &dyn Runtime, grace: Duration) {
    let mut left = in_state(runtime, State::Running).await;
    left.extend(in_state(runtime, State::Paused).await);
    let stopped = left.iter().map(async |container| match runtime.stop(container, grace).await {
        Ok(()) => tracing::warn!(%container, "container was stopped: its node is over for good"),
        Err(error) => tracing::error!(%container, %error, "container was not stopped: stop it by hand"),
    });
    futures_util::future::join_all(stopped).await;
}

async fn keep_paused(runtime: &dyn Runtime, is_over: &(dyn Fn() -> bool + Send + Sync)) {
    loop {
        let mut waited = Duration::ZERO;
        while waited < BREATH_EVERY {
            // each time: one that could not be paused, or was started by hand since
            for running in in_state(runtime, State::Running).await {
                pause(runtime, &running).await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
            waited += LOOK_EVERY;
            if !is_over() {
                return;
            }
        }
        breathe(runtime).await;
    }
}

/// Thaws what is frozen for a moment: whose lease is over locks.
async fn breathe(runtime: &dyn Runtime) {
    let frozen = in_state(runtime, State::Paused).await;
    for container in &frozen {
        if let Err(error) = runtime.unpause(container).await {
            tracing::debug!(%container, %error, "container was not thawed");
        }
    }
    tokio::time::sleep(BREATH).await;
    for container in &frozen {
        pause(runtime, container).await;
    }
}

async fn in_state(runtime: &dyn Runtime, state: State) -> Vec<ContainerRef> {
    match runtime.list().await {
        Ok(all) => all.iter().filter(|seen| seen.state == state).map(|seen| seen.container).collect(),
        Err(error) => {
            tracing::debug!(%error, "engine could not be looked through, tried again");
            Vec::new()
        }
    }
}

async fn pause(runtime: &dyn Runtime, container: &ContainerRef) {
    match runtime.pause(container).await {
        Ok(()) => tracing::info!(%container, "container is paused: its node has no lease"),
        Err(error) => tracing::warn!(%container, %error, "container was not paused, tried again"),
    }
}
