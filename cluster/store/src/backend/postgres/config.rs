//! How a node reaches its PostgreSQL, and the bounds it sets on both sides of every connection.

use std::{str::FromStr as _, time::Duration};

use ocmt_types::{Incarnation, NodeId, Secret};
use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};

use super::Scope;
use crate::StoreError;

/// How to reach a PostgreSQL database of version 14 or later.
pub struct PgConfig {
    /// `postgres://user:password@host:port/database`; `sslmode=verify-full` for anything but this machine.
    pub url: Secret<String>,
    /// The password of the login in `url`, where it does not stand in there.
    pub password: Option<Secret<String>>,
    /// Which roles do the work.
    pub roles: PgRoles,
    /// Who asks. It stands in `application_name`, so that whoever follows a dead incarnation can end what
    /// that one left open. None for tools.
    pub identity: Option<(NodeId, Incarnation)>,
    /// Connections for tenants' work, the most at once. At least 1.
    pub tenant_connections: u32,
    /// Connections for work across tenants, the most at once. At least 1.
    pub cluster_connections: u32,
    /// How long to wait for what.
    pub times: PgTimes,
}

/// Which roles do the work (`migrations/postgres/roles.sql`).
pub enum PgRoles {
    /// As the database has it: [`PgRoles::Assumed`] where the login is a member of all three roles and is no
    /// superuser, else [`PgRoles::One`].
    Found,
    /// The login does everything: for development and tests.
    One,
    /// The login is a member of all three roles and takes on the one that a connection is for. It keeps our
    /// own mistakes in bounds; whoever could run SQL of their own could change the role back.
    Assumed,
    /// A login of its own for each role; `url` is that of tenants' work.
    Own {
        /// The login for work across tenants.
        cluster: Secret<String>,
        /// The login that makes the schema and copies whole databases; none on a node that never does.
        migrate: Option<Secret<String>>,
    },
}

/// Bounds on waiting. Each is a trade: shorter notices a lost database sooner, longer forgives a slow one.
#[derive(Debug, Clone, Copy)]
pub struct PgTimes {
    /// For a connection while the database answers: the queue in front of the pool.
    pub turn: Duration,
    /// For a new connection, where there is room for one.
    pub connect: Duration,
    /// For a connection after the database has failed, and for the first answer on it: how long a caller
    /// of a lost database waits.
    pub sign_of_life: Duration,
    /// For a lock that another transaction holds. Longer than `idle`, or a claim gives up before a frozen
    /// owner's transaction is ended.
    pub lock: Duration,
    /// For one statement, on the server.
    pub statement: Duration,
    /// For the answer to one statement or commit, here. Longer than `statement`, so that the server's reason
    /// arrives.
    pub answer: Duration,
    /// How long a transaction may do nothing before the server ends it.
    pub idle: Duration,
}

impl Default for PgTimes {
    fn default() -> Self {
        Self {
            turn: Duration::from_secs(5),
            connect: Duration::from_millis(1_500),
            sign_of_life: Duration::from_millis(800),
            lock: Duration::from_secs(4),
            statement: Duration::from_secs(5),
            answer: Duration::from_secs(6),
            idle: Duration::from_secs(2),
        }
    }
}

impl PgConfig {
    /// The defaults for this address: one login, roles as the database has them, 16 connections for tenants, 4 across them.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: Secret::new(url.into()),
            password: None,
            roles: PgRoles::Found,
            identity: None,
            tenant_connections: 16,
            cluster_connections: 4,
            times: PgTimes::default(),
        }
    }

    /// How the connections of `scope` are opened; `assume` the scope's role or stay what the login is.
    pub(super) fn options(&self, scope: Scope, assume: bool) -> Result<PgConnectOptions, StoreError> {
        let url = match (&self.roles, scope) {
            (PgRoles::Own { cluster, .. }, Scope::Cluster) => cluster,
            (PgRoles::Own { migrate, .. }, Scope::Schema) => migrate
                .as_ref()
                .ok_or_else(|| StoreError::Open("no login for the schema is configured".to_owned()))?,
            (PgRoles::Found | PgRoles::One | PgRoles::Assumed, _) | (PgRoles::Own { .. }, Scope::Tenant) => {
                &self.url
            }
        };
        let options = PgConnectOptions::from_str(url.expose())
            // the text of the error could hold the password
            .map_err(|_| StoreError::Open("the address of the database is no postgres:// URL".to_owned()))?;
        let options = match &self.password {
            Some(password) => options.password(password.expose()),
            None => options,
        };
        let mut settings = self.settings(scope);
        if assume {
            settings.push(("role", scope.role().to_owned()));
        }
        Ok(options
            .application_name(&self.application_name())
            .options(settings)
            .statement_cache_capacity(512)
            .disable_statement_logging())
    }

    /// Settings of each connection. They are given in the start packet, so there is no moment without them.
    fn settings(&self, scope: Scope) -> Vec<(&'static str, String)> {
        let ms = |time: Duration| time.as_millis().to_string();
        // a migration or a copy of the whole database takes what it takes
        let (statement, idle, lock) = match scope {
            Scope::Schema => (Duration::ZERO, Duration::ZERO, Duration::from_secs(30)),
            Scope::Tenant | Scope::Cluster => (self.times.statement, self.times.idle, self.times.lock),
        };
        vec![
            ("statement_timeout", ms(statement)),
            ("idle_in_transaction_session_timeout", ms(idle)),
            ("lock_timeout", ms(lock)),
            // acknowledged is durable, whatever the server's default; with a synchronous standby also there
            ("synchronous_commit", "on".to_owned()),
            // a node that is cut off leaves no locks behind: the server probes it and gives it up
            ("tcp_keepalives_idle", "5".to_owned()),
            ("tcp_keepalives_interval", "2".to_owned()),
            ("tcp_keepalives_count", "3".to_owned()),
            ("tcp_user_timeout", "8000".to_owned()),
            ("client_connection_check_interval", "1000".to_owned()),
            ("timezone", "UTC".to_owned()),
            ("search_path", "public".to_owned()),
        ]
    }

    /// `ocmt/<node, its first 23 characters>/<incarnation>`: PostgreSQL cuts names at 63 bytes, and the
    /// incarnation alone is what they are found by.
    fn application_name(&self) -> String {
        match self.identity {
            None => "ocmt".to_owned(),
            Some((node, incarnation)) => format!("ocmt/{:.23}/{incarnation}", node.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::Id as _;

    use super::*;

    #[test]
    fn the_incarnation_is_not_cut_off_the_name() {
        let identity = Some((NodeId::from_bytes([0xff; 16]), Incarnation([0xee; 16])));
        let name = PgConfig { identity, ..PgConfig::new("postgres://h/d") }.application_name();
        assert!(name.len() <= 63 && name.ends_with(&"ee".repeat(16)), "{name}");
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_its_password() {
        let config = PgConfig::new("postgres://user:hunter2@[broken");
        let error = config.options(Scope::Tenant, false).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
