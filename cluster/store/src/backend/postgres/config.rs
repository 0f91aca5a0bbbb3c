//! How a node reaches its PostgreSQL, and the bounds it sets on both sides of every connection.

use std::time::Duration;

use ocmt_types::{Incarnation, NodeId, Secret};
use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};

use super::{Role, address};
use crate::StoreError;

/// How to reach a PostgreSQL database of version 14 or later.
pub struct PgConfig {
    /// `postgres://user:password@host:port/database`; `sslmode=verify-full` for anything but this machine.
    pub url: Secret<String>,
    /// The password of the login in `url`, where it does not stand in there.
    pub password: Option<Secret<String>>,
    /// Which roles do the work.
    pub roles: PgRoles,
    /// Who asks.
    pub identity: PgIdentity,
    /// Connections for tenants' work, the most at once. At least 1.
    pub tenant_connections: u32,
    /// Connections for work across tenants, the most at once. At least 1.
    pub cluster_connections: u32,
    /// How long to wait for what.
    pub times: PgTimes,
}

/// Who asks. It stands in `application_name`, so that whoever follows a dead incarnation can end what that one left
/// open, and that a restore is not accepted under a node that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PgIdentity {
    /// A tool.
    Tool,
    /// The heartbeat of a node, which is connected for as long as the node lives, whichever incarnation it is.
    Heartbeat(NodeId),
    /// One life of a node.
    Life(NodeId, Incarnation),
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
    /// A login of its own for each role, at the same address; the one in `url` is that of tenants' work. Each
    /// takes on its role, so that what the schema's login makes belongs to the role and not to it.
    Own {
        /// The login for work across tenants.
        cluster: PgLogin,
        /// The login that makes the schema and copies whole databases; none on a node that never does.
        migrate: Option<PgLogin>,
    },
}

/// A login of the database.
pub struct PgLogin {
    /// Its name.
    pub user: String,
    /// Its password; none where the server asks for none.
    pub password: Option<Secret<String>>,
}

impl PgRoles {
    fn duplicate(&self) -> Self {
        match self {
            Self::Found => Self::Found,
            Self::One => Self::One,
            Self::Assumed => Self::Assumed,
            Self::Own { cluster, migrate } => {
                Self::Own { cluster: cluster.duplicate(), migrate: migrate.as_ref().map(PgLogin::duplicate) }
            }
        }
    }
}

impl PgLogin {
    fn duplicate(&self) -> Self {
        Self { user: self.user.clone(), password: self.password.as_ref().map(Secret::duplicate) }
    }
}

/// Bounds on waiting. Each is a trade: shorter notices a lost database sooner, longer forgives a slow one.
#[derive(Debug, Clone, Copy)]
pub struct PgTimes {
    /// For a connection while the database answers: the queue in front of the pool.
    pub turn: Duration,
    /// For a new connection, where there is room for one. Callers of a lost database may wait for this once.
    pub connect: Duration,
    /// For the answer to a question that waits for no lock, and for a connection once the database is lost: how
    /// long a caller of a lost database waits, if at all. Strict calls promise an answer within 1 s, so it is
    /// about half.
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
            connect: Duration::from_millis(750),
            sign_of_life: Duration::from_millis(500),
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
            identity: PgIdentity::Tool,
            tenant_connections: 16,
            cluster_connections: 4,
            times: PgTimes::default(),
        }
    }

    /// The same once more, for a store beside the first.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            url: self.url.duplicate(),
            password: self.password.as_ref().map(Secret::duplicate),
            roles: self.roles.duplicate(),
            identity: self.identity,
            tenant_connections: self.tenant_connections,
            cluster_connections: self.cluster_connections,
            times: self.times,
        }
    }

    /// How the connections of a role are opened; `assume` it or stay what the login is.
    pub(super) fn options(&self, role: Role, assume: bool) -> Result<PgConnectOptions, StoreError> {
        let options = address::parse(self.url.expose())
            .map_err(|why| StoreError::Open(format!("the address of the database {why}")))?;
        let options = match (self.login(role)?, &self.password) {
            // never with the password of another login
            (Some(own), _) => {
                let password = own.password.as_ref().map_or("", |password| password.expose().as_str());
                options.username(&own.user).password(password)
            }
            (None, Some(password)) => options.password(password.expose()),
            (None, None) => options,
        };
        let mut settings = self.settings(role);
        if assume {
            settings.push(("role", role.name().to_owned()));
        }
        Ok(options
            .application_name(&self.application_name())
            .options(settings)
            .statement_cache_capacity(512)
            .disable_statement_logging())
    }

    /// The role's own login, if it is not the one in `url`.
    fn login(&self, role: Role) -> Result<Option<&PgLogin>, StoreError> {
        match (&self.roles, role) {
            (PgRoles::Own { cluster, .. }, Role::Cluster) => Ok(Some(cluster)),
            (PgRoles::Own { migrate: Some(migrate), .. }, Role::Schema) => Ok(Some(migrate)),
            (PgRoles::Own { migrate: None, .. }, Role::Schema) => {
                Err(StoreError::Open("no login for the schema is configured".to_owned()))
            }
            (PgRoles::Found | PgRoles::One | PgRoles::Assumed, _) | (PgRoles::Own { .. }, Role::Tenant) => {
                Ok(None)
            }
        }
    }

    /// Settings of each connection. They are given in the start packet, so there is no moment without them.
    fn settings(&self, role: Role) -> Vec<(&'static str, String)> {
        let ms = |time: Duration| time.as_millis().to_string();
        // a migration or a copy of the whole database takes what it takes
        let (statement, idle, lock) = match role {
            Role::Schema => (Duration::ZERO, Duration::ZERO, Duration::from_secs(30)),
            Role::Tenant | Role::Cluster => (self.times.statement, self.times.idle, self.times.lock),
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
            PgIdentity::Tool => "ocmt".to_owned(),
            PgIdentity::Heartbeat(node) => format!("ocmt/{node}/heartbeat"),
            PgIdentity::Life(node, incarnation) => format!("ocmt/{:.23}/{incarnation}", node.to_string()),
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
        let identity = PgIdentity::Life(NodeId::from_bytes([0xff; 16]), Incarnation([0xee; 16]));
        let name = PgConfig { identity, ..PgConfig::new("postgres://h/d") }.application_name();
        assert!(name.len() <= 63 && name.ends_with(&"ee".repeat(16)), "{name}");
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_its_password() {
        let config = PgConfig::new("postgres://user:hunter2@[broken");
        let error = config.options(Role::Tenant, false).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn each_role_has_its_own_login_and_no_other_ones_password() {
        let login = |user: &str| PgLogin { user: user.to_owned(), password: None };
        let roles = PgRoles::Own { cluster: login("across"), migrate: None };
        let config = PgConfig { roles, ..PgConfig::new("postgres://one:hunter2@h/d") };
        let user = |role| config.options(role, true).unwrap().get_username().to_owned();
        assert_eq!((user(Role::Tenant), user(Role::Cluster)), ("one".to_owned(), "across".to_owned()));
        let across = config.options(Role::Cluster, true).unwrap();
        assert!(!across.to_url_lossy().as_str().contains("hunter2"), "{}", across.to_url_lossy());
        let none = config.options(Role::Schema, true);
        assert!(matches!(none, Err(StoreError::Open(_))), "{none:?}");
    }
}
