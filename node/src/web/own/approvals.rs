//! What others ask for of one's own: who, what for, and refusing. A request names an entry by its id alone, so giving it takes the
//! vault open, where its name is: `ocmt approve give`.

use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use data_encoding::HEXLOWER;
use ocmt_actors::{
    ActorError,
    api::capabilities::{CapabilityInfo, CapabilityPage, DenyCapability, ListCapabilities},
};
use ocmt_types::{CapabilityId, Timestamp};
use serde::Deserialize;

use super::{
    super::{
        answer::{html, refused},
        frame::Frame,
        pages::{Guest, Pages, Visitor},
        sign_in::enter,
        view::at,
    },
    MOST, act, lasts, shares, then,
    view::{Approvals, OneRequest},
};

const HERE: &str = "/app/approvals";

#[derive(Deserialize)]
pub(super) struct Wanted {
    after: Option<String>,
}

/// One page of those that wait, newest first: one's own too.
pub(super) async fn list(
    State(pages): State<Pages>,
    Query(wanted): Query<Wanted>,
    visitor: Visitor,
) -> Response {
    let guest = match enter(&pages, &visitor).await {
        Ok(guest) => guest,
        Err(instead) => return *instead,
    };
    let page = async {
        let after = wanted.after.as_deref().map(behind).transpose()?;
        pages.ask(&guest.caller, ListCapabilities { waiting: true, after, limit: MOST }).await
    };
    match page.await {
        Ok(page) => shown(&visitor, &guest, page, wanted.after.is_some()),
        Err(error) => refused(&error, &visitor),
    }
}

fn behind(token: &str) -> Result<(Timestamp, CapabilityId), ActorError> {
    let parsed =
        token.split_once('.').and_then(|(at, id)| Some((Timestamp(at.parse().ok()?), id.parse().ok()?)));
    parsed.ok_or_else(|| ActorError::invalid("after", "is no page of this list"))
}

fn shown(visitor: &Visitor, guest: &Guest, page: CapabilityPage, further: bool) -> Response {
    let frame = visitor.frame().of_user();
    let of_mine = |one: &CapabilityInfo| one.requester == guest.me.user && one.program.is_none();
    let (mine, others): (Vec<_>, Vec<_>) = page.capabilities.into_iter().partition(of_mine);
    let (csrf, cookie) = visitor.own_csrf();
    let page = Approvals {
        frame,
        asked: others.iter().map(|one| row(&frame, one)).collect(),
        mine: mine.iter().map(|one| row(&frame, one)).collect(),
        further,
        next: page.next.map(|(at, id)| format!("{}.{id}", at.millis())),
        csrf: &csrf,
    };
    html(StatusCode::OK, &page, [cookie])
}

fn row(frame: &Frame, one: &CapabilityInfo) -> OneRequest {
    let program = one.program.as_ref().map(|program| program.name.clone());
    OneRequest {
        id: one.id.to_string(),
        is_program: program.is_some(),
        who: program.unwrap_or_else(|| one.requester_email.clone()),
        may: shares::may(frame, &one.permissions),
        entry: HEXLOWER.encode(&one.object),
        reason: one.reason.clone(),
        lasts: lasts(frame, one.lifetime_ms),
        since: at(one.requested_at),
        until: at(one.expires_at),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct One {
    request: String,
    csrf: String,
}

/// Refuses one.
pub(super) async fn deny(State(pages): State<Pages>, visitor: Visitor, Form(one): Form<One>) -> Response {
    let asks = || Some(DenyCapability { capability: one.request.parse().ok()? });
    then(act(&pages, &visitor, &one.csrf, asks).await.map(|_| HERE), &visitor)
}
