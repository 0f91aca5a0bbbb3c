//! A workload's own HTTP and WebSockets through each of the nodes, of which one owns the tenant and one is the container's
//! host: what is said both ways, how each side closes, and the end of the session.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use ocmt_client::Client;
use ocmt_cluster_tests::{
    cluster::Cluster,
    talk::Talk,
    wait::{since, until},
};
use ocmt_testkit::plain::{Socket, Visitor};
use ocmt_types::ContainerId;

const HEARD: Duration = Duration::from_secs(60);

/// Talks with the workload through every node.
pub(crate) async fn both_ways(cluster: &Cluster, talk: &Talk) -> anyhow::Result<()> {
    for (node, code) in (0..cluster.nodes.len()).zip(4300..) {
        let visitor = Visitor::of(&talk.client, cluster.target(node), talk.container.id).await?;
        through(&visitor, code).await.with_context(|| format!("through node {node}"))?;
    }
    Ok(())
}

async fn through(visitor: &Visitor, code: u16) -> anyhow::Result<()> {
    let mut socket = visitor.socket("/ws").await?;
    ensure!(socket.talk("gr\u{fc}n").await? == "gr\u{fc}n");
    let bytes = vec![159; 70_000];
    socket.say_bytes(&bytes).await?;
    let heard = socket.hear().await?;
    ensure!(heard.is_binary() && heard.into_data() == bytes, "it came back as something else");
    socket.say(&format!("close {code} bye")).await?;
    ensure!(socket.closed().await? == (code, "bye".to_owned()), "the workload's close");
    let mut socket = visitor.socket("/ws").await?;
    ensure!(socket.talk("hello").await? == "hello");
    socket.close(code).await?;
    ensure!(socket.closed().await?.0 == code, "the answer to a close");
    let heard = async || {
        let closed = visitor.get("/closed").await?;
        ensure!(closed.status == 200, "{closed:?}");
        Ok(closed.body.lines().any(|line| line == code.to_string()))
    };
    until("the workload has heard the client's close", HEARD, heard).await.map(drop)
}

/// A WebSocket to the workload through every node, in this session.
pub(crate) async fn open(
    cluster: &Cluster,
    client: &Client,
    container: ContainerId,
) -> anyhow::Result<Vec<(Visitor, Socket)>> {
    let mut open = Vec::new();
    for node in 0..cluster.nodes.len() {
        let visitor = Visitor::of(client, cluster.target(node), container).await?;
        let mut socket = visitor.socket("/ws").await?;
        ensure!(socket.talk("hello").await? == "hello");
        open.push((visitor, socket));
    }
    Ok(open)
}

/// Waits for the end with this code; how long after `began` it came.
pub(crate) async fn ends(socket: &mut Socket, code: u16, began: Duration) -> anyhow::Result<Duration> {
    let (closed, why) = socket.closed().await?;
    ensure!(closed == code, "closed with {closed} {why}");
    Ok(since(began))
}

/// Its token opens nothing any more.
pub(crate) async fn refused(visitor: &Visitor) -> anyhow::Result<()> {
    match visitor.try_socket("/ws", &[]).await? {
        Err(answer) if answer.status == 401 => Ok(()),
        Err(answer) => bail!("refused with {}: {}", answer.status, answer.body),
        Ok(_) => bail!("its gateway token is good"),
    }
}
