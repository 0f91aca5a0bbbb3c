//! The cluster's figures on this machine: `cargo run -p ocmt-cluster-tests --bin figures -- failover`.
//!
//! `failover`: time until each tenant of a killed node answers again, with few and with many registered.
//! `planned [CALLERS]`: what drain and a rolling restart cost that many callers (16). docs/testing.md says how to
//! read them.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use ocmt_cluster_tests::{
    cluster::Cluster,
    doors::Doors,
    history::Timed,
    registered::{Callers, Registered, ask, owned_by, register},
    rows,
    wait::{now, until},
};

const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("failover") => failover().await,
        Some("planned") => {
            let callers = std::env::args().nth(2).map_or(Ok(16), |text| text.parse());
            planned(callers.context("how many callers? a number")?).await
        }
        _ => bail!("say which: failover or planned"),
    }
}

async fn failover() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let doors = cluster.doors()?;
    let called = register(&cluster.pool, 100, &[]).await?;
    let callers = Callers::start(&called, &doors, called.len(), Duration::from_millis(250));
    println!("| registered | after kill -9 | tenants of the node | p50 | max |");
    println!("|---|---|---|---|---|");
    for registered in [100, 10_000] {
        if registered > called.len() {
            let mut owners = Vec::new();
            for node in 0..cluster.nodes.len() {
                let row = cluster.living(node).await?.context("a node is not live")?;
                owners.push((row.node, row.incarnation));
            }
            register(&cluster.pool, registered - called.len(), &owners).await?;
        }
        for restart in [false, true] {
            let mut times = Vec::new();
            for node in 0..cluster.nodes.len() {
                times.extend(kill(&mut cluster, &called, node, restart).await?);
            }
            times.sort_unstable();
            let how = if restart { "started again" } else { "not started" };
            let (p50, max) = (times[times.len() / 2], times[times.len() - 1]);
            println!("| {registered} | {how} | {} | {p50:.2?} | {max:.2?} |", times.len());
        }
    }
    callers.stop().await;
    Ok(())
}

/// For each called tenant of the node: time from its death to the first answer after it.
async fn kill(
    cluster: &mut Cluster,
    called: &[Arc<Registered>],
    node: usize,
    restart: bool,
) -> anyhow::Result<Vec<Duration>> {
    everybody_answers(called, now()).await?;
    let row = cluster.living(node).await?.context("the node is not live")?;
    let owned = owned_by(&cluster.pool, &row.incarnation).await?;
    let moment = now();
    cluster.nodes[node].kill().await?;
    if restart {
        cluster.nodes[node].start().await?;
    }
    everybody_answers(called, moment).await?;
    if !restart {
        cluster.nodes[node].start().await?;
    }
    cluster.all_live(PATIENCE).await?;
    let lost = called.iter().filter(|one| owned.contains(&one.tenant));
    Ok(lost.filter_map(|one| first_answer(one, moment)).map(|at| at.saturating_sub(moment)).collect())
}

/// The end of the first call that was answered and cannot have been answered before `moment`.
fn first_answer(one: &Registered, moment: Duration) -> Option<Duration> {
    let after = |timed: &Timed| timed.answered && (timed.began >= moment || timed.attempts > 1);
    one.history.since(moment).into_iter().filter(after).map(|timed| timed.began + timed.took).min()
}

async fn everybody_answers(called: &[Arc<Registered>], moment: Duration) -> anyhow::Result<()> {
    let all = async || Ok(called.iter().all(|one| first_answer(one, moment).is_some()));
    until("every tenant answers", PATIENCE, all).await?;
    Ok(())
}

async fn planned(callers: usize) -> anyhow::Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let doors = cluster.doors()?;
    let all = register(&cluster.pool, 1_000, &[]).await?;
    let row = gather(&cluster, &doors, &all).await?;
    println!("| what | tenants moved | calls | sent again | failed | p50 | p99 | longest |");
    println!("|---|---|---|---|---|---|---|---|");
    let callers = Callers::start(&all, &doors, callers, Duration::from_millis(20));
    let moment = now();
    cluster.for_a_while(Duration::from_secs(5)).await?;
    tell("nothing, for comparison", 0, &all, moment);

    let owned = owned_by(&cluster.pool, &row.incarnation).await?.len();
    let moment = now();
    cluster.operate(&["drain", &row.id()]).await?;
    until("the node owns nothing", PATIENCE, async || {
        Ok(rows::owned(&cluster.pool, &row.incarnation).await? == 0)
    })
    .await?;
    let took = now().saturating_sub(moment);
    cluster.for_a_while(Duration::from_secs(1)).await?;
    tell(&format!("drain, {took:.2?}"), owned, &all, moment);
    cluster.operate(&["resume", &row.id()]).await?;

    let moment = now();
    for node in 0..cluster.nodes.len() {
        cluster.nodes[node].stop().await?;
        cluster.nodes[node].start().await?;
        cluster.all_live(PATIENCE).await?;
    }
    let took = now().saturating_sub(moment);
    tell(&format!("rolling restart, {took:.2?}"), all.len(), &all, moment);
    callers.stop().await;
    Ok(())
}

/// Has one node own every tenant: the others are drained while each is called once.
async fn gather(cluster: &Cluster, doors: &Doors, all: &[Arc<Registered>]) -> anyhow::Result<rows::NodeRow> {
    let mut living = Vec::new();
    for node in 0..cluster.nodes.len() {
        living.push(cluster.living(node).await?.context("a node is not live")?);
    }
    for row in &living[1..] {
        cluster.operate(&["drain", &row.id()]).await?;
    }
    for one in all {
        ask(one, doors, 0).await;
    }
    for row in &living[1..] {
        cluster.operate(&["resume", &row.id()]).await?;
    }
    Ok(living.swap_remove(0))
}

fn tell(what: &str, moved: usize, all: &[Arc<Registered>], moment: Duration) {
    let mut times: Vec<Timed> = all.iter().flat_map(|one| one.history.since(moment)).collect();
    times.sort_unstable_by_key(|timed| timed.took);
    let at = |part: usize| {
        times.get(times.len().saturating_sub(1) * part / 100).map_or(Duration::ZERO, |t| t.took)
    };
    let again = times.iter().filter(|timed| timed.attempts > 1).count();
    let mut wrong = Vec::new();
    all.iter().for_each(|one| one.history.note(|seen| wrong.append(&mut seen.wrong)));
    let failed = wrong.len();
    if let Some(first) = wrong.first() {
        println!("{failed} calls failed, the first with: {first}");
    }
    println!(
        "| {what} | {moved} | {} | {again} | {failed} | {:.2?} | {:.2?} | {:.2?} |",
        times.len(),
        at(50),
        at(99),
        at(100)
    );
}
