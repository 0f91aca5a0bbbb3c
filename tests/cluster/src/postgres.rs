//! A PostgreSQL of the run's own, on the network's gateway, that may be crashed and started again: no other
//! test notices.

use std::{
    fs,
    net::Ipv4Addr,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use ocmt_testkit::ports;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::wait::until;

/// Debian keeps the server off the PATH.
const VERSIONS: &str = "/usr/lib/postgresql";
/// PostgreSQL refuses to run as root; Debian's package brings this user.
const USER: &str = "postgres";

/// A running server; it ends with this.
pub struct Postgres {
    child: Option<Child>,
    folder: TempDir,
    programs: PathBuf,
    address: Ipv4Addr,
    port: u16,
    password: String,
}

impl Postgres {
    /// Makes one and starts it.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub async fn start(address: Ipv4Addr) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("ocmt-cluster-postgres.")?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let password = hex(&rand::random::<[u8; 16]>());
        let port = ports::unused_at(address)?;
        let mut server = Self { child: None, folder, programs: programs()?, address, port, password };
        server.initialise().await?;
        server.run().await?;
        Ok(server)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where a database of it is.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://ocmt:{}@{}:{}/{database}", self.password, self.address, self.port)
    }

    /// A connection of the test's own, to look at rows.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn pool(&self, database: &str) -> anyhow::Result<PgPool> {
        let options: PgConnectOptions = self.url(database).parse()?;
        Ok(PgPoolOptions::new().max_connections(2).connect_with(options).await?)
    }

    /// Ends it at once, open transactions with it, as a crash would (`pg_ctl stop -m immediate`).
    ///
    /// # Errors
    /// It cannot be ended.
    pub async fn crash(&mut self) -> anyhow::Result<()> {
        self.end(Signal::QUIT).await
    }

    /// Starts it again.
    ///
    /// # Errors
    /// It does not start.
    pub async fn run(&mut self) -> anyhow::Result<()> {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log())?;
        let mut command = self.as_user("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
        command.args(["-h", &self.address.to_string(), "-p", &self.port.to_string()]);
        // fsync off: processes end here, never the machine, so nothing is lost that could be seen
        command.args(["-c", "fsync=off", "-c", "max_connections=300", "-c", "timezone=UTC"]);
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        self.child = Some(child);
        let started = until("PostgreSQL answers", Duration::from_secs(120), async || {
            Ok(self.pool("postgres").await.is_ok())
        });
        started.await.with_context(|| fs::read_to_string(self.log()).unwrap_or_default())?;
        Ok(())
    }

    async fn initialise(&self) -> anyhow::Result<()> {
        let home = self.folder.path().join("home");
        fs::create_dir(&home)?;
        let secret = home.join("password");
        fs::write(&secret, &self.password)?;
        let user = user_id()?;
        for path in [home.as_path(), secret.as_path(), self.folder.path()] {
            chown(path, Some(user), Some(user))?;
        }
        let output = self
            .as_user("initdb")
            .arg("-D")
            .arg(self.data())
            .args(["-U", "ocmt", "--encoding=UTF8", "--no-locale", "--no-sync", "--auth=scram-sha-256"])
            .arg(format!("--pwfile={}", secret.display()))
            .output()
            .await?;
        ensure!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
        let hosts = self.data().join("pg_hba.conf");
        let rules = fs::read_to_string(&hosts)?;
        fs::write(&hosts, format!("{rules}\nhost all all 198.18.0.0/15 scram-sha-256\n"))?;
        Ok(())
    }

    async fn end(&mut self, signal: Signal) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        signal_to(&child, signal)?;
        if tokio::time::timeout(Duration::from_secs(90), child.wait()).await.is_err() {
            bail!("PostgreSQL does not end");
        }
        Ok(())
    }

    /// A program of the server as its user; it ends when this process does, killed or not.
    fn as_user(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "--pdeathsig", "INT"]);
        command.arg(self.programs.join(program)).current_dir(self.folder.path());
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("home").join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // immediate: its folder goes too
        if let Some(child) = &self.child {
            let _ = signal_to(child, Signal::QUIT);
        }
    }
}

fn signal_to(child: &Child, signal: Signal) -> anyhow::Result<()> {
    let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    kill_process(pid.context("it has ended already")?, signal)?;
    Ok(())
}

fn programs() -> anyhow::Result<PathBuf> {
    let versions = fs::read_dir(VERSIONS).map(|entries| entries.filter_map(Result::ok).collect::<Vec<_>>());
    let mut found: Vec<PathBuf> =
        versions.unwrap_or_default().into_iter().map(|version| version.path().join("bin")).collect();
    found.retain(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file());
    found.sort();
    found.pop().context("no PostgreSQL server here: run tests/scripts/install.sh test")
}

/// The id of the server's user, which is its group's too.
fn user_id() -> anyhow::Result<u32> {
    let users = fs::read_to_string("/etc/passwd")?;
    let line = users.lines().find(|line| line.split(':').next() == Some(USER));
    let id = line.and_then(|line| line.split(':').nth(2)).context("there is no user postgres")?;
    Ok(id.parse()?)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The last lines of a log, for a message.
pub(crate) fn tail(log: &Path, lines: usize) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}
