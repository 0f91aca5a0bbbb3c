//! The second wall: with the role of tenants' work and a statement that names no tenant, no other tenant's row is
//! read or written. The tables come from the catalogue, so that a new one without a policy is found.
use ocmt_store::{
    Filter, PgConfig, Store, StoreError,
    tables::User,
    testing::{PATIENT, TestDatabase, TestNode, id},
};
use ocmt_types::{TenantId, Timestamp};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection,
    postgres::PgConnectOptions,
};

/// Tables with a column for the tenant, and the types of their columns.
const COLUMNS: &str = "SELECT t.table_name::text, c.column_name::text, c.data_type::text \
                       FROM information_schema.columns t \
                       JOIN information_schema.columns c USING (table_schema, table_name) \
                       WHERE table_schema = 'public' AND t.column_name = 'tenant_id' \
                       ORDER BY 1, c.ordinal_position";

/// Where a tenant's rows are the claim's or the directory's, and what the role may do there is less.
const FEWER_RIGHTS: &[&str] =
    &["tenant_owner", "directory", "passkey_directory", "audit", "audit_nodes", "audit_leaves"];

/// Tables with one row for each tenant.
const ONE_EACH: &[&str] = &[
    "tenants",
    "audit_head",
    "audit_streams",
    "audit_retention",
    "tenant_owner",
    "quotas",
    "usage",
    "suspensions",
    "deletions",
    "oidc_providers",
];

type Columns = Vec<(String, String)>;

fn hex(tenant: TenantId) -> String {
    tenant.as_bytes().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

async fn tables(connection: &mut PgConnection) -> Vec<(String, Columns)> {
    let all: Vec<(String, String, String)> = sqlx::query_as(COLUMNS).fetch_all(connection).await.unwrap();
    let mut tables: Vec<(String, Columns)> = Vec::new();
    for (table, column, kind) in all {
        match tables.last_mut().filter(|(name, _)| *name == table) {
            Some((_, columns)) => columns.push((column, kind)),
            None => tables.push((table, vec![(column, kind)])),
        }
    }
    assert!(tables.len() > 20, "{}", tables.len());
    tables
}

/// An INSERT of a row of this tenant with values that no other row has.
fn row(table: &str, columns: &Columns, tenant: TenantId, n: u32) -> String {
    let value = |(column, kind): &(String, String)| match (column.as_str(), kind.as_str()) {
        ("tenant_id", _) => format!("'\\x{}'", hex(tenant)),
        // a tenant is born under its first epoch
        ("epoch", "bigint") => "1".to_owned(),
        (_, "bytea") => format!("'\\x{n:032x}'"),
        (_, "text") => format!("'row {n}'"),
        (_, "bigint") => n.to_string(),
        other => panic!("{table}: how is a {other:?} made?"),
    };
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let values: Vec<String> = columns.iter().map(value).collect();
    format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "))
}

struct Wall {
    _database: TestDatabase,
    owner: PgConnection,
    /// In the role of tenants' work.
    tenant: PgConnection,
    tables: Vec<(String, Columns)>,
}

const OURS: u64 = 1;
const THEIRS: u64 = 2;

impl Wall {
    /// One row of each of two tenants in every table.
    async fn build() -> Self {
        let database = TestDatabase::create().await.unwrap();
        let config = database.with_roles().await.unwrap();
        let mut owner = PgConnection::connect(&database.url()).await.unwrap();
        let tables = tables(&mut owner).await;
        for (table, columns) in &tables {
            for (tenant, n) in [(id(OURS), 1), (id(THEIRS), 2)] {
                let text = row(table, columns, tenant, n);
                owner.execute(AssertSqlSafe(text)).await.unwrap();
            }
        }
        let tenant = in_role(&config, "ocmt_tenant").await;
        Self { _database: database, owner, tenant, tables }
    }

    /// What the role gets from a statement in a transaction of our tenant, which is undone.
    async fn ours(&mut self, text: &str) -> Result<u64, String> {
        self.tenant.execute("BEGIN").await.unwrap();
        let name = format!("SET LOCAL ocmt.tenant = '{}'", hex(id(OURS)));
        self.tenant.execute(AssertSqlSafe(name)).await.unwrap();
        let done = self.tenant.execute(AssertSqlSafe(text.to_owned())).await;
        self.tenant.execute("ROLLBACK").await.unwrap();
        match done {
            Ok(done) => Ok(done.rows_affected()),
            Err(sqlx::Error::Database(error)) => Err(error.code().unwrap_or_default().into_owned()),
            Err(error) => panic!("{text}: {error}"),
        }
    }
}

async fn in_role(config: &PgConfig, role: &str) -> PgConnection {
    let options: PgConnectOptions = config.url.expose().parse().unwrap();
    options.options([("role", role)]).connect().await.unwrap()
}

/// The right is missing, or row security refuses the row.
const DENIED: &str = "42501";
/// The key is.
const TAKEN: &str = "23505";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_wrong_statement_reads_or_writes_another_tenants_row() {
    let mut wall = Wall::build().await;
    for (table, columns) in wall.tables.clone() {
        let theirs = hex(id(THEIRS));
        let read = wall.ours(&format!("SELECT * FROM {table}")).await;
        assert_eq!(read, Ok(1), "{table}: our own row is not all that is read");
        let read = wall.ours(&format!("SELECT * FROM {table} WHERE tenant_id = '\\x{theirs}'")).await;
        assert_eq!(read, Ok(0), "{table}: their row is read by name");
        let column = &columns.last().unwrap().0;
        let writes = [
            (format!("UPDATE {table} SET {column} = {column}"), 1),
            (format!("DELETE FROM {table}"), 1),
            (format!("DELETE FROM {table} WHERE tenant_id = '\\x{theirs}'"), 0),
        ];
        for (text, most) in writes {
            let done = wall.ours(&text).await;
            let denied = FEWER_RIGHTS.contains(&table.as_str()) && done == Err(DENIED.to_owned());
            assert!(denied || done == Ok(most), "{text}: {done:?}");
        }
        let refused = Err(DENIED.to_owned());
        for text in [
            row(&table, &columns, id(THEIRS), 3),
            format!("UPDATE {table} SET tenant_id = '\\x{theirs}'"),
            format!("TRUNCATE {table}"),
        ] {
            assert_eq!(wall.ours(&text).await, refused, "{text}");
        }
        let own = wall.ours(&row(&table, &columns, id(OURS), 3)).await;
        let taken = ONE_EACH.contains(&table.as_str()) && own == Err(TAKEN.to_owned());
        assert!(taken || own == Ok(1), "{table}: a row of our own: {own:?}");
    }
    for (table, _) in wall.tables.clone() {
        let all = format!("SELECT count(*) FROM {table}");
        let all: i64 = sqlx::query_scalar(AssertSqlSafe(all)).fetch_one(&mut wall.owner).await.unwrap();
        assert_eq!(all, 2, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_names_no_tenant_sees_none_before_and_after_a_transaction_that_did() {
    let mut wall = Wall::build().await;
    for round in ["never named", "named before"] {
        for (table, _) in wall.tables.clone() {
            let all = format!("SELECT count(*) FROM {table}");
            let seen: i64 = sqlx::query_scalar(AssertSqlSafe(all)).fetch_one(&mut wall.tenant).await.unwrap();
            assert_eq!(seen, 0, "{table}, {round}");
        }
        assert_eq!(wall.ours("SELECT * FROM users").await, Ok(1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_across_tenants_reads_what_is_due_and_the_clusters_own_chain() {
    let mut wall = Wall::build().await;
    wall.owner.execute("SET ROLE ocmt_cluster").await.unwrap();
    for (table, seen) in [
        ("timers", 2),
        ("outbox", 2),
        ("containers", 2),
        ("directory", 2),
        ("tenant_owner", 2),
        ("audit_head", 2),
    ] {
        let all = format!("SELECT count(*) FROM {table}");
        let all: i64 = sqlx::query_scalar(AssertSqlSafe(all)).fetch_one(&mut wall.owner).await.unwrap();
        assert_eq!(all, seen, "{table}");
    }
    for table in ["audit", "audit_nodes", "idempotency"] {
        let all = format!("SELECT count(*) FROM {table}");
        let all: i64 = sqlx::query_scalar(AssertSqlSafe(all)).fetch_one(&mut wall.owner).await.unwrap();
        assert_eq!(all, 0, "{table}: not the cluster's");
    }
}

/// As the release before left a database: policies on a few tables that let every tenant at every row.
const BEFORE: &str = "
    DO $$ DECLARE t record; BEGIN
        FOR t IN SELECT tablename, policyname FROM pg_policies WHERE schemaname = 'public' LOOP
            EXECUTE format('DROP POLICY %I ON %I', t.policyname, t.tablename);
        END LOOP;
        FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
            EXECUTE format('ALTER TABLE %I DISABLE ROW LEVEL SECURITY', t.tablename);
        END LOOP;
    END $$;
    ALTER TABLE audit ENABLE ROW LEVEL SECURITY;
    CREATE POLICY tenants ON audit FOR ALL TO ocmt_tenant USING (true) WITH CHECK (true);
    ALTER TABLE tenant_owner ENABLE ROW LEVEL SECURITY;
    CREATE POLICY tenant_reads ON tenant_owner FOR SELECT TO ocmt_tenant USING (true);
    CREATE POLICY tenant_locks ON tenant_owner FOR UPDATE TO ocmt_tenant USING (true) WITH CHECK (false);";

/// What the steps after the first one add, taken away again. Read from the steps themselves, so that those to come
/// are undone too.
fn without_later_steps() -> String {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/postgres");
    let mut undo = "DELETE FROM schema_migrations WHERE version > 1;".to_owned();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("00") || name.starts_with("0001") {
            continue;
        }
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            match line.split_whitespace().collect::<Vec<_>>().as_slice() {
                ["CREATE", "TABLE", table, ..] => undo += &format!("DROP TABLE {table};"),
                ["CREATE", "FUNCTION", function, ..] => {
                    let (name, _) = function.split_once('(').unwrap();
                    undo += &format!("DROP FUNCTION {name};");
                }
                // gone with its table, or one of a table that stays
                ["CREATE", "INDEX", index, ..] | ["CREATE", "UNIQUE", "INDEX", index, ..] => {
                    undo += &format!("DROP INDEX IF EXISTS {index};");
                }
                ["ALTER", "TABLE", table, "ADD", "COLUMN", column, ..] => {
                    // the table may be gone by then: steps are undone in no order
                    undo += &format!("ALTER TABLE IF EXISTS {table} DROP COLUMN {column};");
                }
                _ => {}
            }
        }
    }
    undo
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_before_is_refused_until_it_is_migrated_and_guarded_then() {
    let database = TestDatabase::create().await.unwrap();
    let config = PgConfig { times: PATIENT, ..database.with_roles().await.unwrap() };
    let store = Store::postgres(&config).await.unwrap();
    store.cluster().cluster(id(1_000), Timestamp(0)).await.unwrap();
    let node = TestNode::start(&store, 1).await.unwrap();
    let (own, other) = (node.found(OURS).await.unwrap(), node.found(THEIRS).await.unwrap());
    store.close().await;
    database.run(BEFORE).await.unwrap();
    let refused = Store::postgres(&config).await.err().unwrap();
    assert!(matches!(&refused, StoreError::Schema(text) if text.contains("users")), "{refused}");
    database.run(&without_later_steps()).await.unwrap();
    let refused = Store::postgres(&config).await.err().unwrap();
    assert!(matches!(&refused, StoreError::Schema(text) if text.contains("ocmt migrate")), "{refused}");
    Store::migrate_postgres(&config).await.unwrap();
    let store = Store::postgres(&config).await.unwrap();
    for own in [own, other] {
        let users = store.read(own).await.unwrap().count(Filter::<User>::all()).await.unwrap();
        assert_eq!(users, 1);
    }
    let mut tenant = in_role(&config, "ocmt_tenant").await;
    for table in ["audit", "tenant_owner", "users"] {
        let all = format!("SELECT count(*) FROM {table}");
        let seen: i64 = sqlx::query_scalar(AssertSqlSafe(all)).fetch_one(&mut tenant).await.unwrap();
        assert_eq!(seen, 0, "{table}");
    }
}
