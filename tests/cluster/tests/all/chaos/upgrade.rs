//! Nodes of two releases in one cluster, as a rolling upgrade has them: the database first, then one node after
//! the other, and back if one has to.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use ocmt_cluster_tests::{
    account::Account,
    cluster::Cluster,
    doors::{Doors, may_pass},
    process::Release,
    rows,
    stage::{Cost, Stage},
    wait::until,
};
use ocmt_proto::v1::{GetVaultRequest, vault_service_client::VaultServiceClient};

/// How long a node may take to answer a call of a tenant's that was just given to another.
const PATIENCE: Duration = Duration::from_secs(60);
/// A step of the next release's schema, which this one does not know: it adds.
const EXPAND: &str = "
    ALTER TABLE tenants ADD COLUMN of_the_next_release TEXT;
    CREATE TABLE of_the_next_release (tenant_id BYTEA NOT NULL PRIMARY KEY);
    INSERT INTO schema_migrations (version, name, checksum, usable_from)
    SELECT max(version) + 1, 'expand', '', max(version) FROM schema_migrations";
/// And one of the release after it: nobody needs any more what this one needs.
const CONTRACT: &str = "
    INSERT INTO schema_migrations (version, name, checksum, usable_from)
    SELECT max(version) + 1, 'contract', '', max(version) + 1 FROM schema_migrations";

/// Everybody's nodes become the next release; the one in the middle goes back and forth once more.
pub(super) async fn one_after_the_other_and_one_back(stage: &mut Stage) -> Cost {
    let (people, doors) = (stage.accounts.clone(), stage.doors.clone());
    let ways = Ways { people, doors };
    let cost = stage
        .play(async |cluster| {
            migrate(cluster).await?;
            for (node, to) in [
                (0, Release::Next),
                (1, Release::Next),
                (1, Release::This),
                (1, Release::Next),
                (2, Release::Next),
            ] {
                cluster.nodes[node].stop().await?;
                cluster.nodes[node].release = to;
                cluster.nodes[node].start().await?;
                cluster.all_live(Duration::from_secs(60)).await?;
                ways.walk(cluster).await.with_context(|| format!("node {node} runs {to:?}"))?;
                cluster.for_a_while(Duration::from_secs(1)).await?;
            }
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(cost.unanswered, 0, "{cost}");
    cost
}

/// As the next release's `ocmt migrate` does it, while everybody works.
async fn migrate(cluster: &mut Cluster) -> anyhow::Result<()> {
    let node = &mut cluster.nodes[0];
    let config = node.folder().join("ocmt.toml");
    node.release = Release::Next;
    node.tool(&["migrate", "--config", &config.to_string_lossy()]).await?;
    node.release = Release::This;
    sqlx::raw_sql(EXPAND).execute(&cluster.pool).await?;
    Ok(())
}

/// Who is called, and through which nodes.
struct Ways {
    people: Vec<Arc<Account>>,
    doors: Doors,
}

impl Ways {
    /// Has each node own somebody, and calls everybody through every node: each release forwards to each that is
    /// there.
    async fn walk(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let mut nodes = Vec::new();
        for node in 0..cluster.nodes.len() {
            nodes.push(cluster.living(node).await?.context("a node is not live")?);
        }
        let listed = cluster.operate(&["nodes"]).await?;
        for node in &nodes {
            let line =
                listed.lines().find(|line| line.contains(&node.id())).context("a node is not listed")?;
            ensure!(line.contains(&node.version), "no {} in: {line}", node.version);
        }
        let mut crossed = BTreeSet::new();
        for (number, account) in self.people.iter().enumerate() {
            let (tenant, home) = (account.identity.tenant.to_string(), number % nodes.len());
            if rows::owner(&cluster.pool, &tenant).await?.as_ref() != Some(&nodes[home].incarnation) {
                cluster.operate(&["move", &tenant, &nodes[home].id()]).await?;
            }
            for (door, through) in nodes.iter().enumerate().filter(|(door, _)| *door != home) {
                let owner = self.owner_of(account, door).await?;
                ensure!(
                    owner == cluster.nodes[home].endpoint(),
                    "{tenant} is at {owner}, not at node {home}"
                );
                crossed.insert((through.version.clone(), nodes[home].version.clone()));
            }
        }
        // of two releases, one is at one node alone: it forwards to the other and the other to it
        let versions: BTreeSet<_> = nodes.iter().map(|node| node.version.clone()).collect();
        for (from, to) in versions.iter().flat_map(|from| versions.iter().map(move |to| (from, to))) {
            let alone = from == to && nodes.iter().filter(|node| node.version == *from).count() < 2;
            ensure!(alone || crossed.contains(&(from.clone(), to.clone())), "no call from {from} to {to}");
        }
        let (expected, wanted) = (versions.len(), cluster.nodes.iter().map(|node| node.release as u8));
        ensure!(expected == wanted.collect::<BTreeSet<_>>().len(), "{versions:?} are not the releases");
        Ok(())
    }

    /// The node that answered a call through this one.
    async fn owner_of(&self, account: &Account, door: usize) -> anyhow::Result<String> {
        let request = GetVaultRequest { vault_id: account.vault.to_string() };
        let mut answered = None;
        // its connection to a node that was just started again may be that to the life before
        until("the node answers", PATIENCE, async || {
            let way = self.doors.way(door, account.bearer.clone()).context("no such door")?;
            match VaultServiceClient::new(way).get_vault(request.clone()).await {
                Err(status) if may_pass(&status) => {}
                answer => answered = Some(answer?),
            }
            Ok(answered.is_some())
        })
        .await?;
        let answer = answered.context("it was answered")?;
        let owner = answer.metadata().get("ocmt-owner").context("it was not forwarded")?;
        Ok(owner.to_str()?.to_owned())
    }
}

/// The last step of the way: who runs goes on, and a node of a release that is too old does not come back.
pub(super) async fn a_step_that_takes_away_keeps_the_older_release_out(stage: &mut Stage) {
    sqlx::raw_sql(CONTRACT).execute(&stage.cluster.pool).await.unwrap();
    stage.judge().await.unwrap();
    let node = &mut stage.cluster.nodes[2];
    node.stop().await.unwrap();
    node.release = Release::This;
    let refused = format!("{:#}", node.start().await.unwrap_err());
    assert!(refused.contains("use a newer one"), "{refused}");
    // the operator's way back
    sqlx::raw_sql("DELETE FROM schema_migrations WHERE name = 'contract'")
        .execute(&stage.cluster.pool)
        .await
        .unwrap();
    node.start().await.unwrap();
    stage.cluster.all_live(Duration::from_secs(60)).await.unwrap();
}
