//! A database that the next release has migrated, and this program on it.

use ocmt_store::{DumpError, Purpose, StoreError, testing::TestDatabase, testing::TestNode};

/// As a step of the next release leaves it: columns and a table more, and what it says of who can use it.
async fn step(database: &TestDatabase, usable_from: i64) {
    database.run("ALTER TABLE tenants ADD COLUMN of_tomorrow TEXT").await.unwrap();
    database.run("CREATE TABLE of_tomorrow (tenant_id BYTEA NOT NULL PRIMARY KEY)").await.unwrap();
    let step = format!("INSERT INTO schema_migrations VALUES (1000, 'next', '\\x00', {usable_from})");
    database.run(&step).await.unwrap();
}

#[tokio::test]
async fn a_schema_that_was_added_to_is_worked_on_but_neither_copied_nor_migrated() {
    let database = TestDatabase::migrated().await.unwrap();
    let before = database.open_patiently().await.unwrap();
    let first = TestNode::start(&before, 1).await.unwrap();
    let own = first.found(1).await.unwrap();
    step(&database, 1).await;
    // who works on it already goes on, and who comes anew is let in
    before.fenced(own).await.unwrap().commit().await.unwrap();
    let after = database.open_patiently().await.unwrap();
    TestNode::start(&after, 2).await.unwrap().found(2).await.unwrap();
    // a copy would leave out what this program does not know
    let mut dump = Vec::new();
    let refused = after.dump(&mut dump).await.unwrap_err();
    assert!(matches!(refused, DumpError::Newer { database: 1000, .. }), "{refused}");
    assert!(dump.is_empty());
    let refused = after.load(&mut &*dump, Purpose::Copy).await.unwrap_err();
    assert!(matches!(refused, DumpError::Newer { .. }), "{refused}");
    let refused = ocmt_store::Store::migrate_postgres(&database.config()).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Schema(text) if text.contains("newer")), "{refused}");
}

#[tokio::test]
async fn a_schema_that_was_taken_from_is_refused_to_whoever_needs_that() {
    let database = TestDatabase::migrated().await.unwrap();
    step(&database, 1000).await;
    let refused = database.open().await.err().unwrap();
    assert!(matches!(&refused, StoreError::Schema(text) if text.contains("use a newer one")), "{refused}");
    assert!(!refused.is_retryable());
}
