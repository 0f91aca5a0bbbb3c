//! Egress policies in the words of the contract.

use ocmt_actors::{
    ActorError,
    api::egress::{GetEgressPolicy, Policy, PutEgressPolicy, Rule},
};
use ocmt_proto::v1 as pb;
use tonic::{Request, Response, Status};

use super::{Answer, Rpc, convert};
use crate::edge::error;

pub(super) async fn get(
    rpc: &Rpc,
    request: Request<pb::GetEgressPolicyRequest>,
) -> Answer<pb::GetEgressPolicyResponse> {
    let ask =
        GetEgressPolicy { container: convert::optional_id(&request.get_ref().container_id, "container_id")? };
    let set = rpc.ask(&request, &[], ask).await?;
    Ok(Response::new(pb::GetEgressPolicyResponse {
        policy: Some(to_wire(&set.policy)),
        version: u64::try_from(set.version).unwrap_or(0),
    }))
}

pub(super) async fn put(
    rpc: &Rpc,
    request: Request<pb::PutEgressPolicyRequest>,
) -> Answer<pb::PutEgressPolicyResponse> {
    let it = request.get_ref();
    let ask = PutEgressPolicy {
        container: convert::optional_id(&it.container_id, "container_id")?,
        policy: from_wire(convert::present(it.policy.clone(), "policy")?)?,
        expected_version: i64::try_from(it.expected_version).unwrap_or(i64::MAX),
    };
    let set = rpc.ask(&request, &it.idempotency_key, ask).await?;
    let version = u64::try_from(set.version).unwrap_or(0);
    Ok(Response::new(pb::PutEgressPolicyResponse { version }))
}

fn from_wire(policy: pb::EgressPolicy) -> Result<Policy, Status> {
    let rules = policy.rules.into_iter().map(|rule| {
        let invalid = |why: String| error::status(&ActorError::invalid("policy.rules", why));
        let host = rule.host.parse().map_err(|why| invalid(format!("{:?} {why}", rule.host)))?;
        let ports = rule.ports.into_iter().map(|port| {
            u16::try_from(port)
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(|| invalid(format!("{port} is no port")))
        });
        Ok(Rule { host, ports: ports.collect::<Result<_, Status>>()? })
    });
    Ok(Policy { rules: rules.collect::<Result<_, Status>>()?, max_bytes_per_day: policy.max_bytes_per_day })
}

fn to_wire(policy: &Policy) -> pb::EgressPolicy {
    let rule = |rule: &Rule| pb::EgressRule {
        host: rule.host.to_string(),
        ports: rule.ports.iter().map(|port| u32::from(*port)).collect(),
    };
    pb::EgressPolicy {
        rules: policy.rules.iter().map(rule).collect(),
        max_bytes_per_day: policy.max_bytes_per_day,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn wire(host: &str, ports: &[u32]) -> pb::EgressPolicy {
        let rule = pb::EgressRule { host: host.to_owned(), ports: ports.to_vec() };
        pb::EgressPolicy { rules: vec![rule], max_bytes_per_day: 7 }
    }

    #[test]
    fn a_policy_comes_back_as_it_was_set_in_the_one_form_of_names() {
        let set = from_wire(wire("*.Example.com.", &[80, 443])).unwrap();
        assert_eq!(to_wire(&set), wire("*.example.com", &[80, 443]));
    }

    #[test]
    fn what_is_no_name_or_port_is_an_invalid_argument() {
        for (host, port) in
            [("127.0.0.1", 80), ("localhost", 80), ("*", 80), ("a.example.com", 0), ("a.example.com", 65_536)]
        {
            let refused = from_wire(wire(host, &[port])).unwrap_err();
            assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{host}:{port}");
        }
    }
}
