//! A node of one's own on this machine, as a child process with a folder of its own: what `ocmt demo` and
//! the end-to-end tests stand on.

mod mailbox;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use ocmt_client::{Client, ClientError, ca::ClusterCa, connect::Target};
use ocmt_types::{Clock, Deadline, SystemClock};
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};

use crate::config::{Config, HumanDuration, Mode};

pub use mailbox::{Letter, Mailbox};

const START: Duration = Duration::from_secs(90);
const STOP: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a node writes into its data folder once it serves (`endpoint.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// `https://HOST:PORT` of the client listener.
    pub client: String,
    /// `http://HOST:PORT` of the telemetry listener.
    pub telemetry: String,
    /// `https://HOST:PORT` of the operator listener, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operators: Option<String>,
    /// `http://HOST:PORT` of the listener that sends browsers to HTTPS, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<String>,
}

/// Name of that file.
pub const ENDPOINT_FILE: &str = "endpoint.json";

/// A node could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// A file or process.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// It ended before it served.
    #[error("the node ended before it was ready; its last words:\n{0}")]
    Died(String),
    /// It takes too long.
    #[error("the node was not ready within {seconds} s; its last words:\n{words}")]
    Slow {
        /// How long was waited.
        seconds: u64,
        /// The end of its log.
        words: String,
    },
    /// It cannot be reached.
    #[error(transparent)]
    Client(#[from] ClientError),
}

fn io_at(what: impl Into<String>) -> impl FnOnce(io::Error) -> LocalError {
    let what = what.into();
    move |source| LocalError::Io { what, source }
}

/// A running child node. Dropping it kills the process; [`LocalNode::stop`] ends it properly.
pub struct LocalNode {
    child: Child,
    folder: PathBuf,
    endpoints: Endpoints,
}

impl LocalNode {
    /// Starts `program` as a node in `folder`, with `change` applied to a `demo` configuration on free
    /// ports; returns once it serves.
    ///
    /// # Errors
    /// [`LocalError`].
    pub async fn start(
        program: &Path,
        folder: &Path,
        change: impl FnOnce(&mut Config),
    ) -> Result<Self, LocalError> {
        let mut config = base(folder);
        change(&mut config);
        // its folders are made by the node, as on a machine of one's own
        fs::create_dir_all(folder).map_err(io_at(format!("cannot make {}", folder.display())))?;
        let file = folder.join("ocmt.toml");
        let text =
            toml::to_string(&config).map_err(|error| io_at("configuration")(io::Error::other(error)))?;
        fs::write(&file, text).map_err(io_at(format!("cannot write {}", file.display())))?;
        Self::run(program, folder).await
    }

    /// Starts a node again on what an earlier one left in `folder`.
    ///
    /// # Errors
    /// [`LocalError`].
    pub async fn run(program: &Path, folder: &Path) -> Result<Self, LocalError> {
        let endpoint_file = folder.join("data").join(ENDPOINT_FILE);
        match fs::remove_file(&endpoint_file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_at("cannot clear the endpoint")(error));
            }
            _ => {}
        }
        let log_path = folder.join("node.log");
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log_path)
            .map_err(io_at("cannot open the log"))?;
        let out = log.try_clone().map_err(io_at("cannot open the log"))?;
        let mut child = Command::new(program)
            .arg("node")
            .arg("--config")
            .arg(folder.join("ocmt.toml"))
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(log)
            // an interrupt from the terminal is for its parent, which ends it in order
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(io_at(format!("cannot start {}", program.display())))?;
        let deadline = Deadline::after(&SystemClock, START);
        let endpoints = loop {
            if let Some(endpoints) =
                fs::read(&endpoint_file).ok().and_then(|text| serde_json::from_slice(&text).ok())
            {
                break endpoints;
            }
            if child.try_wait().map_err(io_at("cannot watch the node"))?.is_some() {
                return Err(LocalError::Died(tail(&log_path)));
            }
            if deadline.has_passed(&SystemClock) {
                return Err(LocalError::Slow { seconds: START.as_secs(), words: tail(&log_path) });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        Ok(Self { child, folder: folder.to_owned(), endpoints })
    }

    /// Where it serves.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Its folder: `data/`, `mail/`, `node.log`, `ocmt.toml`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// The mails it has handed over.
    pub fn mailbox(&self) -> Mailbox {
        Mailbox::new(self.folder.join("mail"))
    }

    /// Where to connect and whom to believe there.
    ///
    /// # Errors
    /// [`LocalError`].
    pub fn target(&self) -> Result<Target, LocalError> {
        let path = self.folder.join("data").join("pki").join("ca.pem");
        let pem = fs::read_to_string(&path).map_err(io_at("cannot read the node's certificate authority"))?;
        Ok(Target { endpoint: self.endpoints.client.clone(), ca: ClusterCa::from_pem(&pem)? })
    }

    /// A connection to it.
    ///
    /// # Errors
    /// [`LocalError`].
    pub async fn client(&self) -> Result<Client, LocalError> {
        Ok(Client::connect(self.target()?).await?)
    }

    /// Kills it as a power cut would, and waits until it is gone.
    ///
    /// # Errors
    /// [`LocalError`].
    pub async fn kill(mut self) -> Result<(), LocalError> {
        self.child.kill().await.map_err(io_at("cannot kill the node"))
    }

    /// Asks it to stop (SIGTERM) and waits until it has; whether it ended well.
    ///
    /// # Errors
    /// [`LocalError`].
    pub async fn stop(mut self) -> Result<bool, LocalError> {
        if let Some(pid) =
            self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw)
        {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)
                .map_err(|error| io_at("cannot stop the node")(error.into()))?;
        }
        match tokio::time::timeout(STOP, self.child.wait()).await {
            Ok(status) => Ok(status.map_err(io_at("cannot watch the node"))?.success()),
            Err(_) => {
                self.child.kill().await.map_err(io_at("cannot kill the node"))?;
                Ok(false)
            }
        }
    }
}

fn base(folder: &Path) -> Config {
    let mut config = Config::default();
    config.node.mode = Mode::Demo;
    config.node.data_dir = folder.join("data");
    config.listen.client.set_port(0);
    config.listen.telemetry.set_port(0);
    config.mail.spool = folder.join("mail");
    // nobody measures here who has an account
    config.sessions.link_spread = HumanDuration::seconds(0);
    config
}

/// The last lines of the node's log, for a message.
fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(8)..).unwrap_or_default().join("\n")
}

/// Asks until `look` finds something, at most for `patience`.
pub async fn wait_for<T>(patience: Duration, look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    wait_every(LOOK_EVERY, patience, look).await
}

/// The same with a pause of the caller's choice between two looks.
pub async fn wait_every<T>(
    pause: Duration,
    patience: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> Option<T> {
    let clock: &dyn Clock = &SystemClock;
    let deadline = Deadline::after(clock, patience);
    loop {
        if let Some(found) = look().await {
            return Some(found);
        }
        if deadline.has_passed(clock) {
            return None;
        }
        tokio::time::sleep(pause).await;
    }
}
