//! Requests for one's own vault that are under way, and stopping them: session and a fresh sign-in are enough, no key is needed.

use axum::{Form, extract::State, http::StatusCode, response::Response};
use data_encoding::HEXLOWER;
use ocmt_actors::{
    ActorError,
    api::recovery::{CeremonyPage, CeremonyPurpose, CeremonyView, ListCeremonies, VetoCeremony},
};
use ocmt_types::Digest32;
use serde::Deserialize;

use super::{
    answer::{html, refused, see_other},
    frame::Frame,
    guardian::{said, state_of},
    pages::{Guest, Pages, Visitor},
    sign_in::enter,
    view::{OneCeremony, Recovery, at},
};

/// As many as one page shows.
const MOST: u32 = 100;
const HERE: &str = "/app/recovery";

/// All that are under way.
pub(super) async fn list(State(pages): State<Pages>, visitor: Visitor) -> Response {
    let guest = match enter(&pages, &visitor).await {
        Ok(guest) => guest,
        Err(instead) => return *instead,
    };
    let ask = ListCeremonies { only_live: true, after: None, limit: MOST };
    match pages.ask(&guest.caller, ask).await {
        Ok(page) => shown(&visitor, &guest, &page),
        Err(error) => refused(&error, &visitor),
    }
}

fn shown(visitor: &Visitor, guest: &Guest, CeremonyPage { ceremonies, .. }: &CeremonyPage) -> Response {
    let frame = visitor.frame().of_user();
    // the others are asked of the visitor as a guardian
    let own = ceremonies.iter().filter(|one| one.owner_email == guest.me.email);
    let ceremonies = own.map(|one| told(&frame, one)).collect();
    let (csrf, cookie) = visitor.own_csrf();
    html(StatusCode::OK, &Recovery { frame, ceremonies, csrf: &csrf }, [cookie])
}

fn told(frame: &Frame, one: &CeremonyView) -> OneCeremony {
    OneCeremony {
        id: Digest32(one.id).to_string(),
        requester: one.requester_email.clone(),
        state: frame.say(state_of(one.state)).to_owned(),
        since: at(one.opened_at),
        agreed: frame.put("request.of", format!("{}/{}", one.units_approved, one.units_needed)),
        opens: one.releasable_at.map_or_else(|| frame.say("request.not_yet").to_owned(), at),
        ends: at(one.expires_at),
        acts: one.acts.iter().map(|act| said(frame, act)).collect(),
        over_a_stop: one.purpose == CeremonyPurpose::Override,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct One {
    ceremony: String,
    csrf: String,
}

/// Stops one.
pub(super) async fn veto(State(pages): State<Pages>, visitor: Visitor, Form(one): Form<One>) -> Response {
    let vetoed = async {
        let caller = pages.sender(&visitor, &one.csrf).await?;
        let id = HEXLOWER.decode(one.ceremony.as_bytes()).map_err(|_| ActorError::NotFound)?;
        let ceremony = Digest32::try_from(id.as_slice()).map_err(|_| ActorError::NotFound)?;
        let veto = VetoCeremony { ceremony, statement: Vec::new(), retirement: Vec::new() };
        pages.ask(&caller, veto).await
    };
    match vetoed.await {
        Ok(_) => see_other(HERE, []),
        Err(error) => refused(&error, &visitor),
    }
}
