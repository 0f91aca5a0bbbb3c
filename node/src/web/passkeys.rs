//! Passkeys: showing one signs in, or finishes a sign-in; those of the account, and taking one away. Adding one is a call of the
//! page's script. An answer that gives the session another token is a form's, so that no script sees the token.

use axum::{Form, extract::State, http::StatusCode, response::Response};
use data_encoding::BASE64URL_NOPAD;
use ocmt_actors::{
    ActorError,
    api::{
        auth::{Device, SessionIssued},
        passkeys::{FinishPasskeyAssertion, ListPasskeys, PasskeyInfo, RemovePasskey, SignInByPasskey},
    },
};
use ocmt_types::Secret;
use serde::Deserialize;

use super::{
    answer::{html, refused, see_other},
    assets::Script,
    pages::{Entered, Guest, Pages, UNPROVEN, Visitor},
    sign_in::signed_in,
    view::{OnePasskey, Passkeys},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shown {
    assertion: String,
    credential: String,
    secret: String,
    csrf: String,
}

/// Takes what the authenticator answered. Sent again it is refused: the challenge is good once, and the session's token is shown once.
pub(super) async fn show(State(pages): State<Pages>, visitor: Visitor, Form(shown): Form<Shown>) -> Response {
    if !visitor.proves(&shown.csrf) {
        return refused(&UNPROVEN, &visitor);
    }
    match taken(&pages, &visitor, shown).await {
        Ok(issued) => signed_in(&issued, &visitor),
        Err(error) => refused(&error, &visitor),
    }
}

async fn taken(pages: &Pages, visitor: &Visitor, shown: Shown) -> Result<SessionIssued, ActorError> {
    let assertion = shown.assertion.parse().map_err(|_| ActorError::invalid("assertion", "is no id"))?;
    let secret = BASE64URL_NOPAD.decode(shown.secret.as_bytes());
    let binding_secret = Secret::new(secret.map_err(|_| ActorError::invalid("secret", "is not base64url"))?);
    let credential = shown.credential.into_bytes();
    let Some(token) = visitor.session() else {
        let device = Device { name: visitor.device(), addr: visitor.addr };
        let ask = SignInByPasskey { assertion, credential, binding_secret, device };
        return pages.system.finish_passkey_sign_in(ask, &pages.meta(), visitor.request).await;
    };
    let caller = pages.caller(visitor, token).await?;
    let ask = FinishPasskeyAssertion { assertion, credential, binding_secret };
    pages.ask(&caller, ask).await
}

/// Those of the account.
pub(super) async fn list(State(pages): State<Pages>, Entered { visitor, guest }: Entered) -> Response {
    match pages.ask(&guest.caller, ListPasskeys).await {
        Ok(all) => listed(&visitor, &guest, &all),
        Err(error) => refused(&error, &visitor),
    }
}

fn listed(visitor: &Visitor, guest: &Guest, all: &[PasskeyInfo]) -> Response {
    let frame = visitor.frame().of_user().running(Script::Passkey);
    let passkeys = all.iter().map(|one| OnePasskey {
        id: one.id.to_string(),
        name: one.name.clone(),
        added: frame.at(one.created_at),
        used: one.last_used_at.map_or_else(|| frame.say("passkey.never").to_owned(), |time| frame.at(time)),
    });
    let (csrf, cookie) = visitor.own_csrf();
    let page = Passkeys { frame, email: &guest.me.email, passkeys: passkeys.collect(), csrf: &csrf };
    html(StatusCode::OK, &page, [cookie])
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct One {
    passkey: String,
    csrf: String,
}

/// Takes one away.
pub(super) async fn remove(State(pages): State<Pages>, visitor: Visitor, Form(one): Form<One>) -> Response {
    let removed = async {
        let sender = pages.sender(&visitor, &one.csrf).await?;
        let passkey = one.passkey.parse().map_err(|_| ActorError::NotFound)?;
        pages.act(&sender, RemovePasskey { passkey }).await
    };
    match removed.await {
        Ok(_) => see_other("/app/passkeys", []),
        Err(error) => refused(&error, &visitor),
    }
}
