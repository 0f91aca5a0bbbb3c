//! Where one is signed in, and ending it.

use std::cmp::Reverse;

use axum::{Form, extract::State, http::StatusCode, response::Response};
use ocmt_actors::{
    ActorError,
    api::auth::{ListSessions, RevokeOtherSessions, RevokeSession, SessionInfo},
};
use ocmt_types::SessionId;
use serde::Deserialize;

use super::{
    answer::{html, refused, see_other},
    device,
    pages::{Entered, Guest, Pages, Proof, Visitor},
    view::{OneSession, Sessions},
};

const HERE: &str = "/app/sessions";

/// All of them.
pub(super) async fn list(State(pages): State<Pages>, Entered { visitor, guest }: Entered) -> Response {
    match pages.ask(&guest.caller, ListSessions).await {
        Ok(all) => shown(&visitor, &guest, &all),
        Err(error) => refused(&error, &visitor),
    }
}

fn shown(visitor: &Visitor, guest: &Guest, all: &[SessionInfo]) -> Response {
    let frame = visitor.frame().of_user();
    let here = |one: &SessionInfo| one.id == guest.session.id;
    let mut all: Vec<&SessionInfo> = all.iter().collect();
    all.sort_by_key(|one| (Reverse(here(one)), Reverse(one.last_seen_at)));
    let sessions = all.into_iter().map(|one| OneSession {
        id: one.id.to_string(),
        here: here(one),
        device: if one.client == device::UNKNOWN { String::new() } else { one.client.clone() },
        place: one.address.clone().unwrap_or_default(),
        since: frame.at(one.created_at),
        seen: frame.at(one.last_seen_at),
        until: frame.at(one.expires_at),
    });
    let (sessions, (csrf, cookie)) = (sessions.collect(), visitor.own_csrf());
    html(StatusCode::OK, &Sessions { frame, email: &guest.me.email, sessions, csrf: &csrf }, [cookie])
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct One {
    session: String,
    csrf: String,
}

/// Ends one.
pub(super) async fn end(State(pages): State<Pages>, visitor: Visitor, Form(one): Form<One>) -> Response {
    let ended = async {
        let sender = pages.sender(&visitor, &one.csrf).await?;
        let session: SessionId = one.session.parse().map_err(|_| ActorError::NotFound)?;
        pages.act(&sender, RevokeSession { session }).await
    };
    match ended.await {
        // one that has ended by itself meanwhile is what was wanted
        Ok(_) | Err(ActorError::NotFound) => see_other(HERE, []),
        Err(error) => refused(&error, &visitor),
    }
}

/// Ends all but this one. API keys stay: a key is of a machine, which would stand still.
pub(super) async fn end_others(
    State(pages): State<Pages>,
    visitor: Visitor,
    Form(proof): Form<Proof>,
) -> Response {
    let ended = async {
        let sender = pages.sender(&visitor, &proof.csrf).await?;
        // sent once more it ends what was begun since: a page that was shown again must not be told of an earlier end
        pages.ask(&sender.caller, RevokeOtherSessions { api_keys: false }).await
    };
    match ended.await {
        Ok(_) => see_other(HERE, []),
        Err(error) => refused(&error, &visitor),
    }
}
