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
        CeremonyAct, CeremonyActKind, CeremonyDetail, CeremonyState, CeremonyView, GetCeremony, Guardianship,
    },
};
use ocmt_crypto::ceremony::{Ceremony, ReleaseStatement};
use ocmt_types::{Digest32, GuardianshipId};

use super::{
    super::{
        answer::{html, refused},
        assets::Script,
        frame::Frame,
        pages::{Entered, Guest, Pages, Visitor},
    },
    coming::{agreed, coming},
    view::Request,
};

/// The page.
pub(in crate::web) async fn request(
    State(pages): State<Pages>,
    Path(id): Path<String>,
    Entered { visitor, guest }: Entered,
) -> Response {
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
    let over_a_stop = over_a_stop(view)?;
    let mine = acts_of(view, &[guardianship]);
    let may = May::of(view.state, Kind { over_a_stop, lost_mailbox: view.lost_mailbox }, &mine);
    let node = node_of(pages, detail);
    let hex = |bytes: &[u8]| HEXLOWER.encode(bytes);
    Some(Request {
        frame: if may.say() { frame.running(Script::Request) } else { frame },
        id: Digest32(view.id).to_string(),
        owner: view.owner_email.clone(),
        requester: view.requester_email.clone(),
        state: frame.say(state_of(view.state)).to_owned(),
        since: frame.at(view.opened_at),
        agreed: agreed(&frame, view),
        opens: view
            .releasable_at
            .map_or_else(|| frame.say("request.not_yet").to_owned(), |time| frame.at(time)),
        ends: frame.at(view.expires_at),
        coming: coming(&frame, view, pages.clock.now()),
        acts: view.acts.iter().map(|act| said(&frame, act)).collect(),
        mine: standing(&mine).and_then(mine_key).map(|key| frame.say(key).to_owned()),
        may,
        proposed: view.state == CeremonyState::Proposed,
        over_a_stop,
        lost: if view.lost_mailbox { view.requester_email.clone() } else { String::new() },
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

/// Whether it goes on over a stop, as the request's own signed words say and not what the node says of them. None if they are
/// no request.
pub(in crate::web) fn over_a_stop(view: &CeremonyView) -> Option<bool> {
    Ceremony::decode(&view.params).ok().map(|params| params.overrides.is_some())
}

/// Whether a request waits for whoever has these guardianships.
pub(super) fn waits_for(view: &CeremonyView, held: &[Guardianship]) -> bool {
    let ids: Vec<GuardianshipId> = held.iter().map(|one| one.id).collect();
    May::of(view.state, Kind::default(), &acts_of(view, &ids)).decide
}

/// What the holder of these guardianships has said, in order.
fn acts_of(view: &CeremonyView, ids: &[GuardianshipId]) -> Vec<CeremonyActKind> {
    let own = |act: &&CeremonyAct| act.guardianship.is_some_and(|id| ids.contains(&id));
    view.acts.iter().filter(own).map(|act| act.kind).collect()
}

/// What of it stands: a decision, whatever was said after it.
fn standing(mine: &[CeremonyActKind]) -> Option<CeremonyActKind> {
    mine.iter().rev().copied().find(|&act| is_decision(act)).or_else(|| mine.last().copied())
}

fn is_decision(act: CeremonyActKind) -> bool {
    matches!(act, CeremonyActKind::Approved | CeremonyActKind::Denied)
}

/// What is out of the ordinary about a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Kind {
    over_a_stop: bool,
    lost_mailbox: bool,
}

/// What a guardian can still say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct May {
    /// Agree; while it is proposed, sign for it.
    pub(super) decide: bool,
    /// Refuse.
    pub(super) deny: bool,
    /// Say that something is not as it should be.
    pub(super) doubt: bool,
    /// Lock everything: who has agreed and then hears otherwise too.
    pub(super) lock: bool,
}

impl May {
    fn of(state: CeremonyState, kind: Kind, mine: &[CeremonyActKind]) -> Self {
        let proposed = state == CeremonyState::Proposed;
        let asked = proposed || matches!(state, CeremonyState::Open | CeremonyState::Ready);
        let said = |act| mine.contains(&act);
        let signed = proposed && said(CeremonyActKind::Overrode);
        let decided = mine.iter().any(|&act| is_decision(act));
        // one that goes on over a stop is refused by not signing
        let stoppable = !proposed || kind.lost_mailbox;
        Self {
            decide: asked && !signed && !decided,
            deny: asked && !decided && stoppable,
            doubt: asked && !said(CeremonyActKind::Doubted),
            lock: asked && stoppable && !kind.over_a_stop && !said(CeremonyActKind::Locked),
        }
    }

    /// Whether there is anything.
    pub(super) fn say(self) -> bool {
        self.decide || self.deny || self.doubt || self.lock
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
        CeremonyActKind::Vetoed => frame.at(act.at),
        _ => format!("{} ({})", act.guardian_email, frame.at(act.at)),
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

    use CeremonyActKind as Act;
    use CeremonyState as State;

    const OVER: Kind = Kind { over_a_stop: true, lost_mailbox: false };
    const LOST: Kind = Kind { over_a_stop: false, lost_mailbox: true };

    #[test]
    fn what_a_guardians_word_alone_proposed_is_refused_and_locked_like_any_other() {
        let proposed = |kind, mine: &[Act]| May::of(State::Proposed, kind, mine);
        let fresh = proposed(LOST, &[]);
        assert!(fresh.decide && fresh.deny && fresh.doubt && fresh.lock);
        let signed = proposed(LOST, &[Act::Overrode]);
        assert!(!signed.decide && signed.deny && signed.lock);
        let denied = proposed(LOST, &[Act::Denied]);
        assert!(!denied.decide && !denied.deny);
        let over = proposed(OVER, &[]);
        assert!(over.decide && !over.deny && !over.lock);
    }

    #[test]
    fn a_guardian_decides_once_whatever_is_said_after_it() {
        let decides = |state, mine: &[Act]| May::of(state, Kind::default(), mine).decide;
        assert!(decides(State::Open, &[]) && decides(State::Ready, &[]) && decides(State::Proposed, &[]));
        assert!(decides(State::Open, &[Act::Doubted]));
        for decided in [Act::Approved, Act::Denied] {
            assert!(!decides(State::Open, &[decided]) && !decides(State::Open, &[decided, Act::Doubted]));
            assert_eq!(standing(&[decided, Act::Doubted]), Some(decided));
        }
        // a signature for going on over a stop is no agreement
        assert!(!decides(State::Proposed, &[Act::Overrode]) && decides(State::Open, &[Act::Overrode]));
        assert!(!decides(State::Proposed, &[Act::Overrode, Act::Doubted]));
    }

    #[test]
    fn who_has_decided_can_still_doubt_and_lock_until_it_is_over() {
        for mine in [&[][..], &[Act::Approved], &[Act::Denied]] {
            for state in [State::Open, State::Ready] {
                let may = May::of(state, Kind::default(), mine);
                assert!(may.doubt && may.lock, "{state:?} {mine:?}");
                let over = May::of(state, OVER, mine);
                assert!(over.doubt && !over.lock, "no lock ends what goes on over a stop");
            }
        }
        let proposed = May::of(State::Proposed, OVER, &[Act::Overrode]);
        assert!(proposed.doubt && !proposed.lock && proposed.say());
        assert!(!May::of(State::Open, Kind::default(), &[Act::Doubted]).doubt);
        for over in [State::Released, State::Completed, State::Vetoed, State::Locked, State::Expired] {
            assert!(!May::of(over, Kind::default(), &[]).say(), "{over:?}");
        }
    }
}
