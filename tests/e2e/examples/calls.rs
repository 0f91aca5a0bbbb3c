//! What everything around a read costs: `GetEntry` with its session, limits, fence and audit through one node, beside the
//! same message answered by an actor behind a bare tonic server, over the same TLS with the same client and in the same run.
//! Both are processes of their own on the cores that the callers are on. First a closed loop of callers, bare and node in
//! turns, then an open one that sends by the clock whether or not it is answered, and counts each answer from when its call
//! was due. With every trace sent to a collector in this process, with limits counted in Redis where `OCMT_TEST_REDIS`
//! names one, and on PostgreSQL where `OCMT_TEST_POSTGRES` does. Build the node and this with `--release` and set
//! `OCMT_TEST_BIN` to its folder.
//!
//! `cargo run --release -p ocmt-e2e --example calls [SECONDS [CALLERS [CALLS_PER_SECOND]]]`
#![allow(clippy::print_stdout, reason = "it is what it is for")]

#[path = "calls/bare.rs"]
mod bare;

use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::try_join_all;
use ocmt::config::Config;
use ocmt_client::{Client, vault::Vault};
use ocmt_proto::v1::{GetEntryRequest, ListEntriesRequest};
use ocmt_store::testing::TestDatabase;
use ocmt_testkit::{TestNode, collector::Collector, usage};
use ocmt_types::{Clock as _, SystemClock};
use tokio::task::JoinSet;
use tonic::Code;

const SECONDS: u64 = 10;
const CALLERS: usize = 32;
const CALLS_PER_SECOND: u64 = 5_000;
/// Connections that callers share.
const CONNECTIONS: usize = 4;
/// Turns of the closed loop: what disturbs one of the two meets the other too.
const TURNS: u32 = 4;
/// Of the entry, in bytes.
const VALUE: usize = 200;
const PASSPHRASE: &str = "violin ledger umbrella quartz";

struct Plan {
    time: Duration,
    callers: usize,
    rate: u64,
}

/// Where the same call is asked for.
struct Way {
    clients: Vec<Client>,
    request: GetEntryRequest,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|first| first == bare::NAME).is_some() {
        return bare::serve(arguments).await;
    }
    let mut numbers = arguments.map(|text| text.parse::<u64>());
    let time = Duration::from_secs(numbers.next().transpose()?.unwrap_or(SECONDS));
    let callers = numbers.next().transpose()?.map_or(Ok(CALLERS), usize::try_from)?;
    let plan = Plan { time, callers, rate: numbers.next().transpose()?.unwrap_or(CALLS_PER_SECOND).max(1) };
    measure("SQLite", &plan, &TestNode::start().await?).await?;
    let collector = Collector::start().await?;
    let traced = |config: &mut Config| {
        config.telemetry.otlp.endpoint.clone_from(&collector.url);
        config.telemetry.otlp.sample = 1.0;
    };
    measure("SQLite, all traced", &plan, &TestNode::start_with(traced).await?).await?;
    let redis = std::env::var("OCMT_TEST_REDIS").ok();
    if let Some(redis) = &redis {
        let counted = |config: &mut Config| config.redis.url.clone_from(redis);
        measure("SQLite, limits in Redis", &plan, &TestNode::start_with(counted).await?).await?;
    }
    if std::env::var_os("OCMT_TEST_POSTGRES").is_some() {
        let database = TestDatabase::migrated().await?;
        let all = |config: &mut Config| {
            if let Some(redis) = &redis {
                config.redis.url.clone_from(redis);
            }
        };
        measure("PostgreSQL, limits in Redis", &plan, &TestNode::start_on(&database.url(), all).await?)
            .await?;
    }
    Ok(())
}

async fn measure(what: &str, plan: &Plan, node: &TestNode) -> anyhow::Result<()> {
    let vault = {
        let mut vault = node.person("caller").await?.vault(PASSPHRASE).await?;
        vault.put("entry", &[7; VALUE]).await?;
        vault
    };
    let pid = node.local().pid().context("no process")?;
    let (whole, request) = ways(node, &vault).await?;
    let server = bare::Server::start(node, &whole, &request).await?;
    let clients = connected(vault.client(), &server.target(vault.client())).await?;
    let (node, bare) = (Way { clients: whole, request: request.clone() }, Way { clients, request });
    for way in [&node, &bare] {
        closed(way, plan.callers, plan.time / TURNS).await?;
    }
    let (mut by_node, mut by_bare, mut cpu) = (Vec::new(), Vec::new(), Duration::ZERO);
    for _ in 0..TURNS {
        let before = usage::of(pid)?.cpu;
        by_node.extend(closed(&node, plan.callers, plan.time / TURNS).await?);
        cpu += usage::of(pid)?.cpu.saturating_sub(before);
        by_bare.extend(closed(&bare, plan.callers, plan.time / TURNS).await?);
    }
    let ratio = by_node.len() as f64 / by_bare.len().max(1) as f64;
    tell(&format!("{what}: GetEntry, {} callers", plan.callers), plan.time, &mut by_node);
    tell(&format!("{what}: bare, {} callers", plan.callers), plan.time, &mut by_bare);
    let each = cpu / u32::try_from(by_node.len().max(1))?;
    println!("{what}: the node does {ratio:.2} of what is bare, with {each:.2?} of processor time for each");
    for (who, way) in [("GetEntry", &node), ("bare", &bare)] {
        let (mut times, refused) = open(way, plan).await?;
        let what = format!("{what}: {who}, {} due each second, {refused} refused", plan.rate);
        tell(&what, plan.time, &mut times);
    }
    Ok(())
}

/// Clients of the node, and the call that all make.
async fn ways(node: &TestNode, vault: &Vault) -> anyhow::Result<(Vec<Client>, GetEntryRequest)> {
    let clients = connected(vault.client(), &node.target()?).await?;
    let vault_id = vault.id().to_string();
    let list = ListEntriesRequest { vault_id: vault_id.clone(), ..ListEntriesRequest::default() };
    let listed = vault.client().vaults().list_entries(list).await?.into_inner();
    let object_id = listed.entries.into_iter().next().context("no entry")?.object_id;
    Ok((clients, GetEntryRequest { vault_id, object_id, version: 0 }))
}

async fn connected(like: &Client, target: &ocmt_client::connect::Target) -> anyhow::Result<Vec<Client>> {
    let credential = like.credential().context("nobody is signed in")?;
    let identity = like.identity()?;
    try_join_all((0..CONNECTIONS).map(async |_| {
        let client = Client::connect(target.clone()).await?;
        Ok(client.signed_in(credential.clone(), identity))
    }))
    .await
}

/// Callers that ask again as soon as they are answered; how long each answer took.
async fn closed(way: &Way, callers: usize, time: Duration) -> anyhow::Result<Vec<Duration>> {
    let began = SystemClock.boottime();
    let mut tasks = JoinSet::new();
    for client in way.clients.iter().cycle().take(callers) {
        let (mut vaults, request) = (client.vaults(), way.request.clone());
        tasks.spawn(async move {
            let mut times = Vec::new();
            loop {
                let asked = SystemClock.boottime();
                if asked.saturating_sub(began) >= time {
                    return anyhow::Ok(times);
                }
                vaults.get_entry(request.clone()).await?;
                times.push(SystemClock.boottime().saturating_sub(asked));
            }
        });
    }
    let mut all = Vec::new();
    while let Some(times) = tasks.join_next().await {
        all.extend(times??);
    }
    Ok(all)
}

/// Calls that are sent when they are due; how long after that each was answered, and how many were too many.
async fn open(way: &Way, plan: &Plan) -> anyhow::Result<(Vec<Duration>, u64)> {
    let calls = plan.rate * plan.time.as_secs();
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    let began = SystemClock.boottime();
    let mut tasks = JoinSet::new();
    let mut clients = way.clients.iter().cycle();
    let mut sent: u64 = 0;
    while sent < calls {
        ticks.tick().await;
        let now = SystemClock.boottime().saturating_sub(began);
        let due_at = |n: u64| Duration::from_nanos(n.saturating_mul(1_000_000_000) / plan.rate);
        while sent < calls && due_at(sent) <= now {
            let Some(client) = clients.next() else { break };
            let (mut vaults, request, due) = (client.vaults(), way.request.clone(), began + due_at(sent));
            tasks.spawn(async move {
                match vaults.get_entry(request).await {
                    Ok(_) => Ok(Some(SystemClock.boottime().saturating_sub(due))),
                    Err(status) if status.code() == Code::ResourceExhausted => Ok(None),
                    Err(status) => Err(status),
                }
            });
            sent += 1;
        }
    }
    let (mut all, mut refused) = (Vec::new(), 0);
    while let Some(time) = tasks.join_next().await {
        match time?? {
            Some(time) => all.push(time),
            None => refused += 1,
        }
    }
    Ok((all, refused))
}

fn tell(what: &str, time: Duration, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    let each_second = times.len() as u64 / time.as_secs().max(1);
    println!("{what}: {each_second}/s, p50 {:.2?}, p99 {:.2?}", at(50), at(99));
}
