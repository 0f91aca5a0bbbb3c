//! Signing out: the session ends, here and on every node, and the browser forgets it.

use axum::{
    Form,
    extract::State,
    http::{HeaderName, HeaderValue},
    response::Response,
};
use ocmt_actors::{ActorError, api::auth::SignOut};

use super::{
    answer::{refused, see_other},
    pages::{Pages, Proof, Visitor},
};
use crate::edge::cookies;

const CLEAR: HeaderName = HeaderName::from_static("clear-site-data");

/// Ends the session in the cookie.
pub(super) async fn sign_out(
    State(pages): State<Pages>,
    visitor: Visitor,
    Form(proof): Form<Proof>,
) -> Response {
    let ended = async {
        let sender = pages.sender(&visitor, &proof.csrf).await?;
        pages.act(&sender, SignOut).await
    };
    match ended.await {
        // one that has ended before is out too
        Ok(_) | Err(ActorError::Unauthenticated(_)) => gone(),
        Err(error) => refused(&error, &visitor),
    }
}

fn gone() -> Response {
    let names = [cookies::SESSION, cookies::CSRF, cookies::BINDING, cookies::NEXT];
    let mut answer = see_other("/", names.map(cookies::clear));
    answer.headers_mut().insert(CLEAR, HeaderValue::from_static("\"cache\", \"storage\""));
    answer
}
