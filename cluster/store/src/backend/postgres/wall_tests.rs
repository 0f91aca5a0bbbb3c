//! A connection that goes back to its pool names no tenant, however its transaction ended. Compiled for tests alone, and
//! beside the backend because it looks into its pool.
#![allow(
    clippy::unwrap_used,
    reason = "tests alone: the module is behind `cfg(test)` at the end of mod.rs, and a failure here is a red test"
)]

use ocmt_types::Ownership;

use super::*;
use crate::{
    Filter, Store,
    backend::Backend,
    tables::User,
    testing::{PATIENT, TestDatabase, TestNode},
};

/// What the connection that is used next names, and how many users it sees.
async fn next(postgres: &Postgres) -> (Option<String>, i64) {
    let mut connection = postgres.connection(&postgres.tenant).await.unwrap();
    let named = sqlx::query_scalar("SELECT current_setting('ocmt.tenant', true)");
    let named = named.fetch_one(&mut *connection).await.unwrap();
    let seen = sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(&mut *connection).await.unwrap();
    (named, seen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_used_again_sees_nothing_of_who_used_it_before() {
    let database = TestDatabase::create().await.unwrap();
    let config = PgConfig { tenant_connections: 1, times: PATIENT, ..database.with_roles().await.unwrap() };
    let store = Store::postgres(&config).await.unwrap();
    let Backend::Postgres(postgres) = store.backend() else { panic!("not PostgreSQL") };
    let node = TestNode::start(&store, 1).await.unwrap();
    let one: Ownership = node.found(1).await.unwrap();
    let two = node.found(2).await.unwrap();
    let nothing = (Some(String::new()), 0);
    assert_eq!(next(postgres).await, nothing, "founded");
    store.fenced(one).await.unwrap().commit().await.unwrap();
    assert_eq!(next(postgres).await, nothing, "committed");
    store.fenced(one).await.unwrap().rollback().await.unwrap();
    assert_eq!(next(postgres).await, nothing, "rolled back");
    drop(store.fenced(one).await.unwrap());
    assert_eq!(next(postgres).await, nothing, "dropped");
    drop(store.read(one).await.unwrap());
    assert_eq!(next(postgres).await, nothing, "read");
    let stale = Ownership { epoch: ocmt_types::Epoch(99), ..one };
    assert!(store.fenced(stale).await.is_err());
    assert_eq!(next(postgres).await, nothing, "refused");
    let mut tx = store.read(two).await.unwrap();
    let users: Vec<User> = tx.find(Filter::all()).await.unwrap();
    assert!(users.len() == 1 && users[0].tenant_id == two.tenant, "{users:?}");
}
