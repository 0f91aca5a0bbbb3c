//! The pages of a node, written on the server: signing in, sessions, and what guardians do. What needs keys happens in the
//! browser, by modules of ours (`node/web`).
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
//! | `GET`, `POST /auth/sign-up` | asks for an account |
//! | `POST /auth/passkey` | shows a passkey: signs in, or finishes a sign-in |
//! | `GET /app/passkeys`, `POST …/remove` | the account's passkeys, and taking one away |
//! | `POST /auth/sign-out` | ends the session |
//! | `GET /app/audit`, `POST …/verify` | what one has done oneself, and a record of it with its proof |
//! | `GET /app/recovery`, `POST …/veto`, `…/refuse` | requests for one's own vault, and stopping one; refusing a backup key |
//! | `GET /app/sessions`, `POST …/end`, `…/end-others` | where one is signed in, and ending it |
//! | `GET /app/containers`, `…/{id}`, `POST …/wake`, `…/pause`, `…/log` | one's containers, why they are awake, waking and pausing, what they print ([`own`]) |
//! | `GET /app/connections`, `POST …/end` | what they are connected to, and ending that |
//! | `GET /app/groups`, `…/{id}`, `POST …/leave`, `/app/shares/accept`, `/app/shares/end` | groups and shares |
//! | `GET /app/approvals`, `…/{id}`, `POST …/deny` | what others ask for, giving and refusing it |
//! | `GET /app/pairing`, `POST …/approve`, `…/refuse`, `…/revoke` | who may talk to one's agents |
//! | `GET /app/alerts`, `POST …/add`, `…/test`, `…/remove` | where the tenant's alerts go |
//! | `GET /app/vault`, `…/keys`, `…/rotate`, `POST …/step-up` | one's own secrets, the ways to open them, and new keys |
//! | `GET /guardian`, `…/invitations/{id}`, `…/requests/{id}`, `…/drills/{id}` | what waits for a guardian |
//! | `POST /guardian/resign`, `…/lost-mailbox` | says no, or stops being a guardian; has a link sent to who lost the mailbox |
//! | `GET /static/{version}/{name}` | what pages load |
//!
//! Which page may send what is checked where the request came in ([`crate::edge::browser`]); the token of a form
//! ([`crate::edge::csrf`]) is checked here, where the session lives. One that is sent twice acts once ([`form`]).

mod answer;
mod asked;
mod assets;
mod audit;
mod circle;
mod console;
mod device;
mod form;
mod frame;
mod guardian;
#[cfg(test)]
mod hostile;
mod lean;
mod next;
mod own;
mod pages;
mod passkeys;
mod recovery;
mod second_factor;
mod sessions;
mod sign_in;
mod sign_out;
#[cfg(test)]
mod tidy;
mod vault;
mod verify;
mod view;
mod words;

use std::time::Duration;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, StatusCode, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};

pub(crate) use assets::OfAsset;
pub use console::{Ground, console, is_console};
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
        .route("/auth/sign-up", get(sign_in::sign_up_form).post(sign_in::sign_up))
        .route("/auth/passkey", post(passkeys::show))
        .route("/app/passkeys", get(passkeys::list))
        .route("/app/passkeys/remove", post(passkeys::remove))
        .route("/app/audit", get(audit::list))
        .route("/app/audit/verify", post(verify::show))
        .route("/app/recovery", get(recovery::list))
        .route("/app/recovery/veto", post(recovery::veto))
        .route("/app/recovery/refuse", post(asked::refuse))
        .route("/app/sessions", get(sessions::list))
        .route("/app/sessions/end", post(sessions::end))
        .route("/app/sessions/end-others", post(sessions::end_others))
        .route("/app/vault", get(vault::entries))
        .route("/app/vault/keys", get(vault::keys))
        .route("/app/vault/rotate", get(vault::rotate))
        .route("/app/vault/step-up", post(vault::step_up))
        .route("/guardian", get(guardian::overview))
        .route("/guardian/invitations/{id}", get(guardian::invitation))
        .route("/guardian/requests/{id}", get(guardian::request))
        .route("/guardian/drills/{id}", get(guardian::drill))
        .route("/guardian/resign", post(guardian::resign))
        .route("/guardian/lost-mailbox", post(guardian::lost_mailbox))
        .merge(own::routes())
        .layer(middleware::from_fn(words::keep))
        .route_layer(middleware::from_fn(form::keep))
        .route("/static/{version}/{*name}", get(assets::serve))
        .layer(DefaultBodyLimit::max(FORM_BYTES))
        .layer(middleware::from_fn(in_time))
        .with_state(pages)
}

/// Whether a path is a page's: there, and there alone, cookies are read.
pub fn is_page(path: &str) -> bool {
    let folder =
        |name: &str| path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    path == "/" || folder("/auth") || folder("/app") || folder("/guardian") || path.starts_with(CONNECTED_AT)
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
