//! A node for one test, and people with accounts on it.

use std::{
    fs,
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow, ensure};
use ocmt::{
    config::{Config, HumanDuration, Rate, Rates, RuntimeKind},
    local::{LocalNode, Mailbox},
};
use ocmt_client::{
    Client,
    auth::{PendingSignIn, Purpose},
    connect::Target,
    passphrase::NewPassphrase,
    state::LocalState,
    vault::Vault,
};
use ocmt_crypto::kdf::Cost;
use ocmt_runtime::process::end_left;
use tempfile::TempDir;

use crate::{command, programs};

/// A node of the test's own, gone with it and its cells.
pub struct TestNode {
    // in this order: the process ends before its cells do, and they before their records go
    node: LocalNode,
    cells: Cells,
    mailbox: Mailbox,
    folder: TempDir,
}

/// The cells of the node with this folder of records. Dropping the node kills it, and then they would wait for its next life.
struct Cells(PathBuf);

impl Cells {
    fn of(folder: &TempDir) -> Self {
        Self(folder.path().join("data").join("processes"))
    }
}

impl Drop for Cells {
    fn drop(&mut self) {
        end_left(&self.0);
    }
}

/// Somebody with an account in a tenant of their own.
pub struct Person {
    /// Their address.
    pub email: String,
    /// Signed in.
    pub client: Client,
    /// Their device.
    pub device: LocalState,
}

impl TestNode {
    /// A node on the `process` runtime.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(|_| {}).await
    }

    /// The same with `change` made to its configuration.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> anyhow::Result<Self> {
        Self::start_in(TempDir::with_prefix("ocmt-e2e.")?, change).await
    }

    /// The only node of a cluster on the PostgreSQL database at `url`, which has its schema.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_on(url: &str, change: impl FnOnce(&mut Config)) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("ocmt-e2e.")?;
        let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let (data, operator) = (at("data"), at("operator"));
        let init = ["cluster", "init", "--data-dir", &data, "--operator-out", &operator];
        let said = command::ocmt(&init).await?;
        ensure!(said.code == Some(0), "{}", said.err);
        let change = |config: &mut Config| {
            among_others(config, url);
            change(config);
        };
        Self::start_in(folder, change).await
    }

    /// Starts it again on what it left in `folder`, with `change` made to its configuration.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_again(folder: TempDir, change: impl FnOnce(&mut Config)) -> anyhow::Result<Self> {
        let file = folder.path().join("ocmt.toml");
        let mut config: Config = toml::from_str(&fs::read_to_string(&file)?)?;
        change(&mut config);
        fs::write(&file, toml::to_string(&config)?)?;
        let cells = Cells::of(&folder);
        let node = LocalNode::run(&programs::ocmt()?, folder.path()).await?;
        Ok(Self { mailbox: node.mailbox(), node, cells, folder })
    }

    async fn start_in(folder: TempDir, change: impl FnOnce(&mut Config)) -> anyhow::Result<Self> {
        let cell = programs::of_the_cell("ocmt-cell")?;
        let node = LocalNode::start(&programs::ocmt()?, folder.path(), |config| {
            config.containers.runtime = RuntimeKind::Process;
            config.containers.cell = cell;
            // nothing falls asleep under a test that does not ask for it
            config.limits.idle_tenant = HumanDuration::hours(1);
            // nobody is limited in a test of something else
            config.rates = unlimited();
            change(config);
        })
        .await?;
        Ok(Self { mailbox: node.mailbox(), node, cells: Cells::of(&folder), folder })
    }

    /// The process.
    pub fn local(&self) -> &LocalNode {
        &self.node
    }

    /// Its folder: `data/`, `mail/`, `node.log`, `ocmt.toml`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where it is and whom to believe there.
    ///
    /// # Errors
    /// Its authority cannot be read.
    pub fn target(&self) -> anyhow::Result<Target> {
        Ok(self.node.target()?)
    }

    /// Kills it as a power cut would, and starts it again on what is left.
    ///
    /// # Errors
    /// It does not start.
    pub async fn crash_and_restart(self) -> anyhow::Result<Self> {
        let Self { folder, cells, node, mailbox } = self;
        node.kill().await?;
        let node = LocalNode::run(&programs::ocmt()?, folder.path()).await?;
        Ok(Self { node, cells, mailbox, folder })
    }

    /// Asks it to stop (SIGTERM): whether it exited 0, and its folder.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn stop(self) -> anyhow::Result<(bool, TempDir)> {
        Ok((self.node.stop().await?, self.folder))
    }

    /// A device of this name.
    ///
    /// # Errors
    /// Its folder cannot be made.
    pub fn device(&self, name: &str) -> anyhow::Result<LocalState> {
        Ok(LocalState::open(&self.folder.path().join("devices").join(name))?)
    }

    /// The link in the next mail to `email` whose subject has these words.
    ///
    /// # Errors
    /// None comes.
    pub async fn link(&self, email: &str, subject: &str) -> anyhow::Result<String> {
        let letter = self
            .mailbox
            .take(email, subject)
            .await
            .ok_or_else(|| anyhow!("no \"{subject}\" came to {email}"))?;
        letter.link().map(str::to_owned).context("there is no link in it")
    }

    /// Signs somebody up.
    ///
    /// # Errors
    /// It does not work.
    pub async fn person(&self, name: &str) -> anyhow::Result<Person> {
        let email = format!("{name}@e2e.example");
        let pending = self.node.client().await?.sign_up(&email, &format!("{name}'s tenant")).await?;
        let client = pending.finish(&self.link(&email, "Finish your sign-up").await?, "e2e").await?;
        Ok(Person { email, client, device: self.device(name)? })
    }

    /// Invites somebody into the tenant of `host`, and signs them in.
    ///
    /// # Errors
    /// It does not work.
    pub async fn member(&self, host: &Person, name: &str, role: &str) -> anyhow::Result<Person> {
        let email = format!("{name}@e2e.example");
        host.client.invite_user(&email, role).await?;
        let link = self.link(&email, "You are invited").await?;
        let client = self.node.client().await?.accept_invite(&link, "e2e").await?;
        Ok(Person { email, client, device: self.device(name)? })
    }

    /// Asks for a sign-in link; the sign-in and the mailed link.
    ///
    /// # Errors
    /// No link comes.
    pub async fn request_link(&self, email: &str) -> anyhow::Result<(PendingSignIn, String)> {
        let pending = self.node.client().await?.request_link(email, None, Purpose::SignIn).await?;
        Ok((pending, self.link(email, "sign-in link").await?))
    }
}

/// Rates that no test of something else comes near.
pub fn unlimited() -> Rates {
    let rate = Rate { most: NonZeroU32::MAX, within: HumanDuration::minutes(1) };
    Rates {
        requests: rate,
        sign_in: rate,
        account: rate,
        mfa: rate,
        unlock: rate,
        recovery: rate,
        stop: rate,
        read: rate,
        write: rate,
        gateway: rate,
    }
}

/// What a node of a cluster needs in its configuration.
pub fn among_others(config: &mut Config, url: &str) {
    config.store.url = url.to_owned();
    config.listen.peers.set_port(0);
    config.listen.operators.set_port(0);
    // nobody asks for it there: it is alone
    config.cluster.advertise = "127.0.0.1:7444".to_owned();
}

impl Person {
    /// Makes their vault, cheaply.
    ///
    /// # Errors
    /// It does not work.
    pub async fn vault(&self, passphrase: &str) -> anyhow::Result<Vault> {
        Ok(self
            .client
            .create_vault(NewPassphrase::new(passphrase, &[&self.email])?, Cost::LEAST, &self.device)
            .await?)
    }

    /// Their session token.
    ///
    /// # Errors
    /// They are not signed in.
    pub fn token(&self) -> anyhow::Result<String> {
        Ok(self.client.credential().context("not signed in")?.expose().to_owned())
    }
}
