//! What one hop costs: the same calls to the node where the tenant lives, through another node, and by a client
//! that follows to the owner. Everything in this process, over mutual TLS.
//!
//! `cargo run --release -p ocmt --example hop [seconds]`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

#[path = "../tests/mesh/mod.rs"]
mod mesh;

use std::time::{Duration, Instant};

use mesh::{H2, Mesh, call, tenant};
use ocmt_client::{
    Client, Identity,
    ca::ClusterCa,
    connect::{Credential, Target},
};
use ocmt_crypto::token::{Token, TokenKind};
use ocmt_proto::v1::WhoAmIRequest;
use ocmt_types::{Id as _, UserId};
use tokio::task::JoinSet;

/// Calls at once in the loaded runs.
const LOAD: usize = 64;
const BODY: usize = 100;

fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(5);
    let time = Duration::from_secs(seconds);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mesh = Mesh::new();
        let (edge, owner) = mesh.pair().await;
        let (straight, through) = (mesh.client(&owner).await, mesh.client(&edge).await);
        let _warm = (closed(&straight, time / 4).await, closed(&through, time / 4).await);
        println!("one call at a time:");
        // alternating, so that a disturbance meets both
        let (mut local, mut hop) = (Vec::new(), Vec::new());
        for _ in 0..4 {
            local.extend(closed(&straight, time / 4).await);
            hop.extend(closed(&through, time / 4).await);
        }
        let (local, hop) = (tell("local", local), tell("one hop", hop));
        println!("  added p50 {} us", (hop.saturating_sub(local)).as_micros());
        println!("{LOAD} at once:");
        // new ones: a connection that nobody used meanwhile has been closed
        let straight = [mesh.client(&owner).await, mesh.client(&owner).await];
        let (local, local_cpu) = loaded(&straight, time).await;
        let through = [mesh.client(&edge).await, mesh.client(&edge).await];
        let (hop, hop_cpu) = loaded(&through, time).await;
        println!("  local    {local:>8.0} calls/s  {local_cpu:>6.1} us CPU a call, client included");
        println!("  one hop  {hop:>8.0} calls/s  {hop_cpu:>6.1} us CPU a call, client included");
        println!("  ratio {:.2}, CPU of the hop {:.1} us", hop / local, hop_cpu - local_cpu);
        println!("the Rust client, one call at a time:");
        let [at_owner, follows] = [&owner, &edge].map(|node| rust_client(&mesh, &node.peer.endpoint));
        let (at_owner, follows) = (at_owner.await, follows.await);
        let _first_calls = (who_am_i(&at_owner).await, who_am_i(&follows).await);
        let (mut local, mut followed) = (Vec::new(), Vec::new());
        for _ in 0..4 {
            local.extend(asking(&at_owner, time / 4).await);
            followed.extend(asking(&follows, time / 4).await);
        }
        tell("at the owner", local);
        tell("followed there", followed);
    });
}

/// One call after the other.
async fn closed(client: &H2, time: Duration) -> Vec<Duration> {
    let (began, mut took) = (Instant::now(), Vec::new());
    while began.elapsed() < time {
        let at = Instant::now();
        once(client).await;
        took.push(at.elapsed());
    }
    took
}

/// Somebody signed in, who was told of this node alone.
async fn rust_client(mesh: &Mesh, endpoint: &str) -> Client {
    let target =
        Target { endpoint: endpoint.to_owned(), ca: ClusterCa::from_pem(&mesh.papers.pem()).unwrap() };
    let token = Token::issue(TokenKind::Session, tenant(1), &mut rand::rng());
    let identity = Identity { tenant: tenant(1), user: UserId::from_bytes([1; 16]) };
    let client = Client::connect(target).await.unwrap();
    client.signed_in(Credential::new(token.expose().to_owned()), identity)
}

async fn asking(client: &Client, time: Duration) -> Vec<Duration> {
    let (began, mut took) = (Instant::now(), Vec::new());
    while began.elapsed() < time {
        let at = Instant::now();
        assert_eq!(who_am_i(client).await, "0", "forwarded");
        took.push(at.elapsed());
    }
    took
}

/// How often the call was forwarded.
async fn who_am_i(client: &Client) -> String {
    client.auth().who_am_i(WhoAmIRequest {}).await.unwrap().into_inner().tenant_name
}

async fn once(client: &H2) {
    assert_eq!(client.text("/count", mesh::bytes(BODY)).await, BODY.to_string());
}

fn tell(what: &str, mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    let at = |part: usize| took[took.len() * part / 100];
    println!(
        "  {what:<14} {:>7} calls  p50 {:>5} us  p99 {:>5} us",
        took.len(),
        at(50).as_micros(),
        at(99).as_micros()
    );
    at(50)
}

/// Many at once: calls a second, and CPU of this process for each, in microseconds.
async fn loaded(clients: &[H2; 2], time: Duration) -> (f64, f64) {
    let (began, cpu) = (Instant::now(), cpu());
    let mut tasks = JoinSet::new();
    for n in 0..LOAD {
        let sender = clients[n % 2].sender.clone();
        tasks.spawn(async move {
            let mut calls = 0_u32;
            while began.elapsed() < time {
                let answer = sender.clone().send_request(call("/count", mesh::bytes(BODY))).await.unwrap();
                assert_eq!(answer.status(), 200);
                http_body_util::BodyExt::collect(answer.into_body()).await.unwrap();
                calls += 1;
            }
            calls
        });
    }
    let calls: u32 = tasks.join_all().await.iter().sum();
    (
        f64::from(calls) / began.elapsed().as_secs_f64(),
        (self::cpu() - cpu).as_secs_f64() * 1e6 / f64::from(calls),
    )
}

/// CPU time of this process so far.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap(), u32::try_from(time.tv_nsec).unwrap())
}
