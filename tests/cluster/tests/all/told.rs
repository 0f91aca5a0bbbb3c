//! What operators are told by nodes of a cluster, once for all of them; and keys of two nodes that are rotated at once.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use ocmt::config::OperatorAlerts;
use ocmt_cluster_tests::{cluster::Cluster, network::Ground, process::NodeProcess, wait::until};

const OPS: &str = "ops@example.org";
const PATIENCE: Duration = Duration::from_secs(60);

/// A channel of letters, as the configuration of each node names it.
fn channel(folder: &Path) -> OperatorAlerts {
    let to = folder.join("ops.address");
    fs::write(&to, OPS).unwrap();
    fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
    let table = format!("name = \"ops\"\nkind = \"email\"\ntarget_file = {:?}", to.to_str().unwrap());
    toml::from_str(&table).unwrap()
}

/// Letters to operators that tell of this, in words.
fn letters(spool: &Path, of: &str) -> usize {
    let texts = fs::read_dir(spool).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()));
    texts.filter_map(Result::ok).filter(|text| text.contains(OPS) && text.contains(of)).count()
}

/// What the node's tool says of this fact of its key.
async fn key(node: &NodeProcess, fact: &str) -> anyhow::Result<String> {
    let said = node.tool(&["cluster", "node-key", "show", "--data-dir", "data", "--json"]).await?;
    let line = said.lines().find(|line| line.trim_start().starts_with(&format!("\"{fact}\"")));
    let value = line.and_then(|line| line.split_once(": ")).map_or("", |(_, value)| value);
    Ok(value.trim_matches([',', '"']).to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_node_is_told_once_by_those_that_live_and_two_nodes_rotate_their_keys_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (ops, spool) = (channel(folder.path()), Mutex::new(PathBuf::new()));
    let cluster = Cluster::start_on(Ground::Hosts, 3, |config| {
        spool.lock().unwrap().clone_from(&config.mail.spool);
        config.alerts.operators = vec![ops.clone()];
    });
    let mut cluster = cluster.await.unwrap();
    let spool = spool.into_inner().unwrap();

    let mut next = Vec::new();
    for node in 0..2 {
        let rotate = ["cluster", "node-key", "rotate", "--data-dir", "data"];
        cluster.nodes[node].tool(&rotate).await.unwrap();
        next.push(key(&cluster.nodes[node], "next").await.unwrap());
    }
    // the first has the authority, and makes the certificate at its start
    let certified = async || Ok(key(&cluster.nodes[1], "certified").await? == "true");
    until("the authority has certified the other's next key", PATIENCE, certified).await.unwrap();
    for node in 0..2 {
        cluster.nodes[node].stop().await.unwrap();
        cluster.nodes[node].start().await.unwrap();
    }
    cluster.all_live(PATIENCE).await.unwrap();
    for (node, next) in next.iter().enumerate() {
        assert_eq!(&key(&cluster.nodes[node], "key").await.unwrap(), next, "node {node}");
        assert_eq!(key(&cluster.nodes[node], "earlier").await.unwrap(), "1", "node {node}");
    }
    let said = async || {
        let sql = "SELECT count(DISTINCT object) FROM audit WHERE action = 'node.key'";
        Ok(sqlx::query_scalar::<_, i64>(sql).fetch_one(&cluster.pool).await? == 2)
    };
    until("both have said that they have another key", PATIENCE, said).await.unwrap();
    let told = async || Ok(letters(&spool, "node key") >= 1);
    until("operators have heard of it", PATIENCE, told).await.unwrap();

    cluster.nodes[2].kill().await.unwrap();
    let told = async || Ok(letters(&spool, "node dead") >= 1);
    until("operators have heard of the dead node", PATIENCE, told).await.unwrap();
    // whoever looks from here on finds that it was told
    let passed = async || {
        let sql = "SELECT count(*) FROM operator_channels WHERE seq >= (SELECT max(seq) FROM audit WHERE action = 'node.dead')";
        Ok(sqlx::query_scalar::<_, i64>(sql).fetch_one(&cluster.pool).await? == 1)
    };
    until("the channel has passed the record", PATIENCE, passed).await.unwrap();
    assert_eq!(letters(&spool, "node dead"), 1, "{}", cluster.words());
    let sql = "SELECT count(*) FROM audit WHERE action = 'node.dead'";
    let noted: i64 = sqlx::query_scalar(sql).fetch_one(&cluster.pool).await.unwrap();
    assert_eq!(noted, 1, "those that stopped in good order did not die");
}
