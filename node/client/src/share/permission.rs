//! What can be allowed.

use ocmt_proto::v1 as pb;
use serde::Serialize;

use crate::ClientError;

/// One of the six things that can be allowed; none implies another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Read content.
    Read,
    /// See that it exists.
    List,
    /// Change it.
    Write,
    /// Delete it.
    Delete,
    /// See who else has it by a share, and take that back.
    Admin,
    /// Give on what one has.
    Share,
}

impl Permission {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::List => "list",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Admin => "admin",
            Self::Share => "share",
        }
    }

    pub(crate) fn to_pb(self) -> i32 {
        match self {
            Self::Read => pb::Permission::Read,
            Self::List => pb::Permission::List,
            Self::Write => pb::Permission::Write,
            Self::Delete => pb::Permission::Delete,
            Self::Admin => pb::Permission::Admin,
            Self::Share => pb::Permission::Share,
        }
        .into()
    }
}

pub(crate) fn permission(from: pb::Permission) -> Result<Permission, ClientError> {
    Ok(match from {
        pb::Permission::Read => Permission::Read,
        pb::Permission::List => Permission::List,
        pb::Permission::Write => Permission::Write,
        pb::Permission::Delete => Permission::Delete,
        pb::Permission::Admin => Permission::Admin,
        pb::Permission::Share => Permission::Share,
        pb::Permission::Unspecified => return Err(ClientError::Answer("permissions")),
    })
}
