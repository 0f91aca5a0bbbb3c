//! What others ask for of one's own: who, what for, refusing, and giving. A request names an entry by its id alone, so giving it takes
//! the vault open, where its name is: in the browser (`node/web/js/page/approve.js`), or by `ocmt approve give`.

use axum::{
    Form,
    extract::{Path, Query, State},
    http::StatusCode,
    response::Response,
};
use data_encoding::HEXLOWER;
use ocmt_actors::{
    ActorError,
    api::{
        capabilities::{CapabilityInfo, CapabilityPage, DenyCapability, ListCapabilities},
        shares::Permission,
    },
};
use ocmt_types::{CapabilityId, Timestamp};
use serde::Deserialize;

use super::{
    super::{
        answer::{html, refused},
        assets::Script,
        frame::Frame,
        pages::{Entered, Guest, Pages, Visitor},
    },
    MOST, act, lasts, shares, then,
    view::{Approval, Approvals, OneRequest},
};
use crate::rpc::share_wire::to_permission;

const HERE: &str = "/app/approvals";
/// As many as one call answers.
const PAGE: u32 = 100;

#[derive(Deserialize)]
pub(super) struct Wanted {
    after: Option<String>,
}

/// One page of those that wait, newest first: one's own too.
pub(super) async fn list(
    State(pages): State<Pages>,
    Query(wanted): Query<Wanted>,
    Entered { visitor, guest }: Entered,
) -> Response {
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
    let (mine, others): (Vec<_>, Vec<_>) = page.capabilities.into_iter().partition(|one| is_of(guest, one));
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

/// Whether the visitor asks for it, and somebody else decides.
fn is_of(guest: &Guest, one: &CapabilityInfo) -> bool {
    one.requester == guest.me.user && one.program.is_none()
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
        since: frame.at(one.requested_at),
        until: frame.at(one.expires_at),
    }
}

/// One that the visitor decides on.
pub(super) async fn show(
    State(pages): State<Pages>,
    Path(id): Path<String>,
    Entered { visitor, guest }: Entered,
) -> Response {
    match waiting(&pages, &guest, &id).await {
        Ok(one) => looked_at(&visitor, &guest, &one),
        Err(error) => refused(&error, &visitor),
    }
}

async fn waiting(pages: &Pages, guest: &Guest, id: &str) -> Result<CapabilityInfo, ActorError> {
    let id: CapabilityId = id.parse().map_err(|_| ActorError::NotFound)?;
    let page = move |after| async move {
        let ask = ListCapabilities { waiting: true, after, limit: PAGE };
        pages.ask(&guest.caller, ask).await.map(|page| (page.capabilities, page.next))
    };
    let all = Pages::all(page).await?;
    let asked = all.into_iter().find(|one| one.id == id && !is_of(guest, one));
    asked.ok_or(ActorError::NotFound)
}

fn looked_at(visitor: &Visitor, guest: &Guest, one: &CapabilityInfo) -> Response {
    let at_device = one.permissions.contains(&Permission::Write);
    let frame = visitor.frame().of_user();
    let frame = if at_device { frame } else { frame.running(Script::Approve) };
    let (csrf, cookie) = visitor.own_csrf();
    let permissions = one.permissions.iter().map(|one| to_permission(*one).to_string());
    let page = Approval {
        frame,
        one: row(&frame, one),
        tenant: guest.me.tenant.to_string(),
        vault: one.vault.to_string(),
        requester: one.requester.to_string(),
        program: one.program.as_ref().map(|program| HEXLOWER.encode(&program.key)).unwrap_or_default(),
        at_device,
        permissions: permissions.collect::<Vec<_>>().join(" "),
        lifetime: one.lifetime_ms,
        csrf: &csrf,
    };
    html(StatusCode::OK, &page, [cookie])
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
