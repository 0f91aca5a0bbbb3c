//! Where containers may connect to, and what they used of it.

use ocmt_types::{ContainerId, Timestamp};

use crate::kernel::row::rows;

rows! {
    /// An egress policy: the tenant's, or a container's own.
    pub struct EgressPolicyRow: tenant("egress_policies") {
        key {
            /// `tenant`, or the container's id.
            subject: String,
        }
        /// The policy as JSON.
        policy: Vec<u8>,
        /// Goes up with each change; from 1.
        version: i64,
        /// When it was set.
        updated_at: Timestamp,
    };

    /// What a container sent and received in one day.
    pub struct EgressUse: tenant("egress_use") {
        key {
            /// Which.
            container_id: ContainerId,
        }
        /// Days since 1970, in UTC.
        day: i64,
        /// Bytes out.
        sent: i64,
        /// Bytes in.
        received: i64,
    };
}

impl EgressPolicyRow {
    /// Subject of the tenant's own policy.
    pub const TENANT: &'static str = "tenant";

    /// Subject of a container's policy; of none, the tenant's.
    pub fn subject_of(container: Option<ContainerId>) -> String {
        container.map_or_else(|| Self::TENANT.to_owned(), |container| container.to_string())
    }
}
