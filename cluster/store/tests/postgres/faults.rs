//! PostgreSQL where it hurts: frozen owners, lost connections, a silent or restarted server.
use std::time::Duration;

use crate::conformance::rows::timer;
use crate::proxy::{Line, Proxy};
use ocmt_store::{
    Claim, Filter, PgConfig, PgIdentity, PgTimes, Store, StoreError,
    tables::Timer,
    testing::{PATIENT, TestDatabase, TestNode, id},
};
use ocmt_types::{Clock as _, Ownership, SystemClock, Timestamp};
use sqlx::Connection as _;
use tokio::{sync::Barrier, task::JoinSet};

/// The store of the `n`th test node, which says in its connections who it is.
async fn store_of(n: u64, config: PgConfig) -> Store {
    let node = TestNode::unregistered(&Store::sim(), n);
    let identity = PgIdentity::Life(node.node_id, node.incarnation);
    let config = PgConfig { identity, tenant_connections: 6, cluster_connections: 3, ..config };
    Store::postgres(&config).await.unwrap()
}

async fn timers(store: &Store, own: Ownership) -> i64 {
    store.read(own).await.unwrap().count(Filter::<Timer>::all()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_owners_open_transaction_is_ended_by_whoever_buries_it() {
    let database = TestDatabase::migrated().await.unwrap();
    // no bound of the server's: what ends the transaction is the burial
    let long = PgTimes { idle: Duration::from_secs(60), ..PATIENT };
    let first = store_of(1, PgConfig { times: long, ..PgConfig::new(database.url()) }).await;
    let second = store_of(2, PgConfig { times: PATIENT, ..PgConfig::new(database.url()) }).await;
    let owner = TestNode::start(&first, 1).await.unwrap();
    let claimer = TestNode::start(&second, 2).await.unwrap();
    let own = owner.found(1).await.unwrap();
    let mut frozen = first.fenced(own).await.unwrap();
    frozen.insert(&timer(own, "late", 1)).await.unwrap();
    assert!(second.cluster().mark_dead(owner.incarnation).await.unwrap());
    let new = claimer.claim(own.tenant).await.unwrap();
    let late = frozen.insert(&timer(new, "later", 1)).await;
    assert!(late.as_ref().is_err_and(StoreError::is_retryable), "{late:?}");
    assert!(frozen.commit().await.is_err(), "a commit of a transaction that was ended");
    assert_eq!(timers(&second, new).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn claims_that_meet_dead_owners_need_no_second_connection() {
    let database = TestDatabase::migrated().await.unwrap();
    let buried = database.open_patiently().await.unwrap();
    let mut left = Vec::new();
    for n in 1..=3 {
        let owner = TestNode::start(&buried, n).await.unwrap();
        left.push(owner.found(n).await.unwrap().tenant);
        buried.cluster().mark_dead(owner.incarnation).await.unwrap();
    }
    // this store has ended nobody's sessions yet, and has one connection for all three claims
    let config = PgConfig { cluster_connections: 1, times: PATIENT, ..PgConfig::new(database.url()) };
    let store = Store::postgres(&config).await.unwrap();
    let claimer = TestNode::start(&store, 9).await.unwrap();
    let mut claims = JoinSet::new();
    for tenant in left {
        let (cluster, node, incarnation) = (store.cluster(), claimer.node_id, claimer.incarnation);
        claims.spawn(async move { cluster.claim(tenant, node, incarnation).await });
    }
    while let Some(claim) = claims.join_next().await {
        assert!(matches!(claim.unwrap(), Ok(Claim::Taken(_))));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_does_nothing_is_ended_by_the_server() {
    let database = TestDatabase::migrated().await.unwrap();
    let times = PgTimes { idle: PgTimes::default().idle, ..PATIENT };
    let first = store_of(1, PgConfig { times, ..PgConfig::new(database.url()) }).await;
    let own = TestNode::start(&first, 1).await.unwrap().found(1).await.unwrap();
    let mut frozen = first.fenced(own).await.unwrap();
    frozen.insert(&timer(own, "late", 1)).await.unwrap();
    // the next writer waits for the frozen one, and no longer than the server lets it stand
    let mut next = first.fenced(own).await.unwrap();
    next.insert(&timer(own, "next", 1)).await.unwrap();
    next.commit().await.unwrap();
    let lost = frozen.commit().await.unwrap_err();
    assert!(lost.is_retryable(), "it says that nothing was committed: {lost:?}");
    assert_eq!(timers(&first, own).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_that_touch_the_same_timers_in_any_order_do_not_deadlock() {
    let database = TestDatabase::migrated().await.unwrap();
    let store = database.open_patiently().await.unwrap();
    let own = TestNode::start(&store, 1).await.unwrap().found(1).await.unwrap();
    for round in 0..20 {
        let start = std::sync::Arc::new(Barrier::new(2));
        let mut writers = JoinSet::new();
        for order in [["a", "b"], ["b", "a"]] {
            let (store, start) = (store.clone(), std::sync::Arc::clone(&start));
            writers.spawn(async move {
                start.wait().await;
                let mut tx = store.fenced(own).await?;
                for subject in order {
                    tx.set_timer("test", subject, Timestamp(round), b"").await?;
                    tokio::task::yield_now().await;
                }
                tx.commit().await
            });
        }
        for done in writers.join_all().await {
            done.unwrap();
        }
    }
    assert_eq!(timers(&store, own).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looks_for_made_up_tenants_leave_room_for_everything_else() {
    let database = TestDatabase::migrated().await.unwrap();
    // two may look at once
    let config = PgConfig { cluster_connections: 4, times: PATIENT, ..PgConfig::new(database.url()) };
    let store = Store::postgres(&config).await.unwrap();
    let mut slow = sqlx::PgConnection::connect(&database.url()).await.unwrap();
    // another: within a transaction the server's view of its sessions stands still
    let mut watch = sqlx::PgConnection::connect(&database.url()).await.unwrap();
    // looks take for ever, as on a database that is slow, or with very many of them
    sqlx::raw_sql("BEGIN; LOCK TABLE tenant_owner IN ACCESS EXCLUSIVE MODE")
        .execute(&mut slow)
        .await
        .unwrap();
    let mut looks = JoinSet::new();
    for n in 0..500 {
        let store = store.clone();
        looks.spawn(async move { store.cluster().look().await?.owner(id(n)).await });
    }
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let wait = async {
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut watch).await.unwrap() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await; // why: the pause between two looks at a level, bounded by the timeout below
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("looks do not look");
    let other = tokio::time::timeout(Duration::from_secs(10), store.cluster().living_nodes()).await;
    other.expect("no connection is left for the cluster's work").unwrap();
    sqlx::raw_sql("ROLLBACK").execute(&mut slow).await.unwrap();
    // each has had its turn, or was told to come back
    for owner in looks.join_all().await {
        assert!(
            matches!(&owner, Ok(None)) || owner.as_ref().is_err_and(StoreError::is_retryable),
            "{owner:?}"
        );
    }
    assert_eq!(store.cluster().look().await.unwrap().owner(id(1)).await.unwrap(), None);
}

/// Within a second on a machine that does nothing else; whoever waits for a lock, a turn, or an answer waits for longer than
/// this.
const SOON: Duration = Duration::from_millis(3_500);
/// Less than any try of a lost database takes. Of callers who wait for nothing half are answered within it on any machine.
const AT_ONCE: Duration = Duration::from_millis(400);

/// A lost database is tried now and then, not by every caller.
fn most_are_refused_at_once(mut waits: Vec<Duration>) {
    waits.sort_unstable();
    assert!(waits[waits.len() / 2] < AT_ONCE, "{waits:?}");
    assert!(waits[waits.len() - 1] < SOON, "{waits:?}");
}

/// A store behind a proxy, and one that goes straight to the database.
async fn behind_proxy(database: &TestDatabase) -> (Proxy, Store, Store) {
    let url = database.url();
    let (before, rest) = url.split_once('@').unwrap();
    let (address, name) = rest.split_once('/').unwrap();
    let proxy = Proxy::start(address.to_owned()).await;
    let through = format!("{before}@127.0.0.1:{}/{name}?sslmode=disable", proxy.port);
    let config = PgConfig { tenant_connections: 3, cluster_connections: 2, ..PgConfig::new(through) };
    (proxy, Store::postgres(&config).await.unwrap(), database.open_patiently().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_lost_at_commit_leaves_the_outcome_unknown() {
    for (line, there) in [(Line::CutBeforeCommit, 0), (Line::CutBeforeAnswer, 1)] {
        let database = TestDatabase::migrated().await.unwrap();
        let (proxy, store, straight) = behind_proxy(&database).await;
        let own = TestNode::start(&straight, 1).await.unwrap().found(1).await.unwrap();
        let mut tx = store.fenced(own).await.unwrap();
        tx.insert(&timer(own, "a", 1)).await.unwrap();
        proxy.set(line);
        let lost = tx.commit().await.unwrap_err();
        assert!(lost.outcome_unknown() && !lost.is_retryable(), "{line:?}: {lost:?}");
        proxy.set(Line::Good);
        // a writer's turn comes when the server has done with the lost one, either way
        drop(straight.fenced(own).await.unwrap());
        assert_eq!(timers(&straight, own).await, there, "{line:?}");
        drop(store.fenced(own).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_database_is_told_as_unavailable_soon_and_heals() {
    let database = TestDatabase::migrated().await.unwrap();
    let (proxy, store, straight) = behind_proxy(&database).await;
    let own = TestNode::start(&straight, 1).await.unwrap().found(1).await.unwrap();
    drop(store.fenced(own).await.unwrap());
    proxy.set(Line::Silent);
    let (clock, mut waits) = (SystemClock, Vec::new());
    for _ in 0..8 {
        let begun = clock.boottime();
        let refused = store.fenced(own).await.err();
        waits.push(clock.boottime().saturating_sub(begun));
        assert!(matches!(refused, Some(StoreError::Unavailable(_))), "{refused:?}");
    }
    most_are_refused_at_once(waits);
    proxy.set(Line::Good);
    let healed = async {
        while let Err(error) = store.fenced(own).await {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
            tokio::time::sleep(Duration::from_millis(10)).await; // why: between two looks of a bounded wait
        }
    };
    tokio::time::timeout(Duration::from_secs(60), healed).await.expect("it does not heal");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_lets_in_slower_than_callers_wait_is_found_again() {
    let database = TestDatabase::migrated().await.unwrap();
    let (proxy, store, straight) = behind_proxy(&database).await;
    let own = TestNode::start(&straight, 1).await.unwrap().found(1).await.unwrap();
    proxy.set(Line::Silent);
    assert!(store.fenced(own).await.is_err(), "it is lost");
    // each sign-in takes longer than a caller of a lost database waits
    proxy.set(Line::Slow);
    let clock = SystemClock;
    let found = async {
        let mut waits = Vec::new();
        loop {
            let begun = clock.boottime();
            let tried = store.fenced(own).await;
            waits.push(clock.boottime().saturating_sub(begun));
            match tried {
                Ok(_) => return waits,
                Err(error) => assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await; // why: between two looks of a bounded wait
        }
    };
    let waits =
        tokio::time::timeout(Duration::from_secs(60), found).await.expect("each try begins from nothing");
    most_are_refused_at_once(waits);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_closes_waits_for_no_connection_that_was_being_opened() {
    for at_once in [false, true] {
        let database = TestDatabase::migrated().await.unwrap();
        let (proxy, store, straight) = behind_proxy(&database).await;
        let own = TestNode::start(&straight, 1).await.unwrap().found(1).await.unwrap();
        proxy.set(Line::Silent);
        assert!(store.fenced(own).await.is_err(), "one is being opened from here on");
        let closed = async {
            if at_once {
                tokio::time::sleep(Duration::from_millis(300)).await; // why: nobody tries a lost database sooner
                let (refused, ()) = tokio::join!(store.fenced(own), store.close());
                assert!(refused.is_err());
            } else {
                store.close().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), closed).await.expect("it does not close");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_needs_a_new_connection_waits_while_the_database_answers_others() {
    let database = TestDatabase::migrated().await.unwrap();
    let (proxy, store, straight) = behind_proxy(&database).await;
    let owner = TestNode::start(&straight, 1).await.unwrap();
    let (own, other) = (owner.found(1).await.unwrap(), owner.found(2).await.unwrap());
    let mut at_work = store.fenced(own).await.unwrap();
    proxy.set(Line::Slow);
    let mut opens = Box::pin(store.fenced(other));
    let opened = loop {
        tokio::select! {
            biased;
            opened = &mut opens => break opened,
            counted = at_work.count(Filter::<Timer>::all()) => assert_eq!(counted.unwrap(), 0),
        }
    };
    assert!(opened.is_ok(), "{:?}", opened.err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_in_the_middle_when_the_database_falls_silent_is_told_soon_too() {
    let database = TestDatabase::migrated().await.unwrap();
    let (proxy, store, straight) = behind_proxy(&database).await;
    let owner = TestNode::start(&straight, 1).await.unwrap();
    let (own, other) = (owner.found(1).await.unwrap(), owner.found(2).await.unwrap());
    let mut writing = store.fenced(own).await.unwrap();
    let mut committing = store.fenced(other).await.unwrap();
    committing.insert(&timer(other, "a", 1)).await.unwrap();
    proxy.set(Line::Silent);
    let clock = SystemClock;
    let begun = clock.boottime();
    let (row, newcomers) = (timer(own, "a", 1), async { store.fenced(own).await.err() });
    let (written, committed, newcomer) = tokio::join!(writing.insert(&row), committing.commit(), newcomers);
    let waited = clock.boottime().saturating_sub(begun);
    assert!(matches!(written, Err(StoreError::Unavailable(_))), "{written:?}");
    assert!(matches!(committed, Err(StoreError::OutcomeUnknown(_))), "{committed:?}");
    assert!(matches!(newcomer, Some(StoreError::Unavailable(_))), "{newcomer:?}");
    assert!(waited < SOON, "{waited:?}");
}

/// The statement of a lone writer waits for a lock, and nobody else has anything to ask.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_for_a_lock_is_not_taken_for_a_silent_database() {
    let database = TestDatabase::migrated().await.unwrap();
    // a database that does much at once takes its time for a sign of life, too
    let (sign_of_life, connect) = (Duration::from_secs(1), Duration::from_secs(2));
    let times = PgTimes { sign_of_life, connect, ..PATIENT };
    let store = Store::postgres(&PgConfig { times, ..database.config() }).await.unwrap();
    let own = TestNode::start(&store, 1).await.unwrap().found(1).await.unwrap();
    let mut holder = sqlx::PgConnection::connect(&database.url()).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE timers IN ACCESS EXCLUSIVE MODE").execute(&mut holder).await.unwrap();
    let mut tx = store.fenced(own).await.unwrap();
    let row = timer(own, "a", 1);
    let release = async {
        tokio::time::sleep(Duration::from_secs(5)).await; // why: longer than a silent database is waited for, shorter than a lock
        sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
    };
    let (written, ()) = tokio::join!(tx.insert(&row), release);
    written.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ends_every_session_is_unavailable_and_then_all_goes_on() {
    let database = TestDatabase::migrated().await.unwrap();
    let store = database.open_patiently().await.unwrap();
    let own = TestNode::start(&store, 1).await.unwrap().found(1).await.unwrap();
    let mut open = store.fenced(own).await.unwrap();
    open.insert(&timer(own, "a", 1)).await.unwrap();
    database
        .run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
        .await
        .unwrap();
    let ended = open.insert(&timer(own, "b", 1)).await;
    assert!(matches!(ended, Err(StoreError::Unavailable(_))), "{ended:?}");
    drop(open);
    let mut tries = 0;
    let mut tx = loop {
        tries += 1;
        match store.fenced(own).await {
            Ok(tx) => break tx,
            // a connection of the pool that was ended too
            Err(error) => assert!(error.is_retryable() && tries < 20, "{error:?}"),
        }
    };
    assert_eq!(tx.count(Filter::<Timer>::all()).await.unwrap(), 0);
    tx.insert(&timer(own, "c", 1)).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_commit_after_a_refused_statement_is_no_success() {
    let database = TestDatabase::migrated().await.unwrap();
    let store = database.open_patiently().await.unwrap();
    let own = TestNode::start(&store, 1).await.unwrap().found(1).await.unwrap();
    let mut tx = store.fenced(own).await.unwrap();
    tx.insert(&timer(own, "a", 1)).await.unwrap();
    let refused = tx.insert(&timer(own, "with a NUL \0", 1)).await;
    assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{refused:?}");
    assert!(tx.commit().await.is_err(), "PostgreSQL answers such a COMMIT with ROLLBACK and no error");
    assert_eq!(timers(&store, own).await, 0);
}
