//! What the actors ask of the world, implemented by `node`: mail, signatures, cells, other nodes.

mod connect;
mod neighbours;
mod snapshots;
mod transcripts;

pub use connect::{CellConnection, CellConnections, CellOffer, CellWish};
pub use neighbours::{Alone, Answering, HostSeen, HostStanding, Neighbours, RemoteChannel};
pub use snapshots::{
    Pieces, PinCall, PinError, SchedulePin, SchedulePins, SnapshotStore, SnapshotStoreError, Snapshots,
    StoreCall,
};
pub use transcripts::{CellGot, CellTranscripts, CellWant, CellWanted};

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use ocmt_crypto::{
    CryptoError,
    audit::{checkpoint::Checkpoint, cut::Cut},
    cell::{ControlToken, VOUCHER},
    sealing::{SealingKeys, SealingPlace},
    sign::{Purpose, Signature, VerifyKey},
};
use ocmt_runtime::CellAddress;
use ocmt_types::{Digest32, MessageId, NodeId, NoticeId, Secret, TenantId, Timestamp, UnlockId};
use tokio::sync::mpsc;

use crate::api::{
    alert::{Alert, AlertTarget},
    audit::AuditEntry,
    auth::LinkPurpose,
    container::Unsealed,
};
use crate::host::GatewayBefore;

/// One message to a person.
pub struct Mail {
    /// The same at each attempt, so that whoever gets it twice knows it by its Message-ID. That of a notice is the notice's.
    pub id: NoticeId,
    /// E-mail address.
    pub to: String,
    /// What it says; the node makes text of it.
    pub body: MailBody,
}

/// What a mail says. Tokens are whole (`ocmt_…`); the node puts them into links.
#[non_exhaustive]
pub enum MailBody {
    /// Finish a sign-up.
    SignUp {
        /// `ocmt_sup_…`
        token: Secret<String>,
    },
    /// Sign in, or show who one is: one link for each tenant of the address.
    SignIn {
        /// Tenant name and `ocmt_lnk_…`.
        links: Vec<(String, Secret<String>)>,
        /// What they are good for.
        purpose: LinkPurpose,
    },
    /// Confirm this address as the new one of an account.
    EmailChange {
        /// Name of the tenant.
        tenant: String,
        /// `ocmt_lnk_…`
        token: Secret<String>,
    },
    /// Ask one's guardians, who know of it, for the vault back, at this address from now on.
    LostMailbox {
        /// Address of the guardian who asked for it.
        guardian: String,
        /// `ocmt_lnk_…`
        token: Secret<String>,
    },
    /// Join a tenant.
    Invite {
        /// Name of the tenant.
        tenant: String,
        /// `ocmt_inv_…`
        token: Secret<String>,
    },
    /// A notice with a stable kind; fields are plain facts, no secret.
    Notice {
        /// Of which tenant.
        tenant: TenantId,
        /// Such as `ceremony_opened`.
        kind: String,
        /// Facts by name.
        facts: Vec<(String, String)>,
        /// When it became due.
        at: Timestamp,
    },
    /// An alert, to a channel that is no address; the mail's own address is empty.
    Alert {
        /// Where to.
        target: Box<AlertTarget>,
        /// What happened.
        alert: Box<Alert>,
    },
    /// Records of an audit for the receiver of its stream, in their order; the mail's own address is empty.
    Records {
        /// Where to, and what they are signed with.
        target: Box<AlertTarget>,
        /// Whose audit.
        tenant: TenantId,
        /// The records.
        records: Vec<AuditEntry>,
    },
}

/// A mail was not handed over. The texts name no addressee.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MailError {
    /// Not now: it is tried again.
    #[error("mail was not handed over: {0}")]
    Later(String),
    /// This letter to this addressee is never taken: trying again would do no good.
    #[error("mail was refused for good: {0}")]
    Refused(String),
}

/// Hands a mail over to whoever carries it.
pub trait Mailer: Send + Sync {
    /// Ready when the carrier has taken it.
    fn hand_over<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<(), MailError>>;
}

/// Signs statements with the node's identity key.
pub trait NodeSigner: Send + Sync {
    /// Which node.
    fn node(&self) -> NodeId;
    /// The public half of the identity key.
    fn verify_key(&self) -> VerifyKey;
    /// Signs a statement.
    fn sign(&self, purpose: Purpose, message: &[u8]) -> Signature;
    /// Signs the head of an audit.
    fn sign_checkpoint(&self, checkpoint: &Checkpoint) -> Signature;
    /// Signs that an audit was pruned.
    fn sign_cut(&self, cut: &Cut) -> Signature;
    /// Certificate of the identity key first, then its issuers, DER.
    fn certificate_chain(&self) -> Vec<Vec<u8>>;
    /// How the identity keys of this node introduced each other, oldest first: signed notes
    /// (`ocmt_crypto::audit::introduction`). None for a node that has had one key.
    fn introductions(&self) -> Vec<String> {
        Vec::new()
    }
}

/// One started cell: where it listens, and what it asks its host to show.
#[derive(Clone)]
pub struct CellTarget {
    /// Control service and gateway.
    pub address: CellAddress,
    /// Metadata `ocmt-cell-auth` of every call.
    pub token: Arc<ControlToken>,
}

/// What a call of a cell gives.
pub type CellCall<'a, T> = BoxFuture<'a, Result<T, CellError>>;

/// Dials cells (`ocmt.cell.v1.CellService`). Connections may be kept; a target that was restarted has
/// another token. Calls are bounded in time by the caller: dropping the future gives up.
pub trait CellLink: CellConnections + CellTranscripts {
    /// The sealed key offer (`ocmt_crypto::cell::CellKeyOffer`). Answering it is readiness.
    fn get_key<'a>(&'a self, cell: &'a CellTarget) -> CellCall<'a, Vec<u8>>;
    /// As [`Self::get_key`], a fresh key for one unlock by several together, kept for so long.
    fn hold_key<'a>(&'a self, _: &'a CellTarget, _: Duration) -> CellCall<'a, Vec<u8>> {
        let (reason, why) = ("CELL_OLDER", "the cell knows no unlocks by several together".to_owned());
        Box::pin(async move { Err(CellError::Refused { reason: reason.to_owned(), why }) })
    }
    /// Hands over what its agents may do. Comes before anything is started.
    fn put_policy<'a>(&'a self, cell: &'a CellTarget, policy: CellPolicy) -> CellCall<'a, ()>;
    /// Hands a sealed payload over; answers with the time until the cell locks.
    fn unlock<'a>(&'a self, cell: &'a CellTarget, unlock: CellUnlock) -> CellCall<'a, Duration>;
    /// Hands a lease extension over; answers with the time until the cell locks.
    fn extend<'a>(&'a self, cell: &'a CellTarget, extension: Vec<u8>) -> CellCall<'a, Duration>;
    /// Locks; a locked cell is fine.
    fn lock<'a>(&'a self, cell: &'a CellTarget, reason: LockReason) -> CellCall<'a, ()>;
    /// How the cell is.
    fn status<'a>(&'a self, cell: &'a CellTarget) -> CellCall<'a, CellStatus>;
    /// Opens one sealed channel: opaque frames both ways. The cell speaks only after the first frame, so
    /// this answers without waiting for it.
    fn open_channel<'a>(&'a self, cell: &'a CellTarget) -> CellCall<'a, CellChannel>;
    /// Connects to the port of its workload, if that opted in and the cell takes the token: bytes both ways, at most 32 KiB
    /// in one. Answers when the workload has taken the connection; one that is about to start is waited for.
    fn open_plain<'a>(&'a self, cell: &'a CellTarget, pass: CellPass) -> CellCall<'a, CellChannel>;
    /// What the cell sealed to its user's vault, oldest first, at most 48 items. It forgets what is `settled`;
    /// with nothing else to give it answers after `wait`, at most 30 s.
    fn take_inbox<'a>(
        &'a self,
        cell: &'a CellTarget,
        settled: CellInboxSettled,
        wait: Duration,
    ) -> CellCall<'a, Vec<CellInboxItem>>;
}

/// Something that a cell sealed to its user's vault.
#[derive(Clone, PartialEq, Eq)]
pub struct CellInboxItem {
    /// Chosen by the cell.
    pub item: MessageId,
    /// Sealed content with its MAC.
    pub sealed: Vec<u8>,
    /// The connection whose tokens it holds; none for what the workload made.
    pub connection: Option<CellConnection>,
}

/// What became of items that a cell gave.
#[derive(Clone, Default)]
pub struct CellInboxSettled {
    /// The owner's store has them.
    pub stored: Vec<MessageId>,
    /// They are not taken, and why in words for the workload.
    pub refused: Vec<(MessageId, String)>,
}

/// What a cell is given of what its agents may do.
#[derive(Debug, Clone)]
pub struct CellPolicy {
    /// What the workload reads.
    pub document: Vec<u8>,
    /// A node's statement of it.
    pub statement: Vec<u8>,
    /// The key of that node.
    pub signer: VerifyKey,
    /// The host stands behind that key.
    pub voucher: [u8; VOUCHER],
}

/// What a cell is shown before it lets anybody to its workload.
pub struct CellPass {
    /// The gateway token.
    pub token: Secret<String>,
    /// The keys whose tokens hold, as the host states them (`ocmt_crypto::cell::GatewayAuthority`).
    pub keys: Vec<u8>,
}

/// What a cell is given to unlock.
pub struct CellUnlock {
    /// Chosen by the client.
    pub unlock: UnlockId,
    /// Sealed to the cell's key; or, if it is by several together, what the cell opens
    /// (`ocmt_crypto::group_cell::Handover`).
    pub sealed_payload: Vec<u8>,
    /// It is by several together: the key that it is for was held for it.
    pub together: bool,
    /// Object, version and ciphertext body of the mapped entries, at most 256.
    pub objects: Vec<(Digest32, u64, Vec<u8>)>,
}

/// Why a cell is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockReason {
    /// The user asked.
    User,
    /// Its lease ended.
    Lease,
    /// Before a pause, by policy.
    Pause,
    /// Before a stop.
    Stop,
    /// The vault was rotated or recovered.
    Rotated,
}

/// How a cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellStatus {
    /// The unlock it is in and the time until it locks; none while it is locked.
    pub unlocked: Option<(UnlockId, Duration)>,
    /// Random at each start.
    pub boot_nonce: [u8; 32],
    /// Open sealed channels.
    pub channels: u32,
    /// Programs run over channels.
    pub execs: u32,
    /// Followers of the logs.
    pub log_followers: u32,
    /// Goes up with every frame, request and unit of reported work.
    pub activity: u64,
    /// Time since the last of them; none if there was none.
    pub idle_for: Option<Duration>,
    /// How its workload ended by itself, 128 + n for a signal; none while it runs or was not started.
    pub exit: Option<i64>,
    /// That its sealed volume was not sealed the last time.
    pub unsealed: Option<Unsealed>,
}

/// One channel to a cell. Bounded; both ends close by being dropped.
pub struct CellChannel {
    /// Frames to the cell.
    pub to_cell: mpsc::Sender<Bytes>,
    /// Frames of the cell.
    pub from_cell: mpsc::Receiver<Bytes>,
}

/// What a cell answers that is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CellError {
    /// No connection, or it was lost: whether the call was done is not known.
    #[error("the cell does not answer: {0}")]
    Unreachable(String),
    /// It understood and refuses; `reason` is its stable word (`CELL_LOCKED`, `CELL_PAYLOAD_REFUSED`, …).
    #[error("the cell refuses: {why}")]
    Refused {
        /// Metadata `ocmt-cell-reason`; `CELL_REFUSED` without one.
        reason: String,
        /// In words.
        why: String,
    },
}

/// The cluster's sealing keys, which wrap release keys and start secrets at rest. They are on the nodes'
/// disks, never in the database. A new generation may come at any time: revoking a node makes one.
#[derive(Clone)]
pub struct SealingRing(Arc<RwLock<Arc<SealingKeys>>>, Arc<AtomicU32>, GatewayBefore);

impl SealingRing {
    /// Begins with these generations.
    pub fn new(keys: SealingKeys) -> Self {
        let before = GatewayBefore::default();
        before.note(&keys, &keys);
        Self(Arc::new(RwLock::new(Arc::new(keys))), Arc::default(), before)
    }

    /// Nothing is wrapped under a generation before this one any more: other nodes have erased those.
    pub fn require(&self, generation: u32) {
        self.1.fetch_max(generation, Ordering::SeqCst);
    }

    /// Wraps `secret` under the latest generation, bound to `place`.
    ///
    /// # Errors
    /// [`CryptoError::NotFound`] if the latest that is held is not good for it any more.
    pub fn wrap(
        &self,
        place: &SealingPlace<'_>,
        secret: &[u8],
        rng: &mut impl rand::CryptoRng,
    ) -> Result<Vec<u8>, CryptoError> {
        let keys = self.now();
        if keys.latest() < Some(self.1.load(Ordering::SeqCst)) {
            return Err(CryptoError::NotFound("sealing key"));
        }
        keys.wrap(place, secret, rng)
    }

    /// What was wrapped for `place` under whatever generation, under the latest.
    ///
    /// # Errors
    /// As [`SealingRing::wrap`] and [`SealingKeys::unwrap_secret`].
    pub fn rewrap(&self, place: &SealingPlace<'_>, wrapped: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.wrap(place, &self.now().unwrap_secret(place, wrapped)?, &mut rand::rng())
    }

    /// The generations held now.
    pub fn now(&self) -> Arc<SealingKeys> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Holds these from now on.
    pub fn replace(&self, keys: SealingKeys) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        self.2.note(&held, &keys);
        *held = Arc::new(keys);
    }

    /// Gateway tokens of the generation before `latest` are good until then: it was replaced as planned, and nobody else
    /// has it. None but the last one counts, and [`crate::GATEWAY_OVERLAP`] from when the node met `latest` at the longest.
    pub fn overlap(&self, latest: u32, until: Timestamp) {
        self.2.overlap(latest, until);
    }

    pub(crate) fn gateway_before(&self) -> &GatewayBefore {
        &self.2
    }
}
