//! What the host's branch of the tree is told.

use std::time::Duration;

use ocmt_runtime::{ArchiveErrand, RuntimeEvent};
use ocmt_types::{ContainerId, Deadline, Epoch, NodeId, SnapshotId, TenantId};
use serde::{Deserialize, Serialize};

use super::{
    errand::Errand,
    gateway::{Connected, Ticket, Way},
    reconcile::Reconciled,
};
use crate::{
    api::{
        container::{CellKeyStated, ContainerInfo, IdleExplained, Unlocked, Wake, Woken},
        snapshot::SnapshotDone,
    },
    call::Reply,
    env::Scope,
    error::ActorError,
    policy::TenantPolicy,
    ports::{CellUnlock, LockReason},
};

/// Everything the supervisor of this machine's containers takes.
pub(crate) enum HostMessage {
    /// For one container.
    Order(Box<Order>),
    /// The engine says something.
    Event(RuntimeEvent),
    /// The engine was held against the rows.
    Reconciled(Reconciled),
    /// Other clocks apply to the containers of a tenant.
    Policy(TenantId, TenantPolicy),
    /// Hold what lives against the profile.
    HoldToProfile,
}

impl HostMessage {
    /// There is nobody for it: whoever waits gets this error.
    pub(crate) fn refuse(self, error: ActorError) {
        if let Self::Order(order) = self {
            order.what.refuse(error);
        }
    }
}

/// A container and the host it is pinned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct At {
    pub(crate) container: ContainerId,
    pub(crate) host: NodeId,
}

impl From<&ocmt_store::tables::Container> for At {
    fn from(row: &ocmt_store::tables::Container) -> Self {
        Self { container: row.container_id, host: row.host_node }
    }
}

/// Something for one container, admitted and audited by its tenant.
pub(crate) struct Order {
    pub(crate) container: ContainerId,
    /// Of the tenant's activation that admitted it; what follows is written under it.
    pub(crate) scope: Scope,
    pub(crate) turn: Turn,
    pub(crate) what: What,
}

/// In which order a tenant ordered: orders for another host may overtake each other on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn {
    pub(crate) epoch: Epoch,
    /// Counts up within an activation.
    pub(crate) count: u64,
}

/// What it is.
pub(crate) enum What {
    /// Something that needs it running.
    Job(Job),
    /// Freeze it.
    Pause(Reply<ContainerInfo>),
    /// Stop it.
    Stop(Duration, Reply<ContainerInfo>),
    /// Remove it.
    Remove(Reply<()>),
    /// Quarantine.
    Hold(Reply<ContainerInfo>),
    /// Out of quarantine.
    Release(Reply<ContainerInfo>),
    /// Say that it was made, when nothing is under way any more.
    Report(Reply<Woken>),
    /// Say how it is when nothing is under way any more.
    Settle(Reply<ContainerInfo>),
    /// Lock its cell.
    Lock(LockReason, Option<Reply<()>>),
    /// Start a cell that runs nothing, for this, and say its key.
    ArchiveKey(ArchiveErrand, Reply<CellKeyStated>),
    /// Give the cell that waits the key of a snapshot.
    Archive(Box<ArchiveOrder>, Reply<SnapshotDone>),
    /// A snapshot by schedule is due: begin it, if it may be begun.
    SnapshotDue,
    /// Why is it awake?
    Explain(Reply<IdleExplained>),
    /// A timer is due.
    Look,
    /// Engine and row may say something else than we think.
    Doubt,
}

impl What {
    pub(crate) fn refuse(self, error: ActorError) {
        match self {
            Self::Job(job) => job.kind.refuse(error),
            Self::Pause(reply)
            | Self::Stop(_, reply)
            | Self::Hold(reply)
            | Self::Release(reply)
            | Self::Settle(reply) => reply.send(Err(error)),
            Self::Remove(reply) | Self::Lock(_, Some(reply)) => reply.send(Err(error)),
            Self::ArchiveKey(_, reply) => reply.send(Err(error)),
            Self::Archive(_, reply) => reply.send(Err(error)),
            Self::Explain(reply) => reply.send(Err(error)),
            Self::Report(reply) => reply.send(Err(error)),
            Self::Lock(_, None) | Self::SnapshotDue | Self::Look | Self::Doubt => {}
        }
    }
}

/// What is done with a snapshot, by the cell that was started for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ArchiveOrder {
    pub(crate) errand: ArchiveErrand,
    pub(crate) snapshot: SnapshotId,
    /// Its key, sealed to the cell.
    #[serde(with = "super::wire::base64")]
    pub(crate) sealed_payload: Vec<u8>,
    /// The key of that cell.
    pub(crate) cell_key: [u8; 32],
}

/// A request that needs the container running.
pub(crate) struct Job {
    pub(crate) kind: JobKind,
    /// Of no use any more after this; none for nobody's.
    pub(crate) deadline: Option<Deadline>,
    /// When it came, by the clock that does not jump.
    pub(crate) since: Duration,
    /// How the container was brought back for it.
    pub(crate) wake: Wake,
}

/// Which.
pub(crate) enum JobKind {
    /// Only that it runs.
    Report(Reply<Woken>),
    /// The same, for a schedule.
    Scheduled(Reply<Woken>),
    /// The same, for somebody who is not its user: a member of a group, or a schedule of theirs.
    ByOther(Reply<Woken>),
    /// The same, and nobody waits: a frame came, or a wake was cut off.
    Nobody,
    /// The cell's key, signed by this host.
    Key(Reply<CellKeyStated>),
    /// A key for one unlock by several together, kept for so long.
    Hold(Duration, Reply<CellKeyStated>),
    /// Unlock the cell.
    Unlock(CellUnlock, Reply<Unlocked>),
    /// Extend its lease.
    Extend(Vec<u8>, Reply<Unlocked>),
    /// Connect a client to it, in this way.
    Connect(Box<Ticket>, Way, Reply<Connected>),
    /// Ask the cell about a connection of its workload.
    Errand(Errand),
}

impl JobKind {
    pub(crate) fn refuse(self, error: ActorError) {
        match self {
            Self::Report(reply) | Self::Scheduled(reply) | Self::ByOther(reply) => reply.send(Err(error)),
            Self::Nobody => {}
            Self::Key(reply) | Self::Hold(_, reply) => reply.send(Err(error)),
            Self::Unlock(_, reply) | Self::Extend(_, reply) => reply.send(Err(error)),
            Self::Connect(_, _, reply) => reply.send(Err(error)),
            Self::Errand(errand) => errand.refuse(error),
        }
    }

    /// Nobody waits for it any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        match self {
            Self::Report(reply) | Self::Scheduled(reply) | Self::ByOther(reply) => reply.is_abandoned(),
            Self::Nobody => false,
            Self::Key(reply) | Self::Hold(_, reply) => reply.is_abandoned(),
            Self::Unlock(_, reply) | Self::Extend(_, reply) => reply.is_abandoned(),
            Self::Connect(_, _, reply) => reply.is_abandoned(),
            Self::Errand(errand) => errand.is_abandoned(),
        }
    }
}
