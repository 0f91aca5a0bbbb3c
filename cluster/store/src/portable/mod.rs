//! The whole database as one stream of bytes: backup, restore, and the way from SQLite to PostgreSQL.
//!
//! A dump is one consistent snapshot of every table. It holds what the database holds and nothing more:
//! ciphertext, ids, addresses, hashes; no key is in it. After eight bytes of magic it is a sequence of records,
//! each a length (u32, big-endian), that many bytes, and the first eight bytes of the SHA-256 of everything
//! from the magic to here; so a damaged, left-out or moved record is found where it is. The records are: a
//! header (version of the format, version of the schema), for each table a heading (name, columns), its rows
//! in the order of their key, and a count; an end (rows in all). The last sum is whole, 32 bytes, and is the
//! digest of the dump.

mod load;
mod read;
mod write;

use ocmt_types::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    Store, StoreError,
    backend::{Scope, Tx},
    kernel::{
        row::Table,
        statement::{Action, Outcome, Select, Statement, What},
        value::Value,
    },
    migrate, tables,
};

/// What a dump begins with; the last byte is the version of the format.
const MAGIC: [u8; 8] = *b"OCMTDMP\x01";
/// Rows read at once.
const PAGE: u32 = 200;
/// Longest record: no row is as long, so a longer one is damage.
const MOST_BYTES: usize = 64 << 20;

/// What was written or read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dump {
    /// Rows of each table, in the order of the dump.
    pub rows: Vec<(String, u64)>,
    /// SHA-256 of everything before the last sum. The same rows under the same schema make the same digest.
    pub digest: [u8; 32],
}

/// Why a dump was not written or not taken in.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The file or stream failed.
    #[error("the dump cannot be read or written: {0}")]
    Io(#[from] std::io::Error),
    /// The store failed; a load has changed nothing.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is no dump, or one of a newer program.
    #[error("this is no dump of OCMT, or one that a newer program wrote")]
    Unknown,
    /// It was made under another schema.
    #[error(
        "the dump has schema version {dump}, this program has {program}: load it with the program that wrote it, then migrate"
    )]
    Schema {
        /// Of the dump.
        dump: i64,
        /// Of this program.
        program: i64,
    },
    /// The database has a schema that this program can work on, and does not know all of.
    #[error(
        "the database has schema version {database}, this program has {program} and would leave out what it does not know: use the newer program"
    )]
    Newer {
        /// Of the database.
        database: i64,
        /// Of this program.
        program: i64,
    },
    /// It is not what was written.
    #[error("the dump is damaged at byte {at}, {place}: {what}")]
    Damaged {
        /// Offset of the record.
        at: u64,
        /// The table and row.
        place: String,
        /// What is wrong.
        what: &'static str,
    },
    /// It ends too early.
    #[error("the dump is cut off at byte {at}, {place}")]
    CutOff {
        /// Offset where more should be.
        at: u64,
        /// The table and row.
        place: String,
    },
    /// The database to load into holds something.
    #[error("the database is not empty, there are rows in {table}: load into a new one")]
    NotEmpty {
        /// Where.
        table: &'static str,
    },
}

/// What a load is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To go back to an older state: nodes refuse the database until the restore is accepted.
    Restore(Timestamp),
    /// To go on elsewhere with all there is.
    Copy,
}

impl Store {
    /// Writes every table, as of one moment.
    ///
    /// # Errors
    /// [`DumpError::Io`], [`DumpError::Store`], [`DumpError::Newer`].
    pub async fn dump(&self, into: &mut (impl AsyncWrite + Unpin)) -> Result<Dump, DumpError> {
        let mut tx = self.backend().begin_read(Scope::Schema).await?;
        is_own(&mut tx).await?;
        let mut writer = write::Writer::begin(into, migrate::version()).await?;
        for table in tables::all() {
            writer.table(table).await?;
            let mut after = None;
            loop {
                let select = Action::Select(Select {
                    conds: Vec::new(),
                    order: (0..table.key_len).collect(),
                    descending: false,
                    after: after.take(),
                    limit: PAGE,
                    what: What::Rows,
                    lock: false,
                });
                let Outcome { rows, .. } = tx.run(&Statement { table, action: select }).await?;
                for row in &rows {
                    writer.row(row).await?;
                }
                match rows.last() {
                    Some(last) if rows.len() == PAGE as usize => {
                        after = Some(last[..table.key_len].to_vec());
                    }
                    Some(_) | None => break,
                }
            }
            writer.table_ends().await?;
        }
        writer.end().await
    }

    /// Takes a dump in, in one transaction, into a database with a schema and nothing else.
    ///
    /// # Errors
    /// [`DumpError`]; the database is as it was.
    pub async fn load(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        purpose: Purpose,
    ) -> Result<Dump, DumpError> {
        let mut tx = self.backend().begin(Scope::Schema).await?;
        is_own(&mut tx).await?;
        for table in tables::all() {
            if count(&mut tx, table).await? > 0 {
                return Err(DumpError::NotEmpty { table: table.name });
            }
        }
        let dump = load::rows(&mut tx, from).await?;
        if let Purpose::Restore(at) = purpose {
            crate::area::restore::mark(&mut tx, at).await?;
        }
        tx.commit().await?;
        Ok(dump)
    }
}

/// Refuses a database with more than this program knows of, though a node can work on it: what it does not know
/// would be missing in the copy.
async fn is_own(tx: &mut Tx) -> Result<(), DumpError> {
    let (database, program) = (tx.schema().await?, migrate::version());
    if database == program { Ok(()) } else { Err(DumpError::Newer { database, program }) }
}

async fn count(tx: &mut Tx, table: &'static Table) -> Result<i64, StoreError> {
    let select = Select {
        conds: Vec::new(),
        order: Vec::new(),
        descending: false,
        after: None,
        limit: 1,
        what: What::Count,
        lock: false,
    };
    let outcome = tx.run(&Statement { table, action: Action::Select(select) }).await?;
    match outcome.rows.first().and_then(|row| row.first()) {
        Some(Value::Int(count)) => Ok(*count),
        _ => Err(StoreError::Corrupt { table: table.name, what: "a count is no number".to_owned() }),
    }
}
