//! A glance at the SQLite database of a node, whether that runs or not: reads, takes no lock, changes nothing.

use std::path::Path;

use ocmt_types::{Id as _, TenantId};
use sqlx::{
    ConnectOptions as _, Connection as _, Row as _,
    sqlite::{SqliteConnectOptions, SqliteRow},
};

use crate::{StoreError, migrate};

/// What there was to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// The schema that is there.
    pub schema: i64,
    /// The one that this program makes.
    pub latest: i64,
    /// Tenants and what they have chosen, as it is stored.
    pub policies: Vec<TenantSeen>,
}

/// What a tenant has chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantSeen {
    /// Which.
    pub tenant: TenantId,
    /// Its policy; empty for the node's defaults.
    pub policy: Vec<u8>,
    /// What its agents may do; none if nothing was said.
    pub agent_policy: Option<Vec<u8>>,
}

/// A schema of before has no such table.
const HAS_AGENT_POLICIES: &str = "SELECT count(*) FROM sqlite_master WHERE name = 'agent_policies'";
const TENANTS: &str = "SELECT tenant_id, policy, NULL FROM tenants ORDER BY tenant_id";
const WITH_AGENTS: &str = "SELECT t.tenant_id, t.policy, a.policy FROM tenants t \
     LEFT JOIN agent_policies a ON a.tenant_id = t.tenant_id AND a.subject = 'tenant' ORDER BY t.tenant_id";

impl Glance {
    /// Looks into the database in `folder`.
    ///
    /// # Errors
    /// [`StoreError::Open`] if there is none, or it cannot be read.
    pub async fn at(folder: &Path) -> Result<Self, StoreError> {
        let failed = |error: sqlx::Error| StoreError::Open(error.to_string());
        let options = SqliteConnectOptions::new().filename(folder.join("ocmt.db")).read_only(true);
        let mut connection = options.connect().await.map_err(failed)?;
        let schema: SqliteRow =
            sqlx::query(migrate::NEWEST).fetch_one(&mut connection).await.map_err(failed)?;
        let known: i64 =
            sqlx::query_scalar(HAS_AGENT_POLICIES).fetch_one(&mut connection).await.map_err(failed)?;
        let text = if known > 0 { WITH_AGENTS } else { TENANTS };
        let rows = sqlx::query(text).fetch_all(&mut connection).await.map_err(failed)?;
        let mut policies = Vec::new();
        for row in rows {
            let id: Vec<u8> = row.try_get(0).map_err(failed)?;
            if let Ok(id) = <[u8; 16]>::try_from(id) {
                policies.push(TenantSeen {
                    tenant: TenantId::from_bytes(id),
                    policy: row.try_get(1).map_err(failed)?,
                    agent_policy: row.try_get(2).map_err(failed)?,
                });
            }
        }
        let schema = schema.try_get(0).map_err(failed)?;
        connection.close().await.map_err(failed)?;
        Ok(Self { schema, latest: migrate::version(), policies })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Store;

    #[tokio::test]
    async fn a_database_is_looked_at_while_its_node_runs_and_none_is_made() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Glance::at(folder.path()).await.is_err());
        assert!(!folder.path().join("ocmt.db").exists());
        let store = Store::sqlite(folder.path()).await.unwrap();
        let glance = Glance::at(folder.path()).await.unwrap();
        assert_eq!((glance.schema, glance.policies.len()), (glance.latest, 0));
        store.close().await;
    }
}
