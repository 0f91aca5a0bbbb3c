//! A container of somebody's, and a conversation with a command in it over a sealed channel that must not
//! lose a word, whatever is done to the nodes between.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use ocmt_client::{
    Client,
    channel::SealedChannel,
    container::{Container, Spec},
};
use ocmt_crypto::channel::{Lane, Message, StreamKind};
use ocmt_testkit::programs;
use ocmt_types::{ConversationId, VaultId};
use tokio::task::JoinSet;

use crate::{
    cluster::Cluster,
    wait::{now, since},
};

/// Longer than any fault is played.
const LEASE: Duration = Duration::from_secs(1_800);
const PAUSE: Duration = Duration::from_millis(50);
const PORT: u16 = 18_080;

/// What runs in a container, and what repeats each line there.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Stays until it is ended.
    pub stays: Vec<String>,
    /// Says each line back.
    pub repeats: Vec<String>,
    /// Where the first serves HTTP and WebSockets, which the gateway then lets people to.
    pub port: Option<u16>,
}

impl Programs {
    /// Of this machine: for containers that are processes.
    pub fn of_this_machine() -> Self {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self { stays: words(&["/bin/sleep", "3600"]), repeats: words(&["/bin/cat"]), port: None }
    }

    /// The demo's workload, which serves, as a process of this machine.
    ///
    /// # Errors
    /// It was not built.
    pub fn serving() -> anyhow::Result<Self> {
        let program = programs::of_the_cell("ocmt-demo-workload")?.display().to_string();
        let stays = vec![program, "serve".to_owned()];
        // each host has a loopback of its own
        Ok(Self { stays, port: Some(PORT), ..Self::of_this_machine() })
    }
}

/// A conversation under way.
pub struct Talk {
    /// Signed in as the one who talks.
    pub client: Client,
    /// With whom.
    pub container: Container,
    /// Of the one who talks.
    pub vault: VaultId,
    /// A conversation of theirs in which nothing was said.
    pub conversation: ConversationId,
    stop: Arc<AtomicBool>,
    speaker: JoinSet<anyhow::Result<Spoken>>,
}

/// What was said, every line heard again once and in order.
#[derive(Debug, Clone, Copy)]
pub struct Spoken {
    /// How many lines.
    pub lines: u64,
    /// The longest time until a line was heard again.
    pub longest: Duration,
}

impl Talk {
    /// Has somebody new sign up at a node, make a container, unlock it, and begin to talk with a command that
    /// repeats each line.
    ///
    /// # Errors
    /// It does not work.
    pub async fn begin(
        cluster: &Cluster,
        name: &str,
        node: usize,
        programs: Programs,
    ) -> anyhow::Result<Self> {
        let account = cluster.account(name, node).await?;
        let mut vault = account.open(cluster.everywhere(), &cluster.device(name)?).await?;
        vault.put("a word", b"known to its owner").await?;
        let conversation = vault.open_conversation(None).await?.id;
        let client = vault.client().clone();
        let spec = Spec {
            argv: programs.stays,
            workload_port: programs.port,
            gateway_plain: programs.port.is_some(),
            ..Spec::default()
        };
        let made = client.create_container(&spec, true).await?;
        let cell = vault.unlock_container(made.id, &[("A_WORD", "a word").into()], LEASE, true).await?;
        let echo = StreamKind::Exec { argv: programs.repeats, tty: false };
        let channel = Box::pin(client.open_channel(&cell.endpoints, echo)).await?;
        let container = client.container(made.id).await?;
        let (stop, mut speaker) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        speaker.spawn(Box::pin(speak(channel, stop.clone())));
        Ok(Self { client, container, vault: vault.id(), conversation, stop, speaker })
    }

    /// Ends it; the container must be the same, never made anew.
    ///
    /// # Errors
    /// A line was lost, doubled or changed, the channel broke, or the container was made anew.
    pub async fn end(mut self) -> anyhow::Result<Spoken> {
        self.stop.store(true, Ordering::SeqCst);
        let spoken = self.speaker.join_next().await.context("nobody spoke")???;
        let after = self.client.container(self.container.id).await?;
        let same = |container: &Container| (container.generation, container.created_at, container.host);
        ensure!(same(&after) == same(&self.container), "made anew: {after:?} after {:?}", self.container);
        Ok(spoken)
    }
}

async fn speak(mut channel: SealedChannel, stop: Arc<AtomicBool>) -> anyhow::Result<Spoken> {
    let mut spoken = Spoken { lines: 0, longest: Duration::ZERO };
    while !stop.load(Ordering::SeqCst) {
        let (line, said) = (format!("line {}\n", spoken.lines), now());
        channel.write(line.as_bytes()).await?;
        let mut heard = Vec::new();
        while heard.len() < line.len() {
            match channel.next().await? {
                Some(Message::Data(Lane::Main, bytes)) => heard.extend(bytes),
                other => bail!("after {} lines: {other:?}", spoken.lines),
            }
        }
        ensure!(heard == line.as_bytes(), "{line:?} came back as {:?}", String::from_utf8_lossy(&heard));
        spoken.longest = spoken.longest.max(since(said));
        spoken.lines += 1;
        tokio::time::sleep(PAUSE).await; // why: the pace of the conversation
    }
    Ok(spoken)
}
