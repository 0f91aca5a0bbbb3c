//! Pairing between the wire and the actors.

use ocmt_actors::api::{
    pairing::{DirectPolicy, GroupPolicy, PairedSender, PendingPairing, SenderDecision},
    tenant::TenantPolicy,
};
use ocmt_proto::v1 as pb;
use tonic::Status;

use super::convert;

pub(super) fn decision(decision: &SenderDecision) -> pb::CheckSenderResponse {
    match decision {
        SenderDecision::Allow => said(pb::SenderDecision::Allow),
        SenderDecision::Drop => said(pb::SenderDecision::Drop),
        SenderDecision::Pair { code, expires_at } => pb::CheckSenderResponse {
            pairing_code: code.expose().clone(),
            expires_at: Some(convert::time(*expires_at)),
            ..said(pb::SenderDecision::Pair)
        },
    }
}

fn said(decision: pb::SenderDecision) -> pb::CheckSenderResponse {
    pb::CheckSenderResponse { decision: decision.into(), ..Default::default() }
}

pub(super) fn pending(info: PendingPairing) -> pb::PendingPairing {
    pb::PendingPairing {
        pairing_id: info.id.to_string(),
        container_id: info.container.to_string(),
        channel: info.channel,
        sender_id: info.sender,
        display_name: info.display_name,
        requested_at: Some(convert::time(info.requested_at)),
        expires_at: Some(convert::time(info.expires_at)),
    }
}

pub(super) fn sender(info: PairedSender) -> pb::PairedSender {
    pb::PairedSender {
        sender_ref: info.id.to_string(),
        container_id: info.container.to_string(),
        channel: info.channel,
        sender_id: info.sender,
        display_name: info.display_name,
        approved_at: Some(convert::time(info.approved_at)),
    }
}

pub(super) fn policy(policy: &TenantPolicy) -> pb::PairingPolicy {
    let direct = match policy.dm_policy {
        DirectPolicy::Pairing => pb::DirectPolicy::Pairing,
        DirectPolicy::Allowlist => pb::DirectPolicy::Allowlist,
        DirectPolicy::Open => pb::DirectPolicy::Open,
        DirectPolicy::Disabled => pb::DirectPolicy::Disabled,
    };
    let group = match policy.group_policy {
        GroupPolicy::Allowlist => pb::GroupPolicy::Allowlist,
        GroupPolicy::Open => pb::GroupPolicy::Open,
        GroupPolicy::Disabled => pb::GroupPolicy::Disabled,
    };
    pb::PairingPolicy { dm_policy: direct.into(), group_policy: group.into() }
}

pub(super) fn direct(wanted: pb::DirectPolicy) -> Result<DirectPolicy, Status> {
    match wanted {
        pb::DirectPolicy::Pairing => Ok(DirectPolicy::Pairing),
        pb::DirectPolicy::Allowlist => Ok(DirectPolicy::Allowlist),
        pb::DirectPolicy::Open => Ok(DirectPolicy::Open),
        pb::DirectPolicy::Disabled => Ok(DirectPolicy::Disabled),
        pb::DirectPolicy::Unspecified => Err(convert::invalid("policy", "has no pairing.dm_policy")),
    }
}

pub(super) fn group(wanted: pb::GroupPolicy) -> Result<GroupPolicy, Status> {
    match wanted {
        pb::GroupPolicy::Allowlist => Ok(GroupPolicy::Allowlist),
        pb::GroupPolicy::Open => Ok(GroupPolicy::Open),
        pb::GroupPolicy::Disabled => Ok(GroupPolicy::Disabled),
        pb::GroupPolicy::Unspecified => Err(convert::invalid("policy", "has no pairing.group_policy")),
    }
}
