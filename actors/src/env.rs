//! What every actor of one node shares: the store, time, ids, the ports, limits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use ocmt_runtime::Runtime;
use ocmt_store::{FencedTx, ReadTx, Store};
use ocmt_types::{
    Clock, Id, IdGen, Incarnation, NodeId, Ownership, RequestId, TenantId, Timestamp, UserId, VaultId,
};
use ractor::ActorRef;
use tokio::sync::watch;

use crate::{
    admission::{Admission, AdmissionLimits},
    error::ActorError,
    host::{Archives, GatewayGeneration, Links, Starts, Told},
    meters::Meters,
    node::NodeMessage,
    passkeys::Passkeys,
    policy::{Mode, TenantPolicy},
    ports::{CellLink, Mailer, Neighbours, NodeSigner, SealingRing, Snapshots},
    tenant::{alert::Channels, audit::stream::Streams},
    watch::{Hints, SharedHints},
};

/// Bounds and periods of the tree. The defaults suit a node; tests shorten them.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Unanswered work of one tenant.
    pub admission: AdmissionLimits,
    /// A tenant without calls, streams or deliveries for so long gives its memory back.
    pub passivate_after: Duration,
    /// How often due timers of sleeping tenants and undelivered notices are looked for at the latest.
    pub poll_every: Duration,
    /// Calls before sign-in that are worked on at the same time; more are refused. As many that were answered are worked on
    /// beside them, and more of those wait.
    pub lobby: usize,
    /// Sign-ups and wishes for links that were answered and whose work has not begun; more are refused.
    pub lobby_waiting: usize,
    /// That work begins at a time drawn at random within so long: what it costs tells whether an address is known.
    pub lobby_spread: Duration,
    /// From asking for the deletion of a tenant to its beginning.
    pub deletion_delay: Duration,
    /// How often a host looks for volumes of tenants that were deleted.
    pub erase_every: Duration,
    /// A connection whose session nobody can vouch for goes on for so long at most.
    pub pinned_for: Duration,
    /// How often a host holds its running containers against the profile.
    pub profile_every: Duration,
    /// What becomes of one that is not as it was made.
    pub on_drift: OnDrift,
    /// Containers of this host that start at once; the others wait for their turn.
    pub starts_at_once: usize,
    /// The size that volumes of new containers are given, in MiB, for the tenant's quota; 0 where they have no bound.
    pub volume_mib: i64,
}

/// What becomes of a container that is not as it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDrift {
    /// It is held: stopped, and not woken before somebody releases it.
    #[default]
    Hold,
    /// It is written into the audit and the log.
    Report,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            admission: AdmissionLimits::default(),
            passivate_after: Duration::from_secs(300),
            poll_every: Duration::from_secs(2),
            lobby: 64,
            lobby_waiting: 4096,
            lobby_spread: Duration::from_secs(1),
            deletion_delay: Duration::from_secs(7 * 24 * 3600),
            erase_every: Duration::from_secs(600),
            pinned_for: Duration::from_secs(60),
            profile_every: Duration::from_secs(60),
            on_drift: OnDrift::default(),
            starts_at_once: 8,
            volume_mib: 0,
        }
    }
}

/// What a [`crate::System`] is made of.
pub struct SystemConfig {
    /// The truth.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn IdGen>,
    /// Hands mails over.
    pub mailer: Arc<dyn Mailer>,
    /// Dials cells.
    pub cells: Arc<dyn CellLink>,
    /// This machine's engine for containers.
    pub runtime: Arc<dyn Runtime>,
    /// Where snapshots of volumes lie; none where the operator keeps none.
    pub snapshots: Option<Snapshots>,
    /// The node's identity.
    pub signer: Arc<dyn NodeSigner>,
    /// The cluster's sealing keys.
    pub sealing: SealingRing,
    /// What authenticators know the cluster as; none where it is reached under an address.
    pub passkeys: Option<Passkeys>,
    /// The other nodes; [`crate::Alone`] if there are none.
    pub neighbours: Arc<dyn Neighbours>,
    /// What a new tenant's policy is.
    pub policy: TenantPolicy,
    /// Which delays are lawful.
    pub mode: Mode,
    /// This life of the node, as registered in the store.
    pub incarnation: Incarnation,
    /// Bounds and periods.
    pub limits: Limits,
}

/// The configuration at work.
pub(crate) struct Env {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdGen>,
    pub(crate) mailer: Arc<dyn Mailer>,
    pub(crate) cells: Arc<dyn CellLink>,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) snapshots: Option<Snapshots>,
    pub(crate) signer: Arc<dyn NodeSigner>,
    /// Which generation signs gateway tokens, and until when the one before is taken.
    pub(crate) gateway_generation: GatewayGeneration,
    pub(crate) sealing: SealingRing,
    pub(crate) passkeys: Option<Passkeys>,
    pub(crate) neighbours: Arc<dyn Neighbours>,
    pub(crate) policy: TenantPolicy,
    pub(crate) mode: Mode,
    pub(crate) node: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) limits: Limits,
    pub(crate) admission: Arc<Admission>,
    /// This life of the node is over: see [`crate::System::abort`].
    pub(crate) ended: AtomicBool,
    /// Tenants that are awake, or on their way.
    pub(crate) awake: AtomicUsize,
    /// What is counted of the work here.
    pub(crate) meters: Meters,
    /// Calls of strangers that failed since the start; these leave no audit record.
    pub(crate) strangers_refused: AtomicU64,
    /// How often a container here was found not to be as it was made, since the start.
    pub(crate) drifted: AtomicU64,
    /// Channels of other nodes' clients to containers here.
    pub(crate) links: Arc<Links>,
    /// Requests to workloads that the audit has heard of.
    pub(crate) told: Told,
    /// Containers here that start, or wait for their turn.
    pub(crate) starts: Arc<Starts>,
    /// Cells here that run nothing.
    pub(crate) archives: Arc<Archives>,
    /// Who watches which vault here.
    pub(crate) hints: Hints<VaultId>,
    /// Who watches containers of which tenant here, by the reader.
    pub(crate) container_hints: Hints<(TenantId, UserId)>,
    /// Who watches ceremonies in which tenant here, by the reader.
    pub(crate) ceremony_hints: Hints<(TenantId, UserId)>,
    /// Who watches the audit of which tenant here, by the reader.
    pub(crate) audit_hints: SharedHints<TenantId, UserId>,
    /// Where alerts of the tenants here go.
    pub(crate) alert_channels: Channels,
    /// What is streamed of audits of the tenants here.
    pub(crate) streams: Streams,
    /// Who watches what waits for whom here. Nobody is told: they look once a second.
    pub(crate) inbox_hints: Hints<(TenantId, UserId)>,
    /// Whether this host has tried to hold its engine against its rows: before that nothing is known of what runs.
    pub(crate) reconciled: watch::Sender<bool>,
    /// The root of the tree, once it stands. Actors of one branch reach another branch through it.
    pub(crate) root: watch::Sender<Option<ActorRef<NodeMessage>>>,
}

impl Env {
    pub(crate) fn new(config: SystemConfig) -> Self {
        Self {
            node: config.signer.node(),
            admission: Admission::new(config.limits.admission),
            ended: AtomicBool::new(false),
            awake: AtomicUsize::new(0),
            meters: Meters::new(),
            strangers_refused: AtomicU64::new(0),
            drifted: AtomicU64::new(0),
            gateway_generation: GatewayGeneration::new(&config.sealing, config.clock.now()),
            store: config.store,
            clock: config.clock,
            ids: config.ids,
            mailer: config.mailer,
            cells: config.cells,
            runtime: config.runtime,
            snapshots: config.snapshots,
            signer: config.signer,
            sealing: config.sealing,
            passkeys: config.passkeys,
            neighbours: config.neighbours,
            policy: config.policy,
            mode: config.mode,
            incarnation: config.incarnation,
            limits: config.limits,
            starts: Starts::new(config.limits.starts_at_once),
            archives: Arc::default(),
            links: Arc::default(),
            told: Told::default(),
            hints: Hints::default(),
            container_hints: Hints::default(),
            ceremony_hints: Hints::default(),
            audit_hints: SharedHints::default(),
            inbox_hints: Hints::default(),
            alert_channels: Channels::default(),
            streams: Streams::default(),
            reconciled: watch::Sender::new(false),
            root: watch::Sender::new(None),
        }
    }

    /// Whether this node may speak for its tenants.
    pub(crate) fn strict(&self) -> Result<(), ActorError> {
        if self.ended.load(Ordering::Acquire) {
            return Err(ActorError::no_lease());
        }
        self.neighbours.strict()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A fresh id.
    pub(crate) fn id<I: Id>(&self) -> I {
        self.ids.id()
    }

    /// An id for work that no request caused.
    pub(crate) fn request_id(&self) -> RequestId {
        self.id()
    }

    /// Sends to the root of the tree; a tree that is going down takes nothing.
    pub(crate) fn to_root(&self, message: NodeMessage) {
        let root = self.root.borrow().clone();
        if let Some(root) = root {
            let _ = root.cast(message);
        }
    }
}

/// What work on one tenant's state stands on.
#[derive(Clone)]
pub(crate) struct Scope {
    pub(crate) env: Arc<Env>,
    pub(crate) ownership: Ownership,
    closed: Arc<AtomicBool>,
}

impl Scope {
    /// The work of one activation, or of one order.
    pub(crate) fn new(env: Arc<Env>, ownership: Ownership) -> Self {
        Self { env, ownership, closed: Arc::default() }
    }

    /// Nothing begins any more, in none of the clones: it finds the ownership gone, without asking for it.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    fn open(&self) -> Result<(), ActorError> {
        if self.closed.load(Ordering::Relaxed) { Err(ActorError::moved()) } else { Ok(()) }
    }

    /// Something was recorded: whoever watches the tenant's audit here looks now.
    pub(crate) fn recorded(&self) {
        self.env.audit_hints.tell(self.ownership.tenant);
    }

    /// A strict read: under a good lease, in a snapshot in which the ownership was the current one. The two
    /// are not the same: a machine that was suspended believes in its lease until it looks at the clock.
    pub(crate) async fn read(&self) -> Result<ReadTx, ActorError> {
        self.env.strict()?;
        self.open()?;
        Ok(self.env.store.read(self.ownership).await?)
    }

    /// A transaction that may write, under the same.
    pub(crate) async fn fenced(&self) -> Result<FencedTx, ActorError> {
        self.env.strict()?;
        self.open()?;
        Ok(self.env.store.fenced(self.ownership).await?)
    }
}
