//! Containers on one real Docker engine that three nodes share: what restarts of the nodes do to them, and to
//! the WebSockets into them. The nodes stand on this machine, not on hosts of their own: they dial their
//! containers.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use ocmt_client::gateway::Gateway;
use ocmt_cluster_tests::{
    cluster::Cluster,
    docker::SharedEngine,
    network::Ground,
    socket::{Pass, closed},
    stage::Stage,
    talk::Talk,
    wait::{now, since, until},
};

const NODES: usize = 3;
const PEOPLE: usize = 6;
/// "Service restart" of the registry of RFC 6455: connect again at once.
const RESTART: u16 = 1012;
/// Until every node is there again.
const LIVE: Duration = Duration::from_secs(60);
/// How long until a container is reached again once its host is back.
const BACK: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_under_load_restarts_no_container_and_loses_no_word() {
    let engine = SharedEngine::open().await.unwrap();
    let cluster = Cluster::start_on(Ground::Machine, NODES, |config| engine.configure(config)).await.unwrap();
    let mut stage = Stage::on(cluster, PEOPLE).await.unwrap();
    let mut talks = Vec::new();
    for node in 0..NODES {
        let begun =
            Talk::begin(&stage.cluster, &format!("talker-{node}"), node, SharedEngine::programs()).await;
        talks.push(begun.unwrap());
    }
    let before = engine.lives(&stage.cluster).await.unwrap();
    for node in 0..NODES {
        assert!(
            before.values().any(|life| life.node == node && life.runs),
            "node {node} hosts nobody: {before:?}"
        );
    }
    let mut visitors = Vec::new();
    for talk in &talks {
        let host = before.iter().find(|(name, _)| name.contains(&talk.container.id.to_string()));
        let (_, life) = host.expect("the engine has the container");
        visitors.push(Visitor { pass: Pass::of(talk).await.unwrap(), host: life.node });
    }

    let cost = stage
        .play(async |cluster| {
            for node in 0..NODES {
                restart(cluster, node, &visitors).await?;
            }
            Ok(())
        })
        .await
        .unwrap();
    println!("rolling restart with containers: {cost}");
    assert_eq!(cost.unanswered, 0, "{cost}");
    for talk in talks {
        let container = talk.container.id;
        let after = talk.client.container(container).await.unwrap();
        assert!(!after.locked, "the cell of {container} was locked");
        let spoken = talk.end().await.unwrap();
        println!("a channel into a container meanwhile: {spoken:?}");
        assert!(spoken.lines > 50, "{spoken:?}");
    }
    let after = engine.lives(&stage.cluster).await.unwrap();
    assert_eq!(before, after, "a container was restarted, made anew, moved or paused");
    stage.unlock_all().await.unwrap();
    engine.clear_away(&stage.cluster).await.unwrap();
}

/// Somebody with a WebSocket that nobody makes again for them.
struct Visitor {
    pass: Pass,
    /// Where the container is.
    host: usize,
}

/// Restarts a node. WebSockets through it, and through others into its containers, are told to connect again.
/// They can at once: through others while it is away, unless the container is there, and through any when it is
/// back.
async fn restart(cluster: &mut Cluster, node: usize, visitors: &[Visitor]) -> anyhow::Result<()> {
    let other = (node + 1) % NODES;
    let mut open = BTreeMap::new();
    for (number, visitor) in visitors.iter().enumerate() {
        open.insert((number, node), opened(cluster, visitor, node).await?);
        if visitor.host == node {
            open.insert((number, other), opened(cluster, visitor, other).await?);
        }
    }
    let (stopped, told) = tokio::join!(cluster.nodes[node].stop(), all_closed(&mut open));
    let (stopped, told) = (stopped?, told?);
    anyhow::ensure!(told.values().all(|code| *code == RESTART), "node {node}: closed with {told:?}");
    for visitor in visitors.iter().filter(|visitor| visitor.host != node) {
        opened(cluster, visitor, other).await?;
    }
    let served = cluster.nodes[node].start().await?;
    cluster.all_live(LIVE).await?;
    let mut longest = Duration::ZERO;
    for visitor in visitors {
        for through in [node, other] {
            let began = now();
            opened(cluster, visitor, through).await?;
            longest = longest.max(since(began));
        }
    }
    println!("node {node}: stopped in {stopped:.2?}, served in {served:.2?}, then reached in {longest:.2?}");
    Ok(())
}

/// A WebSocket through this node: what may pass is tried again, as every client does; nothing else comes.
async fn opened(cluster: &Cluster, visitor: &Visitor, through: usize) -> anyhow::Result<Gateway> {
    let mut open = None;
    until("a WebSocket is open", BACK, async || {
        match visitor.pass.open(cluster, through).await {
            Ok(gateway) => open = Some(gateway),
            Err(error) if error.is_retryable() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(open.is_some())
    })
    .await?;
    open.context("it is open")
}

/// Whose WebSocket, and through which node.
type Way = (usize, usize);

async fn all_closed(open: &mut BTreeMap<Way, Gateway>) -> anyhow::Result<BTreeMap<Way, u16>> {
    let mut codes = BTreeMap::new();
    for (way, gateway) in open {
        codes.insert(*way, closed(gateway).await?);
    }
    Ok(codes)
}
