//! What the fence costs: a fenced transaction against the same insert over plain sqlx, in one run, turn by turn.
//!
//! `OCMT_TEST_POSTGRES=postgres://… cargo run -p ocmt-store --example fenced --features testing [ROUNDS]`
#![allow(clippy::print_stdout, reason = "it is what it is for")]

use std::{ops::Range, time::Duration};

use ocmt_store::{
    PgConfig, Store, StoreError,
    tables::Timer,
    testing::{TestDatabase, TestNode},
};
use ocmt_types::{Clock as _, Ownership, SystemClock, Timestamp};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::task::JoinSet;

const ROUNDS: i64 = 2_000;
/// Not counted.
const WARMING_UP: i64 = 100;
/// Tenants that write beside each other, each over a connection of its own.
const TENANTS: u64 = 8;

type Failure = Box<dyn std::error::Error + Send + Sync>;
/// Without and with the fence.
type Times = (Vec<Duration>, Vec<Duration>);

const INSERT: &str = "INSERT INTO timers (tenant_id, kind, subject, due_at, payload) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";

async fn plain(pool: &PgPool, own: Ownership, n: i64) -> Result<Duration, Failure> {
    let began = SystemClock.boottime();
    let mut tx = pool.begin().await?;
    let row = sqlx::query(INSERT).bind(&own.tenant.as_bytes()[..]).bind("plain").bind(n.to_string());
    row.bind(n).bind(&b""[..]).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(SystemClock.boottime().saturating_sub(began))
}

async fn fenced(store: &Store, own: Ownership, n: i64) -> Result<Duration, StoreError> {
    let began = SystemClock.boottime();
    let mut tx = store.fenced(own).await?;
    let row = Timer {
        tenant_id: own.tenant,
        kind: "fenced".to_owned(),
        subject: n.to_string(),
        due_at: Timestamp(n),
        payload: Vec::new(),
    };
    tx.insert(&row).await?;
    tx.commit().await?;
    Ok(SystemClock.boottime().saturating_sub(began))
}

/// Writes in turns, so that both meet the same machine.
async fn turns(pool: PgPool, store: Store, own: Ownership, rows: Range<i64>) -> Result<Times, Failure> {
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for n in rows {
        without.push(plain(&pool, own, n).await?);
        with.push(fenced(&store, own, n).await?);
    }
    Ok((without, with))
}

fn tell(how: &str, (mut without, mut with): Times) {
    without.sort_unstable();
    with.sort_unstable();
    let at = |times: &[Duration], percent: usize| {
        times.get(times.len() * percent / 100).copied().unwrap_or_default()
    };
    for percent in [50, 99] {
        let (plain, fenced) = (at(&without, percent), at(&with, percent));
        let ratio = fenced.as_secs_f64() / plain.as_secs_f64();
        println!("{how}: p{percent} {plain:.2?} plain, {fenced:.2?} fenced, ratio {ratio:.2}");
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let rounds = std::env::args().nth(1).map_or(Ok(ROUNDS), |text| text.parse())?;
    let database = TestDatabase::migrated().await?;
    let most = u32::try_from(TENANTS)?;
    let config = PgConfig { tenant_connections: most, ..PgConfig::new(database.url()) };
    let store = Store::postgres(&config).await?;
    let pool = PgPoolOptions::new().max_connections(most).test_before_acquire(false);
    let pool = pool.connect(&database.url()).await?;
    let node = TestNode::start(&store, 1).await?;
    let one = node.found(1).await?;
    turns(pool.clone(), store.clone(), one, 0..WARMING_UP).await?;
    let rows = WARMING_UP..WARMING_UP + rounds;
    tell("one writer", turns(pool.clone(), store.clone(), one, rows).await?);
    let mut writers = JoinSet::new();
    for n in 2..2 + TENANTS {
        let own = node.found(n).await?;
        writers.spawn(turns(pool.clone(), store.clone(), own, 0..rounds / 4));
    }
    let mut all = Times::default();
    while let Some(done) = writers.join_next().await {
        let (plain, fenced) = done??;
        all.0.extend(plain);
        all.1.extend(fenced);
    }
    tell("eight writers", all);
    pool.close().await;
    store.close().await;
    Ok(())
}
