//! A PostgreSQL database per test, on the server that `OCMT_TEST_POSTGRES` names.

use std::{cell::RefCell, env, io, mem, thread::JoinHandle, time::Duration};

use ocmt_types::{IdGen as _, RandomIds, Secret};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::{PgConfig, PgLogin, PgRoles, PgTimes, Store, StoreError};

const ROLES: &str = include_str!("../../../../migrations/postgres/roles.sql");

/// For tests of something else than the database, whose calls nobody repeats: a machine that does much at once lets a
/// healthy database wait for longer than a node may take it for healthy, and a test for longer than a transaction may do
/// nothing.
pub const PATIENT: PgTimes = PgTimes {
    turn: Duration::from_secs(30),
    connect: Duration::from_secs(10),
    sign_of_life: Duration::from_secs(10),
    lock: Duration::from_secs(25),
    statement: Duration::from_secs(30),
    answer: Duration::from_secs(40),
    idle: Duration::from_secs(20),
};

/// An empty database that goes away with this value.
pub struct TestDatabase {
    server: String,
    name: String,
}

impl TestDatabase {
    /// Makes one, without a schema.
    ///
    /// # Errors
    /// [`StoreError::Open`] if `OCMT_TEST_POSTGRES` is not set or names no server that makes databases.
    pub async fn create() -> Result<Self, StoreError> {
        let server = env::var("OCMT_TEST_POSTGRES").map_err(|_| {
            StoreError::Open(
                "OCMT_TEST_POSTGRES is not set: start the engines with tests/scripts/engines.sh, or name a \
                 PostgreSQL server on which tests may make databases, postgres://…/postgres"
                    .to_owned(),
            )
        })?;
        let name = RandomIds
            .random16()
            .iter()
            .fold("ocmt_test_".to_owned(), |name, byte| format!("{name}{byte:02x}"));
        statement(&server, format!("CREATE DATABASE {name}")).await?;
        Ok(Self { server, name })
    }

    /// Makes one with the schema of this program.
    ///
    /// # Errors
    /// As [`TestDatabase::create`] and [`Store::migrate_postgres`].
    pub async fn migrated() -> Result<Self, StoreError> {
        let database = Self::create().await?;
        patiently_migrated(database.config()).await?;
        Ok(database)
    }

    /// Its address.
    pub fn url(&self) -> String {
        match self.server.rsplit_once('/') {
            Some((server, _)) => format!("{server}/{}", self.name),
            None => self.name.clone(),
        }
    }

    /// The defaults for it, with few connections: many tests share one server.
    pub fn config(&self) -> PgConfig {
        PgConfig { tenant_connections: 6, cluster_connections: 3, ..PgConfig::new(self.url()) }
    }

    /// A store on it.
    ///
    /// # Errors
    /// Those of [`Store::postgres`].
    pub async fn open(&self) -> Result<Store, StoreError> {
        Store::postgres(&self.config()).await
    }

    /// The same, patient: no call is refused because the machine is busy.
    ///
    /// # Errors
    /// Those of [`Store::postgres`].
    pub async fn open_patiently(&self) -> Result<Store, StoreError> {
        Store::postgres(&PgConfig { times: PATIENT, ..self.config() }).await
    }

    /// Makes the roles of a database, a login that is a member of all three, and the schema as that login.
    /// Returns the login's configuration; the login stays behind on the server, which is the tests' own.
    ///
    /// # Errors
    /// As [`TestDatabase::create`] and [`Store::migrate_postgres`].
    pub async fn with_roles(&self) -> Result<PgConfig, StoreError> {
        let login = self.name.replace("test", "login");
        self.make_logins(&[(&login, "ocmt_tenant, ocmt_cluster, ocmt_migrate")]).await?;
        let config = PgConfig { url: Secret::new(self.url_of(&login)), ..self.config() };
        patiently_migrated(config).await
    }

    /// The same with a login for each role, each a member of that one alone. A login's password is its name.
    ///
    /// # Errors
    /// As [`TestDatabase::with_roles`].
    pub async fn with_logins(&self) -> Result<PgConfig, StoreError> {
        let [tenant, cluster, migrate] =
            ["tenant", "across", "schema"].map(|of| self.name.replace("test", of));
        let logins = [(&*tenant, "ocmt_tenant"), (&*cluster, "ocmt_cluster"), (&*migrate, "ocmt_migrate")];
        self.make_logins(&logins).await?;
        let login = |user: String| PgLogin { password: Some(Secret::new(user.clone())), user };
        let roles = PgRoles::Own { cluster: login(cluster), migrate: Some(login(migrate)) };
        let config = PgConfig { url: Secret::new(self.url_of(&tenant)), roles, ..self.config() };
        patiently_migrated(config).await
    }

    async fn make_logins(&self, logins: &[(&str, &str)]) -> Result<(), StoreError> {
        let failed = |error: sqlx::Error| StoreError::Database(error.to_string());
        // roles belong to the server: one test at a time makes them
        let mut alone = PgConnection::connect(&self.server).await.map_err(failed)?;
        alone.execute("SELECT pg_advisory_lock(hashtext('ocmt roles'))").await.map_err(failed)?;
        self.run(ROLES).await?;
        for (login, roles) in logins {
            self.run(&format!("CREATE ROLE {login} LOGIN NOINHERIT PASSWORD '{login}' IN ROLE {roles}"))
                .await?;
        }
        alone.close().await.map_err(failed)
    }

    fn url_of(&self, login: &str) -> String {
        let url = self.url();
        let host = url.rsplit_once('@').map_or(url.as_str(), |(_, host)| host);
        format!("postgres://{login}:{login}@{host}")
    }

    /// Runs a statement on it as its owner.
    ///
    /// # Errors
    /// [`StoreError::Database`] with what the server said.
    pub async fn run(&self, text: &str) -> Result<(), StoreError> {
        statement(&self.url(), text.to_owned()).await
    }
}

/// Migrates, and waits for a connection as long as it takes on a busy machine. Gives the configuration back.
async fn patiently_migrated(mut config: PgConfig) -> Result<PgConfig, StoreError> {
    let usual = mem::replace(&mut config.times, PATIENT);
    Store::migrate_postgres(&config).await?;
    config.times = usual;
    Ok(config)
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // its own thread and runtime: the test's runtime may be the one that is ending
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map(|runtime| {
                runtime.block_on(statement(&server, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")))
            })
        });
        let ending = Ending { name: self.name.clone(), dropped: Some(dropped) };
        // where the thread is ending already, `ending` goes at once
        let _ = ENDING.try_with(|all| all.borrow_mut().push(ending));
    }
}

thread_local! {
    /// Databases that are being dropped, waited for when the test's thread ends and its runtime is gone. Until then the
    /// runtime may be in the middle of signing in to the server, which lets no database go, of any test, before that is
    /// over; waiting inside the runtime would hold it up until the server gives up on the login, a minute later.
    static ENDING: RefCell<Vec<Ending>> = const { RefCell::new(Vec::new()) };
}

struct Ending {
    name: String,
    dropped: Option<JoinHandle<Result<Result<(), StoreError>, io::Error>>>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let dropped = self.dropped.take().map(JoinHandle::join);
        if !matches!(dropped, Some(Ok(Ok(Ok(()))))) {
            tracing::warn!(database = self.name, "cannot drop test database");
        }
    }
}

async fn statement(url: &str, text: String) -> Result<(), StoreError> {
    let failed = |error: sqlx::Error| StoreError::Database(error.to_string());
    let mut connection = PgConnection::connect(url).await.map_err(failed)?;
    connection.execute(sqlx::raw_sql(AssertSqlSafe(text))).await.map_err(failed)?;
    connection.close().await.map_err(failed)
}
