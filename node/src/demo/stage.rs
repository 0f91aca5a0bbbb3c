//! Where the story plays: a folder, an engine for containers, a node; and how all of it goes away again.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use ocmt_client::Client;

use super::{Story, docker::Docker, tell::Teller};
use crate::{
    cli::args::{DemoArgs, DemoRuntime},
    config::{Config, RuntimeKind},
    local::{LocalNode, Mailbox},
    programs,
};

/// Everything that has to be cleared away.
pub(super) struct Stage {
    folder: Option<tempfile::TempDir>,
    path: PathBuf,
    keep: bool,
    node: Option<LocalNode>,
    mailbox: Mailbox,
    /// None for the `process` runtime.
    pub(super) docker: Option<Docker>,
}

impl Stage {
    pub(super) fn new(args: &DemoArgs) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("ocmt-demo.")
            .tempdir()
            .context("cannot make a folder for the demo")?;
        let path = folder.path().to_owned();
        let mailbox = Mailbox::new(path.join("node/mail"));
        Ok(Self { folder: Some(folder), path, keep: args.keep, node: None, mailbox, docker: None })
    }

    /// What the node has: its configuration, data, mails and log.
    pub(super) fn node_folder(&self) -> PathBuf {
        self.path.join("node")
    }

    /// The folder of a person's device.
    pub(super) fn device_of(&self, name: &str) -> PathBuf {
        self.path.join("devices").join(name)
    }

    pub(super) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// The node while it runs.
    pub(super) fn node(&self) -> anyhow::Result<&LocalNode> {
        self.node.as_ref().ok_or_else(|| anyhow!("the node does not run"))
    }

    /// A connection to the node, not signed in.
    pub(super) async fn connect(&self) -> anyhow::Result<Client> {
        Ok(self.node()?.client().await?)
    }

    /// Asks the node to stop.
    pub(super) async fn stop_node(&mut self) -> anyhow::Result<()> {
        if let Some(node) = self.node.take()
            && !node.stop().await?
        {
            bail!("the node did not end well");
        }
        Ok(())
    }

    /// The end of the node's log, when something went wrong.
    pub(super) fn tell_last_words(&self, tell: &Teller) -> anyhow::Result<()> {
        let log = std::fs::read_to_string(self.node_folder().join("node.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().filter(|line| !line.contains("\"level\":\"INFO\"")).collect();
        for line in lines.get(lines.len().saturating_sub(5)..).unwrap_or_default() {
            tell.detail(line)?;
        }
        let said = self.docker.as_ref().map(|docker| docker.last_words(&self.path)).unwrap_or_default();
        for line in said.get(said.len().saturating_sub(5)..).unwrap_or_default() {
            tell.detail(&format!("container: {line}"))?;
        }
        Ok(())
    }

    /// Ends everything and removes every file, unless they are to be kept.
    pub(super) async fn clear_away(&mut self, tell: &Teller) -> anyhow::Result<()> {
        tell.chapter("Clearing away")?;
        let stopped = match self.node {
            Some(_) => tell.step("the node stops", self.stop_node()).await,
            None => Ok(()),
        };
        let docker = match self.docker.take() {
            Some(docker) => {
                tell.step(
                    "containers, networks, image and firewall rules are removed",
                    docker.clear_away(&self.path),
                )
                .await
            }
            None => Ok(()),
        };
        let folder = match self.folder.take() {
            Some(folder) if self.keep => {
                tell.line(&format!("  kept: {}", folder.keep().display()))?;
                Ok(())
            }
            Some(folder) => {
                tell.step("the folder is removed", async move {
                    folder.close().context("cannot remove the folder")
                })
                .await
            }
            None => Ok(()),
        };
        stopped.and(docker).and(folder)
    }
}

/// Sets the stage: the engine, then the node.
pub(super) async fn set(story: &mut Story, asked: Option<DemoRuntime>) -> anyhow::Result<()> {
    let Story { tell, stage, .. } = story;
    tell.chapter("A node on this machine")?;
    // said at once, and not after the first minutes
    programs::beside("ocmt-cell")?;
    stage.docker = match asked {
        Some(DemoRuntime::Process) => None,
        Some(DemoRuntime::Docker) => {
            Some(tell.step("Docker is made ready", Docker::open(&stage.path)).await?)
        }
        None => match Docker::open(&stage.path).await {
            Ok(docker) => Some(docker),
            Err(error) => {
                tell.detail(&format!("no Docker here: {error:#}"))?;
                None
            }
        },
    };
    match &stage.docker {
        Some(docker) => tell.detail(&format!("containers run under Docker {}", docker.describe()))?,
        None => tell.detail("containers run as bare child processes (`process`): this isolates NOTHING, it only shows the rest")?,
    }
    let program = std::env::current_exe().context("cannot find this program")?;
    let folder = stage.node_folder();
    std::fs::create_dir_all(&folder)?;
    let docker = stage.docker.as_ref();
    let node = tell
        .step("the node starts: SQLite, a CA of its own, TLS 1.3", async {
            Ok(LocalNode::start(&program, &folder, |config| configure(config, docker)).await?)
        })
        .await?;
    tell.detail(&format!("it serves gRPC, HTTP and WebSocket at {}", node.endpoints().client))?;
    stage.node = Some(node);
    Ok(())
}

/// What differs from the defaults of a demo's node.
fn configure(config: &mut Config, docker: Option<&Docker>) {
    match docker {
        Some(docker) => docker.configure(config),
        None => config.containers.runtime = RuntimeKind::Process,
    }
}

/// Where the container's workload is: inside the image, or on this machine.
pub(super) fn workload_program(stage: &Stage) -> anyhow::Result<PathBuf> {
    if stage.docker.is_some() {
        return Ok(Path::new("/").join(super::docker::WORKLOAD));
    }
    Ok(programs::beside("ocmt-demo-workload")?)
}
