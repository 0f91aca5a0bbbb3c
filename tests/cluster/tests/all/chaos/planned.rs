//! What operators do on purpose: nobody should notice.

use std::time::Duration;

use ocmt_cluster_tests::{
    rows,
    stage::{Cost, Stage},
    talk::Talk,
    wait::until,
};

/// A drained node owns nothing and still answers by forwarding; resumed, it takes tenants again.
pub(super) async fn drained(stage: &mut Stage, node: usize) -> Cost {
    let row = stage.cluster.living(node).await.unwrap().expect("the node lives");
    let cost = stage
        .play(async |cluster| {
            cluster.operate(&["drain", &row.id()]).await?;
            until("the drained node owns nothing", Duration::from_secs(20), async || {
                Ok(rows::owned(&cluster.pool, &row.incarnation).await? == 0)
            })
            .await?;
            cluster.for_a_while(Duration::from_secs(2)).await?;
            anyhow::ensure!(
                rows::owned(&cluster.pool, &row.incarnation).await? == 0,
                "a draining node claimed a tenant"
            );
            cluster.operate(&["resume", &row.id()]).await?;
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(cost.unanswered, 0, "{cost}");
    cost
}

/// SIGTERM drains; each node is live again before the next one stops. Containers go on, and so does a
/// conversation with one.
pub(super) async fn rolling_restart(stage: &mut Stage, round: usize) -> Cost {
    let talk = Talk::begin(&stage.cluster, &format!("talker-{round}")).await.unwrap();
    let cost = stage
        .play(async |cluster| {
            for node in 0..cluster.nodes.len() {
                cluster.nodes[node].stop().await?;
                cluster.nodes[node].start().await?;
                cluster.all_live(Duration::from_secs(20)).await?;
            }
            Ok(())
        })
        .await
        .unwrap();
    let spoken = talk.end().await.unwrap();
    println!("a channel into a container meanwhile: {spoken:?}");
    assert_eq!(cost.unanswered, 0, "{cost}");
    cost
}
