//! What entries cost over gRPC through one node with its audit on: reading and writing under a closed loop of callers in
//! this process, each with a vault of its own, and a vault of many entries listed, rotated, exported and imported again, with
//! the most memory that the node and this process, the client, took meanwhile. With limits counted in Redis too where
//! `OCMT_TEST_REDIS` names one, and on PostgreSQL where `OCMT_TEST_POSTGRES` does. Build the node and this with `--release`
//! and set `OCMT_TEST_BIN` to its folder.
//!
//! `cargo run --release -p ocmt-e2e --example entries [SECONDS [CALLERS [ENTRIES]]]`
#![allow(clippy::print_stdout, reason = "it is what it is for")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use ocmt_client::{
    passphrase::NewPassphrase,
    vault::{
        Parts, Vault,
        import::{Existing, ExportFile, Source},
    },
};
use ocmt_crypto::{
    kdf::{Cost, Passphrase},
    vault::RotationMode,
};
use ocmt_store::testing::TestDatabase;
use ocmt_testkit::{TestNode, usage};
use ocmt_types::{Clock as _, SystemClock};
use zeroize::Zeroizing;

const SECONDS: u64 = 10;
const CALLERS: usize = 8;
/// As many as a vault holds.
const ENTRIES: usize = 10_000;
/// Of a value, in bytes.
const VALUE: usize = 200;
/// Entries of a vault under load.
const FEW: usize = 48;
const PASSPHRASE: &str = "violin ledger umbrella quartz";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut numbers = std::env::args().skip(1);
    let seconds = numbers.next().map_or(Ok(SECONDS), |text| text.parse())?;
    let callers = numbers.next().map_or(Ok(CALLERS), |text| text.parse())?;
    let entries = numbers.next().map_or(Ok(ENTRIES), |text| text.parse())?;
    let time = Duration::from_secs(seconds);
    measure("SQLite", &TestNode::start().await?, time, callers, entries).await?;
    if let Ok(redis) = std::env::var("OCMT_TEST_REDIS") {
        let node = TestNode::start_with(|config| config.redis.url = redis).await?;
        measure("SQLite, limits in Redis", &node, time, callers, entries).await?;
    }
    if std::env::var_os("OCMT_TEST_POSTGRES").is_some() {
        let database = TestDatabase::migrated().await?;
        let node = TestNode::start_on(&database.url(), |_| {}).await?;
        measure("PostgreSQL", &node, time, callers, entries).await?;
    }
    Ok(())
}

async fn measure(
    store: &str,
    node: &TestNode,
    time: Duration,
    callers: usize,
    entries: usize,
) -> anyhow::Result<()> {
    let mut vaults = Vec::new();
    for n in 0..callers {
        let mut vault = node.person(&format!("caller{n}")).await?.vault(PASSPHRASE).await?;
        vault.put_many(&secrets(FEW)).await?;
        vaults.push(vault);
    }
    let mut read = try_join_all(vaults.iter_mut().map(|vault| ask(vault, time, Act::Get))).await?.concat();
    tell(store, "GetEntry", callers, time, &mut read);
    let mut written = try_join_all(vaults.iter_mut().map(|vault| ask(vault, time, Act::Put))).await?.concat();
    tell(store, "write of one entry", callers, time, &mut written);
    many(store, node, entries).await
}

#[derive(Clone, Copy)]
enum Act {
    Get,
    Put,
}

/// A caller that asks again as soon as it is answered; how long each answer took.
async fn ask(vault: &mut Vault, time: Duration, act: Act) -> anyhow::Result<Vec<Duration>> {
    let (began, mut times) = (SystemClock.boottime(), Vec::new());
    for n in 0.. {
        let asked = SystemClock.boottime();
        if asked.saturating_sub(began) >= time {
            break;
        }
        match act {
            Act::Get => drop(vault.get(&name(n % FEW)).await?),
            Act::Put => vault.put(&name(n % FEW), &[7; VALUE]).await?,
        }
        times.push(SystemClock.boottime().saturating_sub(asked));
    }
    Ok(times)
}

fn tell(store: &str, what: &str, callers: usize, time: Duration, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    let each_second = times.len() as u64 / time.as_secs().max(1);
    println!("{store}: {what}, {callers} callers: {each_second}/s, p50 {:.2?}, p99 {:.2?}", at(50), at(99));
}

/// A vault of many entries: how long each takes, and the most memory that was taken meanwhile.
async fn many(store: &str, node: &TestNode, entries: usize) -> anyhow::Result<()> {
    let (pid, own) = (node.local().pid().context("no process")?, std::process::id());
    let mut vault = node.person("many").await?.vault(PASSPHRASE).await?;
    let mut empty = node.person("empty").await?.vault(PASSPHRASE).await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("export");
    let secrets = secrets(entries);
    for what in ["written in batches", "listed", "rewrapped", "re-keyed", "exported", "imported"] {
        usage::forget_peak(pid)?;
        usage::forget_peak(own)?;
        let began = SystemClock.boottime();
        match what {
            "written in batches" => drop(vault.put_many(&secrets).await?),
            "listed" => ensure!(vault.list().await?.len() == entries, "not all are there"),
            "rewrapped" => drop(vault.rotate(RotationMode::Rewrap, &[], Vec::new(), "measured").await?),
            "re-keyed" => drop(vault.rotate(RotationMode::Rekey, &[], Vec::new(), "measured").await?),
            "exported" => export(&vault, &file).await?,
            _ => import(&mut empty, &file, entries).await?,
        }
        let took = SystemClock.boottime().saturating_sub(began);
        println!(
            "{store}: {entries} entries {what}: {took:.2?}, node {} MiB, client {} MiB",
            usage::of(pid)?.peak_kib >> 10,
            usage::of(own)?.peak_kib >> 10
        );
    }
    Ok(())
}

async fn export(vault: &Vault, to: &Path) -> anyhow::Result<()> {
    let passphrase = NewPassphrase::new(PASSPHRASE, &[])?;
    vault.export(Parts::Everything, passphrase, Cost::DEFAULT, &mut File::create(to)?, |_, _| {}).await?;
    Ok(())
}

/// All of the file is read and checked first, as always.
async fn import(into: &mut Vault, file: &Path, entries: usize) -> anyhow::Result<()> {
    let passphrase = Passphrase::new(PASSPHRASE)?;
    let source = Source::Export(ExportFile::open(File::open(file)?, &passphrase)?);
    let plan = into.plan_import(&source, Existing::Refuse, &BTreeSet::new()).await?;
    into.import(&source, &plan, |_, _| {}).await?;
    ensure!(plan.to_write() == entries, "not all were imported");
    Ok(())
}

fn secrets(count: usize) -> BTreeMap<String, Zeroizing<Vec<u8>>> {
    (0..count).map(|n| (name(n), Zeroizing::new(vec![7; VALUE]))).collect()
}

fn name(n: usize) -> String {
    format!("entry/{n:05}")
}
