//! A Docker engine of the demo's own: own socket, own data, no default bridge, and all of it gone again.
//!
//! The engine changes the machine's packet filter and forwarding. What was there before is remembered, and
//! what the engine added is taken out when it has ended, unless another engine runs.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use ocmt_runtime::docker::Engine;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use crate::local::wait_for;

const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(30);
const TABLES: [&str; 2] = ["filter", "nat"];
const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";

/// A running engine.
pub(super) struct PrivateDocker {
    child: Child,
    folder: PathBuf,
    host: String,
    before: Option<Before>,
}

/// The packet filter as it was; none if another engine needs what this one shares with it.
struct Before {
    rules: BTreeSet<String>,
    forwarding: String,
}

impl PrivateDocker {
    /// Starts an engine in `folder`.
    pub(super) async fn start(folder: &Path) -> anyhow::Result<Self> {
        if !geteuid().is_root() {
            bail!("no engine answers, and starting one needs root");
        }
        fs::create_dir_all(folder)?;
        let before = if other_engine_runs() { None } else { Some(Before::now().await?) };
        let log = fs::File::create(folder.join("log"))?;
        let child = Command::new("dockerd")
            .args(["--bridge=none", "--host"])
            .arg(format!("unix://{}", folder.join("sock").display()))
            .arg("--data-root")
            .arg(folder.join("data"))
            .arg("--exec-root")
            .arg(folder.join("exec"))
            .arg("--pidfile")
            .arg(folder.join("pid"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // an interrupt from the terminal is for the demo, which still needs the engine to clear away
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("no engine answers, and dockerd cannot be started")?;
        let host = format!("unix://{}", folder.join("sock").display());
        let mut this = Self { child, folder: folder.to_owned(), host, before };
        if this.answers().await {
            return Ok(this);
        }
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        let why = log.lines().last().unwrap_or("it said nothing").to_owned();
        this.stop().await?;
        bail!("a private engine did not start: {why}")
    }

    /// Its socket, as an address.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    async fn answers(&mut self) -> bool {
        let Ok(engine) = Engine::at(&self.host) else { return false };
        let socket = self.folder.join("sock");
        let child = &mut self.child;
        // `Some(false)`: it has ended, so waiting on makes no sense
        let answered = wait_for(START, async || {
            if child.try_wait().ok().flatten().is_some() {
                return Some(false);
            }
            (socket.exists() && engine.info().await.is_ok()).then_some(true)
        });
        answered.await == Some(true)
    }

    /// Ends it and takes back what it did to the machine.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM)
                .or_else(|error| if error == rustix::io::Errno::SRCH { Ok(()) } else { Err(error) })?;
        }
        if timeout(STOP, self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        unmount_below(&self.folder).await?;
        match &self.before {
            Some(before) if !other_engine_runs() => before.restore().await,
            _ => Ok(()),
        }
    }
}

impl Before {
    async fn now() -> anyhow::Result<Self> {
        Ok(Self { rules: rules().await?.into_iter().collect(), forwarding: fs::read_to_string(FORWARDING)? })
    }

    /// Removes the rules and chains that were not there, and puts policies and forwarding back.
    async fn restore(&self) -> anyhow::Result<()> {
        let added: Vec<String> =
            rules().await?.into_iter().filter(|rule| !self.rules.contains(rule)).collect();
        for rule in added.iter().filter(|rule| rule.contains(" -A ") && rule.contains("DOCKER")) {
            iptables(&rule.replacen(" -A ", " -D ", 1)).await?;
        }
        let chains = added
            .iter()
            .filter_map(|rule| rule.split_once(" :"))
            .filter_map(|(table, chain)| Some((table, chain.split(' ').next()?)));
        let chains: Vec<(&str, &str)> = chains.filter(|(_, chain)| chain.starts_with("DOCKER")).collect();
        for action in ["-F", "-X"] {
            for (table, chain) in &chains {
                iptables(&format!("{table} {action} {chain}")).await?;
            }
        }
        if self.rules.contains("filter :FORWARD ACCEPT") {
            iptables("filter -P FORWARD ACCEPT").await?;
        }
        fs::write(FORWARDING, self.forwarding.trim()).context("cannot set forwarding back")
    }
}

/// Every rule and chain with its policy: `filter -A …`, `nat :CHAIN -`.
async fn rules() -> anyhow::Result<Vec<String>> {
    let mut all = Vec::new();
    for table in TABLES {
        let saved = Command::new("iptables-save")
            .args(["-t", table])
            .stderr(Stdio::null())
            .output()
            .await
            .context("iptables-save")?;
        let text = String::from_utf8_lossy(&saved.stdout);
        let lines = text.lines().filter(|line| line.starts_with("-A ") || line.starts_with(':'));
        // counters move all the time
        all.extend(lines.map(|line| format!("{table} {}", line.split(" [").next().unwrap_or(line))));
    }
    Ok(all)
}

/// `TABLE arguments…`, as the words of [`rules`].
async fn iptables(words: &str) -> anyhow::Result<()> {
    let output = Command::new("iptables")
        .args(["-w", "5", "-t"])
        .args(words.split(' '))
        .output()
        .await
        .context("iptables")?;
    if !output.status.success() {
        bail!("iptables {words}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// The engine leaves mounts (network namespaces, its data folder bound on itself): deepest first.
async fn unmount_below(folder: &Path) -> anyhow::Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mut below: Vec<&str> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .filter(|at| Path::new(at).starts_with(folder))
        .collect();
    below.sort_unstable_by(|a, b| b.cmp(a));
    for at in below {
        let done = Command::new("umount")
            .args(["--lazy", at])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await;
        done.context("umount")?;
    }
    Ok(())
}

fn other_engine_runs() -> bool {
    let named = |entry: io::Result<fs::DirEntry>| fs::read_to_string(entry.ok()?.path().join("comm")).ok();
    fs::read_dir("/proc")
        .is_ok_and(|processes| processes.filter_map(named).any(|name| name.trim() == "dockerd"))
}
