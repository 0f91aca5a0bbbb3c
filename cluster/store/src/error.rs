//! What can go wrong in the store, cut by what the caller has to do about it.

/// Why a call of the store failed.
///
/// After any error but [`StoreError::AlreadyExists`] of an insert the transaction is of no more use:
/// drop it, which rolls it back.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another claim owns the tenant by now. Terminal for the actor that holds this ownership.
    #[error("the tenant is owned under another epoch: this owner may neither read nor write it any more")]
    Fenced,
    /// The key, or a value that must be unique, is taken.
    #[error("a row with this key exists in {table}")]
    AlreadyExists {
        /// Where.
        table: &'static str,
    },
    /// A bound on how many there may be is reached; nothing was written.
    #[error("there are {most} of these in {table} already, which is the most there may be")]
    TooMany {
        /// Where.
        table: &'static str,
        /// The bound.
        most: usize,
    },
    /// A parallel transaction won; the same call may succeed when repeated from the start.
    #[error("a parallel transaction changed the same rows, repeat the call")]
    Conflict,
    /// A row of another tenant was handed to a transaction: a fault in the caller, nothing was written.
    #[error("a row of another tenant was given to a transaction of this tenant ({table})")]
    ForeignTenant {
        /// Where it would have gone.
        table: &'static str,
    },
    /// The database does not answer, or not in time; nothing was committed.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The connection was lost while committing: the writes may be there or not. Terminal for the actor;
    /// the next activation reads the truth.
    #[error("the outcome of the commit is unknown: {0}")]
    OutcomeUnknown(String),
    /// No space is left for the write; nothing was committed. Reads go on.
    #[error("no space is left on the disk of the database")]
    Full,
    /// What is stored cannot be understood, or the database file is damaged.
    #[error("{table} is corrupt: {what}")]
    Corrupt {
        /// Where.
        table: &'static str,
        /// Which column, or what the database said.
        what: String,
    },
    /// Another process uses the data folder.
    #[error("the data folder {0} is in use by another process, stop that one first")]
    Locked(String),
    /// Nodes run on a database that is to be had alone.
    #[error("the database is in use by {0}: stop every node first")]
    NodesRun(String),
    /// The schema on disk is not one that this program knows.
    #[error("{0}")]
    Schema(String),
    /// The files of the database cannot be made or opened.
    #[error("cannot open the database: {0}")]
    Open(String),
    /// The query asks for something that the kernel does not do: a fault in the caller.
    #[error("invalid query on {table}: {what}")]
    Invalid {
        /// Where.
        table: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// An audit record that does not fit the format: a fault in the caller.
    #[error("the audit record cannot be encoded: {0}")]
    Record(String),
    /// The database refused a statement for a reason not foreseen here.
    #[error("the database refused a statement: {0}")]
    Database(String),
}

impl StoreError {
    /// Whether the same call may succeed later with nothing changed by the caller.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Conflict | Self::Full)
    }

    /// Whether the writes may have been committed although the call failed.
    pub const fn outcome_unknown(&self) -> bool {
        matches!(self, Self::OutcomeUnknown(_))
    }
}
