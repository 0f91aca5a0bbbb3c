//! What an audit costs: appends with their tree, one transaction each, and proofs out of it, on SQLite and, if there is one, PostgreSQL.
//!
//! `[OCMT_TEST_POSTGRES=postgres://…] cargo run -p ocmt-store --example audit --features testing [RECORDS]`
#![allow(clippy::print_stdout, reason = "it is what it is for")]

use std::time::Duration;

use ocmt_crypto::{
    audit::{Actor, AuditRecord, ChainVerifier, Outcome},
    merkle::{
        leaf_hash,
        log::{Peaks, consistency, inclusion},
    },
};
use ocmt_store::{
    Filter, Store,
    tables::AuditRow,
    testing::{TestDatabase, TestNode, id},
};
use ocmt_types::{Clock as _, Ownership, SystemClock, Timestamp};

const RECORDS: i64 = 5_000;
/// Not counted.
const WARMING_UP: i64 = 100;
const PROOFS: u64 = 500;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn record(own: Ownership, n: i64) -> AuditRecord {
    AuditRecord {
        tenant: own.tenant,
        at: Timestamp(n),
        request: id(7),
        actor: Actor::User(id(8)),
        action: "VaultService/GetEntry".to_owned(),
        object: "vault/0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11".to_owned(),
        outcome: Outcome::Allowed,
        details: vec![
            ("assurance".to_owned(), "mfa".to_owned()),
            ("from".to_owned(), "192.0.2.7".to_owned()),
        ],
    }
}

fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let whole: Duration = times.iter().sum();
    let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
    let each = times.len() as f64 / whole.as_secs_f64();
    println!("{what}: {each:.0} a second, p50 {:?}, p99 {:?} ({})", at(50), at(99), times.len());
}

async fn measure(name: &str, store: &Store, records: i64) -> Result<(), Failure> {
    let node = TestNode::start(store, 1).await?;
    let own = node.found(1).await?;
    let mut times = Vec::new();
    for n in 0..records + WARMING_UP {
        let began = SystemClock.boottime();
        let mut tx = store.fenced(own).await?;
        tx.audit(&record(own, n)).await?;
        tx.commit().await?;
        if n >= WARMING_UP {
            times.push(SystemClock.boottime().saturating_sub(began));
        }
    }
    tell(&format!("{name}, append"), times);
    let size = (records + WARMING_UP).unsigned_abs();
    let (mut inclusions, mut consistencies) = (Vec::new(), Vec::new());
    for n in 0..PROOFS {
        let index = n * size / PROOFS;
        for (parts, times) in
            [(inclusion(size, index), &mut inclusions), (consistency(index + 1, size), &mut consistencies)]
        {
            let began = SystemClock.boottime();
            store.read(own).await?.audit_proof(&parts.ok_or("no proof")?).await?;
            times.push(SystemClock.boottime().saturating_sub(began));
        }
    }
    tell(&format!("{name}, proof of inclusion"), inclusions);
    tell(&format!("{name}, proof of consistency"), consistencies);
    let (mut rows, mut after) = (Vec::<AuditRow>::new(), 0);
    loop {
        let page = store.read(own).await?.audit_page(Filter::all(), after, 1_000).await?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        rows.extend(page);
    }
    let (mut chain, mut peaks) = (ChainVerifier::new(own.tenant), Peaks::default());
    let began = SystemClock.boottime();
    for row in &rows {
        chain.next(row.seq.unsigned_abs(), &row.record, &row.hash)?;
        peaks.push(leaf_hash(&row.record));
    }
    let took = SystemClock.boottime().saturating_sub(began);
    println!("{name}, verified with chain and tree: {:.0} a second", rows.len() as f64 / took.as_secs_f64());
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let records = std::env::args().nth(1).map_or(Ok(RECORDS), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let store = Store::sqlite(folder.path()).await?;
    measure("SQLite", &store, records).await?;
    store.close().await;
    if std::env::var_os("OCMT_TEST_POSTGRES").is_some() {
        let database = TestDatabase::migrated().await?;
        measure("PostgreSQL", &database.open().await?, records).await?;
    }
    Ok(())
}
