//! What a tenant may have, and what it has.

use ocmt_proto::v1 as pb;
use serde::Serialize;

/// Limits of a tenant, or what is used of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Quota {
    /// Users, invited ones included.
    pub users: u64,
    /// Containers.
    pub containers: u64,
    /// Memory of containers that run or are paused, in bytes.
    pub memory_bytes: u64,
    /// Ciphertext in vaults, in bytes.
    pub storage_bytes: u64,
    /// Calls of users within a minute.
    pub calls_per_minute: u64,
}

impl From<pb::Quota> for Quota {
    fn from(it: pb::Quota) -> Self {
        Self {
            users: it.users,
            containers: it.containers,
            memory_bytes: it.memory_bytes,
            storage_bytes: it.storage_bytes,
            calls_per_minute: it.calls_per_minute,
        }
    }
}

/// What a tenant may have, and what it has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Quotas {
    /// Limits.
    pub limit: Quota,
    /// Use.
    pub used: Quota,
}
