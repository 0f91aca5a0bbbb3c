//! What a wake on request adds to the engine's own work, on a real Docker engine: a request through the gateway to a paused
//! container beside the engine's `unpause`, and to a stopped one beside its `start` and the time until the same program
//! listens, in turns in one run; fifty requests at once to one that sleeps; a hundred containers made, paused and woken,
//! with the memory of the node for each; and the gateway's WebSockets. The tenant lets its workload start locked
//! (`hibernation.start_locked`), so that nobody has to unlock between.
//!
//! `OCMT_TEST_DOCKER=unix://… cargo run --release -p ocmt-e2e --example wakes [ROUNDS [CONTAINERS]]`
#![allow(clippy::print_stdout, reason = "it is what it is for")]

#[path = "wakes/engine.rs"]
mod engine;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use engine::Bare;
use futures_util::future::try_join_all;
use ocmt::config::HostMemory;
use ocmt_client::container::{Spec, State};
use ocmt_proto::v1 as pb;
use ocmt_testkit::{Person, TestNode, docker, plain::Visitor, usage};
use ocmt_types::{Clock as _, ContainerId, SystemClock};

const ROUNDS: usize = 100;
const CONTAINERS: usize = 100;
const AT_ONCE: usize = 50;
const MESSAGES: u32 = 2_000;
const NETWORKS: &str = "10.215.0.0/16";
const PORT: u16 = 8080;
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let rounds = numbers.next().transpose()?.unwrap_or(ROUNDS);
    let containers = numbers.next().transpose()?.unwrap_or(CONTAINERS);
    let image = docker::image("ocmt-wakes:latest").await?;
    let node = TestNode::start_with(|config| {
        if let Err(error) = docker::configure(config, &image, NETWORKS) {
            println!("{error:#}");
        }
        // containers share what there is: they are small, and none uses what it may
        config.cluster.memory_mib = HostMemory::Mib(65_536);
    });
    let node = node.await?;
    let bare = Bare::run(&image, docker::WORKLOAD, PORT).await?;
    let measured = measure(&node, &bare, rounds, containers).await;
    bare.remove().await?;
    docker::clear(&docker::of_node(node.folder(), NETWORKS).await?).await?;
    measured
}

async fn measure(node: &TestNode, bare: &Bare, rounds: usize, containers: usize) -> anyhow::Result<()> {
    let ada = owner(node, "ada").await?;
    let (mut paused, mut unpaused, mut stopped, mut started) = (vec![], vec![], vec![], vec![]);
    for _ in 0..rounds {
        ada.pause().await?;
        paused.push(ada.answered().await?);
        unpaused.push(bare.unpause().await?);
    }
    for _ in 0..rounds {
        ada.stop().await?;
        stopped.push(ada.answered().await?);
        started.push(bare.start().await?);
    }
    beside("paused", &mut paused, "unpause", &mut unpaused);
    beside("stopped", &mut stopped, "start until it listens", &mut started);
    ada.pause().await?;
    at_once("paused", &ada, bare).await?;
    ada.stop().await?;
    at_once("stopped", &ada, bare).await?;
    sockets(&ada).await?;
    many(node, containers).await
}

/// Somebody with a container that serves.
struct Owner {
    person: Person,
    container: ContainerId,
    visitor: Visitor,
}

async fn owner(node: &TestNode, name: &str) -> anyhow::Result<Owner> {
    let person = node.person(name).await?;
    let version = person.client.tenant().await?.policy_version;
    let locked = pb::HibernationPolicy { start_locked: Some(true), ..Default::default() };
    let request = pb::UpdateTenantPolicyRequest {
        policy: Some(pb::TenantPolicy { hibernation: Some(locked), ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["hibernation.start_locked".to_owned()] }),
        policy_version: version,
        idempotency_key: rand::random::<[u8; 16]>().to_vec().into(),
    };
    person.client.tenants().update_tenant_policy(request).await?;
    let spec = Spec {
        argv: vec![docker::WORKLOAD.to_owned()],
        workload_port: Some(PORT),
        memory_bytes: Some(64 << 20),
        gateway_plain: true,
        ..Spec::default()
    };
    let container = person.client.create_container(&spec, true).await?.id;
    let visitor = Visitor::of(&person.client, node.target()?, container).await?;
    Ok(Owner { person, container, visitor })
}

impl Owner {
    async fn pause(&self) -> anyhow::Result<()> {
        self.person.client.pause_container(self.container).await?;
        self.is(State::Paused).await
    }

    async fn stop(&self) -> anyhow::Result<()> {
        self.person.client.stop_container(self.container, Some(Duration::ZERO)).await?;
        self.is(State::Stopped).await
    }

    async fn is(&self, state: State) -> anyhow::Result<()> {
        let is = ocmt::local::wait_for(PATIENCE, async || {
            (self.person.client.container(self.container).await.ok()?.state == state).then_some(())
        });
        is.await.with_context(|| format!("it is not {state:?}"))
    }

    /// How long a request takes until the workload's answer begins, over a connection that stands, as that to the engine does.
    async fn answered(&self) -> anyhow::Result<Duration> {
        let line = self.visitor.dial().await?;
        let began = SystemClock.boottime();
        let none = bytes::Bytes::new();
        let answer = self.visitor.ask_over(line, http::Method::GET, "/healthz", &[], none).await?;
        let took = SystemClock.boottime().saturating_sub(began);
        let status = answer.answer.status();
        ensure!(status.is_success(), "{status}: {}", answer.whole().await?.body);
        Ok(took)
    }
}

fn beside(what: &str, through: &mut [Duration], engine: &str, bare: &mut [Duration]) {
    let [through, bare] = [through, bare].map(|times| {
        times.sort_unstable();
        [50, 99].map(|percent| times.get(times.len() * percent / 100).copied().unwrap_or_default())
    });
    let added = [0, 1].map(|at| through[at].saturating_sub(bare[at]));
    println!("{what}: request to first byte p50 {:.2?}, p99 {:.2?}", through[0], through[1]);
    println!(
        "  the engine's {engine}: p50 {:.2?}, p99 {:.2?}; added {:.2?}, {:.2?}",
        bare[0], bare[1], added[0], added[1]
    );
}

async fn at_once(what: &str, owner: &Owner, bare: &Bare) -> anyhow::Result<()> {
    let since = SystemClock.now();
    let mut times = try_join_all((0..AT_ONCE).map(|_| owner.answered())).await?;
    times.sort_unstable();
    let wakes = bare.woken(&format!("ocmt.container={}", owner.container), since).await?;
    let slowest = times.last().copied().unwrap_or_default();
    println!("{AT_ONCE} requests at once to a {what} one: slowest {slowest:.2?}, wakes {wakes}");
    Ok(())
}

/// Messages there and back, one after the other.
async fn sockets(owner: &Owner) -> anyhow::Result<()> {
    let mut socket = owner.visitor.socket("/ws").await?;
    let text = "x".repeat(1024);
    let (began, mut times) = (SystemClock.boottime(), Vec::new());
    for _ in 0..MESSAGES {
        let asked = SystemClock.boottime();
        socket.talk(&text).await?;
        times.push(SystemClock.boottime().saturating_sub(asked));
    }
    let took = SystemClock.boottime().saturating_sub(began);
    times.sort_unstable();
    let each_second = f64::from(MESSAGES) / took.as_secs_f64();
    println!(
        "WebSocket, 1 KiB there and back: {each_second:.0}/s, p50 {:.2?}, p99 {:.2?}",
        times[times.len() / 2],
        times[times.len() * 99 / 100]
    );
    Ok(())
}

async fn many(node: &TestNode, count: usize) -> anyhow::Result<()> {
    let pid = node.local().pid().context("no process")?;
    let resident = || anyhow::Ok(usage::of(pid)?.now_kib);
    let (before, mut owners) = (resident()?, Vec::new());
    let began = SystemClock.boottime();
    for n in 0..count {
        owners.push(owner(node, &format!("owner{n:03}")).await?);
        owners[n].answered().await?;
    }
    let tell = |what: &str, took: Duration, now: u64| {
        let each = now.saturating_sub(before) / count.max(1) as u64;
        println!(
            "{count} containers {what} in {took:.2?}: the node has {} MiB, {each} KiB for each",
            now >> 10
        );
    };
    tell("made and answering", SystemClock.boottime().saturating_sub(began), resident()?);
    for (what, wake) in [("paused", false), ("woken", true), ("stopped", false), ("started again", true)] {
        let began = SystemClock.boottime();
        for few in owners.chunks(10) {
            try_join_all(few.iter().map(async |owner| match (what, wake) {
                (_, true) => owner.answered().await.map(drop),
                ("paused", _) => owner.pause().await,
                _ => owner.stop().await,
            }))
            .await?;
        }
        tell(what, SystemClock.boottime().saturating_sub(began), resident()?);
    }
    Ok(())
}
