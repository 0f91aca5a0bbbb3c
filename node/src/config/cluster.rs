//! `[store]` and `[cluster]`: what makes a node one of several.

use std::{fmt, path::PathBuf};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Unexpected, Visitor},
};

use super::HumanDuration;

const AUTO: &str = "auto";

/// Memory of this host that is offered for containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostMemory {
    /// What the machine has, without a reserve for everything else.
    Auto,
    /// So many MiB.
    Mib(u32),
}

impl Serialize for HostMemory {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => s.serialize_str(AUTO),
            Self::Mib(mib) => s.serialize_u32(*mib),
        }
    }
}

impl<'de> Deserialize<'de> for HostMemory {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct AutoOrMib;
        impl Visitor<'_> for AutoOrMib {
            type Value = HostMemory;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "`\"{AUTO}\"` or a number of MiB")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<HostMemory, E> {
                if text == AUTO {
                    Ok(HostMemory::Auto)
                } else {
                    Err(E::invalid_value(Unexpected::Str(text), &self))
                }
            }
            fn visit_i64<E: de::Error>(self, mib: i64) -> Result<HostMemory, E> {
                let wrong = || E::invalid_value(Unexpected::Signed(mib), &self);
                u32::try_from(mib).map(HostMemory::Mib).map_err(|_| wrong())
            }
        }
        d.deserialize_any(AutoOrMib)
    }
}

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
    /// A login of its own for work across tenants, at the same address. Empty: the login in `url` does all the
    /// work; otherwise that one does tenants' work alone.
    pub cluster_user: String,
    /// A file with its password. Empty: none.
    pub cluster_password_file: PathBuf,
    /// A login of its own for the schema and for copies of the whole database (`ocmt migrate`, `backup`,
    /// `restore`, `store`), at the same address. A node needs none.
    pub migrate_user: String,
    /// A file with its password. Empty: none.
    pub migrate_password_file: PathBuf,
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
    /// Memory for containers on this host: a number of MiB, 0 to 16777216, or `"auto"`. 0: it takes none.
    /// `"auto"`: what the engine's machine has, less an eighth of it or 1 GiB, whichever is more; none if the engine
    /// does not answer when the node starts, or `[containers] image` is empty.
    pub memory_mib: HostMemory,
    /// How long an orderly stop gives calls and tenants to finish, 1 s to 10 min.
    pub drain: HumanDuration,
    /// How long containers of this host go on without the node's lease of the cluster; then they are paused until
    /// it is back. 30 s to 24 h, 1 s at the least in `dev`.
    pub dead_man: HumanDuration,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            advertise: String::new(),
            capacity: 1,
            memory_mib: HostMemory::Auto,
            drain: HumanDuration::seconds(30),
            dead_man: HumanDuration::minutes(10),
        }
    }
}
