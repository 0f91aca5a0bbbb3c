//! Shares between people and requests for them, between the contract and the actors.

use std::{fmt::Display, str::FromStr};

use data_encoding::HEXLOWER;
use ocmt_actors::api::{
    capabilities::{CapabilityInfo, CapabilityState},
    programs::EntryGrant,
    shares::{Permission, ShareInfo, ShareState, SharedEntry, SharedRight},
};
use ocmt_proto::v1 as pb;
use ocmt_types::Timestamp;
use tonic::Status;

use super::convert;

pub(super) fn grants(from: &[pb::EntryGrant]) -> Result<Vec<EntryGrant>, Status> {
    let grant = |from: &pb::EntryGrant| {
        Ok(EntryGrant {
            object: convert::digest(&from.object_id, "object_id")?,
            version: from.version,
            sealed: from.sealed_grant.to_vec(),
        })
    };
    from.iter().map(grant).collect()
}

pub(super) fn permissions(from: &[i32]) -> Result<Vec<Permission>, Status> {
    let permission = |from: &i32| match pb::Permission::try_from(*from) {
        Ok(pb::Permission::Read) => Ok(Permission::Read),
        Ok(pb::Permission::List) => Ok(Permission::List),
        Ok(pb::Permission::Write) => Ok(Permission::Write),
        Ok(pb::Permission::Delete) => Ok(Permission::Delete),
        Ok(pb::Permission::Admin) => Ok(Permission::Admin),
        Ok(pb::Permission::Share) => Ok(Permission::Share),
        Ok(pb::Permission::Unspecified) | Err(_) => {
            Err(convert::invalid("permissions", "has one that there is not"))
        }
    };
    from.iter().map(permission).collect()
}

/// As the wire numbers it.
pub(crate) fn to_permission(from: Permission) -> i32 {
    match from {
        Permission::Read => pb::Permission::Read,
        Permission::List => pb::Permission::List,
        Permission::Write => pb::Permission::Write,
        Permission::Delete => pb::Permission::Delete,
        Permission::Admin => pb::Permission::Admin,
        Permission::Share => pb::Permission::Share,
    }
    .into()
}

pub(super) fn states(from: &[i32]) -> Result<Vec<ShareState>, Status> {
    let state = |from: &i32| match pb::ShareState::try_from(*from) {
        Ok(pb::ShareState::Offered) => Ok(ShareState::Offered),
        Ok(pb::ShareState::Accepted) => Ok(ShareState::Accepted),
        Ok(pb::ShareState::Revoked) => Ok(ShareState::Revoked),
        Ok(pb::ShareState::Expired) => Ok(ShareState::Expired),
        Ok(pb::ShareState::Unspecified) | Err(_) => {
            Err(convert::invalid("states", "has one that there is not"))
        }
    };
    from.iter().map(state).collect()
}

fn to_state(from: ShareState) -> i32 {
    match from {
        ShareState::Offered => pb::ShareState::Offered,
        ShareState::Accepted => pb::ShareState::Accepted,
        ShareState::Revoked => pb::ShareState::Revoked,
        ShareState::Expired => pb::ShareState::Expired,
    }
    .into()
}

pub(super) fn share(from: ShareInfo) -> pb::Share {
    let grant = |from: SharedEntry| pb::EntryGrant {
        object_id: from.object.to_vec().into(),
        version: from.version,
        sealed_grant: from.sealed.into(),
    };
    pb::Share {
        share_id: from.id.to_string(),
        state: to_state(from.state),
        vault_id: from.vault.to_string(),
        giver_email: from.giver_email,
        taker_email: from.taker_email,
        permissions: from.permissions.into_iter().map(to_permission).collect(),
        grants: from.grants.into_iter().map(grant).collect(),
        rights: from.rights.into_iter().map(right).collect(),
        created_at: Some(convert::time(from.created_at)),
        expires_at: from.expires_at.map(convert::time),
    }
}

fn right(from: SharedRight) -> pb::SharedRight {
    pb::SharedRight {
        object_id: from.object.to_vec().into(),
        write_grant: from.write_grant.into(),
        next_sequence: from.next_sequence,
        waits: from.waits,
    }
}

pub(super) fn capability(from: CapabilityInfo) -> pb::Capability {
    pb::Capability {
        capability_id: from.id.to_string(),
        state: match from.state {
            CapabilityState::Requested => pb::CapabilityState::Requested,
            CapabilityState::Approved => pb::CapabilityState::Approved,
            CapabilityState::Denied => pb::CapabilityState::Denied,
            CapabilityState::Expired => pb::CapabilityState::Expired,
        }
        .into(),
        requester_id: match &from.program {
            Some(program) => program.id.to_string(),
            None => from.requester.to_string(),
        },
        decided_by: from.decided_by.map(|user| user.to_string()).unwrap_or_default(),
        object: format!("entry:{}", HEXLOWER.encode(&from.object)),
        permissions: from.permissions.into_iter().map(to_permission).collect(),
        reason: from.reason,
        requested_at: Some(convert::time(from.requested_at)),
        expires_at: Some(convert::time(from.expires_at)),
        requester_email: from.requester_email,
        lifetime: Some(convert::duration(from.lifetime_ms)),
        vault_id: from.vault.to_string(),
        sign_key: from
            .program
            .as_ref()
            .and_then(|it| it.sign_key)
            .map(|key| key.to_vec())
            .unwrap_or_default()
            .into(),
        share_id: from.share.map(|share| share.to_string()).unwrap_or_default(),
        right: from.right.map(right),
        program_key: from.program.as_ref().map(|it| it.key.to_vec()).unwrap_or_default().into(),
        program_name: from.program.map(|it| it.name).unwrap_or_default(),
    }
}

pub(super) fn page_token(next: Option<(Timestamp, impl Display)>) -> String {
    next.map(|(at, id)| format!("{}.{id}", at.millis())).unwrap_or_default()
}

/// Behind which one the page begins.
pub(super) fn after<T: FromStr>(token: &str) -> Result<Option<(Timestamp, T)>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let parsed =
        token.split_once('.').and_then(|(at, id)| Some((Timestamp(at.parse().ok()?), id.parse().ok()?)));
    parsed.map(Some).ok_or_else(|| convert::invalid("page_token", "is not one of ours"))
}
