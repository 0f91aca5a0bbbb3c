//! What recoveries cost a node of its own: its part of each step at 3 of 5 and at 12 of 20, by its own count, and many that are
//! open at once: memory for each, and how late their deadlines are kept. The devices' part: `ceremony-figures` of `ocmt-crypto`.
//!
//! `cargo run --release -p ocmt-e2e --example ceremonies [OPEN]`
#![allow(clippy::print_stdout, reason = "it is what it is for")]

#[path = "ceremonies/handling.rs"]
mod handling;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use handling::Handling;
use ocmt::local::wait_for;
use ocmt_client::{
    Client,
    auth::Purpose,
    passphrase::NewPassphrase,
    recovery::{CeremonyState, CeremonyWatch, SetState, Side},
    tenant::PolicyChange,
    vault::Vault,
};
use ocmt_crypto::{guardian::Delays, kdf::Cost};
use ocmt_testkit::{Person, TestNode, usage};
use ocmt_types::{Digest32, Timestamp};

const OPEN: usize = 1_000;
/// Live ceremonies of one session at the most.
const OF_A_SESSION: usize = 3;
/// Live sessions of one owner that this uses.
const SESSIONS: usize = 34;
const OLD: &str = "violin ledger umbrella quartz";
const NEW: &str = "tramway-Okapi-39-lantern";
const PATIENCE: Duration = Duration::from_secs(60);
/// Ceremonies of the steps, of which each is one.
const ROUNDS: usize = 5;
const SHORT: Delays =
    Delays { lock_ms: 3_000, recovery_ms: 2_000, change_ms: 1_000, change_window_ms: 1_000 };
const STEPS: [&str; 6] = [
    "RecoveryService/DealShares",
    "RecoveryService/OpenCeremony",
    "RecoveryService/GetCeremony",
    "RecoveryService/ApproveCeremony",
    "RecoveryService/CollectShares",
    "RecoveryService/CompleteCeremony",
];

/// Somebody with their vault open.
struct Opened {
    person: Person,
    vault: Vault,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let open = std::env::args().nth(1).map_or(Ok(OPEN), |text| text.parse())?;
    let node = TestNode::start().await?;
    let mut guards = Vec::new();
    for n in 0..20 {
        guards.push(opened(&node, &format!("guard{n}")).await?);
    }
    for (k, n) in [(3, 5), (12, 20)] {
        Box::pin(steps(&node, k, guards.get(..n).context("too few guardians")?)).await?;
    }
    Box::pin(many(&node, guards.get(..2).context("too few guardians")?, open)).await
}

async fn opened(node: &TestNode, name: &str) -> anyhow::Result<Opened> {
    let person = node.person(name).await?;
    let vault = person.vault(OLD).await?;
    Ok(Opened { person, vault })
}

/// An owner whose vault these guard, with these delays.
async fn circle(
    node: &TestNode,
    name: &str,
    k: u8,
    guards: &[Opened],
    delays: Delays,
) -> anyhow::Result<Opened> {
    let mut owner = opened(node, name).await?;
    let of = |millis| Some(Duration::from_millis(millis));
    let policy = PolicyChange {
        max_sessions: Some(100),
        recovery_delay: of(delays.recovery_ms),
        lock_period: of(delays.lock_ms),
        change_delay: of(delays.change_ms),
        change_window: of(delays.change_window_ms),
        ..PolicyChange::default()
    };
    owner.person.client.change_policy(&policy).await?;
    for guard in guards {
        let asked = owner.vault.invite_guardian(&guard.person.email, 1).await?;
        let came = async || guard.person.client.guardianship(asked.id, Side::Guardian).await.ok();
        wait_for(PATIENCE, came).await.context("an invitation did not come")?;
        guard.vault.accept_guardianship(asked.id).await?;
    }
    let accepted = owner.person.client.guardianships(Some(Side::Owner)).await?;
    owner.vault.deal_shares(k, &accepted, delays, true).await?;
    let active = async || {
        let set = owner.person.client.circle(None).await.ok().flatten();
        set.filter(|set| set.state == SetState::Active)
    };
    wait_for(PATIENCE, active).await.context("the units did not arrive")?;
    Ok(owner)
}

async fn recovering(node: &TestNode, owner: &Person) -> anyhow::Result<Client> {
    let pending = node.local().client().await?.request_link(&owner.email, None, Purpose::Recovery).await?;
    Ok(pending.finish(&node.link(&owner.email, "recovery link").await?, "figures").await?)
}

async fn approved(guard: &Opened, ceremony: Digest32) -> anyhow::Result<()> {
    let told = async || guard.person.client.ceremony(ceremony).await.ok();
    wait_for(PATIENCE, told).await.context("a guardian was not told")?;
    let review = guard.vault.review_ceremony(ceremony).await?;
    guard.vault.approve_ceremony(&review).await?;
    Ok(())
}

/// Whole recoveries, one after the other, each of a vault of its own.
async fn steps(node: &TestNode, k: u8, guards: &[Opened]) -> anyhow::Result<()> {
    let before = Handling::of(node).await?;
    for round in 0..ROUNDS {
        let n = guards.len();
        let owner = Box::pin(circle(node, &format!("owner-{k}-{n}-{round}"), k, guards, SHORT)).await?;
        let client = recovering(node, &owner.person).await?;
        let device = node.device(&format!("lost-{k}-{n}-{round}"))?;
        let (request, _) = client.open_ceremony(None, &device).await?;
        for guard in guards.iter().take(usize::from(k)) {
            approved(guard, request.id()).await?;
        }
        let released = async || {
            let now = client.ceremony(request.id()).await.ok();
            now.filter(|now| now.state == CeremonyState::Released)
        };
        wait_for(PATIENCE, released).await.context("it was not released")?;
        let recovered = request.collect(&client, &device).await?;
        let passphrase = NewPassphrase::new(NEW, &[&owner.person.email])?;
        Box::pin(recovered.complete(passphrase, Cost::LEAST, &device)).await?;
    }
    println!("{k} of {}, the node's part of each call, the mean of {ROUNDS} recoveries:", guards.len());
    let since = Handling::of(node).await?.since(&before);
    for step in STEPS {
        if let Some((calls, mean)) = since.mean(step) {
            println!("  {step:36} {:9.3} ms, {calls} calls", mean.as_secs_f64() * 1e3);
        }
    }
    Ok(())
}

/// So many open at once, all approved, which mature one after the other as they were opened.
async fn many(node: &TestNode, guards: &[Opened], open: usize) -> anyhow::Result<()> {
    // long enough to open and approve them all, at 150 ms each, before the first is released
    let recovery_ms = 60_000 + 150 * u64::try_from(open)?;
    let delays = Delays { lock_ms: recovery_ms, recovery_ms, ..SHORT };
    let mut owners = Vec::new();
    for n in 0..open.div_ceil(SESSIONS * OF_A_SESSION) {
        owners.push(Box::pin(circle(node, &format!("many{n}"), 2, guards, delays)).await?);
    }
    let pid = node.local().pid().context("the node has ended")?;
    let before = usage::of(pid)?.now_kib;
    let mut ceremonies = Vec::new();
    for owner in &owners {
        let device = node.device(&format!("lost-{}", owner.person.email))?;
        for _ in 0..SESSIONS {
            let client = recovering(node, &owner.person).await?;
            for _ in 0..OF_A_SESSION.min(open - ceremonies.len()) {
                ceremonies.push(client.open_ceremony(None, &device).await?.0.id());
            }
        }
    }
    let after = usage::of(pid)?.now_kib;
    let kib = after.saturating_sub(before);
    println!("{} open at once: {after} KiB resident, {kib} KiB more than before them", ceremonies.len());
    let mut watches = Vec::new();
    for owner in &owners {
        watches.push(owner.person.client.watch_ceremonies("").await?);
    }
    for id in &ceremonies {
        for guard in guards {
            approved(guard, *id).await?;
        }
    }
    let mut late = Vec::new();
    for watch in &mut watches {
        let of_owner = (SESSIONS * OF_A_SESSION).min(ceremonies.len() - late.len());
        lateness(watch, of_owner, &mut late).await?;
    }
    ensure!(late.len() == ceremonies.len(), "{} of {} were released", late.len(), ceremonies.len());
    late.sort_unstable();
    let at = |percent: usize| late.get((late.len() - 1) * percent / 100).copied().unwrap_or_default();
    println!(
        "released after their deadline by {} ms (p50), {} ms (p99), {} ms (the latest)",
        at(50),
        at(99),
        at(100)
    );
    Ok(())
}

/// By how many milliseconds after what it waited for each of an owner's was released.
async fn lateness(watch: &mut CeremonyWatch, of_owner: usize, late: &mut Vec<i64>) -> anyhow::Result<()> {
    for _ in 0..of_owner {
        loop {
            let event = watch.next().await?;
            if event.ceremony.state != CeremonyState::Released {
                continue;
            }
            let approved = event.ceremony.acts.iter().filter_map(|act| act.at).max();
            let due: Option<Timestamp> = event.ceremony.releasable_at.max(approved);
            let (at, due) = (event.at.context("no time")?, due.context("no deadline")?);
            late.push(at.millis() - due.millis());
            break;
        }
    }
    Ok(())
}
