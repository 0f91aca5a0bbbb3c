//! Migrations on PostgreSQL: done by `ocmt migrate` alone. A node only looks whether the schema is its own.

use sqlx::{Connection as _, PgConnection, Row as _};

use super::{APPLIED, Migration, POSTGRES, failed, missing, roles};
use crate::StoreError;

const MADE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum BYTEA NOT NULL)";
/// Held to the end of the transaction: migrations that are started together run one after the other.
const ALONE: &str = "SELECT pg_advisory_xact_lock(hashtextextended('ocmt schema', 0))";
const UNDEFINED_TABLE: &str = "42P01";

/// Brings the database up to date and gives the roles their rights.
pub(crate) async fn run(connection: &mut PgConnection) -> Result<(), StoreError> {
    apply(connection, POSTGRES).await
}

/// Applies those of `migrations` that are missing.
async fn apply(connection: &mut PgConnection, migrations: &[Migration]) -> Result<(), StoreError> {
    let mut tx = connection.begin().await.map_err(failed)?;
    sqlx::query(ALONE).execute(&mut *tx).await.map_err(failed)?;
    sqlx::query(MADE).execute(&mut *tx).await.map_err(failed)?;
    let applied = applied(&mut tx).await.map_err(failed)?;
    apply_missing!(tx, migrations, applied);
    // the rights are of our own tables
    if migrations.iter().map(|migration| migration.name).eq(POSTGRES.iter().map(|migration| migration.name)) {
        roles::grant(&mut tx).await.map_err(failed)?;
    }
    tx.commit().await.map_err(failed)
}

/// Refuses a schema that is not exactly the one this program knows.
pub(crate) async fn is_current(connection: &mut PgConnection) -> Result<(), StoreError> {
    check(connection, POSTGRES).await
}

async fn check(connection: &mut PgConnection, migrations: &[Migration]) -> Result<(), StoreError> {
    let applied = match applied(connection).await {
        Ok(applied) => applied,
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(UNDEFINED_TABLE) => Vec::new(),
        Err(error) => return Err(StoreError::Schema(format!("the schema cannot be read: {error}"))),
    };
    match missing(migrations, &applied)?.len() {
        0 => Ok(()),
        steps => Err(StoreError::Schema(format!(
            "the database lacks {steps} of the {} steps of the schema: run `ocmt migrate` first",
            migrations.len()
        ))),
    }
}

async fn applied(connection: &mut PgConnection) -> Result<Vec<(i64, Vec<u8>)>, sqlx::Error> {
    let rows = sqlx::query(APPLIED).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

#[cfg(test)]
#[path = "postgres_tests.rs"]
mod tests;
