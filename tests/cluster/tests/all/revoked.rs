//! A session that is revoked at one node: what it has open through every node ends within a second, the sealed channel and
//! the workload's own WebSockets, a conversation that is followed and a vault that is watched, and its token is good nowhere.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures_util::future::join_all;
use ocmt_client::{Client, gateway::Gateway};
use ocmt_cluster_tests::{
    account::fresh_key,
    cluster::Cluster,
    socket::{Pass, closed},
    talk::{Programs, Talk},
    wait::{now, since},
};
use ocmt_proto::v1::{self as pb, open_channel_request::Part};
use ocmt_testkit::pace::beside;
use ocmt_types::{ContainerId, ConversationId, VaultId};
use tonic::{Code, Streaming};

use super::plain;

const NODES: usize = 3;
const ROUNDS: usize = 50;
/// In so many of them WebSockets of the workload's own are open too.
const PLAIN: usize = 10;
/// What the session's end is told with.
const REVOKED: u16 = 4401;
const WITHIN: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_a_revoked_session_ends_what_is_open_through_every_node_within_a_second() {
    let cluster = Cluster::start(NODES).await.unwrap();
    // owned by the first node, its container wherever there is room
    let talk = Talk::begin(&cluster, "talker", 0, Programs::serving().unwrap()).await.unwrap();
    plain::both_ways(&cluster, &talk).await.unwrap();
    let mut took = Vec::new();
    for round in 0..ROUNDS {
        took.extend(one(&cluster, &talk, round).await.unwrap());
    }
    took.sort_unstable();
    let (p50, (longest, _)) = (took[took.len() / 2].0, took[took.len() - 1]);
    println!("{} streams of {ROUNDS} revoked sessions: p50 {p50:.1?}, longest {longest:.1?}", took.len());
    let late: Vec<_> = took.iter().filter(|(took, machine)| *took >= WITHIN + *machine).collect();
    assert!(late.is_empty(), "{late:?}");
    // the session that revoked them has gone on all the while
    talk.end().await.unwrap();
}

/// Opens a WebSocket, a channel, a conversation and a watch through each node in another session, revokes that at one of
/// them; how long each took to end, and what of it may be the machine's.
async fn one(cluster: &Cluster, talk: &Talk, round: usize) -> anyhow::Result<Vec<(Duration, Duration)>> {
    let other = cluster.sign_in("talker@cluster.example", round % NODES).await?;
    let session = other.who_am_i().await?.session.context("a session")?.id;
    let pass = Pass::of_session(&other, talk.container.id).await?;
    let (mut sockets, mut channels) = (Vec::new(), Vec::new());
    let (mut follows, mut watches) = (Vec::new(), Vec::new());
    for node in 0..NODES {
        sockets.push(pass.open(cluster, node).await?);
        // a client that was answered goes to the owner from then on: each of these is another
        channels.push(channel(&at(cluster, &other, node).await?, talk.container.id).await?);
        follows.push(follow(&at(cluster, &other, node).await?, talk.conversation).await?);
        watches.push(watch(&at(cluster, &other, node).await?, talk.vault).await?);
    }
    let mut plain = Vec::new();
    if round < PLAIN {
        plain = plain::open(cluster, &other, talk.container.id).await?;
    }
    let revoker = at(cluster, &talk.client, (round + 1) % NODES).await?;
    let began = now();
    let all_end = async {
        tokio::join!(
            revoker.revoke_session(session),
            join_all(sockets.iter_mut().map(|socket| socket_ends(socket, began))),
            join_all(channels.iter_mut().map(|channel| channel_ends(channel, began))),
            join_all(follows.iter_mut().map(|follow| stream_ends(follow, began))),
            join_all(watches.iter_mut().map(|watch| stream_ends(watch, began))),
            join_all(plain.iter_mut().map(|(_, socket)| plain::ends(socket, REVOKED, began))),
        )
    };
    let ((revoked, closed, ended, followed, watched, plain_ended), machine) = beside(all_end).await?;
    revoked?;
    for node in 0..NODES {
        let refused = at(cluster, &other, node).await?.who_am_i().await.err().context("its token is good")?;
        ensure!(refused.code() == Some(Code::Unauthenticated), "{refused}");
        ensure!(pass.open(cluster, node).await.is_err(), "its gateway token is good");
    }
    for (visitor, _) in &plain {
        plain::refused(visitor).await?;
    }
    let took = closed.into_iter().chain(ended).chain(followed).chain(watched).chain(plain_ended);
    took.map(|took| Ok((took?, machine))).collect()
}

/// The same session through another node.
async fn at(cluster: &Cluster, client: &Client, node: usize) -> anyhow::Result<Client> {
    let credential = client.credential().cloned().context("a credential")?;
    Ok(Client::connect(cluster.target(node)).await?.signed_in(credential, client.identity()?))
}

async fn socket_ends(socket: &mut Gateway, began: Duration) -> anyhow::Result<Duration> {
    let code = closed(socket).await?;
    ensure!(code == REVOKED, "closed with {code}");
    Ok(since(began))
}

/// An open stream of gRPC, and what keeps it open.
struct Channel {
    answers: Streaming<pb::OpenChannelResponse>,
    _asks: tokio::sync::mpsc::Sender<pb::OpenChannelRequest>,
}

async fn channel(client: &Client, container: ContainerId) -> anyhow::Result<Channel> {
    let (asks, mut asked) = tokio::sync::mpsc::channel(1);
    let start = pb::ChannelStart { container_id: container.to_string(), idempotency_key: fresh_key() };
    asks.send(pb::OpenChannelRequest { part: Some(Part::Start(start)) }).await?;
    let stream = futures_util::stream::poll_fn(move |cx| asked.poll_recv(cx));
    let mut answers = client.containers().open_channel(stream).await?.into_inner();
    answers.message().await?.context("it is opened")?;
    Ok(Channel { answers, _asks: asks })
}

async fn channel_ends(channel: &mut Channel, began: Duration) -> anyhow::Result<Duration> {
    let end = tokio::time::timeout(PATIENCE, channel.answers.message()).await.context("the channel hangs")?;
    ensure!(matches!(end, Ok(None) | Err(_)), "the cell said something");
    Ok(since(began))
}

async fn follow(
    client: &Client,
    conversation: ConversationId,
) -> anyhow::Result<Streaming<pb::ReadTranscriptResponse>> {
    let conversation_id = conversation.to_string();
    let request = pb::ReadTranscriptRequest { conversation_id, from_sequence: 0, follow: true };
    let mut stream = client.transcripts().read_transcript(request).await?.into_inner();
    stream.message().await?.context("it is followed")?;
    Ok(stream)
}

async fn watch(client: &Client, vault: VaultId) -> anyhow::Result<Streaming<pb::WatchVaultResponse>> {
    let request = pb::WatchVaultRequest { vault_id: vault.to_string(), resume_token: String::new() };
    let mut stream = client.vaults().watch_vault(request).await?.into_inner();
    stream.message().await?.context("it is watched")?;
    Ok(stream)
}

/// Waits until it is told that the session is over; how long after `began` that came.
async fn stream_ends<T>(stream: &mut Streaming<T>, began: Duration) -> anyhow::Result<Duration> {
    match tokio::time::timeout(PATIENCE, stream.message()).await.context("the stream hangs")? {
        Err(status) if status.code() == Code::Unauthenticated => Ok(since(began)),
        Err(status) => bail!("it ended with {status}"),
        Ok(_) => bail!("it went on, or ended as if it was whole"),
    }
}
