//! What the supervisor of tenants is told.

use ocmt_types::{Deadline, Ownership, TenantId};
use ractor::ActorRef;

use super::leave::Drain;
use crate::{call::Reply, error::ActorError, tenant::TenantMessage};

/// Everything it takes.
pub(crate) enum TenantsMessage {
    /// For a tenant, awake or not.
    Deliver(TenantId, TenantMessage),
    /// A claim has been answered by the store.
    Claimed(TenantId, Result<Ownership, ActorError>),
    /// A tenant has nothing to do.
    WantsSleep(Ownership),
    /// A tenant is about to stop: its ownership has ended. What comes now is for the next activation, and the
    /// actor is told so.
    Leaves(Ownership, ActorRef<TenantMessage>),
    /// Something came up before it could sleep, or it has too much to do to leave now.
    StaysAwake(Ownership),
    /// Give a tenant up, with this patience: answered when another node may claim it.
    Release(TenantId, Deadline, Reply<()>),
    /// Try again to give it up.
    LeaveAgain(TenantId),
    /// The store has answered to a release.
    Released(TenantId, Result<(), ActorError>),
    /// Ask the store again to take back what no actor here stands for.
    Sweep,
    /// The store was asked to take back what no actor here stands for.
    Swept(Result<u64, ActorError>),
    /// The node goes down: answered when all tenants have been given up.
    Drain(Drain),
    /// The node stays: tenants are taken again.
    Resume,
    /// The node is nobody any more: all stop now, and nothing is given up. Answered when they have.
    Abort(Reply<()>),
}

impl TenantsMessage {
    /// There is no supervisor for it at the moment.
    pub(crate) fn refuse(self, error: ActorError) {
        match self {
            Self::Deliver(_, message) => message.refuse(error),
            Self::Release(_, _, reply) => reply.send(Err(error)),
            Self::Drain(drain) => drain.reply.send(Err(error)),
            // without a supervisor there are no tenants
            Self::Abort(reply) => reply.send(Ok(())),
            Self::Claimed(..)
            | Self::WantsSleep(_)
            | Self::Leaves(..)
            | Self::StaysAwake(_)
            | Self::LeaveAgain(_)
            | Self::Resume
            | Self::Sweep
            | Self::Swept(_)
            | Self::Released(..) => {}
        }
    }
}
