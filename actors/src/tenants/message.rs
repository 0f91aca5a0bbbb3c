//! What the supervisor of tenants is told.

use ocmt_types::{Ownership, TenantId};

use crate::{call::Reply, error::ActorError, tenant::TenantMessage};

/// Everything it takes.
pub(crate) enum TenantsMessage {
    /// For a tenant, awake or not.
    Deliver(TenantId, TenantMessage),
    /// A claim has been answered by the store.
    Claimed(TenantId, Result<Ownership, ActorError>),
    /// A tenant has nothing to do.
    WantsSleep(Ownership),
    /// A tenant is about to stop: its ownership has ended. What comes now is for the next activation.
    Leaves(Ownership),
    /// Something came up before it could sleep.
    StaysAwake(Ownership),
    /// The node goes down: answered when all tenants have stopped.
    Drain(Reply<()>),
}

impl TenantsMessage {
    /// There is no supervisor for it at the moment.
    pub(crate) fn refuse(self, error: ActorError) {
        match self {
            Self::Deliver(_, message) => message.refuse(error),
            Self::Drain(reply) => reply.send(Err(error)),
            Self::Claimed(..) | Self::WantsSleep(_) | Self::Leaves(_) | Self::StaysAwake(_) => {}
        }
    }
}
