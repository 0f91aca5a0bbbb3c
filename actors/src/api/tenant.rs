//! The tenant itself and its policy.

use ocmt_types::{TenantId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::{
    sso::{GetOidcProvider, Provider, RemoveOidcProvider, SetOidcProvider},
    users::{Done, RoleId},
};
use crate::call::calls;
pub use crate::policy::TenantPolicy;
use crate::quota::{Quota, QuotaChange};

/// Whether a tenant is served.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenantState {
    /// It is.
    #[default]
    Active,
    /// An operator has stopped it; its data is kept.
    Suspended,
    /// It is being removed.
    Deleting,
}

impl From<ocmt_store::tables::TenantState> for TenantState {
    fn from(stored: ocmt_store::tables::TenantState) -> Self {
        match stored {
            ocmt_store::tables::TenantState::Active => Self::Active,
            ocmt_store::tables::TenantState::Suspended => Self::Suspended,
            ocmt_store::tables::TenantState::Deleting => Self::Deleting,
        }
    }
}

/// A tenant as its members see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantInfo {
    /// Which.
    pub id: TenantId,
    /// Name, 1 to 100 characters.
    pub name: String,
    /// Whether it is served.
    #[serde(default)]
    pub state: TenantState,
    /// Policy in force.
    pub policy: TenantPolicy,
    /// Grows with each change of policy; an update names the one it read.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it is deleted, if that was asked for.
    #[serde(default)]
    pub deletes_at: Option<Timestamp>,
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
    /// Whether it is served.
    #[serde(default)]
    pub state: TenantState,
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

/// Of an operator: the tenant as it is, served or not.
#[derive(Debug, Clone)]
pub struct InspectTenant;

/// Of an operator: stop serving the tenant. Done before, it is the same again.
#[derive(Debug, Clone)]
pub struct SuspendTenant {
    /// Why, for the audit: a line of 1 to 500 bytes.
    pub reason: String,
}

/// Delete the tenant and all that it holds, after a delay. An owner with step-up, or an operator who has confirmed it.
/// Asked for before, it is the same again.
#[derive(Debug, Clone)]
pub struct DeleteTenant {
    /// The tenant's name, typed again.
    pub confirm_name: String,
}

/// Answer of [`DeleteTenant`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletionAsked {
    /// Until then it can be stopped.
    pub deletes_at: Timestamp,
}

/// Stop the deletion of the tenant before it begins. An owner; without one under way it does nothing.
#[derive(Debug, Clone)]
pub struct StopDeletion;

/// Of an operator: serve the tenant again, and stop its deletion if one waits.
#[derive(Debug, Clone)]
pub struct ResumeTenant;

/// Limits of the tenant and what is used. The tenant's own people, and operators.
#[derive(Debug, Clone, Default)]
pub struct GetQuota {
    /// Calls of the last minute: its actor knows.
    pub(crate) calls: i64,
}

/// Answer of [`GetQuota`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaReport {
    /// What is allowed.
    pub limit: Quota,
    /// What is used now.
    pub used: Quota,
}

/// Of an operator: change limits. What is over a new one stays; nothing is added to it.
#[derive(Debug, Clone)]
pub struct UpdateQuota {
    /// Which, to what.
    pub change: QuotaChange,
}

calls! {
    /// Calls of the tenant itself.
    Tenant: TenantCall of "TenantService" {
        write BeginFounding => FoundingTicket,
        read GetTenant => TenantInfo,
        write UpdateTenantPolicy => TenantInfo,
        read InspectTenant => TenantInfo,
        write SuspendTenant => TenantInfo,
        write ResumeTenant => TenantInfo,
        write DeleteTenant => DeletionAsked,
        write StopDeletion => Done,
        read GetQuota => QuotaReport,
        write UpdateQuota => Quota,
        read GetOidcProvider => Option<Provider>,
        write SetOidcProvider => Provider,
        write RemoveOidcProvider => Done,
    }
}
