//! Answers of pages: HTML, or the way to the next page, with cookies.

use askama::Template;
use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse as _, Response},
};
use ocmt_actors::ActorError;

use super::{
    pages::{UNPROVEN, Visitor},
    view::Refused,
};
use crate::edge::error::{http_status, problem};

/// A cookie to set or clear; none if it could not be written.
pub(super) type Cookie = Option<(HeaderName, HeaderValue)>;

pub(super) fn html(
    status: StatusCode,
    page: &impl Template,
    cookies: impl IntoIterator<Item = Cookie>,
) -> Response {
    match page.render() {
        Ok(text) => with((status, Html(text)).into_response(), cookies),
        Err(error) => {
            tracing::error!(%error, "a page cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// To another page, by GET.
pub(super) fn see_other(to: &str, cookies: impl IntoIterator<Item = Cookie>) -> Response {
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    with((StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response(), cookies)
}

/// Why not, for a person. A call that another node has to take goes back to the node that brought it.
pub(super) fn refused(error: &ActorError, visitor: &Visitor) -> Response {
    if matches!(error, ActorError::NotOwner { .. }) {
        return problem(error);
    }
    refusal(http_status(error), reason_of(error), &error.to_string(), visitor)
}

/// The same of what was `said` in English for this reason.
pub(super) fn refusal(status: StatusCode, reason: &str, said: &str, visitor: &Visitor) -> Response {
    let frame = visitor.frame();
    let title = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => frame.say("refused.no"),
        StatusCode::TOO_MANY_REQUESTS => frame.say("refused.much"),
        status if status.is_server_error() => frame.say("refused.not_now"),
        _ => frame.say("refused.cannot"),
    };
    let (text, detail) = translated(reason, said, visitor);
    let (english, request) = (detail.is_empty() && frame.tag() != "en", visitor.request.to_string());
    let page = Refused { frame, title, text: &text, english, detail: &detail, request: &request };
    html(status, &page, [])
}

/// What an error says in the visitor's language, and beside it in the language that errors are made in.
pub(super) fn in_words(error: &ActorError, visitor: &Visitor) -> (String, String) {
    translated(reason_of(error), &error.to_string(), visitor)
}

/// Of a form that proves nothing there is more to say than that it is not allowed.
fn reason_of(error: &ActorError) -> &str {
    if *error == UNPROVEN { "UNPROVEN" } else { error.reason() }
}

fn translated(reason: &str, said: &str, visitor: &Visitor) -> (String, String) {
    match visitor.words.find(&format!("reason.{reason}")) {
        Some(words) => (words.to_owned(), said.to_owned()),
        None => (said.to_owned(), String::new()),
    }
}

/// An answer with cookies.
pub(super) fn with(mut answer: Response, cookies: impl IntoIterator<Item = Cookie>) -> Response {
    for (name, value) in cookies.into_iter().flatten() {
        answer.headers_mut().append(name, value);
    }
    answer
}
