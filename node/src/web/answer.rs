//! Answers of pages: HTML, or the way to the next page, with cookies.

use askama::Template;
use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse as _, Response},
};
use ocmt_actors::ActorError;
use ocmt_types::RequestId;

use super::view::Refused;
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
pub(super) fn see_other(to: &'static str, cookies: impl IntoIterator<Item = Cookie>) -> Response {
    with((StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response(), cookies)
}

/// Why not, for a person. A call that another node has to take goes back to the node that brought it.
pub(super) fn refused(error: &ActorError, request: RequestId) -> Response {
    if matches!(error, ActorError::NotOwner { .. }) {
        return problem(error);
    }
    let status = http_status(error);
    let title = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "That did not work",
        StatusCode::TOO_MANY_REQUESTS => "Too much at once",
        status if status.is_server_error() => "Not now",
        _ => "That cannot be taken",
    };
    html(status, &Refused { title, text: &error.to_string(), request: &request.to_string() }, [])
}

fn with(mut answer: Response, cookies: impl IntoIterator<Item = Cookie>) -> Response {
    for (name, value) in cookies.into_iter().flatten() {
        answer.headers_mut().append(name, value);
    }
    answer
}
