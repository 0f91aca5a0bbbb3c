//! The database itself goes away and comes back.

use std::time::Duration;

use ocmt_cluster_tests::{
    rows,
    stage::{Cost, Stage},
};

/// All nodes lose their leases at once; none is declared dead for it, and all go on.
pub(super) async fn restarted(stage: &mut Stage) -> Cost {
    let before = rows::nodes(&stage.cluster.pool).await.unwrap();
    let cost = stage
        .play(async |cluster| {
            cluster.postgres.crash().await?;
            cluster.for_a_while(Duration::from_secs(2)).await?;
            cluster.postgres.run().await
        })
        .await
        .unwrap();
    assert_eq!(rows::nodes(&stage.cluster.pool).await.unwrap(), before, "a node died with the database");
    assert_eq!(cost.unanswered, 0, "{cost}");
    cost
}
