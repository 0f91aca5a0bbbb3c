//! The schema: forward-only migrations, compiled in, each applied once and in order, all in one
//! transaction. What was applied is kept with its checksum; a database that a newer program made, or
//! whose migrations were edited since, is refused instead of guessed at.

/// Applies those of `$migrations` that are not among `$applied`, in the transaction `$tx`. A macro, since the
/// two drivers have no type in common that could be named in fewer words.
macro_rules! apply_missing {
    ($tx:ident, $migrations:expr, $applied:expr) => {
        for migration in $crate::migrate::missing($migrations, &$applied)? {
            let text = sqlx::AssertSqlSafe(migration.text);
            sqlx::raw_sql(text).execute(&mut *$tx).await.map_err($crate::migrate::failed)?;
            sqlx::query($crate::migrate::APPLY)
                .bind(migration.version)
                .bind(migration.name)
                .bind($crate::migrate::checksum_of(migration))
                .execute(&mut *$tx)
                .await
                .map_err($crate::migrate::failed)?;
            tracing::info!(version = migration.version, name = migration.name, "applied migration");
        }
    };
}

mod postgres;
mod roles;
mod sqlite;

use sha2::{Digest as _, Sha256};

use crate::StoreError;

pub(crate) use postgres::{is_current as postgres_is_current, run as postgres};
pub(crate) use sqlite::open as sqlite;

/// One step of the schema.
#[derive(Debug)]
pub(crate) struct Migration {
    pub(crate) version: i64,
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

/// SQLite's steps, oldest first, numbered from 1 without a gap.
pub(crate) const SQLITE: &[Migration] = &[Migration {
    version: 1,
    name: "first_light",
    text: include_str!("../../../../migrations/sqlite/0001_first_light.sql"),
}];

/// PostgreSQL's steps: the same versions, making the same tables.
pub(crate) const POSTGRES: &[Migration] = &[Migration {
    version: 1,
    name: "first_light",
    text: include_str!("../../../../migrations/postgres/0001_first_light.sql"),
}];

const APPLIED: &str = "SELECT version, checksum FROM schema_migrations ORDER BY version";
const APPLY: &str = "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)";

/// Those of `migrations` that are missing, given what was applied: version and checksum, oldest first.
fn missing<'m>(
    migrations: &'m [Migration],
    applied: &[(i64, Vec<u8>)],
) -> Result<&'m [Migration], StoreError> {
    for (version, checksum) in applied {
        match migrations.iter().find(|migration| migration.version == *version) {
            None => {
                return Err(StoreError::Schema(format!(
                    "the database has schema version {version}, which is newer than this program: use a newer one"
                )));
            }
            Some(migration) if checksum_of(migration) != *checksum => {
                return Err(StoreError::Schema(format!(
                    "migration {version} ({}) is not the one that was applied: use the program that made this database, or a new database",
                    migration.name
                )));
            }
            Some(_) => {}
        }
    }
    Ok(&migrations[applied.len()..])
}

/// The version of the schema that this program knows; the two databases have the same.
pub(crate) fn version() -> i64 {
    SQLITE.last().map_or(0, |migration| migration.version)
}

fn checksum_of(migration: &Migration) -> Vec<u8> {
    Sha256::digest(migration.text).to_vec()
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn failed(error: sqlx::Error) -> StoreError {
    StoreError::Schema(format!("the schema cannot be brought up to date: {error}"))
}
