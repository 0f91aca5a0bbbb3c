//! The few pages a node has before the pages for people are built: what it is, and what a mailed link is for.
//!
//! A GET never consumes a link: mail scanners follow links. The token is taken by the client that asked
//! for it (`ocmt login`), which alone holds the binding secret.

use axum::{Router, extract::Path, http::StatusCode, response::Html, routing::get};

/// A token is at most this long; longer paths are not pages.
const TOKEN_BYTES: usize = 256;

/// The pages' routes.
pub fn routes() -> Router {
    Router::new()
        .route("/", get(home))
        .route("/auth/link/{token}", get(link))
        .route("/static/page.css", get(style))
}

async fn home() -> Html<&'static str> {
    Html(include_str!("pages/home.html"))
}

/// The same page for every token: whether it is good shows where it is used.
async fn link(Path(token): Path<String>) -> Result<Html<&'static str>, StatusCode> {
    if token.len() > TOKEN_BYTES {
        return Err(StatusCode::NOT_FOUND);
    }
    Ok(Html(include_str!("pages/link.html")))
}

async fn style() -> ([(axum::http::HeaderName, &'static str); 1], &'static str) {
    ([(axum::http::header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("pages/page.css"))
}
