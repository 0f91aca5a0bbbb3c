//! Roles in the tenant, weakest first.

use ocmt_store::tables::UserRole;

/// A user's role in the tenant, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees the tenant and its people.
    Observer,
    /// Has a vault and a container.
    Member,
    /// Invites, removes, reads the audit of the tenant.
    Admin,
    /// Sets policy and roles. A tenant always has one.
    Owner,
}

impl From<UserRole> for Role {
    fn from(stored: UserRole) -> Self {
        match stored {
            UserRole::Observer => Self::Observer,
            UserRole::Member => Self::Member,
            UserRole::Admin => Self::Admin,
            UserRole::Owner => Self::Owner,
        }
    }
}

impl From<Role> for UserRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Observer => Self::Observer,
            Role::Member => Self::Member,
            Role::Admin => Self::Admin,
            Role::Owner => Self::Owner,
        }
    }
}
