//! One node as a process on a host of its own: started, killed, frozen, asked to stop.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use ocmt::{config::Config, local::ENDPOINT_FILE};
use ocmt_testkit::programs;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::{postgres::tail, wait::until};

const START: Duration = Duration::from_secs(90);
const STOP: Duration = Duration::from_secs(90);

/// Which program a node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// `ocmt`.
    This,
    /// `ocmt-next`: the same as the next release would be.
    Next,
}

impl Release {
    fn program(self) -> anyhow::Result<PathBuf> {
        match self {
            Self::This => programs::ocmt(),
            Self::Next => programs::ocmt_next(),
        }
    }
}

/// A node of the cluster, running or not.
pub struct NodeProcess {
    prefix: Vec<String>,
    folder: PathBuf,
    endpoint: String,
    child: Option<Child>,
    wanted: bool,
    /// What is started from now on.
    pub release: Release,
}

impl NodeProcess {
    /// A node in `folder` with this configuration, not started yet; `prefix` starts programs on its host.
    ///
    /// # Errors
    /// Its folder cannot be written.
    pub fn new(prefix: Vec<String>, folder: PathBuf, config: &Config) -> anyhow::Result<Self> {
        fs::create_dir_all(&config.node.data_dir)?;
        fs::write(folder.join("ocmt.toml"), toml::to_string(config)?)?;
        let endpoint = config.listen.public_url.clone();
        Ok(Self { prefix, folder, endpoint, child: None, wanted: false, release: Release::This })
    }

    /// Its folder: `data/`, `node.log`, `ocmt.toml`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `https://HOST:PORT` of its client listener.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The end of its log.
    pub fn words(&self) -> String {
        tail(&self.folder.join("node.log"), 15)
    }

    /// Its process, if it has one.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Starts it and waits until it serves.
    ///
    /// # Errors
    /// It ends, or does not serve in time.
    pub async fn start(&mut self) -> anyhow::Result<Duration> {
        let file = self.folder.join("data").join(ENDPOINT_FILE);
        if file.exists() {
            fs::remove_file(&file)?;
        }
        self.spawn()?;
        let served = until("the node serves", START, async || {
            if self.has_ended()? {
                bail!("the node ended");
            }
            Ok(file.exists())
        })
        .await;
        served.with_context(|| format!("the node's last words:\n{}", self.words()))
    }

    /// Starts it and does not wait.
    ///
    /// # Errors
    /// There is no such program.
    pub fn spawn(&mut self) -> anyhow::Result<()> {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.folder.join("node.log"))?;
        let mut command = self.on_host(&self.release.program()?);
        command.arg("node").arg("--config").arg(self.folder.join("ocmt.toml"));
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        (self.child, self.wanted) = (Some(child), true);
        Ok(())
    }

    /// What a service manager does: starts it again if it has ended by itself. Whether it had.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn tend(&mut self) -> anyhow::Result<bool> {
        let ended = self.wanted && self.has_ended()?;
        if ended {
            self.spawn()?;
        }
        Ok(ended)
    }

    /// Whether its process has ended.
    ///
    /// # Errors
    /// It cannot be watched.
    pub fn has_ended(&mut self) -> anyhow::Result<bool> {
        match &mut self.child {
            Some(child) => Ok(child.try_wait()?.is_some()),
            None => Ok(true),
        }
    }

    /// Kills it as a power cut would.
    ///
    /// # Errors
    /// It cannot be killed.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.wanted = false;
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// Freezes it (SIGSTOP) or lets it go on (SIGCONT).
    ///
    /// # Errors
    /// It is not running.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.pid().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        kill_process(pid.context("the node is not running")?, signal)?;
        Ok(())
    }

    /// Asks it to stop (SIGTERM) and waits until it has; how long it took.
    ///
    /// # Errors
    /// It does not end, or not well.
    pub async fn stop(&mut self) -> anyhow::Result<Duration> {
        self.signal(Signal::TERM)?;
        self.wanted = false;
        let Some(mut child) = self.child.take() else { bail!("the node is not running") };
        let started = crate::wait::now();
        match tokio::time::timeout(STOP, child.wait()).await {
            Ok(status) => {
                ensure!(status?.success(), "the node did not stop well:\n{}", self.words());
                Ok(crate::wait::since(started))
            }
            Err(_) => bail!("the node does not stop within {STOP:?}:\n{}", self.words()),
        }
    }

    /// Runs the operator's tool on the node's host; what it printed.
    ///
    /// # Errors
    /// It exits with another code than 0; the text is what it said.
    pub async fn tool(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = self.on_host(&self.release.program()?);
        let output = command.args(arguments).stdin(Stdio::null()).output().await?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            bail!("ocmt {}: {said}{}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        Ok(said)
    }

    /// A program on this host that ends when this process does, however that ends.
    fn on_host(&self, program: &Path) -> Command {
        let with = ["setpriv", "--pdeathsig", "KILL"].map(str::to_owned);
        let mut words = self.prefix.iter().chain(&with);
        let mut command = Command::new(words.next().unwrap_or(&with[0]));
        command.args(words).arg(program).current_dir(&self.folder).kill_on_drop(true);
        command
    }
}
