//! What the database says of the nodes, read past them.

use sqlx::{Row as _, postgres::PgPool};

use crate::postgres::hex;

/// One incarnation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    /// Which node, in hex.
    pub node: String,
    /// Which life of it, in hex.
    pub incarnation: String,
    /// `joining`, `live`, `draining` or `dead`.
    pub state: String,
    /// `host:port` of its peer listener.
    pub addr: String,
    /// Of its software.
    pub version: String,
}

impl NodeRow {
    /// The node's id as operators write it.
    pub fn id(&self) -> String {
        let part = |from: usize, to: usize| self.node.get(from..to).unwrap_or_default();
        [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
    }
}

/// Every incarnation there was.
///
/// # Errors
/// The database.
pub async fn nodes(pool: &PgPool) -> anyhow::Result<Vec<NodeRow>> {
    let rows =
        sqlx::query("SELECT node_id, incarnation, state, addr, version FROM nodes ORDER BY registered_at")
            .fetch_all(pool)
            .await?;
    let node = |row: &sqlx::postgres::PgRow| {
        Ok(NodeRow {
            node: hex(row.try_get("node_id")?),
            incarnation: hex(row.try_get("incarnation")?),
            state: row.try_get("state")?,
            addr: row.try_get("addr")?,
            version: row.try_get("version")?,
        })
    };
    rows.iter().map(node).collect()
}

/// The incarnation that owns a tenant, in hex.
///
/// # Errors
/// The database.
pub async fn owner(pool: &PgPool, tenant: &str) -> anyhow::Result<Option<String>> {
    let query = "SELECT encode(incarnation, 'hex') FROM tenant_owner WHERE tenant_id = decode($1, 'hex')";
    Ok(sqlx::query_scalar(query).bind(tenant.replace('-', "")).fetch_optional(pool).await?.flatten())
}

/// How many tenants each incarnation owns.
///
/// # Errors
/// The database.
pub async fn owned(pool: &PgPool, incarnation: &str) -> anyhow::Result<i64> {
    let query = "SELECT count(*) FROM tenant_owner WHERE encode(incarnation, 'hex') = $1";
    Ok(sqlx::query_scalar(query).bind(incarnation).fetch_one(pool).await?)
}
