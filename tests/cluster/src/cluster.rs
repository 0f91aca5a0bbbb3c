//! A whole cluster of real processes, and everything that can be done to it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use ocmt::{
    config::{Config, HostMemory, HumanDuration, Mode, RuntimeKind},
    local::Mailbox,
};
use ocmt_client::{Client, auth::Purpose, ca::ClusterCa, connect::Target, state::LocalState};
use ocmt_testkit::programs;
use sqlx::postgres::PgPool;
use tempfile::TempDir;

use crate::{
    account::Account,
    bootstrap::{self, Operator},
    doors::Doors,
    network::{Ground, Network},
    postgres::Postgres,
    process::NodeProcess,
    rows::{self, NodeRow},
    wait::until,
};

/// The cluster's database.
pub const DATABASE: &str = "ocmt";
/// What each node gives to containers; they share this machine's.
const HOST_MEMORY_MIB: u32 = 4_096;
const CLIENT_PORT: u16 = 7443;
const PEER_PORT: u16 = 7444;
const OPERATOR_PORT: u16 = 7446;

/// Nodes, their hosts, their database. Fields are dropped in this order: processes before what they stand on.
pub struct Cluster {
    /// The nodes, by number.
    pub nodes: Vec<NodeProcess>,
    /// Their database.
    pub postgres: Postgres,
    /// Their hosts.
    pub network: Network,
    /// To look at the database past the nodes.
    pub pool: PgPool,
    operator: Operator,
    ca: ClusterCa,
    mailbox: Mailbox,
    folder: TempDir,
}

impl Cluster {
    /// A cluster of that many nodes on hosts of their own, all of them serving. Containers are processes.
    ///
    /// # Errors
    /// The machine does not allow it, or a node does not start.
    pub async fn start(count: usize) -> anyhow::Result<Self> {
        Self::start_on(Ground::Hosts, count, |_| ()).await
    }

    /// The same on this ground, with `change` made to the configuration of each node.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub async fn start_on(
        ground: Ground,
        count: usize,
        change: impl Fn(&mut Config),
    ) -> anyhow::Result<Self> {
        let network = Network::on(ground, count)?;
        let postgres = Postgres::start(network.gateway()).await?;
        let pool = postgres.pool("postgres").await?;
        sqlx::query("CREATE DATABASE ocmt").execute(&pool).await?;
        pool.close().await;
        let folder = TempDir::with_prefix("ocmt-cluster.")?;
        let mail = folder.path().join("mail");
        std::fs::create_dir(&mail)?;
        let mut nodes = Vec::new();
        for number in 0..count {
            let at = folder.path().join(format!("node-{number}"));
            let client = SocketAddr::from((network.address(number), CLIENT_PORT));
            let mut config = config(&at, &mail, client, &postgres)?;
            if ground == Ground::Machine {
                // elsewhere each host has a loopback of its own
                config.listen.telemetry.set_ip(client.ip());
            }
            change(&mut config);
            nodes.push(NodeProcess::new(network.prefix(number), at, &config)?);
        }
        let names: Vec<_> = (0..count).map(|number| network.address(number).to_string()).collect();
        let operators = format!("https://{}:{OPERATOR_PORT}", network.address(0));
        let operator = bootstrap::form(&mut nodes, folder.path(), &names, operators).await?;
        let pem = std::fs::read_to_string(nodes[0].folder().join("data/pki/ca.pem"))?;
        let cluster = Self {
            nodes,
            pool: postgres.pool(DATABASE).await?,
            postgres,
            network,
            operator,
            ca: ClusterCa::from_pem(&pem)?,
            mailbox: Mailbox::new(mail),
            folder,
        };
        cluster.all_live(Duration::from_secs(60)).await?;
        Ok(cluster)
    }

    /// Where a node's client listener is, and whom to believe there.
    pub fn target(&self, node: usize) -> Target {
        Target { endpoint: self.nodes[node].endpoint().to_owned(), ca: self.ca.clone() }
    }

    /// Every node's client listener, as a client that may go to any of them takes it.
    pub fn everywhere(&self) -> Target {
        let endpoints: Vec<_> = self.nodes.iter().map(NodeProcess::endpoint).collect();
        Target { endpoint: endpoints.join(","), ca: self.ca.clone() }
    }

    /// Connections to every node.
    ///
    /// # Errors
    /// An endpoint is none.
    pub fn doors(&self) -> anyhow::Result<Doors> {
        Doors::new(&(0..self.nodes.len()).map(|node| self.target(node)).collect::<Vec<_>>())
    }

    /// Signs that many people up, through one node after the other.
    ///
    /// # Errors
    /// It does not work.
    pub async fn accounts(&self, name: &str, count: usize) -> anyhow::Result<Vec<Arc<Account>>> {
        let mut accounts = Vec::new();
        for number in 0..count {
            let account = self.account(&format!("{name}-{number}"), number % self.nodes.len()).await?;
            accounts.push(Arc::new(account));
        }
        Ok(accounts)
    }

    /// Signs somebody up through a node, which owns their tenant then.
    ///
    /// # Errors
    /// It does not work.
    pub async fn account(&self, name: &str, node: usize) -> anyhow::Result<Account> {
        let account = Account::found(name, self.target(node), &self.mailbox).await;
        account.with_context(|| format!("signing up {name}"))
    }

    /// Signs somebody who has an account in once more, through a node.
    ///
    /// # Errors
    /// It does not work.
    pub async fn sign_in(&self, email: &str, node: usize) -> anyhow::Result<Client> {
        let client = Client::connect(self.target(node)).await?;
        let asked = client.request_link(email, None, Purpose::SignIn).await?;
        let letter = self.mailbox.take(email, "Your sign-in link").await.context("no letter came")?;
        Ok(asked.finish(letter.link().context("no link in it")?, "another device").await?)
    }

    /// A device of this name, with no memory of any vault.
    ///
    /// # Errors
    /// Its folder cannot be made.
    pub fn device(&self, name: &str) -> anyhow::Result<LocalState> {
        Ok(LocalState::open(&self.folder.path().join("devices").join(name))?)
    }

    /// The living incarnation of a node, if it has one.
    ///
    /// # Errors
    /// The database.
    pub async fn living(&self, node: usize) -> anyhow::Result<Option<NodeRow>> {
        let addr = self.peer_addr(node);
        let all = rows::nodes(&self.pool).await?;
        Ok(all.into_iter().rfind(|row| row.addr == addr && row.state != "dead"))
    }

    /// Waits until each node has an incarnation that is live.
    ///
    /// # Errors
    /// One does not get there.
    pub async fn all_live(&self, patience: Duration) -> anyhow::Result<Duration> {
        until("all nodes live", patience, async || {
            for node in 0..self.nodes.len() {
                if self.living(node).await?.is_none_or(|row| row.state != "live") {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
    }

    /// Waits until the incarnation is dead.
    ///
    /// # Errors
    /// It is not in time.
    pub async fn dead(&self, incarnation: &str, patience: Duration) -> anyhow::Result<Duration> {
        until("the incarnation is dead", patience, async || {
            let all = rows::nodes(&self.pool).await?;
            Ok(all.iter().any(|row| row.incarnation == incarnation && row.state == "dead"))
        })
        .await
    }

    /// Starts every node again that has ended by itself, as a service manager does; how many.
    ///
    /// # Errors
    /// One cannot be started.
    pub fn tend(&mut self) -> anyhow::Result<usize> {
        let mut started = 0;
        for node in &mut self.nodes {
            started += usize::from(node.tend()?);
        }
        Ok(started)
    }

    /// Lets time pass under load, tending the nodes.
    ///
    /// # Errors
    /// A node cannot be started again.
    pub async fn for_a_while(&mut self, time: Duration) -> anyhow::Result<()> {
        let began = crate::wait::now();
        while crate::wait::since(began) < time {
            self.tend()?;
            tokio::time::sleep(Duration::from_millis(50)).await; // why: the fault lasts this long
        }
        Ok(())
    }

    /// The `host:port` that a node's row names.
    pub fn peer_addr(&self, node: usize) -> String {
        format!("{}:{PEER_PORT}", self.network.address(node))
    }

    /// The first operator's certificate and key.
    pub fn operator_files(&self) -> PathBuf {
        self.folder.path().join("operator")
    }

    /// The operator listener of a node.
    pub fn operators_at(&self, node: usize) -> SocketAddr {
        SocketAddr::from((self.network.address(node), OPERATOR_PORT))
    }

    /// Runs `ocmt cluster …` as an operator; what it said.
    ///
    /// # Errors
    /// It refuses.
    pub async fn operate(&self, command: &[&str]) -> anyhow::Result<String> {
        self.operator.run(self.nodes.first().context("no nodes")?, command).await
    }

    /// The end of every node's log, for a message.
    pub fn words(&self) -> String {
        let words = |(number, node): (usize, &NodeProcess)| format!("--- node {number}\n{}", node.words());
        self.nodes.iter().enumerate().map(words).collect::<Vec<_>>().join("\n")
    }
}

fn config(folder: &Path, mail: &Path, client: SocketAddr, postgres: &Postgres) -> anyhow::Result<Config> {
    let mut config = Config::default();
    config.node.mode = Mode::Demo;
    config.node.data_dir = folder.join("data");
    config.listen.client = client;
    config.listen.public_url = format!("https://{client}");
    config.listen.peers = SocketAddr::from((client.ip(), PEER_PORT));
    config.listen.operators = SocketAddr::from((client.ip(), OPERATOR_PORT));
    config.store.url = postgres.url(DATABASE);
    config.cluster.advertise = format!("{}:{PEER_PORT}", client.ip());
    config.cluster.memory_mib = HostMemory::Mib(HOST_MEMORY_MIB);
    config.cluster.drain = HumanDuration::seconds(20);
    config.mail.spool = mail.to_owned();
    config.sessions.link_spread = HumanDuration::seconds(0);
    config.containers.runtime = RuntimeKind::Process;
    config.containers.cell = programs::of_the_cell("ocmt-cell")?;
    config.limits.idle_tenant = HumanDuration::hours(1);
    config.limits.connections_per_address = 10_000;
    Ok(config)
}
