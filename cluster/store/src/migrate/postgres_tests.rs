//! The migrations make what the rows declare, on PostgreSQL too, and a schema that is not ours is refused.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use super::*;
use crate::{
    kernel::{row::Table, value::Kind},
    tables,
    testing::TestDatabase,
};

async fn database() -> (PgConnection, TestDatabase) {
    let database = TestDatabase::create().await.unwrap();
    (PgConnection::connect(&database.url()).await.unwrap(), database)
}

async fn texts(connection: &mut PgConnection, query: String) -> Vec<String> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.try_get(0).unwrap()).collect()
}

/// The columns of a table as the database has them: name, type, collation, NULL allowed.
async fn columns(connection: &mut PgConnection, table: &str) -> Vec<String> {
    let query = "SELECT column_name || ' ' || data_type || coalesce(' ' || collation_name, '') \
                 || CASE is_nullable WHEN 'YES' THEN '' ELSE ' NOT NULL' END FROM information_schema.columns";
    texts(
        connection,
        format!("{query} WHERE table_schema = 'public' AND table_name = '{table}' ORDER BY ordinal_position"),
    )
    .await
}

fn declared(table: &Table) -> Vec<String> {
    let column = |column: &crate::kernel::row::Column| {
        let kind = match column.kind {
            Kind::Int => "bigint",
            Kind::Text => "text C",
            Kind::Blob => "bytea",
        };
        format!("{} {kind}{}", column.name, if column.nullable { "" } else { " NOT NULL" })
    };
    table.columns.iter().map(column).collect()
}

#[tokio::test]
async fn every_row_has_its_table() {
    let (mut connection, _kept) = database().await;
    run(&mut connection).await.unwrap();
    for table in tables::all() {
        let found = columns(&mut connection, table.name).await;
        assert_eq!(
            found,
            declared(table),
            "the migration and the row of {} differ (left: migration)",
            table.name
        );
    }
    let query = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schema_migrations'";
    let there: BTreeSet<String> = texts(&mut connection, query.to_owned()).await.into_iter().collect();
    let wanted: BTreeSet<String> = tables::all().iter().map(|table| table.name.to_owned()).collect();
    assert_eq!(there, wanted);
}

#[tokio::test]
async fn keys_and_indexes_are_those_declared() {
    let (mut connection, _kept) = database().await;
    run(&mut connection).await.unwrap();
    for table in tables::all() {
        let query = "SELECT CASE WHEN i.indisprimary THEN 'key ' WHEN i.indisunique THEN 'unique ' ELSE 'index ' END \
                     || (SELECT string_agg(a.attname, ', ' ORDER BY k.place) FROM unnest(i.indkey) WITH ORDINALITY AS k (number, place) \
                         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number) FROM pg_index i";
        let query = format!("{query} WHERE i.indrelid = '{}'::regclass", table.name);
        let there: BTreeSet<String> = texts(&mut connection, query).await.into_iter().collect();
        let key: Vec<&str> = table.columns[..table.key_len].iter().map(|column| column.name).collect();
        let declared = std::iter::once(format!("key {}", key.join(", ")))
            .chain(table.unique.iter().map(|columns| format!("unique {}", columns.join(", "))))
            .chain(table.indexed.iter().map(|columns| format!("index {}", columns.join(", "))));
        assert_eq!(there, declared.collect(), "{}", table.name);
    }
}

#[tokio::test]
async fn the_two_databases_have_the_same_versions() {
    let steps = |migrations: &[Migration]| migrations.iter().map(|m| (m.version, m.name)).collect::<Vec<_>>();
    assert_eq!(steps(POSTGRES), steps(super::super::SQLITE));
}

#[tokio::test]
async fn migrations_that_are_started_together_run_once() {
    let (mut connection, kept) = database().await;
    let refused = is_ready(&mut connection).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Schema(text) if text.contains("ocmt migrate")), "{refused}");
    let mut runs = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let url = kept.url();
        runs.spawn(async move { run(&mut PgConnection::connect(&url).await.unwrap()).await });
    }
    for done in runs.join_all().await {
        done.unwrap();
    }
    is_ready(&mut connection).await.unwrap();
    let applied = texts(&mut connection, "SELECT name FROM schema_migrations".to_owned()).await;
    assert_eq!(applied.len(), POSTGRES.len());
}

const ONE: Migration = Migration { version: 1, name: "a", text: "CREATE TABLE a (x BIGINT)", usable_from: 1 };
/// Adds what a program of the version before passes over.
const EXPAND: Migration =
    Migration { version: 2, name: "b", text: "ALTER TABLE a ADD COLUMN y BIGINT", usable_from: 1 };
/// Takes away what only the first version asked for.
const CONTRACT: Migration =
    Migration { version: 3, name: "c", text: "ALTER TABLE a DROP COLUMN x", usable_from: 2 };

#[tokio::test]
async fn an_older_and_an_edited_schema_are_refused() {
    let (mut connection, _kept) = database().await;
    apply(&mut connection, &[ONE]).await.unwrap();
    refused(check(&mut connection, &[ONE, EXPAND]).await, "ocmt migrate");
    let edited = [Migration { text: "CREATE TABLE a (y BIGINT)", ..ONE }];
    for done in [check(&mut connection, &edited).await, apply(&mut connection, &edited).await] {
        refused(done, "not the one that was applied");
    }
}

#[tokio::test]
async fn a_newer_schema_is_worked_on_as_long_as_each_of_its_steps_says_so_and_never_changed() {
    let (mut connection, _kept) = database().await;
    let all = [ONE, EXPAND, CONTRACT];
    apply(&mut connection, &all[..2]).await.unwrap();
    check(&mut connection, &all[..1]).await.unwrap();
    refused(apply(&mut connection, &all[..1]).await, "newer than this program");
    apply(&mut connection, &all).await.unwrap();
    check(&mut connection, &all[..2]).await.unwrap();
    check(&mut connection, &all).await.unwrap();
    refused(check(&mut connection, &all[..1]).await, "which programs can use that know version 2");
    // of what it knows itself nothing may be missing
    sqlx::raw_sql("DELETE FROM schema_migrations WHERE version = 1").execute(&mut connection).await.unwrap();
    refused(check(&mut connection, &all[..2]).await, "ocmt migrate");
}

#[tokio::test]
async fn a_migration_gives_up_before_those_who_queue_behind_it_do() {
    let (mut connection, kept) = database().await;
    apply(&mut connection, &[ONE]).await.unwrap();
    let mut reader = PgConnection::connect(&kept.url()).await.unwrap();
    let mut reading = reader.begin().await.unwrap();
    sqlx::query("SELECT x FROM a").execute(&mut *reading).await.unwrap();
    let all = [ONE, EXPAND];
    assert!(BRIEFLY.ends_with("'2s'") && crate::PgTimes::default().lock.as_secs() == 4, "half as long");
    let patience = std::time::Duration::from_secs(25);
    let waiting = tokio::time::timeout(patience, apply(&mut connection, &all)).await;
    refused(waiting.expect("it does not give up"), "lock timeout");
    reading.rollback().await.unwrap();
    apply(&mut connection, &all).await.unwrap();
}

fn refused(done: Result<(), StoreError>, why: &str) {
    let error = done.unwrap_err();
    assert!(matches!(&error, StoreError::Schema(text) if text.contains(why)), "{error}");
}

#[tokio::test]
async fn a_login_without_the_right_is_told_of_the_roles() {
    let (mut connection, _kept) = database().await;
    let name = texts(&mut connection, "SELECT current_database()::text".to_owned()).await.remove(0);
    let mut sql = async |text: String| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
    };
    sql(format!("CREATE ROLE \"{name}\"; REVOKE CREATE ON SCHEMA public FROM PUBLIC; SET ROLE \"{name}\""))
        .await;
    let error = run(&mut connection).await.unwrap_err();
    let text = format!("RESET ROLE; DROP ROLE \"{name}\"");
    sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
    assert!(matches!(&error, StoreError::Schema(text) if text.contains("roles.sql")), "{error}");
}

#[tokio::test]
async fn a_failing_migration_leaves_nothing_behind() {
    let (mut connection, _kept) = database().await;
    let steps = [ONE, Migration { text: "CREATE TABLE b (x BIGINT); CREATE TABLE b (x BIGINT)", ..EXPAND }];
    assert!(matches!(apply(&mut connection, &steps).await, Err(StoreError::Schema(_))));
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'".to_owned();
    assert_eq!(texts(&mut connection, tables).await, Vec::<String>::new());
    apply(&mut connection, &steps[..1]).await.unwrap();
}
