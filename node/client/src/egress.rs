//! Where a tenant's containers may connect to.

use ocmt_proto::v1 as pb;
use ocmt_types::ContainerId;
use serde::Serialize;

use crate::{
    Client, ClientError,
    client::{idempotency_key, present},
};

/// One allowed destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EgressRule {
    /// A host name, or `*.` and a name for all below it.
    pub host: String,
    /// 1 to 16 ports.
    pub ports: Vec<u16>,
}

/// A policy, and its version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EgressPolicy {
    /// Allowed destinations; empty for none.
    pub rules: Vec<EgressRule>,
    /// Most bytes out in one day and container; 0 for the node's bound.
    pub max_bytes_per_day: u64,
    /// 0 if none was set.
    pub version: u64,
}

impl Client {
    /// The tenant's egress policy, or what narrows it for one container.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn egress_policy(&self, container: Option<ContainerId>) -> Result<EgressPolicy, ClientError> {
        let request = pb::GetEgressPolicyRequest { container_id: text(container) };
        let set = self.containers().get_egress_policy(request).await?.into_inner();
        let policy = present(set.policy, "policy")?;
        let rule = |rule: pb::EgressRule| {
            let ports = rule.ports.into_iter().map(u16::try_from).collect::<Result<_, _>>();
            let ports = ports.map_err(|_| ClientError::Answer("a port of the policy is none"))?;
            Ok(EgressRule { host: rule.host, ports })
        };
        Ok(EgressPolicy {
            rules: policy.rules.into_iter().map(rule).collect::<Result<_, ClientError>>()?,
            max_bytes_per_day: policy.max_bytes_per_day,
            version: set.version,
        })
    }

    /// Sets one, whole, in place of the version that it was made of. Wants a fresh proof of presence of an owner.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if it was changed meanwhile, if it is malformed, or if the node lets nobody out.
    pub async fn set_egress_policy(
        &self,
        container: Option<ContainerId>,
        policy: &EgressPolicy,
    ) -> Result<EgressPolicy, ClientError> {
        let rule = |rule: &EgressRule| pb::EgressRule {
            host: rule.host.clone(),
            ports: rule.ports.iter().map(|port| u32::from(*port)).collect(),
        };
        let request = pb::PutEgressPolicyRequest {
            container_id: text(container),
            policy: Some(pb::EgressPolicy {
                rules: policy.rules.iter().map(rule).collect(),
                max_bytes_per_day: policy.max_bytes_per_day,
            }),
            expected_version: policy.version,
            idempotency_key: idempotency_key(),
        };
        let version = self.containers().put_egress_policy(request).await?.into_inner().version;
        Ok(EgressPolicy { version, ..policy.clone() })
    }
}

fn text(container: Option<ContainerId>) -> String {
    container.map(|container| container.to_string()).unwrap_or_default()
}
