//! The pages of a node: sign in by a mailed link, see who one is, sign out. Written on the server, without scripts.
//!
//! | route | what |
//! |---|---|
//! | `GET /` | who one is, or the form that asks for a link |
//! | `POST /auth/link` | asks for a link: the same answer for every address |
//! | `GET /auth/link/{token}` | shows what the link is for, and never uses it up: mail scanners follow links |
//! | `POST /auth/link/{token}` | uses it up: once, and in the browser that asked for it |
//! | `GET /auth/oidc` | where a tenant's provider sends browsers back to: says where to paste the address |
//! | `GET /oauth/callback/{provider}` | where a container's provider sends browsers back to: the same |
//! | `POST /auth/mfa` | shows the second factor that is due |
//! | `POST /auth/sign-out` | ends the session |
//!
//! Which page may send what is checked where the request came in ([`crate::edge::browser`]); the token of a form
//! ([`crate::edge::csrf`]) is checked here, where the session lives.

mod answer;
mod pages;
mod second_factor;
mod sign_in;
mod sign_out;
mod view;

use std::time::Duration;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderName, Method, StatusCode, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};

pub use pages::Pages;

use crate::edge::pace::keep_coming;

/// Most of a form, in bytes.
const FORM_BYTES: usize = 8 << 10;
/// Longest wait for the next of a form, and for a form and its page together.
const PAUSE: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(45);
const LINK: &str = "/auth/link/";
/// Where providers of containers send browsers back to; the provider's name follows.
pub const CONNECTED_AT: &str = "/oauth/callback";

/// The pages' routes.
pub fn routes(pages: Pages) -> Router {
    Router::new()
        .route("/", get(sign_in::home))
        .route("/auth/link", post(sign_in::ask))
        .route("/auth/link/{token}", get(sign_in::show).post(sign_in::consume))
        .route("/auth/oidc", get(sign_in::came_back))
        .route("/oauth/callback/{provider}", get(sign_in::connected_back))
        .route("/auth/mfa", post(second_factor::show))
        .route("/auth/sign-out", post(sign_out::sign_out))
        .route("/static/page.css", get(style))
        .layer(DefaultBodyLimit::max(FORM_BYTES))
        .layer(middleware::from_fn(in_time))
        .with_state(pages)
}

/// Whether a path is a page's: there, and there alone, cookies are read.
pub fn is_page(path: &str) -> bool {
    path == "/" || path.starts_with("/auth/") || path.starts_with(CONNECTED_AT)
}

/// The token of a link that is about to be used up.
pub fn link_token(request: &Parts) -> Option<&str> {
    request.uri.path().strip_prefix(LINK).filter(|_| request.method == Method::POST)
}

async fn in_time(request: axum::extract::Request, next: Next) -> Response {
    let request = request.map(|body| keep_coming(body, PAUSE));
    match tokio::time::timeout(LONGEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}

async fn style() -> ([(HeaderName, &'static str); 1], &'static str) {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("../../templates/page.css"))
}
