//! PostgreSQL for a cluster: the same statements over the native driver, several writers beside each other.
//!
//! Writers run READ COMMITTED, so each statement sees what was committed before it. What makes them safe is
//! locks, and there are three of them (ADR 0007):
//! - the fence is `SELECT … FOR UPDATE` on the tenant's row of `tenant_owner`: the claim cannot change under
//!   an open transaction, and one tenant's writers come one after the other, as on SQLite;
//! - what is counted across tenants is serialised by name ([`PgTx::serialise`]);
//! - everything else is one guarded statement.
//!
//! A transaction of a frozen node would hold its tenant for ever: the server ends it after a bounded time, and
//! whoever buries or follows a dead incarnation ends its sessions at once ([`Postgres::end_sessions_of`]).

mod address;
mod config;
mod failure;
mod pulse;
mod sessions;
mod tx;

use std::time::Duration;

use sqlx::{
    Connection as _, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

pub use address::{check_address, unverified_host};
pub use config::{PgConfig, PgIdentity, PgLogin, PgRoles, PgTimes};
use tx::Patience;
pub(crate) use tx::PgTx;

use crate::{StoreError, migrate};
use failure::failed;
use pulse::Pulse;
use sessions::Ended;

/// Whose work a connection is for; each has its own role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// One tenant's state.
    Tenant,
    /// Nodes, claims, the directory, and what is due across tenants.
    Cluster,
    /// The schema, and whole copies of the database.
    Schema,
}

impl Scope {
    /// The role that may do it and nothing else.
    pub(crate) const fn role(self) -> &'static str {
        match self {
            Self::Tenant => "ocmt_tenant",
            Self::Cluster => "ocmt_cluster",
            Self::Schema => "ocmt_migrate",
        }
    }
}

/// A connection that rested for longer than this is asked for a sign of life before it is used.
const RESTED: Duration = Duration::from_secs(1);
/// An unused connection is closed after this time.
const IDLE_CONNECTION: Duration = Duration::from_secs(600);

const WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
/// One snapshot for all statements, taken by the first of them.
const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// An open database.
#[derive(Clone)]
pub(crate) struct Postgres {
    tenant: PgPool,
    cluster: PgPool,
    /// For whoever may make the schema; opens no connection before it is needed.
    schema: Option<PgPool>,
    /// One connection, opened when it is needed: whether the database is there while all others wait.
    probe: PgPool,
    times: PgTimes,
    pulse: Pulse,
    ended: Ended,
}

impl Postgres {
    /// Opens a database whose schema this program can work on.
    pub(crate) async fn open(config: &PgConfig) -> Result<Self, StoreError> {
        let store = Self::pools(config).await?;
        let mut connection = store.connection(&store.tenant).await?;
        migrate::postgres_is_ready(&mut connection).await?;
        tracing::debug!("opened postgres store");
        Ok(store)
    }

    /// Brings the schema up to date.
    pub(crate) async fn migrate(config: &PgConfig) -> Result<(), StoreError> {
        let store = Self::pools(config).await?;
        let Some(pool) = &store.schema else {
            return Err(StoreError::Open("no login for the schema is configured".to_owned()));
        };
        let mut connection = store.connection(pool).await?;
        let done = migrate::postgres(&mut connection).await;
        drop(connection);
        store.close().await;
        done
    }

    async fn pools(config: &PgConfig) -> Result<Self, StoreError> {
        let assume = match config.roles {
            PgRoles::Found => sessions::may_assume_roles(config).await?,
            PgRoles::Assumed | PgRoles::Own { .. } => true,
            PgRoles::One => false,
        };
        let pulse = Pulse::new(config.times);
        let pool =
            |scope, most: u32| Ok(pool(config.options(scope, assume)?, most.max(1), &config.times, &pulse));
        let schema = match &config.roles {
            PgRoles::Own { migrate: None, .. } => None,
            PgRoles::Found | PgRoles::One | PgRoles::Assumed | PgRoles::Own { .. } => {
                Some(pool(Scope::Schema, 2)?)
            }
        };
        Ok(Self {
            tenant: pool(Scope::Tenant, config.tenant_connections)?,
            cluster: pool(Scope::Cluster, config.cluster_connections)?,
            probe: pool(Scope::Cluster, 1)?,
            schema,
            times: config.times,
            pulse,
            ended: Ended::default(),
        })
    }

    pub(crate) async fn begin(&self, scope: Scope) -> Result<PgTx, StoreError> {
        self.open_tx(scope, WRITE).await
    }

    pub(crate) async fn begin_read(&self, scope: Scope) -> Result<PgTx, StoreError> {
        self.open_tx(scope, READ).await
    }

    async fn open_tx(&self, scope: Scope, begin: &'static str) -> Result<PgTx, StoreError> {
        let pool = match scope {
            Scope::Tenant => &self.tenant,
            Scope::Cluster => &self.cluster,
            Scope::Schema => self
                .schema
                .as_ref()
                .ok_or_else(|| StoreError::Open("no login for the schema is configured".to_owned()))?,
        };
        let connection = self.connection(pool).await?;
        let patience = (scope != Scope::Schema).then(|| Patience {
            answer: self.times.answer,
            pulse: self.pulse.clone(),
            probe: self.probe.clone(),
        });
        PgTx::begin(connection, begin, &self.pulse, patience).await
    }

    /// A connection that answered within the last second or answers now.
    async fn connection(&self, pool: &PgPool) -> Result<tx::Connection, StoreError> {
        let most = pool.options().get_max_connections();
        let late = || StoreError::Unavailable("no connection to the database in time".to_owned());
        if !self.pulse.may_try() {
            return Err(StoreError::Unavailable("the database does not answer".to_owned()));
        }
        let lost = self.pulse.is_lost();
        let patience = if lost {
            self.times.sign_of_life
        } else if pool.num_idle() > 0 || pool.size() < most {
            self.times.connect
        } else {
            self.times.turn
        };
        let acquired = tokio::select! {
            biased;
            acquired = self.pulse.wait(patience, Box::pin(pool.acquire())) => acquired.ok_or_else(late)?,
            // found out by somebody else meanwhile; whoever comes later tries it
            () = self.pulse.loss(), if !lost => return Err(late()),
        };
        acquired.map_err(|error| failed("", error))
    }

    pub(crate) async fn close(&self) {
        self.tenant.close().await;
        self.cluster.close().await;
        self.probe.close().await;
        if let Some(schema) = &self.schema {
            schema.close().await;
        }
    }
}

fn pool(options: PgConnectOptions, most: u32, times: &PgTimes, pulse: &Pulse) -> PgPool {
    let (asked, opened) = (pulse.clone(), pulse.clone());
    PgPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(times.turn)
        .idle_timeout(IDLE_CONNECTION)
        .test_before_acquire(false)
        .before_acquire(move |connection, meta| {
            let asked = asked.clone();
            Box::pin(async move {
                if meta.idle_for < RESTED {
                    return Ok(true);
                }
                Ok(matches!(asked.ask(connection.ping()).await, Some(Ok(()))))
            })
        })
        // a standby answers reads from the past, which no strict read may be
        .after_connect(move |connection, _| {
            let opened = opened.clone();
            Box::pin(async move {
                let standby: bool =
                    sqlx::query_scalar("SELECT pg_is_in_recovery()").fetch_one(connection).await?;
                opened.beat();
                if standby { Err(sqlx::Error::Protocol("this server is a standby".to_owned())) } else { Ok(()) }
            })
        })
        .connect_lazy_with(options)
}
