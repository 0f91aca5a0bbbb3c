//! The databases. Each runs [`Statement`]s in transactions; PostgreSQL will be the third arm of the
//! matches in here.

pub(crate) mod faults;
mod folder;
pub(crate) mod sim;
pub(crate) mod sqlite;

use crate::{
    StoreError,
    kernel::statement::{Outcome, Statement},
};

/// Where state is kept.
#[derive(Clone)]
pub(crate) enum Backend {
    Sqlite(sqlite::Sqlite),
    Sim(sim::Sim),
}

impl Backend {
    /// A transaction that may write.
    pub(crate) async fn begin(&self) -> Result<Tx, StoreError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.begin().await.map(Tx::Sqlite),
            Self::Sim(sim) => sim.begin().await.map(Tx::Sim),
        }
    }

    /// A transaction on one consistent snapshot that only reads.
    pub(crate) async fn begin_read(&self) -> Result<Tx, StoreError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.begin_read().await.map(Tx::Sqlite),
            Self::Sim(sim) => sim.begin_read().await.map(Tx::Sim),
        }
    }
}

/// An open transaction. Dropped without commit it is rolled back.
pub(crate) enum Tx {
    Sqlite(sqlite::SqliteTx),
    Sim(sim::SimTx),
}

impl Tx {
    /// Runs one statement.
    pub(crate) async fn run(&mut self, statement: &Statement) -> Result<Outcome, StoreError> {
        match self {
            Self::Sqlite(tx) => tx.run(statement).await,
            Self::Sim(tx) => tx.run(statement).await,
        }
    }

    /// Which life of the database this is: another after a restart or a failover. For equality only.
    pub(crate) async fn life(&mut self) -> Result<String, StoreError> {
        match self {
            // one process, one life: when it ends, so does its only node
            Self::Sqlite(_) => Ok(String::new()),
            Self::Sim(tx) => Ok(tx.life()),
        }
    }

    /// Makes the writes durable.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Sim(tx) => tx.commit().await,
        }
    }

    /// Undoes the writes and waits until that is done.
    pub(crate) async fn rollback(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(tx) => tx.rollback().await,
            Self::Sim(_) => Ok(()),
        }
    }
}
