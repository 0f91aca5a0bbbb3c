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

use sha2::{Digest as _, Sha256};

use crate::StoreError;

pub(crate) use policies::is_guarded as postgres_is_guarded;
pub(crate) use postgres::{is_ready as postgres_is_ready, run as postgres};
pub(crate) use roles::APPEND_ONLY;
pub(crate) use sqlite::open as sqlite;

/// One step of the schema.
#[derive(Debug)]
pub(crate) struct Migration {
    pub(crate) version: i64,
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
    /// The oldest schema version whose program can work on a database that has this step: what it reads and writes
    /// is there and means the same. A step that adds names an earlier one, at least that of the release before;
    /// a step that takes away names the version from which nobody asks for it.
    pub(crate) usable_from: i64,
}

/// SQLite's steps, oldest first, numbered from 1 without a gap.
pub(crate) const SQLITE: &[Migration] = &[
    Migration {
        version: 1,
        name: "first_light",
        text: include_str!("../../../../migrations/sqlite/0001_first_light.sql"),
        usable_from: 1,
    },
    Migration {
        version: 2,
        name: "row_security",
        text: include_str!("../../../../migrations/sqlite/0002_row_security.sql"),
        usable_from: 2,
    },
    Migration {
        version: 3,
        name: "teams",
        text: include_str!("../../../../migrations/sqlite/0003_teams.sql"),
        // an earlier program would give a custom role all of the role that it narrows
        usable_from: 3,
    },
    Migration {
        version: 4,
        name: "factors",
        text: include_str!("../../../../migrations/sqlite/0004_factors.sql"),
        // an earlier program would let in who has a second factor without asking for it
        usable_from: 4,
    },
    Migration {
        version: 5,
        name: "limits",
        text: include_str!("../../../../migrations/sqlite/0005_limits.sql"),
        usable_from: 4,
    },
    Migration {
        version: 6,
        name: "programs",
        text: include_str!("../../../../migrations/sqlite/0006_programs.sql"),
        // an earlier program would leave programs their tokens when a vault was recovered
        usable_from: 6,
    },
    Migration {
        version: 7,
        name: "passkeys",
        text: include_str!("../../../../migrations/sqlite/0007_passkeys.sql"),
        // an earlier program would take an account that has nothing else for one without a second factor
        usable_from: 7,
    },
    Migration {
        version: 8,
        name: "email_change",
        text: include_str!("../../../../migrations/sqlite/0008_email_change.sql"),
        // an earlier program would let a recovery pass and leave a change of address standing
        usable_from: 8,
    },
    Migration {
        version: 9,
        name: "passkey_shown",
        text: include_str!("../../../../migrations/sqlite/0009_passkey_shown.sql"),
        // an earlier program would take any second factor where the policy wants a passkey
        usable_from: 9,
    },
    Migration {
        version: 10,
        name: "deletion",
        text: include_str!("../../../../migrations/sqlite/0010_deletion.sql"),
        usable_from: 9,
    },
    Migration {
        version: 11,
        name: "api_keys",
        text: include_str!("../../../../migrations/sqlite/0011_api_keys.sql"),
        // an earlier program would leave a user's keys good when the vault was recovered
        usable_from: 11,
    },
    Migration {
        version: 12,
        name: "shares",
        text: include_str!("../../../../migrations/sqlite/0012_shares.sql"),
        // an earlier program would leave a removed user their shares, and a recovered vault its takers
        usable_from: 12,
    },
    Migration {
        version: 13,
        name: "single_sign_on",
        text: include_str!("../../../../migrations/sqlite/0013_single_sign_on.sql"),
        // an earlier program would remove a user and leave what signs them in standing
        usable_from: 13,
    },
    Migration {
        version: 14,
        name: "capabilities",
        text: include_str!("../../../../migrations/sqlite/0014_capabilities.sql"),
        // an earlier program would leave a removed user's requests to be decided
        usable_from: 14,
    },
    Migration {
        version: 15,
        name: "transcripts",
        text: include_str!("../../../../migrations/sqlite/0015_transcripts.sql"),
        // an earlier program would delete the key of a conversation that is there
        usable_from: 15,
    },
    Migration {
        version: 16,
        name: "unlock_budget",
        text: include_str!("../../../../migrations/sqlite/0016_unlock_budget.sql"),
        // an earlier program would hand out key slots without counting
        usable_from: 16,
    },
    Migration {
        version: 17,
        name: "vaults",
        text: include_str!("../../../../migrations/sqlite/0017_vaults.sql"),
        // an earlier program would change a vault and tell no watcher, and rotate it without its older versions
        usable_from: 17,
    },
    Migration {
        version: 18,
        name: "egress",
        text: include_str!("../../../../migrations/sqlite/0018_egress.sql"),
        // an earlier program would remove a container and leave its policy standing
        usable_from: 18,
    },
    Migration {
        version: 19,
        name: "life",
        text: include_str!("../../../../migrations/sqlite/0019_life.sql"),
        // an earlier program would remove a container or a user and leave their schedules standing
        usable_from: 19,
    },
];

/// PostgreSQL's steps: the same versions, making the same tables.
pub(crate) const POSTGRES: &[Migration] = &[
    Migration {
        version: 1,
        name: "first_light",
        text: include_str!("../../../../migrations/postgres/0001_first_light.sql"),
        usable_from: 1,
    },
    Migration {
        version: 2,
        name: "row_security",
        text: include_str!("../../../../migrations/postgres/0002_row_security.sql"),
        // an earlier program names no tenant, and would see none
        usable_from: 2,
    },
    Migration {
        version: 3,
        name: "teams",
        text: include_str!("../../../../migrations/postgres/0003_teams.sql"),
        // an earlier program would give a custom role all of the role that it narrows
        usable_from: 3,
    },
    Migration {
        version: 4,
        name: "factors",
        text: include_str!("../../../../migrations/postgres/0004_factors.sql"),
        // an earlier program would let in who has a second factor without asking for it
        usable_from: 4,
    },
    Migration {
        version: 5,
        name: "limits",
        text: include_str!("../../../../migrations/postgres/0005_limits.sql"),
        usable_from: 4,
    },
    Migration {
        version: 6,
        name: "programs",
        text: include_str!("../../../../migrations/postgres/0006_programs.sql"),
        // an earlier program would leave programs their tokens when a vault was recovered
        usable_from: 6,
    },
    Migration {
        version: 7,
        name: "passkeys",
        text: include_str!("../../../../migrations/postgres/0007_passkeys.sql"),
        // an earlier program would take an account that has nothing else for one without a second factor
        usable_from: 7,
    },
    Migration {
        version: 8,
        name: "email_change",
        text: include_str!("../../../../migrations/postgres/0008_email_change.sql"),
        // an earlier program would let a recovery pass and leave a change of address standing
        usable_from: 8,
    },
    Migration {
        version: 9,
        name: "passkey_shown",
        text: include_str!("../../../../migrations/postgres/0009_passkey_shown.sql"),
        // an earlier program would take any second factor where the policy wants a passkey
        usable_from: 9,
    },
    Migration {
        version: 10,
        name: "deletion",
        text: include_str!("../../../../migrations/postgres/0010_deletion.sql"),
        usable_from: 9,
    },
    Migration {
        version: 11,
        name: "api_keys",
        text: include_str!("../../../../migrations/postgres/0011_api_keys.sql"),
        // an earlier program would leave a user's keys good when the vault was recovered
        usable_from: 11,
    },
    Migration {
        version: 12,
        name: "shares",
        text: include_str!("../../../../migrations/postgres/0012_shares.sql"),
        // an earlier program would leave a removed user their shares, and a recovered vault its takers
        usable_from: 12,
    },
    Migration {
        version: 13,
        name: "single_sign_on",
        text: include_str!("../../../../migrations/postgres/0013_single_sign_on.sql"),
        // an earlier program would remove a user and leave what signs them in standing
        usable_from: 13,
    },
    Migration {
        version: 14,
        name: "capabilities",
        text: include_str!("../../../../migrations/postgres/0014_capabilities.sql"),
        // an earlier program would leave a removed user's requests to be decided
        usable_from: 14,
    },
    Migration {
        version: 15,
        name: "transcripts",
        text: include_str!("../../../../migrations/postgres/0015_transcripts.sql"),
        // an earlier program would delete the key of a conversation that is there
        usable_from: 15,
    },
    Migration {
        version: 16,
        name: "unlock_budget",
        text: include_str!("../../../../migrations/postgres/0016_unlock_budget.sql"),
        // an earlier program would hand out key slots without counting
        usable_from: 16,
    },
    Migration {
        version: 17,
        name: "vaults",
        text: include_str!("../../../../migrations/postgres/0017_vaults.sql"),
        // an earlier program would change a vault and tell no watcher, and rotate it without its older versions
        usable_from: 17,
    },
    Migration {
        version: 18,
        name: "egress",
        text: include_str!("../../../../migrations/postgres/0018_egress.sql"),
        // an earlier program would remove a container and leave its policy standing
        usable_from: 18,
    },
    Migration {
        version: 19,
        name: "life",
        text: include_str!("../../../../migrations/postgres/0019_life.sql"),
        // an earlier program would remove a container or a user and leave their schedules standing
        usable_from: 19,
    },
];

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
