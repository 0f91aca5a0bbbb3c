//! Links that lose every packet without a word.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use ocmt_cluster_tests::{
    account::Account,
    cluster::Cluster,
    doors::{Doors, may_pass},
    rows,
    stage::{Cost, Stage},
    wait::{now, since},
};
use ocmt_proto::v1::{self as pb, vault_service_client::VaultServiceClient};
use tokio::task::JoinSet;

use super::{PATIENCE, TAKEN_OVER, life};

/// How long links stay cut: well past the lease.
const CUT: Duration = Duration::from_secs(12);
/// And the one to the database: so long that questions are asked until well past the lease.
const OFF: Duration = Duration::from_secs(15);

/// How long a caller of a node without its database waits for a refusal.
const REFUSED_WITHIN: Duration = Duration::from_secs(1);
/// What is waited for here before the answer is given up: the machine has other work than this test.
const GIVEN_UP: Duration = Duration::from_secs(5);

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

/// Strict calls there are refused in time, from the cut until it is mended: while the lease lasts, when it has
/// run out, and while the next life waits for its place. Others take over once the lease is over.
pub(super) async fn from_the_database(stage: &mut Stage, node: usize) -> Cost {
    let before = stage.busy(node).await.unwrap();
    let (lost, doors, accounts) = (before.clone(), stage.doors.clone(), stage.accounts.clone());
    let mut died = Duration::ZERO;
    let cost = stage
        .play(async |cluster| {
            let began = now();
            cluster.network.cut_port(node, cluster.postgres.port())?;
            let mut asking = JoinSet::new();
            asking.spawn(ask_on(node, doors, accounts, began));
            died = cluster.dead(&lost, PATIENCE).await?;
            cluster.for_a_while(OFF.saturating_sub(since(began))).await?;
            let longest = asking.join_next().await.context("nobody asked")???;
            println!("a node without its database answers within {longest:.2?}");
            cluster.network.heal(node)
        })
        .await
        .unwrap();
    let after = life(stage, node).await;
    assert_ne!(before, after, "a life without a lease went on");
    assert_eq!(cost.unanswered, 0, "{cost}");
    assert!(cost.silence < died + TAKEN_OVER, "{cost}");
    cost
}

/// Asks the node for one account after the other until the cut is nearly over; the longest wait for an answer.
/// Of twenty answers nineteen must be in time.
async fn ask_on(
    node: usize,
    doors: Doors,
    accounts: Vec<Arc<Account>>,
    began: Duration,
) -> anyhow::Result<Duration> {
    let (mut longest, mut answers, mut late) = (Duration::ZERO, 0, 0);
    let mut turns = accounts.iter().cycle();
    while since(began) + GIVEN_UP < OFF {
        let account = turns.next().context("no accounts")?;
        let asked = now();
        let request = pb::GetVaultRequest { vault_id: account.vault.to_string() };
        let mut vaults = VaultServiceClient::new(doors.way(node, account.bearer.clone()).context("no door")?);
        match tokio::time::timeout(GIVEN_UP, vaults.get_vault(request)).await {
            // owned by another node, and forwarded with the last view
            Ok(Ok(_)) => {}
            Ok(Err(status)) => anyhow::ensure!(may_pass(&status), "{status}"),
            Err(_) => anyhow::bail!("no answer within {GIVEN_UP:?}, {:?} after the cut", asked - began),
        }
        longest = longest.max(since(asked));
        (answers, late) = (answers + 1, late + usize::from(since(asked) > REFUSED_WITHIN));
        tokio::time::sleep(Duration::from_millis(20)).await; // why: the pace of the questions
    }
    anyhow::ensure!(late * 20 <= answers, "{late} of {answers} answers took longer than {REFUSED_WITHIN:?}");
    Ok(longest)
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
            cluster.dead(&lost, PATIENCE).await?;
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
