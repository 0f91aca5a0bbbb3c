//! Three roles, each refused what is not its own.
use crate::conformance::{areas::record, rows::timer};
use ocmt_store::{
    Filter, PgConfig, PgRoles, Store, StoreError,
    tables::{AuditRow, Timer},
    testing::{PATIENT, TestDatabase, TestNode, id},
};
use ocmt_types::Timestamp;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, PgConnection, postgres::PgConnectOptions};

async fn in_role(config: &PgConfig, role: &str) -> PgConnection {
    let options: PgConnectOptions = config.url.expose().parse().unwrap();
    options.options([("role", role)]).connect().await.unwrap()
}

/// Whether the statement is refused for want of the right.
async fn refused(connection: &mut PgConnection, text: &str) {
    match connection.execute(sqlx::raw_sql(AssertSqlSafe(text.to_owned()))).await {
        Err(sqlx::Error::Database(error)) => {
            assert_eq!(error.code().as_deref(), Some("42501"), "{text}: {}", error.message());
        }
        other => panic!("{text}: was not refused: {other:?}"),
    }
}

async fn filled() -> (TestDatabase, PgConfig, Store) {
    let database = TestDatabase::create().await.unwrap();
    let config = database.with_roles().await.unwrap();
    let store = fill(&config).await;
    (database, config, store)
}

async fn fill(config: &PgConfig) -> Store {
    let store = Store::postgres(&PgConfig { times: PATIENT, ..config.duplicate() }).await.unwrap();
    store.cluster().cluster(id(1_000), Timestamp(0)).await.unwrap();
    let node = TestNode::start(&store, 1).await.unwrap();
    let own = node.found(1).await.unwrap();
    let mut tx = store.fenced(own).await.unwrap();
    tx.insert(&timer(own, "a", 1)).await.unwrap();
    tx.audit(&record(own.tenant, 1)).await.unwrap();
    assert!(tx.reserve_memory(id(1), 10, Some(20)).await.unwrap());
    tx.commit().await.unwrap();
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_work_is_done_in_its_roles() {
    let (_kept, _, store) = filled().await;
    works(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_work_is_done_by_logins_of_their_own_that_can_do_no_more() {
    let database = TestDatabase::create().await.unwrap();
    let config = database.with_logins().await.unwrap();
    let store = fill(&config).await;
    works(&store).await;
    let PgRoles::Own { cluster, .. } = &config.roles else { panic!("not of their own") };
    let url: PgConnectOptions = config.url.expose().parse().unwrap();
    let across = url.clone().username(&cluster.user).password(cluster.password.as_ref().unwrap().expose());
    for (login, others) in
        [(url, ["ocmt_cluster", "ocmt_migrate"]), (across, ["ocmt_tenant", "ocmt_migrate"])]
    {
        let mut connection = login.connect().await.unwrap();
        for role in others {
            refused(&mut connection, &format!("SET ROLE {role}")).await;
        }
        refused(&mut connection, "DROP TABLE audit").await;
    }
    // a node is given no login for the schema, and cannot do what needs one
    let PgRoles::Own { cluster, .. } = config.duplicate().roles else { panic!("not of their own") };
    let node = PgConfig { roles: PgRoles::Own { cluster, migrate: None }, ..config };
    let dumped = Store::postgres(&node).await.unwrap().dump(&mut Vec::new()).await;
    assert!(dumped.is_err(), "{dumped:?}");
    let migrated = Store::migrate_postgres(&node).await;
    assert!(matches!(migrated, Err(StoreError::Open(_))), "{migrated:?}");
}

async fn works(store: &Store) {
    let second = TestNode::start(store, 2).await.unwrap();
    assert!(store.cluster().mark_dead(TestNode::unregistered(store, 1).incarnation).await.unwrap());
    let own = second.claim(id(1)).await.unwrap();
    assert_eq!(store.cluster().due_timers(Timestamp(9), 9).await.unwrap().len(), 1);
    assert_eq!(store.cluster().reserved_memory().await.unwrap().len(), 1);
    let mut tx = store.read(own).await.unwrap();
    assert_eq!(tx.find::<Timer>(Filter::all()).await.unwrap().len(), 1);
    let rows: Vec<AuditRow> = tx.audit_page(Filter::all(), 0, 9).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert!(
        store.operators().audit_page(0, 9).await.unwrap().is_empty(),
        "a tenant's record is not the cluster's"
    );
    let mut bytes = Vec::new();
    store.dump(&mut bytes).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_work_neither_rewrites_the_audit_nor_moves_a_claim() {
    let (_kept, config, _store) = filled().await;
    let mut tenant = in_role(&config, "ocmt_tenant").await;
    // of the tenant that the rows are of: what it may not do, it may not do to its own
    tenant.execute("SET ocmt.tenant = '74657374000000000000000000000001'").await.unwrap();
    for text in [
        "UPDATE audit SET actor = 'nobody'",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "UPDATE audit_nodes SET hashes = '\\x'",
        "DELETE FROM audit_nodes",
        "TRUNCATE audit_nodes",
        "UPDATE tenant_owner SET epoch = epoch + 1",
        "UPDATE tenant_owner SET tenant_id = tenant_id",
        "DELETE FROM tenant_owner",
        "INSERT INTO tenant_owner (tenant_id, epoch) VALUES ('\\x00', 2)",
        "UPDATE nodes SET state = 'dead'",
        "UPDATE leases SET renewals = 0",
        "SELECT FROM operators",
        "UPDATE cluster SET view_version = 0",
        "CREATE TABLE mine (x BIGINT)",
        "DROP TABLE audit",
        "ALTER TABLE audit DISABLE ROW LEVEL SECURITY",
    ] {
        refused(&mut tenant, text).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_work_takes_from_the_audit_only_what_is_old_and_hashed() {
    let (_kept, config, store) = filled().await;
    let node = TestNode::start(&store, 3).await.unwrap();
    let own = node.found(7).await.unwrap();
    let mut tx = store.fenced(own).await.unwrap();
    for n in 1..=300 {
        tx.audit(&record(own.tenant, n)).await.unwrap();
    }
    tx.commit().await.unwrap();
    let mut owner = in_role(&config, "ocmt_migrate").await;
    let mut tenant = in_role(&config, "ocmt_tenant").await;
    let hex: String = own.tenant.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let text = |text: String| sqlx::raw_sql(AssertSqlSafe(text));
    tenant.execute(text(format!("SET ocmt.tenant = '{hex}'"))).await.unwrap();
    let not_so = async |connection: &mut PgConnection, what: &str| match connection
        .execute(sqlx::raw_sql("SELECT ocmt_prune_audit(0)"))
        .await
    {
        Err(sqlx::Error::Database(error)) => {
            assert_eq!(error.code().as_deref(), Some("23514"), "{what}: {}", error.message());
        }
        other => panic!("{what}: was not refused: {other:?}"),
    };
    not_so(&mut tenant, "nothing is kept of them").await;
    let wrong = format!("INSERT INTO audit_leaves VALUES ('\\x{hex}', 0, '\\x{}')", "00".repeat(8_192));
    tenant.execute(text(wrong)).await.unwrap();
    not_so(&mut tenant, "the hashes are of other records").await;
    refused(&mut tenant, "UPDATE audit_leaves SET hashes = '\\x'").await;
    refused(&mut tenant, "DELETE FROM audit_leaves").await;
    // as the program would have kept them, but the records are of today
    let hashes = "UPDATE audit_leaves SET hashes = (SELECT string_agg(sha256('\\x00'::bytea || record), ''::bytea ORDER BY seq) \
                  FROM audit WHERE audit.tenant_id = audit_leaves.tenant_id AND seq <= 256)";
    owner.execute(sqlx::raw_sql(hashes)).await.unwrap();
    let today = "UPDATE audit SET at = (extract(epoch FROM now()) * 1000)::bigint WHERE seq = 200";
    owner.execute(sqlx::raw_sql(today)).await.unwrap();
    not_so(&mut tenant, "one is too young").await;
    owner.execute(sqlx::raw_sql("UPDATE audit SET at = 200 WHERE seq = 200")).await.unwrap();
    let mut other = in_role(&config, "ocmt_tenant").await;
    not_so(&mut other, "no tenant is named").await;
    let mut cluster = in_role(&config, "ocmt_cluster").await;
    refused(&mut cluster, "SELECT ocmt_prune_audit(0)").await;
    let gone: i64 = sqlx::query_scalar("SELECT ocmt_prune_audit(0)").fetch_one(&mut tenant).await.unwrap();
    assert_eq!(gone, 256);
    not_so(&mut tenant, "they are gone").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_across_tenants_sees_no_tenants_state() {
    let (_kept, config, _store) = filled().await;
    let mut cluster = in_role(&config, "ocmt_cluster").await;
    for text in [
        "SELECT email FROM users",
        "SELECT user_id FROM ceremonies",
        "SELECT new_email FROM ceremonies",
        "UPDATE ceremonies SET state = 'vetoed'",
        "SELECT enrollment_id FROM totp_enrollments",
        "SELECT FROM backup_codes",
        "SELECT FROM sessions",
        "SELECT FROM vaults",
        "SELECT FROM object_bodies",
        "UPDATE timers SET due_at = 0",
        "DELETE FROM outbox",
        "INSERT INTO tenants SELECT",
        "DELETE FROM audit",
        "DELETE FROM audit_nodes",
        "INSERT INTO audit VALUES ('\\x01', 1, 1, 'a', 'b', 'c', '\\x', '\\x')",
        "CREATE TABLE mine (x BIGINT)",
    ] {
        refused(&mut cluster, text).await;
    }
    let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM audit").fetch_one(&mut cluster).await.unwrap();
    assert_eq!(seen, 0, "it sees the records of a tenant");
}
