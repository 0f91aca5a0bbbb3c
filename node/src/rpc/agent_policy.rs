//! Agent policies in the words of the contract.

use ocmt_actors::api::agent_policy::{AgentPolicy, GetAgentPolicy, PutAgentPolicy, SandboxMode};
use ocmt_proto::v1 as pb;
use ocmt_types::Digest32;
use tonic::{Request, Response, Status};

use super::{Answer, Rpc, convert};

pub(super) async fn get(
    rpc: &Rpc,
    request: Request<pb::GetAgentPolicyRequest>,
) -> Answer<pb::GetAgentPolicyResponse> {
    let ask = GetAgentPolicy { user: convert::optional_id(&request.get_ref().user_id, "user_id")? };
    let held = rpc.ask(&request, &[], ask).await?;
    let chain = held.statement.certificate_chain.into_iter().map(Into::into);
    Ok(Response::new(pb::GetAgentPolicyResponse {
        policy: Some(to_wire(&held.policy)),
        version: u64::try_from(held.version).unwrap_or(0),
        effective: Some(pb::NodeStatement {
            statement: held.statement.statement.into(),
            certificate_chain_der: chain.collect(),
        }),
        document: held.document.into(),
    }))
}

pub(super) async fn put(
    rpc: &Rpc,
    request: Request<pb::PutAgentPolicyRequest>,
) -> Answer<pb::PutAgentPolicyResponse> {
    let it = request.get_ref();
    let ask = PutAgentPolicy {
        user: convert::optional_id(&it.user_id, "user_id")?,
        policy: from_wire(convert::present(it.policy.clone(), "policy")?)?,
        expected_version: i64::try_from(it.expected_version).unwrap_or(i64::MAX),
    };
    let set = rpc.ask(&request, &it.idempotency_key, ask).await?;
    Ok(Response::new(pb::PutAgentPolicyResponse { version: u64::try_from(set.version).unwrap_or(0) }))
}

fn from_wire(policy: pb::AgentPolicy) -> Result<AgentPolicy, Status> {
    let sandbox_mode = match policy.sandbox_mode() {
        pb::SandboxMode::Unspecified => None,
        pb::SandboxMode::All => Some(SandboxMode::All),
        pb::SandboxMode::NonMain => Some(SandboxMode::NonMain),
        pb::SandboxMode::Off => Some(SandboxMode::Off),
    };
    let plugins = policy.allowed_plugin_digests.iter().map(|digest| {
        let digest = convert::digest(digest, "policy.allowed_plugin_digests")?;
        Ok(digest.to_string())
    });
    Ok(AgentPolicy {
        sandbox_mode,
        allowed_plugins: plugins.collect::<Result<_, Status>>()?,
        allowed_tools: policy.allowed_tools.into_iter().collect(),
        denied_tools: policy.denied_tools.into_iter().collect(),
        allowed_models: policy.allowed_models.into_iter().collect(),
        allowed_channels: policy.allowed_channels.into_iter().collect(),
    })
}

fn to_wire(policy: &AgentPolicy) -> pb::AgentPolicy {
    let mode = match policy.sandbox_mode {
        None => pb::SandboxMode::Unspecified,
        Some(SandboxMode::All) => pb::SandboxMode::All,
        Some(SandboxMode::NonMain) => pb::SandboxMode::NonMain,
        Some(SandboxMode::Off) => pb::SandboxMode::Off,
    };
    let plugins = policy.allowed_plugins.iter().filter_map(|text| digest(text));
    pb::AgentPolicy {
        sandbox_mode: mode.into(),
        allowed_tools: policy.allowed_tools.iter().cloned().collect(),
        denied_tools: policy.denied_tools.iter().cloned().collect(),
        allowed_models: policy.allowed_models.iter().cloned().collect(),
        allowed_plugin_digests: plugins.map(|digest| digest.0.to_vec().into()).collect(),
        allowed_channels: policy.allowed_channels.iter().cloned().collect(),
    }
}

/// What was stored was checked.
fn digest(text: &str) -> Option<Digest32> {
    let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?;
    bytes.try_into().ok().map(Digest32)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_policy_comes_back_as_it_was_set_each_name_once() {
        let set = pb::AgentPolicy {
            sandbox_mode: pb::SandboxMode::NonMain.into(),
            allowed_tools: vec!["write".into(), "read".into(), "read".into()],
            denied_tools: vec!["exec".into()],
            allowed_models: vec!["vendor/model".into()],
            allowed_plugin_digests: vec![vec![0xab; 32].into()],
            allowed_channels: vec!["telegram".into()],
        };
        let back = to_wire(&from_wire(set.clone()).unwrap());
        assert_eq!(back, pb::AgentPolicy { allowed_tools: vec!["read".into(), "write".into()], ..set });
        assert_eq!(to_wire(&from_wire(pb::AgentPolicy::default()).unwrap()), pb::AgentPolicy::default());
    }

    #[test]
    fn a_digest_that_is_none_is_an_invalid_argument() {
        let wrong =
            pb::AgentPolicy { allowed_plugin_digests: vec![vec![1; 31].into()], ..Default::default() };
        assert_eq!(from_wire(wrong).unwrap_err().code(), tonic::Code::InvalidArgument);
    }
}
