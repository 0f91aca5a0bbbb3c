//! Between the link and the second factor: the form for a code.

use axum::{Form, extract::State, http::StatusCode, response::Response};
use ocmt_actors::{
    ActorError,
    api::{
        auth::{Me, WhoAmI},
        factors::{Code, CompleteMfa, SecondFactor},
    },
};
use ocmt_types::Secret;
use serde::Deserialize;

use super::{
    answer::{html, in_words, refused},
    assets::Script,
    pages::{Pages, Visitor},
    sign_in::signed_in,
    view,
};
use crate::edge::cookies;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shown {
    code: String,
    csrf: String,
}

/// The form; says why the code before was not taken.
pub(super) fn form(visitor: &Visitor, me: &Me, why: Option<&ActorError>) -> Response {
    let (csrf, cookie) = visitor.own_csrf();
    let (has_one, why) = (!me.factors.is_empty(), why.map(|error| in_words(error, visitor).0));
    let why = why.unwrap_or_default();
    let status = if why.is_empty() { StatusCode::OK } else { StatusCode::CONFLICT };
    let passkey = me.factors.contains(&SecondFactor::Passkey);
    let frame = if passkey { visitor.frame().running(Script::Passkey) } else { visitor.frame() };
    let page = view::Code { frame, email: &me.email, has_one, passkey, why: &why, csrf: &csrf };
    // whoever opened a letter's link comes to its page once the factor was shown
    let next = visitor.here.as_ref().and_then(|here| cookies::set(cookies::NEXT, here));
    html(status, &page, [cookie, next])
}

/// Takes a code: a session with another token, or the form again.
pub(super) async fn show(State(pages): State<Pages>, visitor: Visitor, Form(shown): Form<Shown>) -> Response {
    match take(&pages, &visitor, &shown).await {
        Ok(response) => response,
        Err(error) => refused(&error, &visitor),
    }
}

async fn take(pages: &Pages, visitor: &Visitor, shown: &Shown) -> Result<Response, ActorError> {
    let sender = pages.sender(visitor, &shown.csrf).await?;
    // sent again it is refused: a code is good once, and the session's token is shown once
    match pages.act(&sender, CompleteMfa { code: of(&shown.code) }).await {
        Ok(issued) => Ok(signed_in(&issued, visitor)),
        Err(error) if matches!(error.reason(), "WRONG_CODE" | "TOO_MANY_CODES") => {
            let me = pages.ask(&sender.caller, WhoAmI).await?;
            Ok(form(visitor, &me, Some(&error)))
        }
        Err(error) => Err(error),
    }
}

/// Six digits are of an authenticator, anything else is a backup code.
fn of(typed: &str) -> Code {
    let bare: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
    if bare.len() == 6 && bare.bytes().all(|byte| byte.is_ascii_digit()) {
        Code::Totp(Secret::new(bare))
    } else {
        Code::Backup(Secret::new(typed.to_owned()))
    }
}
