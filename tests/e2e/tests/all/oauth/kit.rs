//! A node, a provider that is strict, and somebody whose container asks its cell for tokens.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use ocmt::local::wait_for;
use ocmt_client::{
    container::Spec,
    oauth::{Gifts, PendingConnection},
    vault::Vault,
};
use ocmt_crypto::connect::{ProviderName, ProviderSettings};
use ocmt_testkit::{
    Person, TestNode,
    provider::{CLIENT, Provider, SECRET},
};
use ocmt_types::{ContainerId, Secret};

pub(super) const PASSPHRASE: &str = "violin ledger umbrella quartz";
const LEASE: Duration = Duration::from_secs(600);

/// What the workload does: a command for each file `ask`, whose output it leaves in `said`.
const WORKLOAD: &str = "cd DIR\nwhile :; do\n  if [ -e ask ]; then\n    mv ask asked; sh asked > saying 2>&1; mv saying said\n  fi\n  sleep 0.05\ndone\n";

pub(crate) struct Kit {
    pub(crate) node: TestNode,
    pub(crate) provider: Provider,
    pub(crate) ada: Person,
    pub(crate) vault: Vault,
    pub(crate) container: ContainerId,
    /// Of the workload: no part of the node.
    pub(super) inside: tempfile::TempDir,
}

pub(super) fn name(text: &str) -> ProviderName {
    ProviderName::new(text).unwrap()
}

pub(super) fn settings(provider: &Provider, called: &str) -> ProviderSettings {
    ProviderSettings {
        name: name(called),
        client_id: CLIENT.to_owned(),
        client_secret: Some(Secret::new(SECRET.to_owned())),
        secret_by: None,
        issuer: Some(provider.issuer.clone()),
        endpoints: None,
        hosts: Vec::new(),
        scopes: vec!["read".to_owned()],
        parameters: BTreeMap::new(),
        ca_pem: Some(provider.ca_pem.clone()),
        pkce_assumed: false,
    }
}

impl Kit {
    /// With the provider `work` in the vault, and an unlocked cell that has it.
    pub(crate) async fn start() -> Self {
        let provider = Provider::start().await.unwrap();
        let hosts = vec![provider.host.clone()];
        Self::start_with(provider, hosts).await
    }

    pub(super) async fn start_with(provider: Provider, hosts: Vec<String>) -> Self {
        let node = TestNode::start_with(|config| {
            config.oauth.hosts = hosts;
            config.telemetry.filter = "debug".to_owned();
        });
        let node = node.await.unwrap();
        let ada = node.person("ada").await.unwrap();
        let mut vault = ada.vault(PASSPHRASE).await.unwrap();
        vault.set_provider(&settings(&provider, "work")).await.unwrap();
        let inside = tempfile::tempdir().unwrap();
        let script = inside.path().join("workload");
        fs::write(&script, WORKLOAD.replace("DIR", inside.path().to_str().unwrap())).unwrap();
        let argv = ["/usr/bin/env", "sh", script.to_str().unwrap()].map(str::to_owned).to_vec();
        let container =
            ada.client.create_container(&Spec { argv, ..Spec::default() }, true).await.unwrap().id;
        let mut kit = Self { node, provider, ada, vault, container, inside };
        kit.unlock(&["work"]).await;
        kit
    }

    pub(super) async fn unlock(&mut self, connect: &[&str]) {
        let connect: Vec<ProviderName> = connect.iter().map(|it| name(it)).collect();
        let gifts = Gifts { connect: &connect, ..Gifts::default() };
        self.vault.unlock_with(self.container, gifts, LEASE, false).await.unwrap();
    }

    pub(super) async fn lock(&self) {
        self.ada.client.lock_container(self.container).await.unwrap();
    }

    pub(super) async fn begin(&self, provider: &str) -> Result<PendingConnection, String> {
        let begun = self.vault.begin_connection(self.container, &name(provider), &[]).await;
        begun.map_err(|error| error.to_string())
    }

    /// The whole way to a connection with `work`.
    pub(crate) async fn connect(&self) -> Result<(), String> {
        let pending = self.begin("work").await?;
        let back = self.provider.allow(pending.url()).unwrap();
        pending.finish(&back).await.map(drop).map_err(|error| error.to_string())
    }

    /// Has the workload run a command: what it says.
    pub(super) async fn run(&self, command: &str) -> String {
        let at = |name: &str| -> PathBuf { self.inside.path().join(name) };
        fs::write(at("asking"), command).unwrap();
        fs::rename(at("asking"), at("ask")).unwrap();
        wait_for(Duration::from_secs(120), async || {
            let said = fs::read_to_string(at("said")).ok()?;
            fs::remove_file(at("said")).unwrap();
            Some(said.trim_end().to_owned())
        })
        .await
        .expect("the workload does not answer")
    }

    pub(super) async fn token(&self) -> String {
        self.run("\"$OCMT_CELL\" token work").await
    }
}
