//! Where a tenant's containers may connect to.

pub use ocmt_runtime::egress::{
    Policy, Rule,
    name::{HostPattern, ParseNameError},
    policy::{MOST_PORTS, MOST_RULES},
};
use ocmt_types::ContainerId;
use serde::{Deserialize, Serialize};

/// A policy as it is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySet {
    /// The policy; empty if none was set.
    pub policy: Policy,
    /// Goes up with each change; 0 if none was set.
    pub version: i64,
}

/// The tenant's policy, or a container's own.
#[derive(Debug, Clone)]
pub struct GetEgressPolicy {
    /// None for the tenant's.
    pub container: Option<ContainerId>,
}

/// Set one, whole.
#[derive(Debug, Clone)]
pub struct PutEgressPolicy {
    /// None for the tenant's.
    pub container: Option<ContainerId>,
    /// What holds from now on.
    pub policy: Policy,
    /// The version that it replaces.
    pub expected_version: i64,
}
