//! Requests that a browser sends with cookies, at the node that it sent them to.
//!
//! A cookie comes along whoever wrote the page that asks. So what changes something is taken only from our own pages:
//! by `Origin` and `Sec-Fetch-Site`, which scripts cannot set, and by the token of [`super::csrf`]. A gRPC call with the session's
//! cookie goes on with the session as its bearer token, like any other call, and no cookie goes further than here.
//! Pages read the cookies themselves, and check the token in their forms.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderName, HeaderValue, header, request::Parts};
use ocmt_actors::ActorError;
use ocmt_crypto::token::{Token, TokenKind};

use super::{
    cookies, csrf,
    site::{Site, one},
    speech,
};
use crate::{gateway, web};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

const FOREIGN: ActorError = ActorError::PermissionDenied("this was asked by a page of another origin");
const NO_SESSION: ActorError = ActorError::Unauthenticated("the session is unknown or has ended");
const UNPROVEN: ActorError = ActorError::PermissionDenied(
    "with the session's cookie, repeat the cookie `__Host-ocmt-csrf` of that session once, as `X-CSRF-Token`",
);

/// Methods that give a session another token. Asked with the cookie they would hand it to a script, and leave the cookie
/// with one that is dead: a browser does this on our pages.
const RENEWING: [&str; 4] = [
    "/ocmt.v1.AuthService/CompleteMfa",
    "/ocmt.v1.AuthService/ConfirmTotpEnrollment",
    "/ocmt.v1.AuthService/FinishPasskeyAssertion",
    "/ocmt.v1.AuthService/StepUp",
];
const HERE_ALONE: ActorError = ActorError::PermissionDenied(
    "this gives the session another token, which no script may see: use the page, or a bearer token",
);

/// On the operator listener. A browser shows an operator's certificate whoever wrote the page that asks, and no header
/// says so: what changes something there is taken from the console's own pages, and a call of gRPC from no page.
pub async fn stand_at_operators(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    let may = if web::is_console(head.uri.path()) {
        if head.method.is_safe() { !is_built_in(&head) } else { comes_from_us(&site, &head) }
    } else {
        head.headers.remove(header::COOKIE);
        !head.headers.contains_key(header::ORIGIN) && !head.headers.contains_key(&SEC_FETCH_SITE)
    };
    if may {
        next.run(Request::from_parts(head, body)).await
    } else {
        speech::refusal(&FOREIGN, &head.headers)
    }
}

/// Whether a page of another origin loads it as a part of itself, or has a script ask, rather than leading somebody here: it would see
/// nothing of it, and hold connections open.
fn is_built_in(head: &Parts) -> bool {
    let led_here = one(&head.headers, &SEC_FETCH_MODE).is_some_and(|mode| mode == "navigate");
    is_elsewhere(head) && !led_here
}

/// Checks what a browser sends, and takes away what is to go no further.
///
/// # Errors
/// A page may not ask for it.
pub(super) fn check(site: &Site, head: &mut Parts) -> Result<(), ActorError> {
    let path = head.uri.path();
    if path.starts_with(gateway::PATH) {
        gateway::strip_credentials(&mut head.headers);
        // programs send none; a page's token is good on the pages that may use this node alone
        let from_page = head.headers.contains_key(header::ORIGIN);
        let may = !from_page || site.is_own(head) || site.is_listed(&head.headers);
        return if may { Ok(()) } else { Err(FOREIGN) };
    }
    if ocmt_proto::methods::find(path).is_some() {
        if !head.method.is_safe() && !may_call(site, head) {
            return Err(FOREIGN);
        }
        let session =
            if head.headers.contains_key(header::AUTHORIZATION) { None } else { session(site, head)? };
        head.headers.remove(header::COOKIE);
        if let Some(session) = session {
            head.headers.insert(header::AUTHORIZATION, session);
        }
        return Ok(());
    }
    if !web::is_page(path) {
        head.headers.remove(header::COOKIE);
        return Ok(());
    }
    // pages know the cookie alone, and what is found of it is said of nothing else
    head.headers.remove(header::AUTHORIZATION);
    if head.method.is_safe() || comes_from_us(site, head) { Ok(()) } else { Err(FOREIGN) }
}

/// Whether a call is a program's, or of a page that may call. A browser sends some requests of any page without asking
/// first, and only hides the answer.
fn may_call(site: &Site, head: &Parts) -> bool {
    let elsewhere = is_elsewhere(head);
    let from_page = elsewhere || head.headers.contains_key(header::ORIGIN);
    !from_page || site.is_listed(&head.headers) || (site.is_own(head) && !elsewhere)
}

/// Whether a browser says that a page of another origin asks.
fn is_elsewhere(head: &Parts) -> bool {
    let elsewhere = |from: &HeaderValue| from != "same-origin" && from != "none";
    head.headers.get_all(&SEC_FETCH_SITE).iter().any(elsewhere)
}

/// The session in the cookie as a bearer token, if the call was made by our own page for it.
fn session(site: &Site, head: &Parts) -> Result<Option<HeaderValue>, ActorError> {
    if !cookies::has(&head.headers, cookies::SESSION) {
        return Ok(None);
    }
    let token = cookies::one(&head.headers, cookies::SESSION).ok_or(UNPROVEN)?;
    // what programs are given is good for nothing here, whoever put it there
    Token::parse_kind(TokenKind::Session, token).map_err(|_| NO_SESSION)?;
    if !comes_from_us(site, head) {
        return Err(FOREIGN);
    }
    if RENEWING.contains(&head.uri.path()) {
        return Err(HERE_ALONE);
    }
    let in_cookie = cookies::one(&head.headers, cookies::CSRF).ok_or(UNPROVEN)?;
    let repeated = one(&head.headers, &csrf::HEADER).and_then(|value| value.to_str().ok()).ok_or(UNPROVEN)?;
    if !csrf::agree(token.as_bytes(), in_cookie, repeated) {
        return Err(UNPROVEN);
    }
    let mut bearer = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| UNPROVEN)?;
    bearer.set_sensitive(true);
    Ok(Some(bearer))
}

/// Whether one of our own pages asks: every browser names the origin of what is no GET, and most of today's the kind
/// of site too.
fn comes_from_us(site: &Site, head: &Parts) -> bool {
    let fetched = match head.headers.get(&SEC_FETCH_SITE) {
        None => true,
        Some(_) => one(&head.headers, &SEC_FETCH_SITE).is_some_and(|from| from == "same-origin"),
    };
    fetched && site.is_own(head)
}
