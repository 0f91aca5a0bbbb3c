//! What operators do on purpose: nobody should notice.

use std::time::Duration;

use ocmt_cluster_tests::{
    rows,
    stage::{Cost, Stage},
    talk::{Programs, Talk},
    wait::until,
};

/// A drained node owns nothing and still answers by forwarding; resumed, it takes tenants again. Containers stay
/// where they are, and conversations with them go on.
pub(super) async fn drained(stage: &mut Stage, node: usize, round: usize) -> Cost {
    // one in each node's hands, so that one of the tenants moves, and one channel keeps its host
    let mut talks = Vec::new();
    for number in 0..stage.cluster.nodes.len() {
        let name = format!("talker-{round}-{number}");
        let talk = Talk::begin(&stage.cluster, &name, number, Programs::of_this_machine()).await;
        talks.push(talk.unwrap());
    }
    stage.busy(node).await.unwrap();
    let row = stage.cluster.living(node).await.unwrap().expect("the node lives");
    let cost = stage
        .play(async |cluster| {
            cluster.operate(&["drain", &row.id()]).await?;
            until("the drained node owns nothing", Duration::from_secs(60), async || {
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
    for talk in talks {
        println!("a channel into a container meanwhile: {:?}", talk.end().await.unwrap());
    }
    assert_eq!(cost.unanswered, 0, "{cost}");
    cost
}

/// SIGTERM drains; each node is live again before the next one stops.
pub(super) async fn rolling_restart(stage: &mut Stage) -> Cost {
    let cost = stage
        .play(async |cluster| {
            for node in 0..cluster.nodes.len() {
                cluster.nodes[node].stop().await?;
                cluster.nodes[node].start().await?;
                cluster.all_live(Duration::from_secs(60)).await?;
            }
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(cost.unanswered, 0, "{cost}");
    cost
}
