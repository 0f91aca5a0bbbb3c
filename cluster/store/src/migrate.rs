//! The schema: forward-only migrations, compiled in, each applied once and in order, all in one
//! transaction. What was applied is kept with its checksum; a database that a newer program made, or
//! whose migrations were edited since, is refused instead of guessed at.

use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection, SqlitePool};

use crate::StoreError;

/// One step of the schema.
pub(crate) struct Migration {
    pub(crate) version: i64,
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

/// SQLite's steps, oldest first, numbered from 1 without a gap.
pub(crate) const SQLITE: &[Migration] = &[Migration {
    version: 1,
    name: "first_light",
    text: include_str!("../../../migrations/sqlite/0001_first_light.sql"),
}];

const MADE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum BLOB NOT NULL) STRICT";
const APPLIED: &str = "SELECT version, checksum FROM schema_migrations ORDER BY version";
const APPLY: &str = "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)";

/// Brings the database up to date.
pub(crate) async fn sqlite(pool: &SqlitePool) -> Result<(), StoreError> {
    let mut connection = pool.acquire().await.map_err(|error| StoreError::Open(error.to_string()))?;
    run(&mut connection, SQLITE).await
}

/// Applies those of `migrations` that are missing.
pub(crate) async fn run(
    connection: &mut SqliteConnection,
    migrations: &[Migration],
) -> Result<(), StoreError> {
    let failed =
        |error: sqlx::Error| StoreError::Schema(format!("the schema cannot be brought up to date: {error}"));
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    sqlx::query(MADE).execute(&mut *tx).await.map_err(failed)?;
    let applied = sqlx::query(APPLIED).fetch_all(&mut *tx).await.map_err(failed)?;
    for row in &applied {
        let (version, checksum): (i64, Vec<u8>) =
            (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
        match migrations.iter().find(|migration| migration.version == version) {
            None => {
                return Err(StoreError::Schema(format!(
                    "the database has schema version {version}, which is newer than this program: use a newer one"
                )));
            }
            Some(migration) if checksum_of(migration) != checksum => {
                return Err(StoreError::Schema(format!(
                    "migration {version} ({}) is not the one that was applied: use the program that made this database, or a new data folder",
                    migration.name
                )));
            }
            Some(_) => {}
        }
    }
    for migration in migrations.iter().skip(applied.len()) {
        sqlx::raw_sql(AssertSqlSafe(migration.text)).execute(&mut *tx).await.map_err(failed)?;
        sqlx::query(APPLY)
            .bind(migration.version)
            .bind(migration.name)
            .bind(checksum_of(migration))
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        tracing::info!(version = migration.version, name = migration.name, "applied migration");
    }
    tx.commit().await.map_err(failed)
}

fn checksum_of(migration: &Migration) -> Vec<u8> {
    Sha256::digest(migration.text).to_vec()
}

#[cfg(test)]
#[path = "migrate_tests.rs"]
mod tests;
