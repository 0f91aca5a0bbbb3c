//! A node's process ends, or stands still past its lease.

use std::time::Duration;

use anyhow::Context as _;
use ocmt_cluster_tests::{
    stage::{Cost, Stage},
    wait::{now, since},
};
use rustix::process::Signal;

use super::{PATIENCE, TAKEN_OVER, life};

/// Well below a lease, that a start would wait for.
const OWN_LEASE: Duration = Duration::from_secs(3);
/// Until every node is there again.
const BACK: Duration = Duration::from_secs(60);
/// How long a frozen node holds its callers, before they ask another.
const HELD: Duration = Duration::from_secs(3);

/// A node that comes back marks its own earlier life dead: nobody waits for the lease.
pub(super) async fn killed_and_started_again(stage: &mut Stage, node: usize) -> Cost {
    let before = stage.busy(node).await.unwrap();
    let mut served = Duration::ZERO;
    let cost = stage
        .play(async |cluster| {
            cluster.nodes[node].kill().await?;
            served = cluster.nodes[node].start().await?;
            // as soon as it serves, looked at once: it was the node itself
            let own = cluster.dead(&before, Duration::ZERO).await;
            own.map(drop).context("it serves while its earlier life has its lease")
        })
        .await
        .unwrap();
    let after = life(stage, node).await;
    assert_ne!(before, after, "a new life has a new incarnation");
    assert_eq!(cost.unanswered, 0, "{cost}");
    assert!(cost.silence < served + Duration::from_secs(5), "the lease was waited for: {cost}");
    // a start of the same node, where there is no lease that it could wait for
    stage.cluster.nodes[node].stop().await.unwrap();
    let plain = stage.cluster.nodes[node].start().await.unwrap();
    stage.cluster.all_live(BACK).await.unwrap();
    assert!(
        served < plain + plain / 2 + OWN_LEASE,
        "it waited for its own lease: {served:.2?}, else {plain:.2?}"
    );
    cost
}

/// Without a restart others wait for the lease, and no longer.
pub(super) async fn killed_without_restart(stage: &mut Stage, node: usize) -> Cost {
    let before = stage.busy(node).await.unwrap();
    let mut died = Duration::ZERO;
    let cost = stage
        .play(async |cluster| {
            cluster.nodes[node].kill().await?;
            died = cluster.dead(&before, PATIENCE).await?;
            cluster.for_a_while(Duration::from_secs(2)).await?;
            cluster.nodes[node].start().await?;
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(cost.unanswered, 0, "{cost}");
    // 8 s with release nodes: docs/testing.md
    assert!(cost.silence < died + TAKEN_OVER, "{cost}");
    cost
}

/// What a suspended node had on its way comes too late and is refused; it comes back as another life.
pub(super) async fn suspended(stage: &mut Stage, node: usize) -> Cost {
    let before = stage.busy(node).await.unwrap();
    let (frozen, mut died) = (before.clone(), Duration::ZERO);
    let cost = stage
        .play(async |cluster| {
            let began = now();
            cluster.nodes[node].signal(Signal::STOP)?;
            died = cluster.dead(&frozen, PATIENCE).await?;
            let owned = ocmt_cluster_tests::rows::owned(&cluster.pool, &frozen).await?;
            cluster.for_a_while(Duration::from_secs(30).saturating_sub(since(began))).await?;
            // while it stood still, others took what people asked for
            let left = ocmt_cluster_tests::rows::owned(&cluster.pool, &frozen).await?;
            anyhow::ensure!(left == 0, "{left} of {owned} tenants still with a dead incarnation");
            cluster.nodes[node].signal(Signal::CONT)?;
            Ok(())
        })
        .await
        .unwrap();
    let after = life(stage, node).await;
    assert_ne!(before, after, "the suspended life went on");
    assert_eq!(cost.unanswered, 0, "{cost}");
    assert!(cost.silence < died + TAKEN_OVER + HELD, "{cost}");
    cost
}
