//! Who may do what in PostgreSQL: which table. On which of its rows: [`policies`]. Rights follow the declarations
//! of the tables, so that a new table has its rights with its row type; what differs from the rule stands here by
//! name.
//!
//! The rule: rows of a tenant belong to `ocmt_tenant`, everything else to `ocmt_cluster`. `ocmt_migrate` owns
//! the tables. The roles themselves are made by an administrator (`migrations/postgres/roles.sql`); where
//! they do not exist, one login does everything and there is nothing to grant.

use sqlx::{AssertSqlSafe, PgConnection};

use super::policies;
use crate::{kernel::row::Table, tables};

/// Rights of tenants' work on tables that are not a tenant's.
const OF_TENANTS: &[(&str, &str)] = &[
    // the fence reads and locks the row; the policies keep it from changing one
    ("tenant_owner", "SELECT, INSERT, UPDATE (tenant_id)"),
    // a tenant is founded by a live node, with a sign-up that is used up by it
    ("nodes", "SELECT"),
    ("signups", "SELECT, DELETE"),
    // an address is listed with the change that makes it somebody's
    ("directory", "SELECT, INSERT, DELETE"),
    // so is a passkey, which belongs to one account of the whole cluster
    ("passkey_directory", "SELECT, INSERT, DELETE"),
    // and a sign-in by one uses up its challenge
    ("passkey_sign_ins", "SELECT, DELETE"),
    // what a container reserves of its host is counted with the container's row
    ("host_memory", "SELECT, INSERT, UPDATE"),
    // what is wrapped under a generation that was given up is not written
    ("sealing_generations", "SELECT"),
    ("schema_migrations", "SELECT"),
];

/// Rights of work across tenants on tables of tenants: what is due, and what runs on which host.
const OF_CLUSTER: &[(&str, &str)] = &[
    ("timers", "SELECT"),
    ("outbox", "SELECT"),
    ("containers", "SELECT"),
    // for operators: which tenants there are, by name and state
    ("tenants", "SELECT"),
    // which tenants have a release key under an old generation of the sealing key; for operators: how many are in which state
    ("ceremonies", "SELECT (tenant_id, purpose, state, release_private_wrapped)"),
    // and which have a TOTP secret under one
    ("users", "SELECT (tenant_id, totp_wrapped)"),
    ("totp_enrollments", "SELECT (tenant_id, wrapped)"),
    ("oidc_providers", "SELECT (tenant_id, secret_wrapped)"),
    ("alert_channels", "SELECT (tenant_id, wrapped)"),
    ("audit_streams", "SELECT (tenant_id, wrapped)"),
    // what a host holds its containers to, also where their tenant is owned elsewhere
    ("egress_policies", "SELECT"),
    ("agent_policies", "SELECT"),
    ("egress_use", "SELECT"),
    // the cluster's own chain and answers, which the policies keep apart from tenants'
    ("audit", "SELECT, INSERT"),
    ("audit_head", "SELECT, INSERT, UPDATE"),
    ("audit_nodes", "SELECT, INSERT"),
    ("idempotency", "SELECT, INSERT"),
    ("schema_migrations", "SELECT"),
];

/// Tables that tenants' work adds to and never takes from.
pub(crate) const APPEND_ONLY: &[&str] = &["audit", "audit_nodes", "audit_leaves"];

/// The one way to take from what is only added to: the function checks what it takes (`0028_audit_retention.sql`).
const PRUNING: &str = "REVOKE ALL ON FUNCTION ocmt_prune_audit(BIGINT) FROM PUBLIC, ocmt_cluster; \
                       GRANT EXECUTE ON FUNCTION ocmt_prune_audit(BIGINT) TO ocmt_tenant;";

const ROLES: &str = "SELECT count(*) FROM pg_roles WHERE rolname IN ('ocmt_tenant', 'ocmt_cluster')";

/// Gives the roles their rights and takes away what they had beyond them.
pub(super) async fn grant(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let roles: i64 = sqlx::query_scalar(ROLES).fetch_one(&mut *connection).await?;
    if roles < 2 {
        tracing::debug!("the roles do not exist, nothing is granted");
        return Ok(());
    }
    let text = tables::all().into_iter().map(rights).chain([extras()]);
    let text = text.chain([policies::DROP_ALL.to_owned(), policies::all()]).collect::<String>();
    sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await.map(drop)
}

fn rights(table: &Table) -> String {
    let name = table.name;
    let (role, rights) = match (table.of_tenant, APPEND_ONLY.contains(&name)) {
        (true, true) => ("ocmt_tenant", "SELECT, INSERT"),
        (true, false) => ("ocmt_tenant", "SELECT, INSERT, UPDATE, DELETE"),
        (false, _) => ("ocmt_cluster", "SELECT, INSERT, UPDATE, DELETE"),
    };
    format!(
        "REVOKE ALL ON {name} FROM PUBLIC, ocmt_tenant, ocmt_cluster; GRANT {rights} ON {name} TO {role};"
    )
}

fn extras() -> String {
    let to = |role: &'static str| {
        move |(table, rights): &(&str, &str)| format!("GRANT {rights} ON {table} TO {role};")
    };
    let granted = OF_TENANTS.iter().map(to("ocmt_tenant")).chain(OF_CLUSTER.iter().map(to("ocmt_cluster")));
    granted.chain([PRUNING.to_owned()]).collect()
}
