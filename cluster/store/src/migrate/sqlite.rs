//! Migrations on SQLite: done by whoever opens the data folder, which is its only user.

use sqlx::{Connection as _, Row as _, SqliteConnection, SqlitePool, sqlite::SqliteRow};

use super::{APPLIED, Applied, Migration, SQLITE, failed, is_usable, newer};
use crate::StoreError;

const MADE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum BLOB NOT NULL, usable_from INTEGER NOT NULL) STRICT";

/// Brings the database up to date.
pub(crate) async fn open(pool: &SqlitePool) -> Result<(), StoreError> {
    let mut connection = pool.acquire().await.map_err(|error| StoreError::Open(error.to_string()))?;
    run(&mut connection, SQLITE).await
}

/// Applies those of `migrations` that are missing; a schema that has more than those is left as it is, if it is
/// usable.
pub(super) async fn run(
    connection: &mut SqliteConnection,
    migrations: &[Migration],
) -> Result<(), StoreError> {
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    sqlx::query(MADE).execute(&mut *tx).await.map_err(failed)?;
    let rows = sqlx::query(APPLIED).fetch_all(&mut *tx).await.map_err(failed)?;
    let step = |row: &SqliteRow| {
        Ok(Applied { version: row.try_get(0)?, checksum: row.try_get(1)?, usable_from: row.try_get(2)? })
    };
    let applied = rows.iter().map(step).collect::<Result<Vec<_>, sqlx::Error>>().map_err(failed)?;
    if newer(migrations, &applied)? > 0 {
        return is_usable(migrations, &applied);
    }
    apply_missing!(tx, migrations, applied);
    tx.commit().await.map_err(failed)
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;
