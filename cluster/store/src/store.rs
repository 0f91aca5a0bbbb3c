//! The store's face: open it, then read and write under an ownership.

use std::{path::Path, sync::Arc};

use ocmt_types::Ownership;

use crate::{
    StoreError,
    area::{cluster::ClusterStore, directory::DirectoryStore, look::Looks, operator::OperatorStore},
    backend::{
        Backend, Scope,
        faults::{Faults, Link},
        postgres::{PgConfig, Postgres},
        sim::Sim,
        sqlite::Sqlite,
    },
    tx::{FencedTx, ReadTx},
};

/// Connections that a store without a pool is taken for.
const UNPOOLED: u32 = 4;

/// Durable state. Cheap to clone; all clones are one store.
#[derive(Clone)]
pub struct Store {
    backend: Backend,
    looks: Looks,
}

impl Store {
    /// Opens the SQLite database in the data folder `folder`, making both if need be, and brings its schema
    /// up to date. Holds the folder's lock until the last clone is dropped.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process has the folder, [`StoreError::Schema`] if the schema is
    /// newer than what this program can work on, or was altered, [`StoreError::Open`] if files cannot be made.
    pub async fn sqlite(folder: impl AsRef<Path>) -> Result<Self, StoreError> {
        Ok(Self::over(Backend::Sqlite(Sqlite::open(folder.as_ref()).await?)))
    }

    /// Opens a PostgreSQL database for one node of many. Its schema must be this program's, or a later one that
    /// this program can work on: see [`Store::migrate_postgres`]. Connections are opened as they are needed.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if the schema is missing, older, too new or altered; [`StoreError::Open`] if the
    /// configuration is of no use; [`StoreError::Unavailable`].
    pub async fn postgres(config: &PgConfig) -> Result<Self, StoreError> {
        let looks = Looks::over(config.cluster_connections);
        Ok(Self { looks, ..Self::over(Backend::Postgres(Postgres::open(config).await?)) })
    }

    /// Brings the schema of a PostgreSQL database up to date, in one transaction, and gives each of the
    /// roles its rights if they exist. Several may do it at once.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if it cannot be done, and then nothing has changed; [`StoreError::Open`],
    /// [`StoreError::Unavailable`].
    pub async fn migrate_postgres(config: &PgConfig) -> Result<(), StoreError> {
        Postgres::migrate(config).await
    }

    /// A store in memory: the same behaviour, nothing durable, faults on request. For tests and simulation.
    pub fn sim() -> Self {
        Self::over(Backend::Sim(Sim::new()))
    }

    fn over(backend: Backend) -> Self {
        Self { backend, looks: Looks::over(UNPOOLED) }
    }

    /// The same sim over a client's own way to it; itself for any other store.
    #[must_use]
    pub fn linked(&self, link: Arc<dyn Link>) -> Self {
        match &self.backend {
            Backend::Sim(sim) => Self { backend: Backend::Sim(sim.linked(link)), ..self.clone() },
            Backend::Sqlite(_) | Backend::Postgres(_) => self.clone(),
        }
    }

    /// The faults to inject; none but the sim has them.
    pub fn faults(&self) -> Option<&Faults> {
        match &self.backend {
            Backend::Sim(sim) => Some(sim.faults()),
            Backend::Sqlite(_) | Backend::Postgres(_) => None,
        }
    }

    /// Begins a transaction that may write the tenant's state, after checking the ownership in it. The claim
    /// cannot change before the transaction ends.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the ownership is not the current one; [`StoreError::Unavailable`].
    pub async fn fenced(&self, ownership: Ownership) -> Result<FencedTx, StoreError> {
        let mut tx = self.backend.begin(Scope::Tenant(ownership.tenant)).await?;
        crate::tx::check_fence(&mut tx, ownership, true).await?;
        Ok(FencedTx::new(tx, ownership))
    }

    /// Begins a strict read: one consistent snapshot in which the ownership was the current one.
    ///
    /// # Errors
    /// As [`Store::fenced`].
    pub async fn read(&self, ownership: Ownership) -> Result<ReadTx, StoreError> {
        let mut tx = self.backend.begin_read(Scope::Tenant(ownership.tenant)).await?;
        crate::tx::check_fence(&mut tx, ownership, false).await?;
        Ok(ReadTx::new(tx, ownership))
    }

    /// Nodes, claims, and what is due across tenants.
    pub fn cluster(&self) -> ClusterStore {
        ClusterStore::new(self.backend.clone(), self.looks.clone())
    }

    /// Operators, and what they hand out and take away.
    pub fn operators(&self) -> OperatorStore {
        OperatorStore::new(self.backend.clone())
    }

    /// The state without a tenant.
    pub fn directory(&self) -> DirectoryStore {
        DirectoryStore::new(self.backend.clone())
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.backend
    }

    /// Closes the files in good order. Calls on other clones fail from here on.
    pub async fn close(&self) {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.close().await,
            Backend::Postgres(postgres) => postgres.close().await,
            Backend::Sim(_) => {}
        }
    }
}
