//! What the root of the tree is told.

use ocmt_types::{Deadline, TenantId};

use super::Branch;
use crate::{alert::Parcel, call::Reply, host::HostMessage, tenant::TenantMessage, tenants::Drain};

/// Everything it takes.
pub(crate) enum NodeMessage {
    /// For a tenant of this node.
    ToTenant(TenantId, TenantMessage),
    /// For this machine's containers.
    ToHost(HostMessage),
    /// For the carrier of mails.
    Mail(Parcel),
    /// Start a branch that has ended.
    Restart(Branch),
    /// Stop all tenants in good order.
    Drain(Drain),
    /// Give one tenant up.
    Release(TenantId, Deadline, Reply<()>),
    /// Take tenants again after a drain.
    Resume,
    /// Stop all tenants at once.
    Abort(Reply<()>),
}
