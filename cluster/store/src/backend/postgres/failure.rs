//! What a failure of PostgreSQL means to the caller, by its SQLSTATE.
//!
//! Codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.

use crate::StoreError;

/// The server ended the transaction because it did nothing for too long.
const IDLE_IN_TRANSACTION: &str = "25P03";

/// Of a statement: nothing is committed.
pub(super) fn failed(table: &'static str, error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            refused(table, &code, error.message())
        }
        sqlx::Error::PoolTimedOut => {
            StoreError::Unavailable("no connection to the database in time".to_owned())
        }
        sqlx::Error::PoolClosed => StoreError::Unavailable("the store is closed".to_owned()),
        sqlx::Error::Io(error) => StoreError::Unavailable(error.to_string()),
        sqlx::Error::Tls(error) => StoreError::Unavailable(format!("TLS with the database failed: {error}")),
        // what is left of a stream that broke in the middle of a message
        sqlx::Error::Protocol(what) => StoreError::Unavailable(what),
        sqlx::Error::WorkerCrashed | sqlx::Error::BeginFailed => {
            StoreError::Unavailable("the database connection broke".to_owned())
        }
        sqlx::Error::ColumnDecode { index, source } => {
            StoreError::Corrupt { table, what: format!("column {index}: {source}") }
        }
        other => StoreError::Database(other.to_string()),
    }
}

fn refused(table: &'static str, code: &str, message: &str) -> StoreError {
    match code {
        "23505" => StoreError::AlreadyExists { table },
        // serialisation failure, deadlock
        "40001" | "40P01" => StoreError::Conflict,
        "53100" => StoreError::Full,
        // a login or database that is not there, or another password
        "28P01" | "28000" | "3D000" => StoreError::Open(message.to_owned()),
        // a lock was not to be had, a statement took too long, the transaction did nothing for too long,
        // the server has become a standby
        "55P03" | "57014" | IDLE_IN_TRANSACTION | "25006" => StoreError::Unavailable(message.to_owned()),
        // text with a NUL, or not of the database's encoding
        "22021" => StoreError::Invalid { table, what: "text that the database cannot hold" },
        "XX001" | "XX002" => StoreError::Corrupt { table, what: message.to_owned() },
        // connections, resources, an operator's intervention, the system below
        _ if ["08", "53", "57", "58"].iter().any(|class| code.starts_with(class)) => {
            StoreError::Unavailable(message.to_owned())
        }
        _ => StoreError::Database(format!("{message} (SQLSTATE {code})")),
    }
}

/// Of a COMMIT: only where the server says that it rolled back is nothing committed. A server that is shut
/// down while it waits for its standby has committed and says so in no other way than by going away.
pub(super) fn commit_failed(error: sqlx::Error) -> StoreError {
    let rolled_back =
        error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| {
            code.starts_with("40") || code.starts_with("23") || code == IDLE_IN_TRANSACTION || code == "53100"
        });
    let meant = failed("", error);
    if rolled_back { meant } else { StoreError::OutcomeUnknown(meant.to_string()) }
}

/// Whether the connection can be used again after this failure.
pub(super) fn connection_lives(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            let severe = ["08", "57P", "58"].iter().any(|class| code.starts_with(class));
            // 57014 is a cancelled statement; in a read-only server nothing is to be had, so look for another
            !(severe || code == IDLE_IN_TRANSACTION || code == "25006")
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Encode(_) | sqlx::Error::Decode(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_mean_what_the_caller_has_to_do() {
        let is = |code| refused("t", code, "words");
        assert!(matches!(is("23505"), StoreError::AlreadyExists { table: "t" }));
        assert!(["40001", "40P01"].iter().all(|code| matches!(is(code), StoreError::Conflict)));
        for code in ["55P03", "57014", "25P03", "57P01", "57P03", "08006", "53300", "25006", "58030"] {
            assert!(matches!(is(code), StoreError::Unavailable(_)), "{code}");
        }
        assert!(matches!(is("53100"), StoreError::Full));
        assert!(matches!(is("28P01"), StoreError::Open(text) if text == "words"));
        assert!(matches!(is("XX001"), StoreError::Corrupt { .. }));
        assert!(matches!(is("42501"), StoreError::Database(text) if text.contains("42501")));
    }
}
