//! What appending costs in a short and in a long conversation: one record at a time through a node of its own, turn by
//! turn, so that both meet the same machine. On PostgreSQL too where `OCMT_TEST_POSTGRES` names one.
//!
//! `cargo run -p ocmt-e2e --example append [RECORDS [ROUNDS]]`
#![allow(clippy::print_stdout, reason = "it is what it is for")]

use std::time::Duration;

use anyhow::ensure;
use ocmt_client::{conversation::Writer, vault::Vault};
use ocmt_store::testing::TestDatabase;
use ocmt_testkit::TestNode;
use ocmt_types::{Clock as _, SystemClock};

const SHORT: u64 = 10;
const LONG: u64 = 100_000;
const ROUNDS: usize = 400;
/// Not counted.
const WARMING_UP: usize = 40;
/// Of a record, in bytes of text.
const TEXT: usize = 200;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut numbers = std::env::args().skip(1);
    let long = numbers.next().map_or(Ok(LONG), |text| text.parse())?;
    let rounds = numbers.next().map_or(Ok(ROUNDS), |text| text.parse())?;
    measure("SQLite", &TestNode::start().await?, long, rounds).await?;
    if std::env::var_os("OCMT_TEST_POSTGRES").is_some() {
        let database = TestDatabase::migrated().await?;
        measure("PostgreSQL", &TestNode::start_on(&database.url(), |_| {}).await?, long, rounds).await?;
    }
    Ok(())
}

async fn measure(store: &str, node: &TestNode, long: u64, rounds: usize) -> anyhow::Result<()> {
    let ada = node.person("ada").await?;
    let mut vault = ada.vault("violin ledger umbrella quartz").await?;
    let (mut few, mut many) = (filled(&mut vault, SHORT).await?, filled(&mut vault, long).await?);
    let (mut of_few, mut of_many) = (Vec::new(), Vec::new());
    for round in 0..rounds + WARMING_UP {
        let (short, long) = (one(&mut few).await?, one(&mut many).await?);
        if round >= WARMING_UP {
            of_few.push(short);
            of_many.push(long);
        }
    }
    for percent in [50, 90] {
        let (few, many) = (at(&mut of_few, percent), at(&mut of_many, percent));
        let ratio = many.as_secs_f64() / few.as_secs_f64();
        println!(
            "{store}: append one of {TEXT} bytes, p{percent}: {few:.2?} from {SHORT} records on, {many:.2?} from {long} on, ratio {ratio:.2}"
        );
    }
    Ok(())
}

/// A conversation with so many records.
async fn filled(vault: &mut Vault, records: u64) -> anyhow::Result<Writer> {
    let id = vault.open_conversation(None).await?.id;
    let mut writer = vault.write_conversation(id).await?;
    for n in 1..=records {
        writer.push(&[7; TEXT], false)?;
        if n % 1_280 == 0 {
            writer.flush().await?;
        }
    }
    ensure!(writer.flush().await? == records, "not all are there");
    Ok(writer)
}

async fn one(writer: &mut Writer) -> anyhow::Result<Duration> {
    let began = SystemClock.boottime();
    writer.push(&[7; TEXT], false)?;
    writer.flush().await?;
    Ok(SystemClock.boottime().saturating_sub(began))
}

fn at(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times.get(times.len() * percent / 100).copied().unwrap_or_default()
}
