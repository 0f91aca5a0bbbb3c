//! What is counted across tenants, or made once: two that have both looked before either has written. The table
//! is held against writes until both wait, so that nothing is left to chance.
use std::time::Duration;

use crate::conformance::areas::signup;
use ocmt_store::{
    MOST_TENANTS_OF_ADDRESS, Store, StoreError,
    tables::Signup,
    testing::{TestDatabase, TestNode, id},
};
use ocmt_types::{Digest32, Ownership, Timestamp};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::task::JoinSet;

const WAITING: &str = "SELECT count(*) FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// Runs both calls so that neither can write before both have come as far as they can.
async fn meet<T, F>(database: &TestDatabase, table: &str, calls: [F; 2]) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let mut holder = PgConnection::connect(&database.url()).await.unwrap();
    let mut hold = holder.begin().await.unwrap();
    let lock = format!("LOCK TABLE {table} IN SHARE MODE");
    sqlx::query(AssertSqlSafe(lock)).execute(&mut *hold).await.unwrap();
    let mut callers = JoinSet::new();
    for call in calls {
        callers.spawn(call);
    }
    // on a connection of its own: a transaction sees the same activity all along
    let mut looker = PgConnection::connect(&database.url()).await.unwrap();
    let both_wait =
        async { while sqlx::query_scalar::<_, i64>(WAITING).fetch_one(&mut looker).await.unwrap() < 2 {} };
    tokio::time::timeout(Duration::from_secs(20), both_wait).await.expect("they do not meet");
    hold.commit().await.unwrap();
    callers.join_all().await
}

async fn opened() -> (TestDatabase, Store) {
    let database = TestDatabase::migrated().await.unwrap();
    let store = database.open_patiently().await.unwrap();
    (database, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_tenants_that_list_an_address_for_the_last_place_one_gets_it() {
    let (database, store) = opened().await;
    let node = TestNode::start(&store, 1).await.unwrap();
    let most = u64::try_from(MOST_TENANTS_OF_ADDRESS).unwrap();
    let mut owned = Vec::new();
    for n in 1..=most + 1 {
        owned.push(node.found(n).await.unwrap());
    }
    let list = |own: Ownership| {
        let store = store.clone();
        async move {
            let mut tx = store.fenced(own).await?;
            tx.list_address("many@example.org", id(99)).await?;
            tx.commit().await
        }
    };
    let (other, one) = (owned.pop().unwrap(), owned.pop().unwrap());
    for own in owned {
        list(own).await.unwrap();
    }
    let listed = Box::pin(meet(&database, "directory", [list(one), list(other)])).await;
    assert_eq!(listed.iter().filter(|listed| listed.is_ok()).count(), 1, "{listed:?}");
    assert!(listed.iter().any(|listed| matches!(listed, Err(StoreError::TooMany { .. }))), "{listed:?}");
    assert_eq!(store.directory().addresses("many@example.org").await.unwrap().len(), MOST_TENANTS_OF_ADDRESS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_sign_ups_for_the_last_place_one_is_kept() {
    let (database, store) = opened().await;
    let put = |n: u8| {
        let row = Signup { binding_hash: Digest32([n; 32]), ..signup(n, "a@example.org") };
        let store = store.clone();
        async move { store.directory().put_signup(&row).await.unwrap() }
    };
    for n in 1..5 {
        assert!(put(n).await);
    }
    let mut kept = Box::pin(meet(&database, "signups", [put(5), put(6)])).await;
    kept.sort_unstable();
    assert_eq!(kept, [false, true]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_nodes_that_find_a_new_database_one_makes_the_cluster() {
    let (database, store) = opened().await;
    let start = |n: u64| {
        let store = store.clone();
        async move { store.cluster().cluster(id(n), Timestamp(1)).await.unwrap().cluster_id }
    };
    let seen = Box::pin(meet(&database, "cluster", [start(1), start(2)])).await;
    assert_eq!(seen[0], seen[1]);
}
