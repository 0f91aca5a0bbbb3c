//! The databases. Each runs [`Statement`]s in transactions.

pub(crate) mod faults;
mod folder;
pub(crate) mod postgres;
pub(crate) mod sim;
pub(crate) mod sqlite;

use ocmt_types::Incarnation;

pub(crate) use postgres::{Named, Scope};

use crate::{
    StoreError,
    kernel::statement::{Outcome, Statement},
    migrate,
};

/// Where state is kept.
#[derive(Clone)]
pub(crate) enum Backend {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
    Sim(sim::Sim),
}

impl Backend {
    /// A transaction that may write. Where there is one writer at a time, the scope makes no difference.
    pub(crate) async fn begin(&self, scope: Scope) -> Result<Tx, StoreError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.begin().await.map(Tx::Sqlite),
            Self::Postgres(postgres) => postgres.begin(scope).await.map(Tx::Postgres),
            Self::Sim(sim) => sim.begin().await.map(Tx::Sim),
        }
    }

    /// A transaction on one consistent snapshot that only reads.
    pub(crate) async fn begin_read(&self, scope: Scope) -> Result<Tx, StoreError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.begin_read().await.map(Tx::Sqlite),
            Self::Postgres(postgres) => postgres.begin_read(scope).await.map(Tx::Postgres),
            Self::Sim(sim) => sim.begin_read().await.map(Tx::Sim),
        }
    }

    /// Whether an incarnation may have left something open in the database that nobody here has ended.
    pub(crate) fn may_have_sessions(&self, incarnation: Incarnation) -> bool {
        match self {
            Self::Postgres(postgres) => postgres.may_have_sessions(incarnation),
            Self::Sqlite(_) | Self::Sim(_) => false,
        }
    }

    /// Ends what a dead incarnation left open in the database, where there is such a thing. Takes a connection
    /// of its own: never called inside a transaction.
    pub(crate) async fn end_sessions_of(&self, incarnation: Incarnation) {
        if let Self::Postgres(postgres) = self {
            postgres.end_sessions_of(incarnation).await;
        }
    }
}

/// An open transaction. Dropped without commit it is rolled back.
pub(crate) enum Tx {
    Sqlite(sqlite::SqliteTx),
    Postgres(postgres::PgTx),
    Sim(sim::SimTx),
}

impl Tx {
    /// Runs one statement.
    pub(crate) async fn run(&mut self, statement: &Statement) -> Result<Outcome, StoreError> {
        match self {
            Self::Sqlite(tx) => tx.run(statement).await,
            Self::Postgres(tx) => tx.run(statement).await,
            Self::Sim(tx) => tx.run(statement).await,
        }
    }

    /// Takes what `statement` names from a table that nobody may take from: where there are roles, by a function of the
    /// database that checks it.
    pub(crate) async fn prune_audit(&mut self, statement: &Statement, chunk: i64) -> Result<u64, StoreError> {
        match self {
            Self::Postgres(tx) => tx.prune_audit(chunk).await,
            Self::Sqlite(_) | Self::Sim(_) => Ok(self.run(statement).await?.affected),
        }
    }

    /// Which life of the database this is: another after a restart or a failover. For equality only.
    pub(crate) async fn life(&mut self) -> Result<String, StoreError> {
        match self {
            // one process, one life: when it ends, so does its only node
            Self::Sqlite(_) => Ok(String::new()),
            Self::Postgres(tx) => tx.life().await,
            Self::Sim(tx) => Ok(tx.life()),
        }
    }

    /// The newest step of the schema that the database has: this program's own, or a later one that it can use.
    pub(crate) async fn schema(&mut self) -> Result<i64, StoreError> {
        match self {
            Self::Sqlite(tx) => tx.schema().await,
            Self::Postgres(tx) => tx.schema().await,
            // made by this program, in its memory
            Self::Sim(_) => Ok(migrate::version()),
        }
    }

    /// The nodes that are connected to the database, by the beginnings of their ids. Where the database is one
    /// process's own, there is none but whoever asks.
    pub(crate) async fn connected_nodes(&mut self) -> Result<Vec<String>, StoreError> {
        match self {
            Self::Postgres(tx) => tx.connected_nodes().await,
            Self::Sqlite(_) | Self::Sim(_) => Ok(Vec::new()),
        }
    }

    /// Lets a tenant's transaction at what it names, where row security would keep it from everything that is not
    /// the tenant's.
    pub(crate) async fn name(&mut self, what: Named, value: &str) -> Result<(), StoreError> {
        match self {
            Self::Postgres(tx) => tx.name(what, value).await,
            Self::Sqlite(_) | Self::Sim(_) => Ok(()),
        }
    }

    /// Holds up everybody else who serialises on this name, until the transaction ends. For what a lock on
    /// rows cannot hold: a count, or a row that is not there yet. One writer at a time needs nothing for it.
    pub(crate) async fn serialise(&mut self, name: &str) -> Result<(), StoreError> {
        match self {
            Self::Postgres(tx) => tx.serialise(name).await,
            Self::Sqlite(_) | Self::Sim(_) => Ok(()),
        }
    }

    /// Holds up whoever serialises on this name, and not others who ask for it shared, until the transaction ends.
    pub(crate) async fn serialise_shared(&mut self, name: &str) -> Result<(), StoreError> {
        match self {
            Self::Postgres(tx) => tx.serialise_shared(name).await,
            Self::Sqlite(_) | Self::Sim(_) => Ok(()),
        }
    }

    /// Makes the writes durable.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await,
            Self::Sim(tx) => tx.commit().await,
        }
    }

    /// Undoes the writes and waits until that is done.
    pub(crate) async fn rollback(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(tx) => tx.rollback().await,
            Self::Postgres(tx) => tx.rollback().await,
            Self::Sim(_) => Ok(()),
        }
    }
}
