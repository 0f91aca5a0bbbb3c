//! Roles of a tenant: the four built-in ones, and custom ones that narrow one of them.

use std::fmt;

use ocmt_store::tables::UserRole;
use serde::{Deserialize, Serialize};

use super::users::Role;

/// A role by its name: a built-in one, or a custom one of the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum RoleId {
    /// One of the four.
    BuiltIn(Role),
    /// The tenant's own, by the id that its maker chose.
    Custom(String),
}

impl fmt::Display for RoleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn(role) => f.write_str(UserRole::from(*role).as_str()),
            Self::Custom(id) => f.write_str(id),
        }
    }
}

impl From<Role> for RoleId {
    fn from(role: Role) -> Self {
        Self::BuiltIn(role)
    }
}

impl From<String> for RoleId {
    fn from(name: String) -> Self {
        match UserRole::parse(&name) {
            Some(role) => Self::BuiltIn(role.into()),
            None => Self::Custom(name),
        }
    }
}

impl From<RoleId> for String {
    fn from(role: RoleId) -> Self {
        role.to_string()
    }
}

impl PartialEq<Role> for RoleId {
    fn eq(&self, role: &Role) -> bool {
        *self == Self::BuiltIn(*role)
    }
}

/// Make a custom role. Owner, with step-up; it gets nothing that its maker does not have.
#[derive(Debug, Clone)]
pub struct CreateRole {
    /// Its id: a machine name of 1 to 64 bytes, no built-in one.
    pub id: String,
    /// The built-in role that it narrows.
    pub base: Role,
    /// What is left of that, by name.
    pub permissions: Vec<String>,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleInfo {
    /// Its name.
    pub id: RoleId,
    /// The built-in role that it narrows; itself if it is one.
    pub base: Role,
    /// What can be left out of it and is not, by name.
    pub permissions: Vec<String>,
}

/// A page of roles in the order of their names.
#[derive(Debug, Clone, Default)]
pub struct ListRoles {
    /// Behind this name.
    pub after: Option<String>,
    /// 1 to 100; 0 means 50.
    pub limit: u32,
}

/// Answer of [`ListRoles`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolePage {
    /// Roles.
    pub roles: Vec<RoleInfo>,
    /// Give it as `after` for the next page; none at the end.
    pub next: Option<String>,
}

/// Delete a custom role that no user has and no open invitation gives.
#[derive(Debug, Clone)]
pub struct DeleteRole {
    /// Which.
    pub id: String,
}
