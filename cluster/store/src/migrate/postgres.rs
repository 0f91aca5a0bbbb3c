//! Migrations on PostgreSQL: done by `ocmt migrate` alone. A node only looks whether it can use the schema.

use sqlx::{Connection as _, PgConnection, Row as _, postgres::PgRow};

use super::{APPLIED, Applied, Migration, POSTGRES, failed, is_usable, roles};
use crate::StoreError;

const MADE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum BYTEA NOT NULL, usable_from BIGINT NOT NULL)";
/// Held to the end of the transaction: migrations that are started together run one after the other.
const ALONE: &str = "SELECT pg_advisory_xact_lock(hashtextextended('ocmt schema', 0))";
/// Every call that wants a table queues behind a migration that waits for it: it gives up before they do, which
/// wait twice as long.
const BRIEFLY: &str = "SET LOCAL lock_timeout = '2s'";
const UNDEFINED_TABLE: &str = "42P01";

/// Brings the database up to date and gives the roles their rights. A schema that is newer than this program is
/// refused even if it is usable: the rights are those of this program's tables.
pub(crate) async fn run(connection: &mut PgConnection) -> Result<(), StoreError> {
    apply(connection, POSTGRES).await
}

/// Applies those of `migrations` that are missing.
async fn apply(connection: &mut PgConnection, migrations: &[Migration]) -> Result<(), StoreError> {
    let mut tx = connection.begin().await.map_err(failed)?;
    sqlx::query(ALONE).execute(&mut *tx).await.map_err(failed)?;
    sqlx::query(BRIEFLY).execute(&mut *tx).await.map_err(failed)?;
    sqlx::query(MADE).execute(&mut *tx).await.map_err(failed)?;
    let applied = applied(&mut tx).await.map_err(failed)?;
    apply_missing!(tx, migrations, applied);
    // the rights are of our own tables
    if migrations.iter().map(|migration| migration.name).eq(POSTGRES.iter().map(|migration| migration.name)) {
        roles::grant(&mut tx).await.map_err(failed)?;
    }
    tx.commit().await.map_err(failed)
}

/// Refuses a schema that this program cannot work on.
pub(crate) async fn is_ready(connection: &mut PgConnection) -> Result<(), StoreError> {
    check(connection, POSTGRES).await
}

async fn check(connection: &mut PgConnection, migrations: &[Migration]) -> Result<(), StoreError> {
    let applied = match applied(connection).await {
        Ok(applied) => applied,
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(UNDEFINED_TABLE) => Vec::new(),
        Err(error) => return Err(StoreError::Schema(format!("the schema cannot be read: {error}"))),
    };
    is_usable(migrations, &applied)
}

async fn applied(connection: &mut PgConnection) -> Result<Vec<Applied>, sqlx::Error> {
    let rows = sqlx::query(APPLIED).fetch_all(connection).await?;
    let step = |row: &PgRow| {
        Ok(Applied { version: row.try_get(0)?, checksum: row.try_get(1)?, usable_from: row.try_get(2)? })
    };
    rows.iter().map(step).collect()
}

#[cfg(test)]
#[path = "postgres_tests.rs"]
mod tests;
