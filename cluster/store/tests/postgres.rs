//! PostgreSQL: the conformance suite, on a database of each test's own.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod conformance;

use ocmt_store::{Store, testing::TestDatabase};

async fn open() -> (Store, TestDatabase) {
    let database = TestDatabase::migrated().await.unwrap();
    (database.open().await.unwrap(), database)
}

suite!(crate::open);
