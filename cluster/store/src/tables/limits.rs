//! What operators set for a tenant: its limits, and since when it is not served.

use ocmt_types::Timestamp;

use crate::kernel::row::rows;

rows! {
    /// The limits of a tenant, where an operator has set some.
    pub struct QuotaRow: tenant("quotas") {
        key {}
        /// Users, invited ones included.
        users: i64,
        /// Containers.
        containers: i64,
        /// Memory of what runs or is paused, in bytes.
        memory_bytes: i64,
        /// Ciphertext in vaults, in bytes.
        storage_bytes: i64,
        /// Calls of signed-in users within any minute.
        calls_per_minute: i64,
    };

    /// What of the limits is counted as it changes, since it would be too much to add up.
    pub struct Usage: tenant("usage") {
        key {}
        /// Ciphertext in vaults, in bytes.
        storage_bytes: i64,
    };

    /// A suspension that lasts. Gone when the tenant is served again.
    pub struct Suspension: tenant("suspensions") {
        key {}
        /// Since when.
        since: Timestamp,
    };
}
