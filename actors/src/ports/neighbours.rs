//! Other nodes, as the actors know them: where tenants and containers that are not here are reached.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use ocmt_types::{Deadline, NodeId, TenantId};
use tokio::sync::mpsc;

use crate::error::ActorError;

/// What another node answers: bytes, if not said otherwise.
pub type Answering<'a, T = Vec<u8>> = BoxFuture<'a, Result<T, ActorError>>;

/// The other nodes of the cluster, and whether this one may still speak for its tenants.
pub trait Neighbours: Send + Sync {
    /// Whether this node's lease is good. Asked before each look at a tenant's state and each write of it;
    /// sync and cheap.
    ///
    /// # Errors
    /// [`ActorError::no_lease`].
    fn strict(&self) -> Result<(), ActorError>;

    /// Whether this node is to work for the tenant: it owns it, or nobody alive does and it is the one to
    /// claim it. A guess from a view that may be old: the claim decides.
    ///
    /// # Errors
    /// [`ActorError::Unavailable`] if it cannot be told.
    fn is_ours(&self, tenant: TenantId) -> Answering<'_, bool>;

    /// Brings a letter to the node that has the tenant ([`crate::System::deliver`] there) and the answer
    /// back. On [`ActorError::NotOwner`] the implementation forgets what it believed before it answers:
    /// the caller looks again and tries once more.
    ///
    /// # Errors
    /// [`ActorError::NotOwner`] if it was not read; [`ActorError::Unavailable`] if it did not leave this
    /// node; [`ActorError::OutcomeUnknown`] or [`ActorError::DeadlineExceeded`] if the answer was lost; and
    /// what the other node says.
    fn deliver(&self, tenant: TenantId, letter: Vec<u8>, deadline: Deadline) -> Answering<'_>;

    /// As [`Neighbours::deliver`], of a letter that its reader holds until something happens: however many of them
    /// are held, nothing else waits for them.
    fn deliver_held(&self, tenant: TenantId, letter: Vec<u8>, deadline: Deadline) -> Answering<'_>;

    /// Brings an order to the host of a container ([`crate::System::take_order`] there) and the answer back.
    ///
    /// # Errors
    /// As [`Neighbours::deliver`].
    fn order(&self, host: NodeId, order: Vec<u8>, deadline: Deadline) -> Answering<'_>;

    /// Opens a channel to the host of a container ([`crate::System::take_channel`] there).
    ///
    /// # Errors
    /// As [`Neighbours::deliver`].
    fn channel(&self, host: NodeId, opening: Vec<u8>, deadline: Deadline) -> Answering<'_, RemoteChannel>;

    /// The nodes that are not dead, this one among them, for the placement of new containers. Empty for a node
    /// that has no neighbours: it takes all, without a bound.
    fn hosts(&self) -> Vec<HostSeen>;

    /// How a node stands to which containers are pinned. From the view, sync and cheap.
    fn standing(&self, host: NodeId) -> HostStanding;
}

/// How a host stands, as this node sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostStanding {
    /// It is there, or no worse is known.
    Answers,
    /// It is dead, and may come back.
    Away,
    /// It was struck off: what it had is lost.
    Forgotten,
}

/// A node that may take containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostSeen {
    /// Which.
    pub node: NodeId,
    /// Memory for containers, in MiB; zero if it takes no new ones.
    pub memory_mib: i64,
    /// Whether this node reaches it now.
    pub reachable: bool,
}

/// An open channel to another host. Bounded; both ends close by being dropped.
pub struct RemoteChannel {
    /// What the host answered to the opening.
    pub opened: Vec<u8>,
    /// Frames to the host.
    pub to_host: mpsc::Sender<Bytes>,
    /// Frames of the host.
    pub from_host: mpsc::Receiver<Bytes>,
}

/// The neighbours of a node that has none: its lease is always good and everything is its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Neighbours for Alone {
    fn strict(&self) -> Result<(), ActorError> {
        Ok(())
    }

    fn is_ours(&self, _: TenantId) -> Answering<'_, bool> {
        Box::pin(async { Ok(true) })
    }

    fn deliver(&self, _: TenantId, _: Vec<u8>, _: Deadline) -> Answering<'_> {
        Box::pin(async { Err(ActorError::NotOwner { owner: None }) })
    }

    fn deliver_held(&self, _: TenantId, _: Vec<u8>, _: Deadline) -> Answering<'_> {
        Box::pin(async { Err(ActorError::NotOwner { owner: None }) })
    }

    fn order(&self, _: NodeId, _: Vec<u8>, _: Deadline) -> Answering<'_> {
        Box::pin(async { Err(no_such_host()) })
    }

    fn channel(&self, _: NodeId, _: Vec<u8>, _: Deadline) -> Answering<'_, RemoteChannel> {
        Box::pin(async { Err(no_such_host()) })
    }

    fn hosts(&self) -> Vec<HostSeen> {
        Vec::new()
    }

    fn standing(&self, _: NodeId) -> HostStanding {
        HostStanding::Answers
    }
}

fn no_such_host() -> ActorError {
    ActorError::unavailable(
        "HOST_UNREACHABLE",
        "the container is on another host, and this node has no neighbours",
    )
}
