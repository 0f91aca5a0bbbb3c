//! `[store]` and `[cluster]`: what makes a node one of several.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::HumanDuration;

/// Where durable state is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorePlace {
    /// A folder of this machine, one node alone.
    Sqlite(PathBuf),
    /// A database that several nodes share, as `postgres://…`.
    Postgres(String),
}

/// `[store]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// `sqlite:FOLDER` for one node, `postgres://USER@HOST:PORT/DATABASE` for a cluster. Empty: SQLite in
    /// `db` of the data folder.
    pub url: String,
    /// A file with the password of the database's user, so that none stands in `url`. Empty: none.
    pub password_file: PathBuf,
}

impl Store {
    /// What `url` names; none if it is neither.
    pub fn place(&self) -> Option<StorePlace> {
        if let Some(folder) = self.url.strip_prefix("sqlite:").filter(|folder| !folder.is_empty()) {
            return Some(StorePlace::Sqlite(folder.into()));
        }
        let postgres = ["postgres://", "postgresql://"].iter().any(|scheme| self.url.starts_with(scheme));
        postgres.then(|| StorePlace::Postgres(self.url.clone()))
    }
}

/// `[cluster]`; read only where `[store] url` names PostgreSQL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cluster {
    /// Where the other nodes reach `[listen] peers`, `HOST:PORT`.
    pub advertise: String,
    /// Share of the tenants relative to the other nodes, 1 to 1000.
    pub capacity: u32,
    /// Memory for containers on this host in MiB, 0 to 16777216. 0: it takes none.
    pub memory_mib: u32,
    /// How long an orderly stop gives calls and tenants to finish, 1 s to 10 min.
    pub drain: HumanDuration,
}

impl Default for Cluster {
    fn default() -> Self {
        Self { advertise: String::new(), capacity: 1, memory_mib: 0, drain: HumanDuration::seconds(30) }
    }
}
