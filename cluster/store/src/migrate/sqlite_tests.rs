//! The migrations make what the rows declare, and a schema that is not ours is refused.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use super::*;
use crate::{
    kernel::{row::Table, value::Kind},
    tables,
};

async fn database() -> SqliteConnection {
    SqliteConnection::connect("sqlite::memory:").await.unwrap()
}

async fn texts(connection: &mut SqliteConnection, query: String) -> Vec<String> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.try_get(0).unwrap()).collect()
}

/// The columns of a table as the database has them: name, type, NULL allowed, place in the key.
async fn columns(connection: &mut SqliteConnection, table: &str) -> Vec<String> {
    let query = "SELECT name || ' ' || type || CASE \"notnull\" WHEN 0 THEN '' ELSE ' NOT NULL' END \
                 || CASE pk WHEN 0 THEN '' ELSE ' KEY ' || pk END FROM pragma_table_info";
    texts(connection, format!("{query}('{table}') ORDER BY cid")).await
}

fn declared(table: &Table) -> Vec<String> {
    let column = |(i, column): (usize, &crate::kernel::row::Column)| {
        let kind = match column.kind {
            Kind::Int => "INTEGER",
            Kind::Text => "TEXT",
            Kind::Blob => "BLOB",
        };
        let null = if column.nullable { "" } else { " NOT NULL" };
        let key = if i < table.key_len { format!(" KEY {}", i + 1) } else { String::new() };
        format!("{} {kind}{null}{key}", column.name)
    };
    table.columns.iter().enumerate().map(column).collect()
}

#[tokio::test]
async fn every_row_has_its_table() {
    let mut connection = database().await;
    run(&mut connection, SQLITE).await.unwrap();
    for table in tables::all() {
        let found = columns(&mut connection, table.name).await;
        assert_eq!(
            found,
            declared(table),
            "the migration and the row of {} differ (left: migration)",
            table.name
        );
        assert_eq!(
            table.of_tenant,
            table.name != "tenant_owner" && table.columns[0].name == "tenant_id",
            "{}",
            table.name
        );
    }
    let query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'schema_migrations'";
    let there: BTreeSet<String> = texts(&mut connection, query.to_owned()).await.into_iter().collect();
    let wanted: BTreeSet<String> = tables::all().iter().map(|table| table.name.to_owned()).collect();
    assert_eq!(there, wanted);
}

#[tokio::test]
async fn indexes_are_those_declared() {
    let mut connection = database().await;
    run(&mut connection, SQLITE).await.unwrap();
    for table in tables::all() {
        let query = "SELECT (CASE l.\"unique\" WHEN 1 THEN 'unique ' ELSE 'index ' END) || \
                     (SELECT group_concat(name, ', ') FROM (SELECT name FROM pragma_index_info(l.name) ORDER BY seqno)) \
                     FROM pragma_index_list";
        let query = format!("{query}('{}') AS l WHERE l.origin <> 'pk'", table.name);
        let there: BTreeSet<String> = texts(&mut connection, query).await.into_iter().collect();
        let unique = table.unique.iter().map(|columns| format!("unique {}", columns.join(", ")));
        let indexed = table.indexed.iter().map(|columns| format!("index {}", columns.join(", ")));
        assert_eq!(there, unique.chain(indexed).collect(), "{}", table.name);
        for columns in table.unique.iter().filter(|_| table.of_tenant) {
            assert_eq!(
                columns[0], "tenant_id",
                "{}: unique across tenants would tell one of another",
                table.name
            );
        }
    }
}

#[tokio::test]
async fn migrations_run_once() {
    let mut connection = database().await;
    run(&mut connection, SQLITE).await.unwrap();
    run(&mut connection, SQLITE).await.unwrap();
    let applied = texts(&mut connection, "SELECT name FROM schema_migrations".to_owned()).await;
    assert_eq!(applied.len(), SQLITE.len());
    assert!(SQLITE.iter().zip(1..).all(|(migration, n)| migration.version == n), "versions have gaps");
}

const ONE: Migration = Migration { version: 1, name: "a", text: "SELECT 1", usable_from: 1 };

#[tokio::test]
async fn a_newer_schema_is_worked_on_as_long_as_each_of_its_steps_says_so() {
    let mut connection = database().await;
    let all = [
        ONE,
        Migration { version: 2, name: "b", text: "SELECT 1", usable_from: 1 },
        Migration { version: 3, name: "c", text: "SELECT 1", usable_from: 2 },
    ];
    run(&mut connection, &all[..2]).await.unwrap();
    run(&mut connection, &all[..1]).await.unwrap();
    run(&mut connection, &all).await.unwrap();
    run(&mut connection, &all[..2]).await.unwrap();
    let error = run(&mut connection, &all[..1]).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Schema(text) if text.contains("which programs can use that know version 2")),
        "{error}"
    );
    let applied = texts(&mut connection, "SELECT name FROM schema_migrations".to_owned()).await;
    assert_eq!(applied.len(), all.len());
}

#[test]
fn a_step_names_a_program_that_can_use_it() {
    for migration in SQLITE.iter().chain(super::super::POSTGRES) {
        assert!((1..=migration.version).contains(&migration.usable_from), "{migration:?}");
    }
}

#[tokio::test]
async fn an_edited_migration_is_refused() {
    let mut connection = database().await;
    run(&mut connection, &[ONE]).await.unwrap();
    let error = run(&mut connection, &[Migration { text: "SELECT 2", ..ONE }]).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Schema(text) if text.contains("not the one that was applied")),
        "{error}"
    );
}

#[tokio::test]
async fn a_failing_migration_leaves_nothing_behind() {
    let mut connection = database().await;
    let steps = [
        Migration { text: "CREATE TABLE a (x INTEGER) STRICT", ..ONE },
        Migration {
            version: 2,
            name: "b",
            text: "CREATE TABLE b (x INTEGER) STRICT; CREATE TABLE b (x INTEGER) STRICT",
            usable_from: 1,
        },
    ];
    assert!(matches!(run(&mut connection, &steps).await, Err(StoreError::Schema(_))));
    let there = texts(&mut connection, "SELECT name FROM sqlite_master".to_owned()).await;
    assert_eq!(there, Vec::<String>::new());
    run(&mut connection, &steps[..1]).await.unwrap();
}
