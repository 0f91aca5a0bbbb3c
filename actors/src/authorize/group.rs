//! What a member may do in a group.

use ocmt_store::tables::StoredGroupRole;
use serde::{Deserialize, Serialize};

/// A role in a group, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupRole {
    /// Sees what is in it.
    Observer,
    /// Uses what is in it, and puts things of their own there.
    Member,
    /// Says who is in it.
    Admin,
}

impl GroupRole {
    /// The stored name.
    pub fn as_str(self) -> &'static str {
        StoredGroupRole::from(self).as_str()
    }
}

impl From<StoredGroupRole> for GroupRole {
    fn from(stored: StoredGroupRole) -> Self {
        match stored {
            StoredGroupRole::Observer => Self::Observer,
            StoredGroupRole::Member => Self::Member,
            StoredGroupRole::Admin => Self::Admin,
        }
    }
}

impl From<GroupRole> for StoredGroupRole {
    fn from(role: GroupRole) -> Self {
        match role {
            GroupRole::Observer => Self::Observer,
            GroupRole::Member => Self::Member,
            GroupRole::Admin => Self::Admin,
        }
    }
}
