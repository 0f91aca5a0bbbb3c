//! A glance at the SQLite database of a node, whether that runs or not: reads, takes no lock, changes nothing.

use std::path::Path;

use ocmt_types::{Id as _, TenantId, Timestamp};
use sqlx::{
    ConnectOptions as _, Connection as _, Row as _,
    sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow},
};

use crate::{KeysDue, StoreError, migrate};

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
    /// Its groups' vaults that are due for new keys.
    pub keys_due: KeysDue,
}

/// A schema of before has no such table.
const HAS_TABLE: &str = "SELECT count(*) FROM sqlite_master WHERE name = ?1";
const TENANTS: &str = "SELECT tenant_id, policy, NULL FROM tenants ORDER BY tenant_id";
const WITH_AGENTS: &str = "SELECT t.tenant_id, t.policy, a.policy FROM tenants t \
     LEFT JOIN agent_policies a ON a.tenant_id = t.tenant_id AND a.subject = 'tenant' ORDER BY t.tenant_id";
const DUE: &str = "SELECT tenant_id, count(*), min(due_since) FROM group_vaults \
     WHERE due_since IS NOT NULL GROUP BY tenant_id";

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
        let text = if has(&mut connection, "agent_policies").await? { WITH_AGENTS } else { TENANTS };
        let rows = sqlx::query(text).fetch_all(&mut connection).await.map_err(failed)?;
        let mut policies = Vec::new();
        for row in rows {
            let id: Vec<u8> = row.try_get(0).map_err(failed)?;
            if let Ok(id) = <[u8; 16]>::try_from(id) {
                policies.push(TenantSeen {
                    tenant: TenantId::from_bytes(id),
                    policy: row.try_get(1).map_err(failed)?,
                    agent_policy: row.try_get(2).map_err(failed)?,
                    keys_due: KeysDue::default(),
                });
            }
        }
        if has(&mut connection, "group_vaults").await? {
            for row in sqlx::query(DUE).fetch_all(&mut connection).await.map_err(failed)? {
                let id: Vec<u8> = row.try_get(0).map_err(failed)?;
                let seen = policies.iter_mut().find(|seen| seen.tenant.as_bytes()[..] == id[..]);
                if let Some(seen) = seen {
                    let since: Option<i64> = row.try_get(2).map_err(failed)?;
                    let vaults = row.try_get(1).map_err(failed)?;
                    seen.keys_due = KeysDue { vaults, since: since.map(Timestamp) };
                }
            }
        }
        let schema = schema.try_get(0).map_err(failed)?;
        connection.close().await.map_err(failed)?;
        Ok(Self { schema, latest: migrate::version(), policies })
    }
}

async fn has(connection: &mut SqliteConnection, table: &str) -> Result<bool, StoreError> {
    let known = sqlx::query_scalar(HAS_TABLE).bind(table).fetch_one(connection).await;
    known.map(|known: i64| known > 0).map_err(|error| StoreError::Open(error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{
        Store,
        tables::{GroupVault, RotationDue},
        testing::{TestNode, id},
    };

    #[tokio::test]
    async fn a_database_is_looked_at_while_its_node_runs_and_none_is_made() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Glance::at(folder.path()).await.is_err());
        assert!(!folder.path().join("ocmt.db").exists());
        let store = Store::sqlite(folder.path()).await.unwrap();
        let glance = Glance::at(folder.path()).await.unwrap();
        assert_eq!((glance.schema, glance.policies.len()), (glance.latest, 0));
        let node = TestNode::start(&store, 1).await.unwrap();
        for (n, due_since) in [(1, None), (2, Some(Timestamp(7)))] {
            let own = node.found(n).await.unwrap();
            let mut tx = store.fenced(own).await.unwrap();
            let due = due_since.map(|_| RotationDue::Unlocked);
            let of = own.tenant;
            let row = GroupVault { tenant_id: of, vault_id: id(5), group_id: id(5), due, due_since };
            tx.insert(&row).await.unwrap();
            tx.commit().await.unwrap();
        }
        let seen = Glance::at(folder.path()).await.unwrap().policies;
        let due: Vec<_> = seen.iter().map(|seen| seen.keys_due).collect();
        assert_eq!(due, [KeysDue::default(), KeysDue { vaults: 1, since: Some(Timestamp(7)) }]);
        store.close().await;
    }
}
