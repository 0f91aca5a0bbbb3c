//! What row security costs: a strict read of one row and a fenced write, in a database with its policies and in one
//! where they are turned off, in one run, turn by turn.
//!
//! `OCMT_TEST_POSTGRES=postgres://… cargo run -p ocmt-store --example row_security --features testing [ROUNDS]`
#![allow(clippy::print_stdout, reason = "it is what it is for")]

use std::time::Duration;

use ocmt_store::{
    Store,
    tables::{Timer, User},
    testing::{TestDatabase, TestNode, id},
};
use ocmt_types::{Clock as _, Ownership, SystemClock, Timestamp};

const ROUNDS: i64 = 2_000;
/// Not counted.
const WARMING_UP: i64 = 200;
/// Tenants in each database, so that it matters by which condition a row is found.
const TENANTS: u64 = 500;

/// Turns row security off in all tables.
const OFF: &str = "DO $$ DECLARE t record; BEGIN
    FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('ALTER TABLE %I DISABLE ROW LEVEL SECURITY', t.tablename);
    END LOOP; END $$";

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A database with a tenant to work on among others.
struct Side {
    _database: TestDatabase,
    store: Store,
    own: Ownership,
    reads: Vec<Duration>,
    writes: Vec<Duration>,
}

impl Side {
    async fn open(guarded: bool) -> Result<Self, Failure> {
        let database = TestDatabase::create().await?;
        let store = Store::postgres(&database.with_roles().await?).await?;
        if !guarded {
            database.run(OFF).await?;
        }
        let node = TestNode::start(&store, 1).await?;
        let mut own = node.found(1).await?;
        for n in 2..=TENANTS {
            own = node.found(n).await?;
        }
        database.run("ANALYZE").await?;
        Ok(Self { _database: database, store, own, reads: Vec::new(), writes: Vec::new() })
    }

    async fn turn(&mut self, n: i64) -> Result<(), Failure> {
        let began = SystemClock.boottime();
        let found = self.store.read(self.own).await?.get::<User>(id(TENANTS)).await?;
        self.reads.push(SystemClock.boottime().saturating_sub(began));
        if found.is_none() {
            return Err("the row is not there".into());
        }
        let began = SystemClock.boottime();
        let mut tx = self.store.fenced(self.own).await?;
        tx.insert(&Timer {
            tenant_id: self.own.tenant,
            kind: "measured".to_owned(),
            subject: n.to_string(),
            due_at: Timestamp(n),
            payload: Vec::new(),
        })
        .await?;
        tx.commit().await?;
        self.writes.push(SystemClock.boottime().saturating_sub(began));
        Ok(())
    }
}

fn tell(what: &str, guarded: &mut [Duration], open: &mut [Duration]) {
    guarded.sort_unstable();
    open.sort_unstable();
    let at = |times: &[Duration], percent: usize| {
        times.get(times.len() * percent / 100).copied().unwrap_or_default()
    };
    for percent in [50, 99] {
        let (with, without) = (at(guarded, percent), at(open, percent));
        let ratio = with.as_secs_f64() / without.as_secs_f64();
        println!("{what}: p{percent} {with:.2?} with policies, {without:.2?} without, ratio {ratio:.2}");
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let rounds = std::env::args().nth(1).map_or(Ok(ROUNDS), |text| text.parse())?;
    let (mut guarded, mut open) = (Side::open(true).await?, Side::open(false).await?);
    for n in 0..WARMING_UP + rounds {
        if n == WARMING_UP {
            for side in [&mut guarded, &mut open] {
                side.reads.clear();
                side.writes.clear();
            }
        }
        guarded.turn(n).await?;
        open.turn(n).await?;
    }
    tell("strict read of a row", &mut guarded.reads, &mut open.reads);
    tell("fenced write of a row", &mut guarded.writes, &mut open.writes);
    Ok(())
}
