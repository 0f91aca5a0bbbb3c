//! A node with a tenant whose people sign in at a provider of the test.

use ocmt::{local::Mailbox, server::Node, software::Software};
use ocmt_client::{Client, ClientError, connect::Target, sso::PendingSso};
use ocmt_types::{Secret, TenantId};

use crate::{
    alone,
    provider::{CLIENT, Provider, SECRET, Wrong},
};

pub(crate) const OWNER: &str = "olga@example.com";
pub(crate) const ANN: &str = "ann@example.com";

pub(crate) struct Kit {
    pub(crate) provider: Provider,
    pub(crate) stranger: Client,
    pub(crate) owner: Client,
    pub(crate) ann: Client,
    pub(crate) tenant: TenantId,
    mailbox: Mailbox,
    _node: Node,
    _folder: tempfile::TempDir,
}

impl Kit {
    pub(crate) async fn start(wrong: Wrong) -> Self {
        let provider = Provider::start(wrong).await;
        let folder = tempfile::tempdir().unwrap();
        let mut config = alone::config(folder.path());
        config.mail.spool = folder.path().join("mail");
        config.sso.ca_file = provider.ca_file.clone();
        let node = Box::pin(Node::start(&config, Software::this())).await.unwrap();
        let ca = std::fs::read_to_string(node.ca_file()).unwrap();
        let ca = ocmt_client::ca::ClusterCa::from_pem(&ca).unwrap();
        let stranger =
            Client::connect(Target { endpoint: node.endpoints().client.clone(), ca }).await.unwrap();
        let mailbox = Mailbox::new(folder.path().join("mail"));
        let link = async |to: &str, subject: &str| {
            mailbox.take(to, subject).await.unwrap().link().unwrap().to_owned()
        };
        let pending = stranger.sign_up(OWNER, "Work").await.unwrap();
        let owner = pending.finish(&link(OWNER, "Finish your sign-up").await, "test").await.unwrap();
        owner.invite_user(ANN, "member").await.unwrap();
        let ann = stranger.accept_invite(&link(ANN, "invited").await, "test").await.unwrap();
        let tenant = owner.who_am_i().await.unwrap().tenant;
        let secret = Secret::new(SECRET.to_owned());
        owner.set_oidc_provider(&provider.issuer, CLIENT, Some(&secret), true).await.unwrap();
        Self { provider, stranger, owner, ann, tenant, mailbox, _node: node, _folder: folder }
    }

    pub(crate) async fn begin(&self) -> Result<PendingSso, ClientError> {
        self.stranger.begin_sso(self.tenant).await
    }

    /// Somebody signs in there, and then here.
    pub(crate) async fn sign_in(&self) -> Result<Client, ClientError> {
        let pending = self.begin().await?;
        let back = self.provider.sign_in(pending.url());
        pending.finish(&back, "browser").await
    }

    pub(crate) async fn told(&self, to: &str, subject: &str) -> String {
        self.mailbox.take(to, subject).await.expect("no letter came").body
    }
}
