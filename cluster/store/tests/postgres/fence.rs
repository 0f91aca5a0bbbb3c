//! The fence between two connections: a claim under way, a fence that nobody reads, commits that a claim meets.
use std::time::Duration;

use crate::{
    conformance::rows::timer,
    proxy::{Line, Proxy},
};
use ocmt_store::{
    Filter, PgConfig, PgTimes, Store, StoreError,
    tables::Timer,
    testing::{PATIENT, TestDatabase, TestNode},
};
use ocmt_types::Ownership;
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinSet;

async fn raw(database: &TestDatabase) -> PgConnection {
    PgConnection::connect(&database.url()).await.unwrap()
}

async fn timers(store: &Store, own: Ownership) -> i64 {
    store.read(own).await.unwrap().count(Filter::<Timer>::all()).await.unwrap()
}

/// What a claim does to the row, on a connection of the test's own.
const CLAIM: &str = "UPDATE tenant_owner SET incarnation = $2, epoch = epoch + 1 WHERE tenant_id = $1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_meets_a_claim_under_way_waits_for_it_and_is_refused() {
    let database = TestDatabase::migrated().await.unwrap();
    let store = database.open_patiently().await.unwrap();
    let own = TestNode::start(&store, 1).await.unwrap().found(1).await.unwrap();
    let mut claimer = raw(&database).await;
    let mut claim = claimer.begin().await.unwrap();
    let newer = [9_u8; 16];
    sqlx::query(CLAIM).bind(&own.tenant.as_bytes()[..]).bind(&newer[..]).execute(&mut *claim).await.unwrap();
    let mut writers = JoinSet::new();
    let writer = store.clone();
    writers.spawn(async move { writer.fenced(own).await.map(drop) });
    let early = tokio::time::timeout(Duration::from_millis(200), writers.join_next()).await;
    assert!(early.is_err(), "it did not wait: {early:?}");
    claim.commit().await.unwrap();
    let refused = writers.join_next().await.unwrap().unwrap();
    assert!(matches!(refused, Err(StoreError::Fenced)), "{refused:?}");
}

/// The tempting way, in one statement: PostgreSQL does not run a query that only selects and whose rows nobody asks for.
const UNREAD: &str = "WITH fence AS (SELECT epoch FROM tenant_owner WHERE tenant_id = $1 AND incarnation = $2 AND epoch = $3 FOR UPDATE) \
                      INSERT INTO timers (tenant_id, kind, subject, due_at, payload) VALUES ($1, 'test', 'unread', 1, '')";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fence_in_a_clause_that_nobody_reads_fences_nothing_and_ours_is_read() {
    let database = TestDatabase::migrated().await.unwrap();
    let store = database.open_patiently().await.unwrap();
    let first = TestNode::start(&store, 1).await.unwrap();
    let second = TestNode::start(&store, 2).await.unwrap();
    let old = first.found(1).await.unwrap();
    store.cluster().mark_dead(first.incarnation).await.unwrap();
    let new = second.claim(old.tenant).await.unwrap();
    let stale = async |connection: &mut PgConnection| {
        let query = sqlx::query(UNREAD).bind(&old.tenant.as_bytes()[..]).bind(&old.incarnation.0[..]);
        query.bind(old.epoch.0).execute(connection).await.unwrap().rows_affected()
    };
    assert_eq!(stale(&mut raw(&database).await).await, 1, "then this test has lost its reason");
    database.run("DELETE FROM timers").await.unwrap();
    // the same write through the store, on one connection, while the new owner works on another
    let open = store.fenced(new).await.unwrap();
    let mut writers = JoinSet::new();
    let zombie = store.clone();
    writers.spawn(async move {
        let mut tx = zombie.fenced(old).await?;
        tx.insert(&timer(old, "unread", 1)).await?;
        tx.commit().await
    });
    let refused = writers.join_next().await.unwrap().unwrap();
    assert!(matches!(refused, Err(StoreError::Fenced)), "{refused:?}");
    open.commit().await.unwrap();
    assert_eq!(timers(&store, new).await, 0);
}

/// Writers of several tenants whose commits are on their way together, and the node that claims all of them.
struct Meeting {
    database: TestDatabase,
    proxy: Proxy,
    straight: Store,
    claimer: TestNode,
    owned: Vec<Ownership>,
    commits: JoinSet<(Ownership, Result<(), StoreError>)>,
}

const TENANTS: u64 = 8;

impl Meeting {
    /// Each has written a timer and said COMMIT over a line that holds it back there. The server ends
    /// transactions that rest for longer than `idle`.
    async fn at(line: Line, idle: Duration) -> Self {
        let database = TestDatabase::migrated().await.unwrap();
        let straight = database.open_patiently().await.unwrap();
        let url = database.url();
        let (login, place) = url.split_once('@').unwrap();
        let (address, name) = place.split_once('/').unwrap();
        let proxy = Proxy::start(address.to_owned()).await;
        let through = format!("{login}@127.0.0.1:{}/{name}?sslmode=disable", proxy.port);
        let times = PgTimes { idle, ..PATIENT };
        let config = PgConfig { tenant_connections: 8, times, ..PgConfig::new(through) };
        let store = Store::postgres(&config).await.unwrap();
        let first = TestNode::start(&straight, 1).await.unwrap();
        let claimer = TestNode::start(&straight, 2).await.unwrap();
        let (mut owned, mut open) = (Vec::new(), Vec::new());
        for n in 1..=TENANTS {
            owned.push(first.found(n).await.unwrap());
        }
        for own in owned.iter().copied() {
            let mut tx = store.fenced(own).await.unwrap();
            tx.insert(&timer(own, "a", 1)).await.unwrap();
            open.push((own, tx));
        }
        proxy.set(line);
        let mut commits = JoinSet::new();
        for (own, tx) in open {
            commits.spawn(async move { (own, tx.commit().await) });
        }
        assert!(straight.cluster().mark_dead(first.incarnation).await.unwrap());
        Self { database, proxy, straight, claimer, owned, commits }
    }

    /// Claims every tenant and counts what the new owner loads of each.
    async fn claim_all(&self) -> Vec<(Ownership, i64)> {
        let mut loaded = Vec::new();
        for own in &self.owned {
            let new = self.claimer.claim(own.tenant).await.unwrap();
            loaded.push((new, timers(&self.straight, new).await));
        }
        loaded
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commits_that_a_claim_has_overtaken_are_none_and_say_so() {
    let mut meeting = Meeting::at(Line::HoldCommit, Duration::from_secs(2)).await;
    let loaded = meeting.claim_all().await;
    assert!(loaded.iter().all(|(_, timers)| *timers == 0), "{loaded:?}");
    meeting.proxy.set(Line::Good);
    while let Some(done) = meeting.commits.join_next().await {
        let (own, done) = done.unwrap();
        assert!(done.is_err(), "{own:?}: a commit after the claim was acknowledged");
    }
    for (new, _) in loaded {
        assert_eq!(timers(&meeting.straight, new).await, 0);
    }
    drop(meeting.database);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commits_that_came_before_a_claim_are_loaded_by_it_though_nobody_heard_of_them_yet() {
    let mut meeting = Meeting::at(Line::HoldAnswer, Duration::from_secs(60)).await;
    let loaded = meeting.claim_all().await;
    assert!(loaded.iter().all(|(_, timers)| *timers == 1), "{loaded:?}");
    meeting.proxy.set(Line::Good);
    while let Some(done) = meeting.commits.join_next().await {
        let (_, done) = done.unwrap();
        done.unwrap();
    }
    drop(meeting.database);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_directory_is_read_in_a_transaction_while_claims_hold_every_other_connection() {
    let database = TestDatabase::migrated().await.unwrap();
    let alone = PgConfig { tenant_connections: 1, cluster_connections: 1, ..PgConfig::new(database.url()) };
    let config = PgConfig { times: PATIENT, ..alone };
    let store = Store::postgres(&config).await.unwrap();
    let node = TestNode::start(&store, 1).await.unwrap();
    let own = node.found(1).await.unwrap();
    let mut tx = store.fenced(own).await.unwrap();
    let mut claims = JoinSet::new();
    // the same life claims again, and waits for this transaction
    claims.spawn(async move { node.claim(own.tenant).await });
    let mut looker = raw(&database).await;
    loop {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .fetch_one(&mut looker)
        .await
        .unwrap();
        if waiting == 1 {
            break;
        }
    }
    let listed = tokio::time::timeout(Duration::from_secs(20), tx.addresses("user1@example.org")).await;
    assert_eq!(listed.expect("it waits for the claim, which waits for it").unwrap().len(), 1);
    tx.commit().await.unwrap();
    claims.join_next().await.unwrap().unwrap().unwrap();
}
