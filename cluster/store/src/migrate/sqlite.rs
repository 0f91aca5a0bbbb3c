//! Migrations on SQLite: done by whoever opens the data folder, which is its only user.

use sqlx::{Connection as _, Row as _, SqliteConnection, SqlitePool};

use super::{APPLIED, Migration, SQLITE, failed};
use crate::StoreError;

const MADE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum BLOB NOT NULL) STRICT";

/// Brings the database up to date.
pub(crate) async fn open(pool: &SqlitePool) -> Result<(), StoreError> {
    let mut connection = pool.acquire().await.map_err(|error| StoreError::Open(error.to_string()))?;
    run(&mut connection, SQLITE).await
}

/// Applies those of `migrations` that are missing.
pub(super) async fn run(
    connection: &mut SqliteConnection,
    migrations: &[Migration],
) -> Result<(), StoreError> {
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    sqlx::query(MADE).execute(&mut *tx).await.map_err(failed)?;
    let rows = sqlx::query(APPLIED).fetch_all(&mut *tx).await.map_err(failed)?;
    let applied = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect::<Result<Vec<(i64, Vec<u8>)>, sqlx::Error>>()
        .map_err(failed)?;
    apply_missing!(tx, migrations, applied);
    tx.commit().await.map_err(failed)
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;
