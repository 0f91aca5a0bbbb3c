//! Guardians and ceremonies between the wire's messages and the actors' types.

use ocmt_actors::api::recovery::{
    CeremonyAct, CeremonyActKind, CeremonyPurpose, CeremonyState, CeremonyView, DrillChallenge,
    GuardianSetInfo, GuardianSetState, Guardianship, GuardianshipState, NodeStatement, Side,
};
use ocmt_proto::v1 as pb;
use ocmt_types::GuardianshipId;
use tonic::Status;

use super::convert;

pub(super) fn side(side: pb::GuardianshipSide) -> Option<Side> {
    match side {
        pb::GuardianshipSide::Unspecified => None,
        pb::GuardianshipSide::Owner => Some(Side::Owner),
        pb::GuardianshipSide::Guardian => Some(Side::Guardian),
    }
}

/// Page tokens are the side and the id of the last guardianship.
pub(super) fn guardianship_token((side, id): (Side, GuardianshipId)) -> String {
    match side {
        Side::Owner => format!("owner.{id}"),
        Side::Guardian => format!("guardian.{id}"),
    }
}

pub(super) fn guardianship_page(token: &str) -> Result<Option<(Side, GuardianshipId)>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let (side, id) =
        token.split_once('.').ok_or_else(|| convert::invalid("page_token", "is not one of ours"))?;
    let side = match side {
        "owner" => Side::Owner,
        "guardian" => Side::Guardian,
        _ => return Err(convert::invalid("page_token", "is not one of ours")),
    };
    Ok(Some((side, convert::id(id, "page_token")?)))
}

pub(super) fn guardianship(it: Guardianship) -> pb::Guardianship {
    let side = match it.side {
        Side::Owner => pb::GuardianshipSide::Owner,
        Side::Guardian => pb::GuardianshipSide::Guardian,
    };
    let state = match it.state {
        GuardianshipState::Invited => pb::GuardianshipState::Invited,
        GuardianshipState::Accepted => pb::GuardianshipState::Accepted,
        GuardianshipState::Dealt => pb::GuardianshipState::Dealt,
        GuardianshipState::Active => pb::GuardianshipState::Active,
        GuardianshipState::Resigned => pb::GuardianshipState::Resigned,
        GuardianshipState::Ended => pb::GuardianshipState::Ended,
    };
    pb::Guardianship {
        guardianship_id: it.id.to_string(),
        side: side.into(),
        state: state.into(),
        vault_id: it.vault.to_string(),
        counterpart_email: it.counterpart_email,
        units: it.units,
        guardian_signing_key: it.guardian_keys.map(|keys| keys.signing.to_vec().into()).unwrap_or_default(),
        guardian_sealing_key: it.guardian_keys.map(|keys| keys.sealing.to_vec().into()).unwrap_or_default(),
        owner_signing_key: it.owner_signing_key.map(|key| key.to_vec().into()).unwrap_or_default(),
        set_id: it.set.map(|set| set.to_string()).unwrap_or_default(),
        signed_set: it.signed_set.into(),
        sealed_units: it.sealed_units.into(),
        invited_at: Some(convert::time(it.invited_at)),
        expires_at: it.expires_at.map(convert::time),
        drilled_at: it.drilled_at.map(convert::time),
        open_challenge: it.open_challenge.map(challenge),
    }
}

pub(super) fn challenge(it: DrillChallenge) -> pb::DrillChallenge {
    pb::DrillChallenge {
        challenge_id: it.id.to_string(),
        challenge: it.challenge.into(),
        asked_at: Some(convert::time(it.asked_at)),
        expires_at: Some(convert::time(it.expires_at)),
    }
}

pub(super) fn set(it: GuardianSetInfo) -> pb::GuardianSet {
    let state = match it.state {
        GuardianSetState::Dealt => pb::GuardianSetState::Dealt,
        GuardianSetState::Active => pb::GuardianSetState::Active,
        GuardianSetState::Retired => pb::GuardianSetState::Retired,
    };
    pb::GuardianSet {
        set_id: it.id.to_string(),
        vault_id: it.vault.to_string(),
        state: state.into(),
        signed_set: it.signed_set.into(),
        owner_signing_key: it.owner_signing_key.to_vec().into(),
        threshold: it.threshold,
        unit_count: it.units,
        dealt_at: Some(convert::time(it.dealt_at)),
        locked_until: it.locked_until.map(convert::time),
    }
}

pub(super) fn ceremony(it: CeremonyView) -> pb::Ceremony {
    pb::Ceremony {
        ceremony_id: it.id.to_vec().into(),
        params: it.params.into(),
        purpose: purpose(it.purpose).into(),
        state: state(it.state).into(),
        vault_id: it.vault.to_string(),
        owner_email: it.owner_email,
        requester_email: it.requester_email,
        opened_at: Some(convert::time(it.opened_at)),
        delay_started_at: it.delay_started_at.map(convert::time),
        releasable_at: it.releasable_at.map(convert::time),
        expires_at: Some(convert::time(it.expires_at)),
        units_needed: it.units_needed,
        units_approved: it.units_approved,
        acts: it.acts.into_iter().map(act).collect(),
        release_statement: it.release_statement.map(statement),
        lost_mailbox: it.lost_mailbox,
    }
}

fn purpose(purpose: CeremonyPurpose) -> pb::CeremonyPurpose {
    match purpose {
        CeremonyPurpose::Recover => pb::CeremonyPurpose::Recover,
        CeremonyPurpose::Override => pb::CeremonyPurpose::Override,
        CeremonyPurpose::Unlock => pb::CeremonyPurpose::Unlock,
    }
}

pub(super) fn state(state: CeremonyState) -> pb::CeremonyState {
    match state {
        CeremonyState::Proposed => pb::CeremonyState::Proposed,
        CeremonyState::Open => pb::CeremonyState::Open,
        CeremonyState::Ready => pb::CeremonyState::Ready,
        CeremonyState::Released => pb::CeremonyState::Released,
        CeremonyState::Completed => pb::CeremonyState::Completed,
        CeremonyState::Denied => pb::CeremonyState::Denied,
        CeremonyState::Vetoed => pb::CeremonyState::Vetoed,
        CeremonyState::Locked => pb::CeremonyState::Locked,
        CeremonyState::Expired => pb::CeremonyState::Expired,
        CeremonyState::Cancelled => pb::CeremonyState::Cancelled,
    }
}

fn act(act: CeremonyAct) -> pb::CeremonyAct {
    let kind = match act.kind {
        CeremonyActKind::Approved => pb::CeremonyActKind::Approved,
        CeremonyActKind::Denied => pb::CeremonyActKind::Denied,
        CeremonyActKind::Doubted => pb::CeremonyActKind::Doubted,
        CeremonyActKind::Locked => pb::CeremonyActKind::Locked,
        CeremonyActKind::Vetoed => pb::CeremonyActKind::Vetoed,
        CeremonyActKind::Overrode => pb::CeremonyActKind::Overrode,
        CeremonyActKind::BadShare => pb::CeremonyActKind::BadShare,
    };
    pb::CeremonyAct {
        kind: kind.into(),
        guardianship_id: act.guardianship.map(|id| id.to_string()).unwrap_or_default(),
        guardian_email: act.guardian_email,
        units: act.units,
        at: Some(convert::time(act.at)),
    }
}

pub(super) fn statement(it: NodeStatement) -> pb::NodeStatement {
    pb::NodeStatement {
        statement: it.statement.into(),
        certificate_chain_der: it.certificate_chain.into_iter().map(Into::into).collect(),
    }
}
