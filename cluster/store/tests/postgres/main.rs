//! PostgreSQL: the conformance suite, and what only a server can do, on a database of each test's own.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub, missing_docs)]

#[path = "../conformance/mod.rs"]
mod conformance;
mod faults;
mod fence;
mod newer;
mod proxy;
mod roles;
mod serial;
mod wall;

use ocmt_store::{
    PgConfig, Store,
    testing::{PATIENT, TestDatabase},
};

async fn open() -> (Store, TestDatabase) {
    let database = TestDatabase::migrated().await.unwrap();
    (database.open_patiently().await.unwrap(), database)
}

suite!(crate::open);

/// The same in roles, behind row security.
async fn open_in_roles() -> (Store, TestDatabase) {
    let database = TestDatabase::create().await.unwrap();
    let config = PgConfig { times: PATIENT, ..database.with_roles().await.unwrap() };
    (Store::postgres(&config).await.unwrap(), database)
}

mod in_roles {
    crate::suite!(crate::open_in_roles);
}
