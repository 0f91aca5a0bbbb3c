//! A node with actors, a mailbox for mails and a clock to move: what the tests of all areas stand on.
//!
//! `Kit::sim()`, then `kit.founder("ann@example.com")` for the owner of a tenant; `kit.call(&caller, Request)` asks it.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use ocmt_crypto::{
    audit::{checkpoint::Checkpoint, cut::Cut},
    sealing::{SealingKey, SealingKeys},
    sign::{Purpose, Signature, SigningKey, VerifyKey},
};
use ocmt_runtime::sim::SimRuntime;
use ocmt_store::{
    Store,
    testing::{TestDatabase, TestNode},
};
use ocmt_types::{
    Clock, Deadline, Digest32, IdGen, Incarnation, ManualClock, NodeId, Ownership, RandomIds, RequestId,
    Secret, TenantId, Timestamp, UserId,
};

use super::linked::Linked;
pub(crate) use super::{
    mailbox::{Delivered, Mailbox},
    no_cells::{NoCells, nobody},
    wait::{until, until_passing},
};
use crate::{
    ActorError, Alone, Call, CallMeta, Caller, IdempotencyKey, Limits, Mode, NodeSigner, Passkeys,
    SealingRing, System, SystemConfig,
    api::{
        auth::{Device, ExchangeMagicLink, LinkPurpose, RequestMagicLink, SessionIssued, SignUp},
        tenant::TenantPolicy,
        users::{AcceptInvite, InviteUser, Role},
    },
    audit::sha256,
};

pub(crate) const PUBLIC_URL: &str = "https://ocmt.example.org";
pub(crate) const START: Timestamp = Timestamp(1_800_000_000_000);
/// How long a test waits for a level at the most.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Signer {
    node: NodeId,
    key: SigningKey,
}

impl NodeSigner for Signer {
    fn node(&self) -> NodeId {
        self.node
    }
    fn verify_key(&self) -> VerifyKey {
        self.key.verify_key()
    }
    fn sign(&self, purpose: Purpose, message: &[u8]) -> Signature {
        self.key.sign(purpose, message)
    }
    fn sign_checkpoint(&self, checkpoint: &Checkpoint) -> Signature {
        checkpoint.sign(&self.key)
    }
    fn sign_cut(&self, cut: &Cut) -> Signature {
        cut.sign(&self.key)
    }
    fn certificate_chain(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

/// A node with actors.
pub(crate) struct Kit {
    pub(crate) system: System,
    pub(crate) store: Store,
    pub(crate) clock: ManualClock,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) node: TestNode,
    /// What this node believes of the others.
    pub(crate) linked: Arc<Linked>,
    _folder: Option<Arc<tempfile::TempDir>>,
    _database: Option<Arc<TestDatabase>>,
}

/// Somebody signed in.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) email: String,
    pub(crate) tenant: TenantId,
    pub(crate) user: UserId,
    pub(crate) token: String,
    pub(crate) caller: Caller,
}

impl Kit {
    pub(crate) async fn sim() -> Self {
        Self::sim_with(|_| {}).await
    }

    pub(crate) async fn sim_with(change: impl FnOnce(&mut SystemConfig)) -> Self {
        Self::with(Store::sim(), change).await
    }

    pub(crate) async fn sqlite() -> Self {
        Self::sqlite_with(|_| {}).await
    }

    pub(crate) async fn sqlite_with(change: impl FnOnce(&mut SystemConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::sqlite(folder.path()).await.unwrap();
        Self { _folder: Some(Arc::new(folder)), ..Self::with(store, change).await }
    }

    pub(crate) async fn postgres() -> Self {
        Self::postgres_with(|_| {}).await
    }

    pub(crate) async fn postgres_with(change: impl FnOnce(&mut SystemConfig)) -> Self {
        let database = TestDatabase::migrated().await.expect("a PostgreSQL for tests");
        // nothing here repeats a call, as an edge or a client would
        let store = database.open_patiently().await.unwrap();
        Self { _database: Some(Arc::new(database)), ..Self::with(store, change).await }
    }

    /// The files of a database on disk.
    pub(crate) fn database_files(&self) -> Vec<std::path::PathBuf> {
        let folder = self._folder.as_ref().expect("a store on disk").path();
        std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|at| at.is_file())
            .collect()
    }

    /// A node alone on a store.
    pub(crate) async fn with(store: Store, change: impl FnOnce(&mut SystemConfig)) -> Self {
        let clock = ManualClock::at(START);
        let mailbox = Arc::new(Mailbox::new());
        let node = TestNode::start(&store, 1).await.unwrap();
        let linked = Linked::first(&store, &node);
        // every test holds this in its own future
        Box::pin(Self::start(store, node, clock, mailbox, linked, change)).await
    }

    /// The `n`th node over the same store: the two reach each other, see the same mails and the same clock.
    pub(crate) async fn beside(&self, n: u64) -> Self {
        self.beside_with(n, |_| {}).await
    }

    pub(crate) async fn beside_with(&self, n: u64, change: impl FnOnce(&mut SystemConfig)) -> Self {
        let node = TestNode::start(&self.store, n).await.unwrap();
        let linked = self.linked.beside(&node);
        let (store, clock, mailbox) = (self.store.clone(), self.clock.clone(), self.mailbox.clone());
        let kit = Box::pin(Self::start(store, node, clock, mailbox, linked, change)).await;
        Self { _folder: self._folder.clone(), _database: self._database.clone(), ..kit }
    }

    async fn start(
        store: Store,
        node: TestNode,
        clock: ManualClock,
        mailbox: Arc<Mailbox>,
        linked: Arc<Linked>,
        change: impl FnOnce(&mut SystemConfig),
    ) -> Self {
        let mut config = config(&store, &node, &clock, &mailbox);
        config.neighbours = linked.clone();
        change(&mut config);
        let system = System::start(config).await.unwrap();
        linked.joined(system.clone());
        Self { system, store, clock, mailbox, node, linked, _folder: None, _database: None }
    }

    /// The node is declared dead. It does not know of it: its lease looks good and its actors are there.
    pub(crate) async fn is_declared_dead(&self) {
        assert!(self.store.cluster().mark_dead(self.node.incarnation).await.unwrap());
    }

    /// Asks a tenant as an edge does: at this node, and at the others when it is not the tenant's.
    pub(crate) async fn ask_any<C: Call + Clone>(
        nodes: &[&Self],
        caller: &Caller,
        meta: &CallMeta,
        request: C,
    ) -> Result<C::Answer, ActorError> {
        for turn in 0.. {
            let kit = nodes[turn % nodes.len()];
            let tenant = kit.system.tenant(caller.tenant());
            match tenant.call(caller.clone(), meta.clone(), request.clone()).await {
                Err(ActorError::NotOwner { .. }) if turn < 20_000 => {
                    tokio::time::sleep(Duration::from_millis(2)).await; // why: the pause between two tries of an edge, bounded by the turns
                }
                other => return other,
            }
        }
        unreachable!("the turns are bounded")
    }

    /// The same node after a crash: a new tree over the same store.
    pub(crate) async fn another_tree(&self) -> System {
        System::start(config(&self.store, &self.node, &self.clock, &self.mailbox)).await.unwrap()
    }

    /// The same with another configuration.
    pub(crate) async fn another_tree_with(&self, change: impl FnOnce(&mut SystemConfig)) -> System {
        let mut config = config(&self.store, &self.node, &self.clock, &self.mailbox);
        change(&mut config);
        System::start(config).await.unwrap()
    }

    pub(crate) fn request(&self) -> RequestId {
        let ids: &dyn IdGen = &RandomIds;
        ids.id()
    }

    pub(crate) fn deadline(&self) -> Deadline {
        Deadline::after(&self.clock, Duration::from_secs(30))
    }

    pub(crate) fn meta(&self) -> CallMeta {
        self.deadline().into()
    }

    /// With an idempotency key of this seed, for a request of this seed.
    pub(crate) fn keyed(&self, key: u8, request: u8) -> CallMeta {
        CallMeta {
            idempotency: Some(IdempotencyKey { key: vec![key; 16], request_hash: [request; 32] }),
            ..self.meta()
        }
    }

    pub(crate) async fn call<C: Call>(&self, caller: &Caller, request: C) -> Result<C::Answer, ActorError> {
        self.system.tenant(caller.tenant()).call(caller.clone(), self.meta(), request).await
    }

    pub(crate) async fn authenticate(&self, token: &str) -> Result<Caller, ActorError> {
        self.system.authenticate(token, self.request(), None, self.deadline()).await
    }

    /// Signs somebody up as the owner of a tenant of their own.
    pub(crate) async fn founder(&self, email: &str) -> Person {
        let email = &email.to_lowercase();
        let link = self.sign_up_link(email).await;
        let issued = self.exchange(&link).await.unwrap();
        self.person(email, issued).await
    }

    /// The link of a sign-up.
    pub(crate) async fn sign_up_link(&self, email: &str) -> String {
        let n = self.mailbox.count(email);
        self.system
            .sign_up(SignUp {
                email: email.to_owned(),
                tenant_name: format!("of {email}"),
                binding_hash: binding().1,
            })
            .unwrap();
        self.mailbox.token_after(email, n).await.tokens[0].1.clone()
    }

    /// Brings somebody into the tenant of `host`.
    pub(crate) async fn member(&self, host: &Person, email: &str, role: Role) -> Person {
        let n = self.mailbox.count(email);
        self.call(&host.caller, InviteUser { email: email.to_owned(), role: role.into() }).await.unwrap();
        let mail = self.mailbox.token_after(email, n).await;
        let accept = AcceptInvite { token: Secret::new(mail.tokens[0].1.clone()), device: Device::default() };
        let issued = self.system.accept_invite(accept, &self.meta(), self.request()).await.unwrap();
        self.person(email, issued).await
    }

    /// Another session of somebody.
    pub(crate) async fn sign_in(&self, person: &Person, purpose: LinkPurpose) -> Person {
        let token = self.link(&person.email, purpose).await;
        let issued = self.exchange(&token).await.unwrap();
        self.person(&person.email, issued).await
    }

    /// A fresh link of an address with one tenant.
    pub(crate) async fn link(&self, email: &str, purpose: LinkPurpose) -> String {
        let n = self.mailbox.count(email);
        let ask =
            RequestMagicLink { email: email.to_owned(), tenant: None, purpose, binding_hash: binding().1 };
        self.system.request_magic_link(ask, self.request()).unwrap();
        self.mailbox.token_after(email, n).await.tokens[0].1.clone()
    }

    pub(crate) async fn exchange(&self, token: &str) -> Result<SessionIssued, ActorError> {
        self.exchange_bound(token, &binding().0).await
    }

    pub(crate) async fn exchange_bound(
        &self,
        token: &str,
        secret: &[u8],
    ) -> Result<SessionIssued, ActorError> {
        let exchange = ExchangeMagicLink {
            token: Secret::new(token.to_owned()),
            binding_secret: Secret::new(secret.to_vec()),
            device: device(),
        };
        self.system.exchange_magic_link(exchange, &self.meta(), self.request()).await
    }

    async fn person(&self, email: &str, issued: SessionIssued) -> Person {
        let token = issued.token.expose().clone();
        let caller = self.authenticate(&token).await.unwrap();
        Person { email: email.to_owned(), tenant: issued.tenant, user: issued.session.user, token, caller }
    }

    /// Takes a tenant away from whoever has it here, as another claim would.
    pub(crate) async fn steal(&self, tenant: TenantId) -> Ownership {
        match self.store.cluster().claim(tenant, self.node.node_id, self.node.incarnation).await.unwrap() {
            ocmt_store::Claim::Taken(ownership) => ownership,
            other => panic!("not claimed: {other:?}"),
        }
    }

    /// The epoch of a tenant's last claim.
    pub(crate) async fn epoch(&self, tenant: TenantId) -> i64 {
        self.store.cluster().owner(tenant).await.unwrap().unwrap().epoch.0
    }
}

/// What a client keeps, and what it shows.
pub(crate) fn binding() -> (Vec<u8>, Digest32) {
    let secret = vec![7; 32];
    let hash = sha256(&secret);
    (secret, hash)
}

/// What signs in.
pub(crate) fn device() -> Device {
    Device { name: "a test".to_owned(), addr: Some(IpAddr::from([192, 0, 2, 1])) }
}

fn config(store: &Store, node: &TestNode, clock: &ManualClock, mailbox: &Arc<Mailbox>) -> SystemConfig {
    let incarnation: Incarnation = node.incarnation;
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    SystemConfig {
        store: store.clone(),
        runtime: Arc::new(SimRuntime::new(node.node_id, clock.clone())),
        clock,
        ids: Arc::new(RandomIds),
        mailer: mailbox.clone(),
        cells: Arc::new(NoCells),
        snapshots: None,
        signer: Arc::new(Signer { node: node.node_id, key: SigningKey::from_bytes(&[9; 32]) }),
        sealing: SealingRing::new(SealingKeys::new([sealing_key(1)])),
        passkeys: Passkeys::new(PUBLIC_URL),
        neighbours: Arc::new(Alone),
        policy: TenantPolicy::default(),
        mode: Mode::Dev,
        incarnation,
        limits: Limits {
            poll_every: Duration::from_millis(25),
            lobby_spread: Duration::ZERO,
            ..Limits::default()
        },
    }
}

pub(crate) type Seen<T> = Mutex<Vec<T>>;

/// A generation of the cluster's sealing key; nodes begin with the first alone.
pub(crate) fn sealing_key(generation: u32) -> SealingKey {
    SealingKey::from_bytes(generation, [u8::try_from(generation).unwrap_or(0) + 4; 32])
}
