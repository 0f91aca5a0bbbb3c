//! What agents may do.

use ocmt_crypto::cell::AgentPolicyStatement;
use ocmt_proto::v1 as pb;
use ocmt_types::{Digest32, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Client, ClientError,
    client::{idempotency_key, present},
};

/// Which work of an agent runs in a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SandboxMode {
    /// All of it.
    All,
    /// All but the owner's own conversation.
    NonMain,
    /// None.
    Off,
}

/// A policy as it is set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AgentPolicy {
    /// None: nothing is said.
    pub sandbox_mode: Option<SandboxMode>,
    /// Empty: all.
    pub allowed_tools: Vec<String>,
    /// Whatever is allowed.
    pub denied_tools: Vec<String>,
    /// Empty: all.
    pub allowed_models: Vec<String>,
    /// SHA-256. Empty: none.
    #[serde(serialize_with = "in_hexadecimal")]
    pub allowed_plugins: Vec<Digest32>,
    /// Empty: all.
    pub allowed_channels: Vec<String>,
}

/// A policy with what holds in the end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgentPolicyHeld {
    /// As it was set.
    pub policy: AgentPolicy,
    /// 0 if none was set.
    pub version: u64,
    /// What workloads read: within the tenant's, and with who may talk to agents. A node of the cluster has signed it.
    pub effective: Value,
}

impl Client {
    /// The tenant's agent policy, or a user's own, with what holds in the end.
    ///
    /// # Errors
    /// [`ClientError::Node`] if what holds is not signed by a node of the cluster, or is another tenant's or user's.
    pub async fn agent_policy(&self, user: Option<UserId>) -> Result<AgentPolicyHeld, ClientError> {
        let request = pb::GetAgentPolicyRequest { user_id: text(user) };
        let held = self.containers().get_agent_policy(request).await?.into_inner();
        let stated = present(held.effective, "effective")?;
        let node = self.target().ca.prove_node(&stated.certificate_chain_der, self.clock())?;
        let statement = AgentPolicyStatement::verify(&stated.statement, &node.key, &held.document)
            .map_err(|_| ClientError::Node("it is not of the policy that came with it"))?;
        let effective: Value =
            serde_json::from_slice(&held.document).map_err(|_| ClientError::Answer("document"))?;
        let tenant = statement.tenant.to_string();
        if statement.node != node.id || statement.user != user || effective["tenant"] != tenant.as_str() {
            return Err(ClientError::Node("it is of another node, tenant or user"));
        }
        let policy = from_wire(present(held.policy, "policy")?)?;
        Ok(AgentPolicyHeld { policy, version: held.version, effective })
    }

    /// Sets one, whole, in place of the version that it was made of. Wants a fresh proof of presence of an owner.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if it was changed meanwhile, or is malformed.
    pub async fn set_agent_policy(
        &self,
        user: Option<UserId>,
        policy: &AgentPolicy,
        version: u64,
    ) -> Result<u64, ClientError> {
        let request = pb::PutAgentPolicyRequest {
            user_id: text(user),
            policy: Some(to_wire(policy)),
            expected_version: version,
            idempotency_key: idempotency_key(),
        };
        Ok(self.containers().put_agent_policy(request).await?.into_inner().version)
    }
}

fn from_wire(policy: pb::AgentPolicy) -> Result<AgentPolicy, ClientError> {
    let sandbox_mode = match policy.sandbox_mode() {
        pb::SandboxMode::Unspecified => None,
        pb::SandboxMode::All => Some(SandboxMode::All),
        pb::SandboxMode::NonMain => Some(SandboxMode::NonMain),
        pb::SandboxMode::Off => Some(SandboxMode::Off),
    };
    let digest = |bytes: &bytes::Bytes| bytes.as_ref().try_into().map(Digest32);
    let plugins = policy.allowed_plugin_digests.iter().map(digest).collect::<Result<_, _>>();
    Ok(AgentPolicy {
        sandbox_mode,
        allowed_plugins: plugins.map_err(|_| ClientError::Answer("allowed_plugin_digests"))?,
        allowed_tools: policy.allowed_tools,
        denied_tools: policy.denied_tools,
        allowed_models: policy.allowed_models,
        allowed_channels: policy.allowed_channels,
    })
}

fn to_wire(policy: &AgentPolicy) -> pb::AgentPolicy {
    let mode = match policy.sandbox_mode {
        None => pb::SandboxMode::Unspecified,
        Some(SandboxMode::All) => pb::SandboxMode::All,
        Some(SandboxMode::NonMain) => pb::SandboxMode::NonMain,
        Some(SandboxMode::Off) => pb::SandboxMode::Off,
    };
    let digests = policy.allowed_plugins.iter().map(|digest| digest.0.to_vec().into());
    pb::AgentPolicy {
        sandbox_mode: mode.into(),
        allowed_tools: policy.allowed_tools.clone(),
        denied_tools: policy.denied_tools.clone(),
        allowed_models: policy.allowed_models.clone(),
        allowed_plugin_digests: digests.collect(),
        allowed_channels: policy.allowed_channels.clone(),
    }
}

fn in_hexadecimal<S: serde::Serializer>(digests: &[Digest32], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(digests.iter().map(ToString::to_string))
}

fn text(user: Option<UserId>) -> String {
    user.map(|user| user.to_string()).unwrap_or_default()
}
