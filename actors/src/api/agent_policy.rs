//! What a tenant's agents may do.

pub use crate::agent_policy::{
    AgentPolicy, LONGEST_CHANNEL, LONGEST_NAME, MOST_CHANNELS, MOST_NAMES, SandboxMode,
};
use ocmt_types::UserId;
use serde::{Deserialize, Serialize};

use super::recovery::NodeStatement;

/// The tenant's policy, or a user's own, with what holds in the end.
#[derive(Debug, Clone)]
pub struct GetAgentPolicy {
    /// None for the tenant's.
    pub user: Option<UserId>,
}

/// Answer of [`GetAgentPolicy`].
#[derive(Debug, Clone)]
pub struct AgentPolicyHeld {
    /// As it was set; empty if none was.
    pub policy: AgentPolicy,
    /// Goes up with each change; 0 if none was set.
    pub version: i64,
    /// What holds, as workloads read it.
    pub document: Vec<u8>,
    /// This node's signature of that.
    pub statement: NodeStatement,
}

/// Set one, whole.
#[derive(Debug, Clone)]
pub struct PutAgentPolicy {
    /// None for the tenant's.
    pub user: Option<UserId>,
    /// What holds from now on.
    pub policy: AgentPolicy,
    /// The version that it replaces.
    pub expected_version: i64,
}

/// Answer of [`PutAgentPolicy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentPolicySet {
    /// That is stored now.
    pub version: i64,
}
