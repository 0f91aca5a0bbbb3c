//! SQLite for one node: one connection that writes, a few that read, every commit on the disk before it
//! is acknowledged (`synchronous=FULL`).

use std::{path::Path, sync::Arc, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection as _, Row as _, SqlitePool, Transaction,
    query::Query,
    sqlite::{
        SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow,
        SqliteSynchronous,
    },
};

use super::folder::DataFolder;
use crate::{
    StoreError,
    kernel::{
        sql::{Dialect, Param, render},
        statement::{Outcome, Statement},
        value::{Kind, Value},
    },
    migrate,
};

/// How long a transaction waits for its turn before it is refused as unavailable.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);
/// Strict reads that can run beside each other.
const READERS: u32 = 4;

/// An open database.
#[derive(Clone)]
pub(crate) struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
    /// Held, not used: it keeps other processes out.
    _folder: Arc<DataFolder>,
}

impl Sqlite {
    pub(crate) async fn open(path: &Path) -> Result<Self, StoreError> {
        let folder = DataFolder::claim(path)?;
        let options = SqliteConnectOptions::new()
            .filename(folder.database())
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(TURN_TIMEOUT)
            // deleted ciphertext and wrapped keys do not stay in free pages
            .pragma("secure_delete", "ON")
            .statement_cache_capacity(512);
        let pool = SqlitePoolOptions::new().acquire_timeout(TURN_TIMEOUT).test_before_acquire(false);
        let writer = pool
            .clone()
            .max_connections(1)
            // a full disk makes SQLite roll back by itself; sqlx then still counts a transaction as open and
            // refuses every later BEGIN on that connection, so it is replaced. The ping waits for a rollback
            // that a dropped transaction has queued; where none is open, what is queued comes before a BEGIN anyway.
            .before_acquire(|connection, _| {
                Box::pin(async move {
                    if connection.is_in_transaction() {
                        connection.ping().await?;
                    }
                    Ok(!connection.is_in_transaction())
                })
            })
            .connect_with(options.clone())
            .await
            .map_err(|error| StoreError::Open(error.to_string()))?;
        migrate::sqlite(&writer).await?;
        let readers = pool
            .max_connections(READERS)
            .connect_with(options.pragma("query_only", "ON"))
            .await
            .map_err(|error| StoreError::Open(error.to_string()))?;
        tracing::debug!(database = %folder.database().display(), "opened sqlite store");
        Ok(Self { writer, readers, _folder: Arc::new(folder) })
    }

    /// Takes the write lock at once: a transaction that reads first and writes later would otherwise be
    /// refused when another wrote in between.
    pub(crate) async fn begin(&self) -> Result<SqliteTx, StoreError> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map(SqliteTx).map_err(|error| failed("", error))
    }

    pub(crate) async fn begin_read(&self) -> Result<SqliteTx, StoreError> {
        self.readers.begin().await.map(SqliteTx).map_err(|error| failed("", error))
    }

    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Lets the file grow by `free` pages and no further.
    #[cfg(feature = "testing")]
    pub(crate) async fn leave_pages(&self, free: u32) -> Result<(), StoreError> {
        let used: i64 = sqlx::query_scalar("PRAGMA page_count")
            .fetch_one(&self.writer)
            .await
            .map_err(|error| failed("", error))?;
        let text = AssertSqlSafe(format!("PRAGMA max_page_count = {}", used + i64::from(free)));
        sqlx::query(text).execute(&self.writer).await.map(drop).map_err(|error| failed("", error))
    }
}

/// An open transaction; sqlx rolls it back when it is dropped.
pub(crate) struct SqliteTx(Transaction<'static, sqlx::Sqlite>);

impl SqliteTx {
    pub(crate) async fn run(&mut self, statement: &Statement) -> Result<Outcome, StoreError> {
        let (text, params) = render(statement, Dialect::Sqlite);
        let table = statement.table;
        let query = params.into_iter().fold(sqlx::query(AssertSqlSafe(text)), bind);
        let Some(columns) = statement.columns() else {
            let done = query.execute(&mut *self.0).await.map_err(|error| failed(table.name, error))?;
            return Ok(Outcome { rows: Vec::new(), affected: done.rows_affected() });
        };
        let rows = query.fetch_all(&mut *self.0).await.map_err(|error| failed(table.name, error))?;
        let rows = rows.iter().map(|row| decode(row, &columns, table.name)).collect::<Result<Vec<_>, _>>()?;
        Ok(Outcome { affected: rows.len() as u64, rows })
    }

    /// The newest step of the schema.
    pub(crate) async fn schema(&mut self) -> Result<i64, StoreError> {
        let newest = sqlx::query_scalar(migrate::NEWEST).fetch_one(&mut *self.0).await;
        newest.map_err(|error| failed("schema_migrations", error))
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        self.0.commit().await.map_err(|error| match failed("", error) {
            // the commit record did not fit, so the write-ahead log ends before it
            StoreError::Full => StoreError::Full,
            other => StoreError::OutcomeUnknown(other.to_string()),
        })
    }

    pub(crate) async fn rollback(self) -> Result<(), StoreError> {
        self.0.rollback().await.map_err(|error| failed("", error))
    }
}

type SqliteQuery<'q> = Query<'q, sqlx::Sqlite, SqliteArguments>;

fn bind<'q>(query: SqliteQuery<'q>, param: Param<'_>) -> SqliteQuery<'q> {
    match param.value {
        Value::Null => query.bind(None::<i64>),
        Value::Int(int) => query.bind(*int),
        Value::Text(text) => query.bind(text.clone()),
        Value::Blob(bytes) => query.bind(bytes.clone()),
    }
}

fn decode(row: &SqliteRow, columns: &[Kind], table: &'static str) -> Result<Vec<Value>, StoreError> {
    let value = |(i, kind): (usize, &Kind)| match kind {
        Kind::Int => row.try_get::<Option<i64>, _>(i).map(|int| int.map_or(Value::Null, Value::Int)),
        Kind::Text => row.try_get::<Option<String>, _>(i).map(|text| text.map_or(Value::Null, Value::Text)),
        Kind::Blob => {
            row.try_get::<Option<Vec<u8>>, _>(i).map(|bytes| bytes.map_or(Value::Null, Value::Blob))
        }
    };
    columns.iter().enumerate().map(value).collect::<Result<_, _>>().map_err(|error| failed(table, error))
}

/// What a failure means to the caller. Result codes: <https://sqlite.org/rescode.html>, the low byte.
fn failed(table: &'static str, error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(error) if error.is_unique_violation() => StoreError::AlreadyExists { table },
        sqlx::Error::Database(error) => {
            let code = error.code().and_then(|code| code.parse::<u32>().ok()).unwrap_or(0);
            match code & 0xff {
                5 | 6 => StoreError::Unavailable("the database is busy".to_owned()),
                // out of memory, an error of the disk, cannot open
                7 | 10 | 14 => StoreError::Unavailable(error.to_string()),
                11 | 26 => StoreError::Corrupt { table, what: error.to_string() },
                13 => StoreError::Full,
                _ => StoreError::Database(error.to_string()),
            }
        }
        sqlx::Error::PoolTimedOut => {
            StoreError::Unavailable("no turn within 5 s, a transaction holds the database".to_owned())
        }
        sqlx::Error::PoolClosed => StoreError::Unavailable("the store is closed".to_owned()),
        sqlx::Error::Io(error) => StoreError::Unavailable(error.to_string()),
        sqlx::Error::WorkerCrashed | sqlx::Error::BeginFailed => {
            StoreError::Unavailable("the database connection broke".to_owned())
        }
        sqlx::Error::ColumnDecode { index, source } => {
            StoreError::Corrupt { table, what: format!("column {index}: {source}") }
        }
        other => StoreError::Database(other.to_string()),
    }
}
