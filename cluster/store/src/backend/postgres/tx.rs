//! One transaction on one connection, with a bound on every answer.
//!
//! The driver's own transaction object is not used: a connection that fell silent, or whose caller went away in
//! the middle of a statement, is thrown away here at once, where the driver would wait for it and keep its
//! place in the pool taken.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use sqlx::{
    AssertSqlSafe, Executor as _, PgPool, Postgres, Row as _,
    pool::PoolConnection,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use tokio::time::timeout;

use super::{
    Named,
    failure::{commit_failed, connection_lives, failed},
    pulse::Pulse,
};
use crate::{
    StoreError,
    kernel::{
        sql::{Dialect, Param, render},
        statement::{Outcome, Statement},
        value::{Kind, Value},
    },
    migrate,
};

pub(super) type Connection = PoolConnection<Postgres>;

/// How long an undo may take that nobody waits for.
const UNDO: Duration = Duration::from_secs(2);
/// A crash of one server process restarts all others, checkpointer included, under the same postmaster.
const LIFE: &str = "SELECT pg_postmaster_start_time()::text || coalesce((SELECT ' ' || max(pid)::text \
                    FROM pg_stat_activity WHERE backend_type = 'checkpointer'), '')";
// the name is shown to every login, whoever the session is of; a node's own cut is 23 characters
const NODES: &str = "SELECT DISTINCT left(split_part(application_name, '/', 2), 23) FROM pg_stat_activity \
                     WHERE datname = current_database() AND application_name LIKE 'ocmt/%/%' ORDER BY 1";
const NAME: &str = "SELECT set_config($1, $2, true)";
const PRUNE_AUDIT: &str = "SELECT ocmt_prune_audit($1)";
const SERIALISE: &str = "SELECT pg_advisory_xact_lock($1)";
const SERIALISE_SHARED: &str = "SELECT pg_advisory_xact_lock_shared($1)";

/// An open transaction; dropped, it is rolled back in the background.
pub(crate) struct PgTx {
    connection: Option<Connection>,
    state: State,
    /// None for work on whole databases, which takes what it takes.
    patience: Option<Patience>,
}

/// How long an answer is waited for.
pub(super) struct Patience {
    /// At most, though the database answers others: a lock may be waited for.
    pub(super) answer: Duration,
    /// Ends the wait for a database that answers nobody.
    pub(super) pulse: Pulse,
    /// What that is asked over.
    pub(super) probe: PgPool,
}

/// The outcome of `work`, or none if it was waited for long enough.
async fn patient<T>(
    patience: Option<&Patience>,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Option<Result<T, sqlx::Error>> {
    let Some(Patience { answer, pulse, probe }) = patience else { return Some(work.await) };
    let outcome = tokio::select! {
        // an answer that is there counts, however late this task came to look for it
        biased;
        outcome = work => Some(outcome),
        () = pulse.in_vain(probe) => None,
        () = tokio::time::sleep(*answer) => None,
    };
    outcome.inspect(|outcome| pulse.note(outcome))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Ready for a statement.
    Open,
    /// A statement was refused: PostgreSQL answers nothing but ROLLBACK now.
    Failed,
    /// In the middle of a statement, or broken there.
    Busy,
}

impl PgTx {
    pub(super) async fn begin(
        connection: Connection,
        text: String,
        pulse: &Pulse,
        patience: Option<Patience>,
    ) -> Result<Self, StoreError> {
        let mut tx = Self { connection: Some(connection), state: State::Busy, patience };
        let Some(connection) = tx.connection.as_mut() else { return Err(gone()) };
        match pulse.ask(connection.execute(sqlx::raw_sql(AssertSqlSafe(text)))).await {
            Some(Ok(_)) => {
                tx.state = State::Open;
                Ok(tx)
            }
            Some(Err(error)) => Err(failed("", error)),
            None => Err(silent()),
        }
    }

    pub(crate) async fn run(&mut self, statement: &Statement) -> Result<Outcome, StoreError> {
        let (text, params) = render(statement, Dialect::Postgres);
        let table = statement.table.name;
        let columns = statement.columns();
        let query = params.into_iter().fold(sqlx::query(AssertSqlSafe(text)), bind);
        let Some(columns) = columns else {
            let done =
                self.answered(table, async |connection| query.execute(&mut **connection).await).await?;
            return Ok(Outcome { rows: Vec::new(), affected: done.rows_affected() });
        };
        let rows = self.answered(table, async |connection| query.fetch_all(&mut **connection).await).await?;
        let rows = rows.iter().map(|row| decode(row, &columns, table)).collect::<Result<Vec<_>, _>>()?;
        Ok(Outcome { affected: rows.len() as u64, rows })
    }

    /// Holds up everybody else who serialises on this name, until the transaction ends. The lock is a number
    /// made from the name; two names that share one only wait for each other.
    pub(crate) async fn serialise(&mut self, name: &str) -> Result<(), StoreError> {
        self.lock_name(SERIALISE, name).await
    }

    /// The same, beside others who ask for it shared.
    pub(crate) async fn serialise_shared(&mut self, name: &str) -> Result<(), StoreError> {
        self.lock_name(SERIALISE_SHARED, name).await
    }

    async fn lock_name(&mut self, how: &'static str, name: &str) -> Result<(), StoreError> {
        let digest = Sha256::digest(name);
        let key = digest.iter().take(8).fold(0_i64, |key, byte| (key << 8) | i64::from(*byte));
        let query = sqlx::query(how).bind(key);
        self.answered("", async |connection| query.execute(&mut **connection).await).await.map(drop)
    }

    /// Lets the transaction at what it names.
    pub(crate) async fn name(&mut self, what: Named, value: &str) -> Result<(), StoreError> {
        let query = sqlx::query(NAME).bind(what.setting()).bind(value);
        self.answered("", async |connection| query.execute(&mut **connection).await).await.map(drop)
    }

    /// Which life of the server this is.
    pub(crate) async fn life(&mut self) -> Result<String, StoreError> {
        let query = sqlx::query_scalar(LIFE);
        self.answered("", async |connection| query.fetch_one(&mut **connection).await).await
    }

    /// Takes 256 records from the tenant's audit; how many there were.
    pub(crate) async fn prune_audit(&mut self, chunk: i64) -> Result<u64, StoreError> {
        let query = sqlx::query_scalar::<_, i64>(PRUNE_AUDIT).bind(chunk);
        let gone =
            self.answered("audit", async |connection| query.fetch_one(&mut **connection).await).await?;
        Ok(gone.unsigned_abs())
    }

    /// The newest step of the schema.
    pub(crate) async fn schema(&mut self) -> Result<i64, StoreError> {
        let query = sqlx::query_scalar(migrate::NEWEST);
        self.answered("schema_migrations", async |connection| query.fetch_one(&mut **connection).await).await
    }

    /// The nodes that are connected to the database, by the first 23 characters of their ids.
    pub(crate) async fn connected_nodes(&mut self) -> Result<Vec<String>, StoreError> {
        let query = sqlx::query_scalar(NODES);
        self.answered("", async |connection| query.fetch_all(&mut **connection).await).await
    }

    /// Runs `work` within the bound, and keeps track of what state that leaves the connection in.
    async fn answered<T>(
        &mut self,
        table: &'static str,
        work: impl AsyncFnOnce(&mut Connection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let (State::Open, Some(connection)) = (self.state, self.connection.as_mut()) else {
            return Err(gone());
        };
        self.state = State::Busy;
        match patient(self.patience.as_ref(), work(connection)).await.ok_or_else(silent)? {
            Ok(answer) => {
                self.state = State::Open;
                Ok(answer)
            }
            Err(error) => {
                if connection_lives(&error) {
                    self.state = State::Failed;
                }
                Err(failed(table, error))
            }
        }
    }

    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        let (State::Open, Some(connection)) = (self.state, self.connection.as_mut()) else {
            // PostgreSQL would answer COMMIT with ROLLBACK and call it a success
            return Err(gone());
        };
        self.state = State::Busy;
        match patient(self.patience.as_ref(), connection.execute("COMMIT")).await {
            Some(Ok(_)) => {
                // back to the pool, with nothing open
                drop(self.connection.take());
                Ok(())
            }
            Some(Err(error)) => Err(commit_failed(error)),
            None => Err(StoreError::OutcomeUnknown("the database did not answer in time".to_owned())),
        }
    }

    pub(crate) async fn rollback(mut self) -> Result<(), StoreError> {
        if self.state == State::Busy {
            return Err(gone());
        }
        match self.connection.take() {
            Some(connection) => undo(connection).await,
            None => Err(gone()),
        }
    }
}

impl Drop for PgTx {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        match (self.state, tokio::runtime::Handle::try_current()) {
            (State::Open | State::Failed, Ok(runtime)) => {
                // why: dropping cannot wait; the task is bounded, and the server ends the transaction without it
                drop(runtime.spawn(undo(connection)));
            }
            // the server notices the closed socket and rolls back
            (State::Busy, _) | (_, Err(_)) => drop(connection.detach()),
        }
    }
}

/// Rolls back and gives the connection to the pool, or throws it away.
async fn undo(mut connection: Connection) -> Result<(), StoreError> {
    match timeout(UNDO, connection.execute("ROLLBACK")).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => {
            drop(connection.detach());
            Err(failed("", error))
        }
        Err(_) => {
            drop(connection.detach());
            Err(silent())
        }
    }
}

fn silent() -> StoreError {
    StoreError::Unavailable("the database did not answer in time".to_owned())
}

fn gone() -> StoreError {
    StoreError::Unavailable("the transaction was ended by an earlier failure".to_owned())
}

type PgQuery<'q> = Query<'q, Postgres, PgArguments>;

fn bind<'q>(query: PgQuery<'q>, param: Param<'_>) -> PgQuery<'q> {
    match (param.value, param.kind) {
        (Value::Null, Kind::Int) => query.bind(None::<i64>),
        (Value::Null, Kind::Text) => query.bind(None::<String>),
        (Value::Null, Kind::Blob) => query.bind(None::<Vec<u8>>),
        (Value::Int(int), _) => query.bind(*int),
        (Value::Text(text), _) => query.bind(text.clone()),
        (Value::Blob(bytes), _) => query.bind(bytes.clone()),
    }
}

fn decode(row: &PgRow, columns: &[Kind], table: &'static str) -> Result<Vec<Value>, StoreError> {
    let value = |(i, kind): (usize, &Kind)| match kind {
        Kind::Int => row.try_get::<Option<i64>, _>(i).map(|int| int.map_or(Value::Null, Value::Int)),
        Kind::Text => row.try_get::<Option<String>, _>(i).map(|text| text.map_or(Value::Null, Value::Text)),
        Kind::Blob => {
            row.try_get::<Option<Vec<u8>>, _>(i).map(|bytes| bytes.map_or(Value::Null, Value::Blob))
        }
    };
    columns.iter().enumerate().map(value).collect::<Result<_, _>>().map_err(|error| failed(table, error))
}
