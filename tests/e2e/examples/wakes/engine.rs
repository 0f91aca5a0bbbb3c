//! The engine's own work: one container of the same image, limits and kind of network, which no node knows of.

use std::{collections::HashMap, fs, time::Duration};

use anyhow::Context as _;
use bollard::{
    API_DEFAULT_VERSION, Docker,
    models::{ContainerCreateBody, HostConfig, NetworkCreateRequest},
    query_parameters::{
        CreateContainerOptionsBuilder, EventsOptionsBuilder, KillContainerOptionsBuilder,
        RemoveContainerOptionsBuilder,
    },
};
use futures_util::StreamExt as _;
use ocmt_testkit::docker;
use ocmt_types::{Clock as _, SystemClock, Timestamp};

const NAME: &str = "ocmt-wakes-bare";
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_micros(500);

pub(crate) struct Bare {
    docker: Docker,
    port: u16,
}

impl Bare {
    /// Starts `program` of `image`, which listens on `port` of its loopback.
    pub(crate) async fn run(image: &str, program: &str, port: u16) -> anyhow::Result<Self> {
        let docker = Docker::connect_with_unix(&docker::engine()?, 60, API_DEFAULT_VERSION)?;
        let bare = Self { docker, port };
        // what a run that broke off has left
        let _ = bare.remove().await;
        let network =
            NetworkCreateRequest { name: NAME.to_owned(), internal: Some(true), ..Default::default() };
        bare.docker.create_network(network).await?;
        let host = HostConfig {
            network_mode: Some(NAME.to_owned()),
            memory: Some(64 << 20),
            memory_swap: Some(64 << 20),
            pids_limit: Some(256),
            readonly_rootfs: Some(true),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            init: Some(true),
            ..Default::default()
        };
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            entrypoint: Some(vec![program.to_owned()]),
            cmd: Some(Vec::new()),
            user: Some("1000:1000".to_owned()),
            host_config: Some(host),
            ..Default::default()
        };
        let named = CreateContainerOptionsBuilder::default().name(NAME).build();
        bare.docker.create_container(Some(named), body).await?;
        bare.start().await?;
        Ok(bare)
    }

    /// Pauses it, and says how long the way back takes.
    pub(crate) async fn unpause(&self) -> anyhow::Result<Duration> {
        self.docker.pause_container(NAME).await?;
        let began = SystemClock.boottime();
        self.docker.unpause_container(NAME).await?;
        Ok(SystemClock.boottime().saturating_sub(began))
    }

    /// Ends it if it runs, and says how long it takes from the start until its program listens.
    pub(crate) async fn start(&self) -> anyhow::Result<Duration> {
        let kill = KillContainerOptionsBuilder::default().signal("KILL").build();
        if self.docker.kill_container(NAME, Some(kill)).await.is_ok() {
            self.until("it has ended", async || self.pid().await.is_none().then_some(())).await?;
        }
        let began = SystemClock.boottime();
        self.docker.start_container(NAME, None).await?;
        let pid = self.until("it runs", async || self.pid().await).await?;
        self.until("it listens", async || self.listens(pid).then_some(())).await?;
        Ok(SystemClock.boottime().saturating_sub(began))
    }

    async fn pid(&self) -> Option<i64> {
        let state = self.docker.inspect_container(NAME, None).await.ok()?.state?;
        state.pid.filter(|pid| *pid > 0)
    }

    /// By the sockets of its network namespace: state 0A is LISTEN.
    fn listens(&self, pid: i64) -> bool {
        let here = format!(":{:04X} ", self.port);
        let sockets = fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap_or_default();
        sockets.lines().any(|line| line.contains(&here) && line.split_whitespace().nth(3) == Some("0A"))
    }

    async fn until<T>(&self, what: &str, mut is: impl AsyncFnMut() -> Option<T>) -> anyhow::Result<T> {
        let began = SystemClock.boottime();
        while SystemClock.boottime().saturating_sub(began) < PATIENCE {
            if let Some(found) = is().await {
                return Ok(found);
            }
            tokio::time::sleep(LOOK_EVERY).await; // why: the engine tells nobody when a program listens
        }
        anyhow::bail!("{what}: not within {PATIENCE:?}")
    }

    /// How often containers with this label were started or unpaused since then.
    pub(crate) async fn woken(&self, label: &str, since: Timestamp) -> anyhow::Result<usize> {
        let seconds = |at: Timestamp| format!("{}.{:03}", at.0 / 1000, at.0 % 1000);
        let filters = HashMap::from([
            ("label".to_owned(), vec![label.to_owned()]),
            ("event".to_owned(), vec!["start".to_owned(), "unpause".to_owned()]),
        ]);
        let which = EventsOptionsBuilder::default()
            .since(&seconds(since))
            .until(&seconds(SystemClock.now()))
            .filters(&filters)
            .build();
        Ok(self.docker.events(Some(which)).count().await)
    }

    /// The container and its network.
    pub(crate) async fn remove(&self) -> anyhow::Result<()> {
        let force = RemoveContainerOptionsBuilder::default().force(true).build();
        let removed = self.docker.remove_container(NAME, Some(force)).await;
        self.docker.remove_network(NAME).await.context("its network is still there")?;
        Ok(removed?)
    }
}
