//! Links that lose every packet without a word.

use std::time::Duration;

use ocmt_cluster_tests::{
    cluster::Cluster,
    doors::may_pass,
    rows,
    stage::{Cost, Stage},
    wait::{now, since},
};
use ocmt_proto::v1::{self as pb, vault_service_client::VaultServiceClient};

use super::life;

/// How long links stay cut: well past the lease.
const CUT: Duration = Duration::from_secs(12);

async fn incarnations(cluster: &Cluster) -> Vec<String> {
    let rows = rows::nodes(&cluster.pool).await.unwrap();
    rows.into_iter().filter(|row| row.state != "dead").map(|row| row.incarnation).collect()
}

/// The lease is with the database: who cannot reach its peers keeps what it owns, and nobody dies.
pub(super) async fn from_peers(stage: &mut Stage, node: usize) -> Cost {
    stage.busy(node).await.unwrap();
    let before = incarnations(&stage.cluster).await;
    let cost = stage
        .play(async |cluster| {
            for other in others(cluster, node) {
                cluster.network.cut(node, other)?;
            }
            cluster.for_a_while(CUT).await?;
            cluster.network.heal(node)
        })
        .await
        .unwrap();
    assert_eq!(incarnations(&stage.cluster).await, before, "a node was declared dead for its peers' sake");
    assert_eq!(cost.unanswered, 0, "{cost}");
    cost
}

/// Strict calls there are refused in time, and others take over once its lease is over.
pub(super) async fn from_the_database(stage: &mut Stage, node: usize) -> Cost {
    let before = stage.busy(node).await.unwrap();
    let (lost, doors, accounts) = (before.clone(), stage.doors.clone(), stage.accounts.clone());
    let cost = stage
        .play(async |cluster| {
            let began = now();
            cluster.network.cut_port(node, cluster.postgres.port())?;
            // past its 4 s of strict serving, and before it ends itself
            cluster.for_a_while(Duration::from_millis(4_500)).await?;
            for account in &accounts {
                let asked = now();
                let request = pb::GetVaultRequest { vault_id: account.vault.to_string() };
                let way = doors.way(node, account.bearer.clone()).expect("a door");
                let mut vaults = VaultServiceClient::new(way);
                let answer = tokio::time::timeout(Duration::from_secs(1), vaults.get_vault(request)).await;
                match answer {
                    // owned by another node, and forwarded with the last view
                    Ok(Ok(_)) => {}
                    Ok(Err(status)) => anyhow::ensure!(may_pass(&status), "{status}"),
                    Err(_) => anyhow::bail!("no answer within 1 s, {:?} after the cut", asked - began),
                }
            }
            cluster.dead(&lost, Duration::from_secs(12)).await?;
            cluster.for_a_while(CUT.saturating_sub(since(began))).await?;
            cluster.network.heal(node)
        })
        .await
        .unwrap();
    let after = life(stage, node).await;
    assert_ne!(before, after, "a life without a lease went on");
    assert_eq!(cost.unanswered, 0, "{cost}");
    assert!(cost.silence < Duration::from_secs(12), "{cost}");
    cost
}

/// A split of one and two: the one serves nothing that is leader's work, and comes back as another life.
pub(super) async fn from_everything(stage: &mut Stage, node: usize) -> Cost {
    let before = stage.busy(node).await.unwrap();
    let majority: Vec<_> =
        incarnations(&stage.cluster).await.into_iter().filter(|one| *one != before).collect();
    let lost = before.clone();
    let cost = stage
        .play(async |cluster| {
            for other in others(cluster, node) {
                cluster.network.cut(node, other)?;
            }
            cluster.network.cut_port(node, cluster.postgres.port())?;
            cluster.dead(&lost, Duration::from_secs(12)).await?;
            cluster.for_a_while(Duration::from_secs(3)).await?;
            cluster.network.heal(node)
        })
        .await
        .unwrap();
    let after = incarnations(&stage.cluster).await;
    assert!(!after.contains(&before), "a life without a lease went on");
    assert!(majority.iter().all(|one| after.contains(one)), "a node of the majority died");
    assert_eq!(cost.unanswered, 0, "{cost}");
    cost
}

fn others(cluster: &Cluster, node: usize) -> Vec<usize> {
    (0..cluster.nodes.len()).filter(|other| *other != node).collect()
}
