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
mod opening;
mod pulse;
mod sessions;
mod tx;

use std::{fmt::Write as _, time::Duration};

use ocmt_types::TenantId;
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
use opening::Way;
use pulse::Pulse;
use sessions::Ended;

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The state of this tenant: row security lets the transaction at no other tenant's.
    Tenant(TenantId),
    /// Nodes, claims, the directory, and what is due across tenants.
    Cluster,
    /// The schema, and whole copies of the database.
    Schema,
}

impl Scope {
    const fn role(self) -> Role {
        match self {
            Self::Tenant(_) => Role::Tenant,
            Self::Cluster => Role::Cluster,
            Self::Schema => Role::Schema,
        }
    }

    /// What begins a transaction. The tenant is named in the same message: no further round trip, and no moment
    /// in between. `SET LOCAL` ends with the transaction, so a connection that goes back to the pool names none.
    fn begin(self, how: &str) -> String {
        match self {
            Self::Tenant(tenant) => {
                let hex = tenant.as_bytes().iter().fold(String::new(), |mut hex, byte| {
                    let _ = write!(hex, "{byte:02x}");
                    hex
                });
                format!("{how}; SET LOCAL ocmt.tenant = '{hex}'")
            }
            Self::Cluster | Self::Schema => how.to_owned(),
        }
    }
}

/// Whose work a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Tenant,
    Cluster,
    Schema,
}

impl Role {
    /// The role of the database that may do it and nothing else.
    const fn name(self) -> &'static str {
        match self {
            Self::Tenant => "ocmt_tenant",
            Self::Cluster => "ocmt_cluster",
            Self::Schema => "ocmt_migrate",
        }
    }
}

/// Something that a tenant's transaction may look at beyond the tenant's own rows, because it names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// The directory's entries of an address.
    Address,
    /// The sign-up with this token's hash, in hexadecimal digits.
    Signup,
    /// The challenge that a sign-in by passkey uses up.
    PasskeySignIn,
}

impl Named {
    /// The setting that the policies ask (`migrate/policies.rs`).
    const fn setting(self) -> &'static str {
        match self {
            Self::Address => "ocmt.address",
            Self::Signup => "ocmt.signup",
            Self::PasskeySignIn => "ocmt.passkey_sign_in",
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
    tenant: Way,
    cluster: Way,
    /// For whoever may make the schema; opens no connection before it is needed.
    schema: Option<Way>,
    /// One connection, opened when it is needed: whether the database is there while all others wait.
    probe: PgPool,
    /// Whether each connection has the role that it is for.
    in_roles: bool,
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
        if store.in_roles {
            migrate::postgres_is_guarded(&mut connection).await?;
        } else if matches!(config.identity, PgIdentity::Life(..)) {
            tracing::warn!(
                "one login does everything: row security does not stand behind the node's own checks"
            );
        }
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
            |role, most: u32| Ok(pool(config.options(role, assume)?, most.max(1), &config.times, &pulse));
        let schema = match &config.roles {
            PgRoles::Own { migrate: None, .. } => None,
            PgRoles::Found | PgRoles::One | PgRoles::Assumed | PgRoles::Own { .. } => {
                Some(Way::new(pool(Role::Schema, 2)?))
            }
        };
        Ok(Self {
            tenant: Way::new(pool(Role::Tenant, config.tenant_connections)?),
            cluster: Way::new(pool(Role::Cluster, config.cluster_connections)?),
            probe: pool(Role::Cluster, 1)?,
            schema,
            in_roles: assume,
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

    async fn open_tx(&self, scope: Scope, how: &'static str) -> Result<PgTx, StoreError> {
        let pool = match scope.role() {
            Role::Tenant => &self.tenant,
            Role::Cluster => &self.cluster,
            Role::Schema => self
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
        PgTx::begin(connection, scope.begin(how), &self.pulse, patience).await
    }

    /// A connection that answered within the last second or answers now.
    async fn connection(&self, way: &Way) -> Result<tx::Connection, StoreError> {
        if !self.pulse.may_try() {
            return Err(StoreError::Unavailable("the database does not answer".to_owned()));
        }
        let (lost, has_room) = (self.pulse.is_lost(), way.has_room());
        let patience = if lost {
            self.times.sign_of_life
        } else if has_room {
            self.times.connect
        } else {
            self.times.turn
        };
        let mut opening = way.acquire();
        let acquired = loop {
            let acquired = tokio::select! {
                biased;
                acquired = self.pulse.wait(patience, &mut opening.acquiring) => acquired,
                // found out by somebody else meanwhile; whoever comes later tries it
                () = self.pulse.loss(), if !lost => None,
            };
            // a database that answers others is no lost one: this one waits for its turn like them
            let goes_on = !lost && !self.pulse.is_lost() && opening.age() < self.times.turn;
            if acquired.is_some() || !goes_on {
                break acquired;
            }
        };
        match acquired {
            Some(acquired) => acquired.map_err(|error| failed("", error)),
            None => {
                // a place in the queue is nothing to keep: it would hold what it waited for
                if has_room {
                    way.keep(opening);
                }
                Err(StoreError::Unavailable("no connection to the database in time".to_owned()))
            }
        }
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

#[cfg(test)]
#[path = "wall_tests.rs"]
mod wall_tests;
