//! What agents may do.

use ocmt_types::{Timestamp, UserId};

use crate::kernel::row::rows;

rows! {
    /// An agent policy: the tenant's, or a user's own.
    pub struct AgentPolicyRow: tenant("agent_policies") {
        key {
            /// `tenant`, or the user's id.
            subject: String,
        }
        /// The policy as JSON.
        policy: Vec<u8>,
        /// Goes up with each change; from 1.
        version: i64,
        /// When it was set.
        updated_at: Timestamp,
    };
}

impl AgentPolicyRow {
    /// Subject of the tenant's own policy.
    pub const TENANT: &'static str = "tenant";

    /// Subject of a user's policy; of none, the tenant's.
    pub fn subject_of(user: Option<UserId>) -> String {
        user.map_or_else(|| Self::TENANT.to_owned(), |user| user.to_string())
    }
}
