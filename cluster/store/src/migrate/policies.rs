//! Row security: the second wall behind the tenant's condition that every statement has.
//!
//! A tenant's transaction names its tenant (`ocmt.tenant`, for that transaction alone), and the role of tenants'
//! work sees and writes the rows of that tenant and no others, whatever the statement says. A connection that
//! names none sees nothing. Work across tenants is another role's, which has rights on few tables of tenants and
//! a policy for each of these. The owner of the tables (`ocmt_migrate`) is not held to policies, since it copies
//! whole databases; no node's work is done as the owner where there are roles.
//!
//! This bounds our own mistakes. Whoever runs SQL of their own as the role of tenants' work can name any tenant.

use sqlx::{PgConnection, Row as _};

use super::{failed, roles};
use crate::{StoreError, kernel::row::Table, tables};

/// Whether a row is the transaction's tenant's. Never true where no tenant is named: the setting is NULL on a
/// connection that never named one, and empty after a transaction that did.
const OWN: &str = "tenant_id = decode(current_setting('ocmt.tenant', true), 'hex')";

/// Tables of tenants that work across tenants reads: which there are, what is due, what runs on which host
/// what it may reach and what its agents may do. Which columns of them is a matter of rights.
const READ_ACROSS: &[&str] = &[
    "timers",
    "outbox",
    "containers",
    "tenants",
    "ceremonies",
    "users",
    "totp_enrollments",
    "oidc_providers",
    "alert_channels",
    "audit_streams",
    "egress_policies",
    "agent_policies",
    "egress_use",
    // how far audits have come: hashes and counts
    "audit_head",
];

/// Tables where the acts of operators are kept beside those of tenants, under the cluster's id.
const SHARED: &[&str] = &["audit", "audit_head", "audit_nodes", "idempotency"];

/// To lock a row needs the right to update it. Row security takes that right back where it would change
/// something: an update must leave a row that nobody can leave. A tenant is born under epoch 1, and its key
/// keeps a second birth out, so the insert robs nobody.
const FENCE: &[Policy] = &[
    Policy { name: "tenant_reads", command: "SELECT", role: TENANT, using: OWN, check: "" },
    Policy { name: "tenant_locks", command: "UPDATE", role: TENANT, using: OWN, check: "false" },
    Policy { name: "tenant_is_born", command: "INSERT", role: TENANT, using: "", check: BORN },
    Policy { name: "cluster_claims", command: "ALL", role: CLUSTER, using: "true", check: "true" },
];
const BORN: &str = "epoch = 1 AND tenant_id = decode(current_setting('ocmt.tenant', true), 'hex')";

/// An address may be listed in so many tenants and no more, so a tenant's transaction counts the entries of the
/// address that it names.
const DIRECTORY: &[Policy] = &[
    Policy { name: "tenant_reads", command: "SELECT", role: TENANT, using: LISTED, check: "" },
    Policy { name: "tenant_lists", command: "INSERT", role: TENANT, using: "", check: OWN },
    Policy { name: "tenant_unlists", command: "DELETE", role: TENANT, using: OWN, check: "" },
    Policy { name: "cluster_looks_up", command: "ALL", role: CLUSTER, using: "true", check: "true" },
];
const LISTED: &str = "tenant_id = decode(current_setting('ocmt.tenant', true), 'hex') \
                      OR email = current_setting('ocmt.address', true)";

/// A passkey is one account's of the whole cluster: a tenant's transaction adds and takes away its own, and a key that
/// is somebody's already is found by its key alone.
const PASSKEYS: &[Policy] = &[
    Policy { name: "tenant_reads", command: "SELECT", role: TENANT, using: OWN, check: "" },
    Policy { name: "tenant_lists", command: "INSERT", role: TENANT, using: "", check: OWN },
    Policy { name: "tenant_unlists", command: "DELETE", role: TENANT, using: OWN, check: "" },
    Policy { name: "cluster_looks_up", command: "ALL", role: CLUSTER, using: "true", check: "true" },
];

/// A tenant's transaction uses up the challenge that it names, and sees no other.
const PASSKEY_SIGN_INS: &[Policy] = &[
    Policy { name: "tenant_signs_in", command: "ALL", role: TENANT, using: ASSERTED, check: "false" },
    Policy { name: "cluster_keeps", command: "ALL", role: CLUSTER, using: "true", check: "true" },
];
const ASSERTED: &str =
    "assertion_id = decode(replace(current_setting('ocmt.passkey_sign_in', true), '-', ''), 'hex')";

/// A tenant is founded with the sign-up that its transaction names, and sees no other.
const SIGNUPS: &[Policy] = &[
    Policy { name: "tenant_is_founded", command: "ALL", role: TENANT, using: SIGNED_UP, check: "false" },
    Policy { name: "cluster_keeps", command: "ALL", role: CLUSTER, using: "true", check: "true" },
];
const SIGNED_UP: &str = "token_hash = decode(current_setting('ocmt.signup', true), 'hex')";

/// Rows of the cluster's own chain.
const CHAIN: &str = "tenant_id = (SELECT cluster_id FROM cluster)";

const TENANT: &str = "ocmt_tenant";
const CLUSTER: &str = "ocmt_cluster";

/// Tables with rows of tenants that row security would not keep apart for whoever asks.
const UNGUARDED: &str = "SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
                         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') \
                         AND a.attname = 'tenant_id' AND NOT a.attisdropped AND NOT row_security_active(c.oid) \
                         ORDER BY 1";

struct Policy {
    name: &'static str,
    command: &'static str,
    role: &'static str,
    /// Which rows are there for the command; empty where it reads none.
    using: &'static str,
    /// Which rows it may leave; empty where it leaves none.
    check: &'static str,
}

/// The policies of all tables, in place of those that were there.
pub(super) fn all() -> String {
    tables::all().into_iter().map(of_table).collect()
}

fn of_table(table: &Table) -> String {
    let name = table.name;
    let own = |command| Policy {
        name: "tenant",
        command,
        role: TENANT,
        using: OWN,
        check: if command == "SELECT" { "" } else { OWN },
    };
    let policies: Vec<Policy> = match name {
        "tenant_owner" => return guard(name, FENCE),
        "directory" => return guard(name, DIRECTORY),
        "signups" => return guard(name, SIGNUPS),
        "passkey_directory" => return guard(name, PASSKEYS),
        "passkey_sign_ins" => return guard(name, PASSKEY_SIGN_INS),
        _ if !table.of_tenant => return String::new(),
        // a right too many would still change and remove nothing
        _ if roles::APPEND_ONLY.contains(&name) => vec![
            own("SELECT"),
            Policy { name: "tenant_appends", command: "INSERT", role: TENANT, using: "", check: OWN },
        ],
        _ => vec![own("ALL")],
    };
    let across = READ_ACROSS.contains(&name).then_some(Policy {
        name: "cluster_reads",
        command: "SELECT",
        role: CLUSTER,
        using: "true",
        check: "",
    });
    let shared = SHARED.contains(&name).then_some(Policy {
        name: "cluster",
        command: "ALL",
        role: CLUSTER,
        using: CHAIN,
        check: CHAIN,
    });
    let policies: Vec<Policy> = policies.into_iter().chain(across).chain(shared).collect();
    guard(name, &policies)
}

/// Turns row security on, with these policies and no others of the two roles.
fn guard(table: &str, policies: &[Policy]) -> String {
    let clause = |word: &str, text: &str| {
        if text.is_empty() { String::new() } else { format!(" {word} ({text})") }
    };
    let made = policies.iter().map(|Policy { name, command, role, using, check }| {
        let (using, check) = (clause("USING", using), clause("WITH CHECK", check));
        format!("CREATE POLICY {name} ON {table} FOR {command} TO {role}{using}{check};")
    });
    let made: String = made.collect();
    format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; {made}")
}

/// Drops every policy of our tables, so that none of an earlier release stays behind.
pub(super) const DROP_ALL: &str = "
    DO $$
    DECLARE
        old record;
    BEGIN
        FOR old IN SELECT policyname, tablename FROM pg_policies WHERE schemaname = 'public' LOOP
            EXECUTE format('DROP POLICY %I ON public.%I', old.policyname, old.tablename);
        END LOOP;
    END
    $$;
";

/// Refuses a database whose tables of tenants row security does not keep apart for this connection.
pub(crate) async fn is_guarded(connection: &mut PgConnection) -> Result<(), StoreError> {
    let rows = sqlx::query(UNGUARDED).fetch_all(connection).await.map_err(failed)?;
    let open: Vec<String> =
        rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(failed)?;
    if open.is_empty() {
        return Ok(());
    }
    Err(StoreError::Schema(format!(
        "row security does not keep tenants apart in {}: run `ocmt migrate`, and let no node's login own tables or bypass row security",
        open.join(", ")
    )))
}
