//! The schema: forward-only migrations, compiled in, each applied once and in order, all in one
//! transaction. What was applied is kept with its checksum; a database whose migrations were edited since is
//! refused instead of guessed at.
//!
//! Nodes of two releases work on one database while a cluster is upgraded, so a step also says which is the
//! oldest program that can work on what it makes (`usable_from`, ADR 0011). A program takes a schema that is newer
//! than its own as long as every step that it does not know says so; it never changes one.

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
                .bind(migration.usable_from)
                .execute(&mut *$tx)
                .await
                .map_err($crate::migrate::failed)?;
            tracing::info!(version = migration.version, name = migration.name, "applied migration");
        }
    };
}

mod policies;
mod postgres;
mod roles;
mod sqlite;
mod steps;

use sha2::{Digest as _, Sha256};

use crate::StoreError;

pub(crate) use policies::is_guarded as postgres_is_guarded;
pub(crate) use postgres::{is_ready as postgres_is_ready, run as postgres};
pub(crate) use roles::APPEND_ONLY;
pub(crate) use sqlite::open as sqlite;
pub(crate) use steps::{POSTGRES, SQLITE};

/// One step of the schema.
#[derive(Debug)]
pub(crate) struct Migration {
    pub(crate) version: i64,
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
    /// The oldest schema version whose program can work on a database that has this step: what it reads and writes
    /// is there and means the same, and nothing goes wrong because it does not know of the rest. A step that only adds names an
    /// earlier one, at least that of the release before; one whose rows every program has to look after (to end a right, to delete with
    /// a user, to wrap anew) names itself; a step that takes away names the version from which nobody asks for it.
    pub(crate) usable_from: i64,
}

const APPLIED: &str = "SELECT version, checksum, usable_from FROM schema_migrations ORDER BY version";
/// The newest step that was applied.
pub(crate) const NEWEST: &str = "SELECT COALESCE(MAX(version), 0) FROM schema_migrations";
const APPLY: &str =
    "INSERT INTO schema_migrations (version, name, checksum, usable_from) VALUES ($1, $2, $3, $4)";

/// SQLSTATE of a login without the right.
const DENIED: &str = "42501";
const NO_ROLES: &str = ": run migrations/postgres/roles.sql in this database as an administrator, and make the login a member of the three roles";

/// A step that was applied, as the database has it.
#[derive(Debug)]
struct Applied {
    version: i64,
    checksum: Vec<u8>,
    usable_from: i64,
}

/// Those of `migrations` that are missing, given what was applied, oldest first.
fn missing<'m>(migrations: &'m [Migration], applied: &[Applied]) -> Result<&'m [Migration], StoreError> {
    match newer(migrations, applied)? {
        0 => Ok(migrations.get(applied.len()..).unwrap_or_default()),
        version => Err(StoreError::Schema(format!(
            "the database has schema version {version}, which is newer than this program: use a newer one"
        ))),
    }
}

/// The newest of the steps that `migrations` does not have, 0 if it has them all. The others must be the same.
fn newer(migrations: &[Migration], applied: &[Applied]) -> Result<i64, StoreError> {
    let mut newest = 0;
    for step in applied {
        match migrations.iter().find(|migration| migration.version == step.version) {
            None => newest = newest.max(step.version),
            Some(migration) if checksum_of(migration) != step.checksum => {
                return Err(StoreError::Schema(format!(
                    "migration {} ({}) is not the one that was applied: use the program that made this database, or a new database",
                    migration.version, migration.name
                )));
            }
            Some(_) => {}
        }
    }
    Ok(newest)
}

/// Whether a program with these `migrations` can work on the database: it has all of them, and what it has beyond
/// them says that they are enough.
fn is_usable(migrations: &[Migration], applied: &[Applied]) -> Result<(), StoreError> {
    let own = migrations.last().map_or(0, |migration| migration.version);
    let newest = newer(migrations, applied)?;
    let needs = applied.iter().filter(|step| step.version > own).map(|step| step.usable_from).max();
    if let Some(needs) = needs.filter(|needs| *needs > own) {
        return Err(StoreError::Schema(format!(
            "the database has schema version {newest}, which programs can use that know version {needs}; this one is older, it knows {own}: use a newer one"
        )));
    }
    let there = applied.iter().filter(|step| step.version <= own).count();
    match migrations.len().saturating_sub(there) {
        0 if newest > 0 => {
            tracing::info!(
                schema = newest,
                known = own,
                "the schema is newer than this program, and made for it too"
            );
            Ok(())
        }
        0 => Ok(()),
        steps => Err(StoreError::Schema(format!(
            "the database lacks {steps} of the {} steps of the schema: run `ocmt migrate` first",
            migrations.len()
        ))),
    }
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
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let todo = if code.as_deref() == Some(DENIED) { NO_ROLES } else { "" };
    StoreError::Schema(format!("the schema cannot be brought up to date: {error}{todo}"))
}
