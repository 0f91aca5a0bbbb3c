//! One request for recovery, told in plain words, with all that a guardian's browser checks and needs.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use data_encoding::HEXLOWER;
use ocmt_actors::{
    ActorError,
    api::recovery::{
        CeremonyAct, CeremonyActKind, CeremonyDetail, CeremonyPurpose, CeremonyState, CeremonyView,
        GetCeremony,
    },
};
use ocmt_crypto::ceremony::ReleaseStatement;
use ocmt_types::Digest32;

use super::{
    super::{
        answer::{html, refused},
        assets::Script,
        frame::Frame,
        pages::{Guest, Pages, Visitor},
        sign_in::enter,
        view::at,
    },
    view::Request,
};

/// The page.
pub(in crate::web) async fn request(
    State(pages): State<Pages>,
    Path(id): Path<String>,
    visitor: Visitor,
) -> Response {
    let guest = match enter(&pages, &visitor).await {
        Ok(guest) => guest,
        Err(instead) => return *instead,
    };
    let found = async {
        let id = HEXLOWER.decode(id.as_bytes()).map_err(|_| ActorError::NotFound)?;
        let ceremony = Digest32::try_from(id.as_slice()).map_err(|_| ActorError::NotFound)?;
        let detail = pages.ask(&guest.caller, GetCeremony { ceremony }).await?;
        told(&pages, &visitor, &guest, &detail).ok_or(ActorError::NotFound)
    };
    match found.await {
        Ok(page) => html(StatusCode::OK, &page, [visitor.own_csrf().1]),
        Err(error) => refused(&error, &visitor),
    }
}

/// None if the visitor is not asked as a guardian.
fn told(pages: &Pages, visitor: &Visitor, guest: &Guest, detail: &CeremonyDetail) -> Option<Request> {
    let (view, guardianship) = (&detail.ceremony, detail.guardianship?);
    let frame = visitor.frame().of_user();
    let mine = view.acts.iter().rev().find(|act| act.guardianship == Some(guardianship)).map(|act| act.kind);
    let decides = decides(view.state, mine);
    let node = node_of(pages, detail);
    let hex = |bytes: &[u8]| HEXLOWER.encode(bytes);
    Some(Request {
        frame: if decides { frame.running(Script::Request) } else { frame },
        id: Digest32(view.id).to_string(),
        owner: view.owner_email.clone(),
        requester: view.requester_email.clone(),
        state: frame.say(state_of(view.state)).to_owned(),
        since: at(view.opened_at),
        agreed: frame.put("request.of", format!("{}/{}", view.units_approved, view.units_needed)),
        opens: view.releasable_at.map_or_else(|| frame.say("request.not_yet").to_owned(), at),
        ends: at(view.expires_at),
        acts: view.acts.iter().map(|act| said(&frame, act)).collect(),
        mine: mine.and_then(mine_key).map(|key| frame.say(key).to_owned()),
        decides,
        proposed: view.state == CeremonyState::Proposed,
        over_a_stop: view.purpose == CeremonyPurpose::Override,
        approves: node.is_some(),
        tenant: guest.me.tenant.to_string(),
        guardianship: guardianship.to_string(),
        params: hex(&view.params),
        signed_set: hex(&detail.signed_set),
        sealed_units: hex(&detail.sealed_units),
        statement: view.release_statement.as_ref().map(|it| hex(&it.statement)).unwrap_or_default(),
        node: node.as_ref().map(|(id, _)| hex(id)).unwrap_or_default(),
        node_key: node.as_ref().map(|(_, key)| hex(key)).unwrap_or_default(),
    })
}

/// Id and key of the node that states the release key, if the cluster's authority vouches for it and it has signed. Browsers
/// read no certificates: whoever serves this page answers for it, as for the page's code.
fn node_of(pages: &Pages, detail: &CeremonyDetail) -> Option<([u8; 16], [u8; 32])> {
    let stated = detail.ceremony.release_statement.as_ref()?;
    let node = pages.ca.prove_node(&stated.certificate_chain, &*pages.clock);
    let node =
        node.inspect_err(|error| tracing::warn!(%error, "a ceremony's release key is of no node")).ok()?;
    let ceremony = Digest32(detail.ceremony.id);
    ReleaseStatement::verify(&stated.statement, node.id, &node.key, &ceremony).ok()?;
    Some((*node.id.as_bytes(), node.key.0))
}

/// Whether a request waits for the guardian of this address.
pub(super) fn waits_for(view: &CeremonyView, email: &str) -> bool {
    let mine = view.acts.iter().rev().find(|act| act.guardian_email == email).map(|act| act.kind);
    decides(view.state, mine)
}

/// Whether a guardian who said this last has something to say.
fn decides(state: CeremonyState, mine: Option<CeremonyActKind>) -> bool {
    let asked = matches!(state, CeremonyState::Proposed | CeremonyState::Open | CeremonyState::Ready);
    asked
        && match mine {
            None | Some(CeremonyActKind::Doubted) => true,
            Some(CeremonyActKind::Overrode) => state != CeremonyState::Proposed,
            Some(_) => false,
        }
}

pub(in crate::web) fn state_of(state: CeremonyState) -> &'static str {
    match state {
        CeremonyState::Proposed => "state.proposed",
        CeremonyState::Open => "state.open",
        CeremonyState::Ready => "state.ready",
        CeremonyState::Released => "state.released",
        CeremonyState::Completed => "state.completed",
        CeremonyState::Denied => "state.denied",
        CeremonyState::Vetoed => "state.vetoed",
        CeremonyState::Locked => "state.locked",
        CeremonyState::Expired => "state.expired",
        CeremonyState::Cancelled => "state.cancelled",
    }
}

pub(in crate::web) fn said(frame: &Frame, act: &CeremonyAct) -> String {
    let key = match act.kind {
        CeremonyActKind::Approved => "act.approved",
        CeremonyActKind::Denied => "act.denied",
        CeremonyActKind::Doubted => "act.doubted",
        CeremonyActKind::Locked => "act.locked",
        CeremonyActKind::Vetoed => "act.vetoed",
        CeremonyActKind::Overrode => "act.overrode",
        CeremonyActKind::BadShare => "act.bad_share",
    };
    let what = match act.kind {
        CeremonyActKind::Vetoed => at(act.at),
        _ => format!("{} ({})", act.guardian_email, at(act.at)),
    };
    frame.put(key, what)
}

fn mine_key(kind: CeremonyActKind) -> Option<&'static str> {
    match kind {
        CeremonyActKind::Approved => Some("request.mine_approved"),
        CeremonyActKind::Denied => Some("request.mine_denied"),
        CeremonyActKind::Doubted => Some("request.mine_doubted"),
        CeremonyActKind::Locked => Some("request.mine_locked"),
        CeremonyActKind::Overrode => Some("request.mine_overrode"),
        CeremonyActKind::Vetoed | CeremonyActKind::BadShare => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guardian_decides_once_and_after_a_doubt_still() {
        use CeremonyActKind as Act;
        use CeremonyState as State;
        assert!(decides(State::Open, None) && decides(State::Ready, None) && decides(State::Proposed, None));
        assert!(decides(State::Open, Some(Act::Doubted)));
        assert!(!decides(State::Open, Some(Act::Approved)) && !decides(State::Open, Some(Act::Denied)));
        // a signature for going on over a stop is no agreement
        assert!(!decides(State::Proposed, Some(Act::Overrode)) && decides(State::Open, Some(Act::Overrode)));
        for over in [State::Released, State::Completed, State::Vetoed, State::Locked, State::Expired] {
            assert!(!decides(over, None), "{over:?}");
        }
    }
}
