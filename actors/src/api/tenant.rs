//! The tenant itself and its policy.

use ocmt_types::{TenantId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::users::RoleId;
use crate::call::calls;
pub use crate::policy::TenantPolicy;

/// A tenant as its members see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantInfo {
    /// Which.
    pub id: TenantId,
    /// Name, 1 to 100 characters.
    pub name: String,
    /// Policy in force.
    pub policy: TenantPolicy,
    /// Grows with each change of policy; an update names the one it read.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Make another tenant, with the caller's address as its owner. The caller signs in there by link.
/// Served by [`crate::System::create_tenant`].
#[derive(Debug, Clone)]
pub struct CreateTenant {
    /// Name, 1 to 100 characters.
    pub name: String,
}

/// Answer of [`CreateTenant`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantCreated {
    /// The new tenant.
    pub tenant: TenantId,
    /// The caller's user there.
    pub user: UserId,
}

/// The caller's tenant.
#[derive(Debug, Clone)]
pub struct GetTenant;

/// Of the system: may the caller found a tenant, and under which ids. Repeats get the same ids.
pub(crate) struct BeginFounding;

/// Answer of [`BeginFounding`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FoundingTicket {
    pub(crate) tenant: TenantId,
    pub(crate) user: UserId,
    pub(crate) email: String,
}

/// One tenant of an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantSummary {
    /// Which.
    pub id: TenantId,
    /// Its name.
    pub name: String,
    /// The role of the address there.
    pub role: RoleId,
}

/// Replace the policy. Owner, with step-up; the values are checked as a whole.
#[derive(Debug, Clone)]
pub struct UpdateTenantPolicy {
    /// The whole new policy.
    pub policy: TenantPolicy,
    /// [`TenantInfo::version`] that was read; another one is refused.
    pub version: i64,
}

calls! {
    /// Calls of the tenant itself.
    Tenant: TenantCall of "TenantService" {
        write BeginFounding => FoundingTicket,
        read GetTenant => TenantInfo,
        write UpdateTenantPolicy => TenantInfo,
    }
}
