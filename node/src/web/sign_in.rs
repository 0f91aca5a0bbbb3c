//! Signing in by a mailed link, in the browser that asked for it.

use axum::{
    Form,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use ocmt_actors::{
    ActorError,
    api::{
        auth::{
            Assurance, Device, ExchangeMagicLink, LinkPurpose, Me, RequestMagicLink, SessionInfo,
            SessionIssued, SignOut, WhoAmI,
        },
        users::AcceptInvite,
    },
};
use ocmt_crypto::token::{Token, TokenKind};
use ocmt_types::{Digest32, Secret, Timestamp};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{
    answer::{html, refused, see_other},
    pages::{Binding, Pages, UNPROVEN, Visitor},
    second_factor,
    view::{CameBack, ConnectedBack, Elsewhere, Home, Link, Sent, SignIn},
};
use crate::edge::{cookies, csrf};

/// What people are told of links: the policy's default, the same for every address.
const LINK_MINUTES: i64 = 10;

/// Where a provider sends browsers back to. What it sent works where the sign-in was begun, and is not looked at here.
pub(super) async fn came_back() -> Response {
    html(StatusCode::OK, &CameBack, [])
}

/// Where a container's provider sends browsers back to: as [`came_back`].
pub(super) async fn connected_back() -> Response {
    html(StatusCode::OK, &ConnectedBack, [])
}

/// Who one is, or the form.
pub(super) async fn home(State(pages): State<Pages>, visitor: Visitor) -> Response {
    let Some(token) = visitor.session() else { return form(&visitor, false) };
    let me = async {
        let caller = pages.caller(&visitor, token).await?;
        pages.system.tenant(caller.tenant()).call(caller, pages.meta(), WhoAmI).await
    };
    match me.await {
        Ok(me) => match &me.session {
            Some(session) if session.assurance == Assurance::PendingMfa => {
                second_factor::form(&visitor, token, &me, None)
            }
            Some(session) => who(&visitor, token, &me, session),
            None => form(&visitor, true),
        },
        Err(ActorError::Unauthenticated(_)) => form(&visitor, true),
        Err(error) => refused(&error, visitor.request),
    }
}

fn form(visitor: &Visitor, ended: bool) -> Response {
    let known = visitor.binding();
    let (binding, fresh) = match known {
        Some(binding) => (binding, None),
        None => {
            let binding = Binding::fresh();
            let cookie = binding.cookie();
            (binding, cookie)
        }
    };
    let (csrf, cookie) = visitor.csrf(&*binding.0);
    let gone = ended.then(|| cookies::clear(cookies::SESSION)).flatten();
    html(StatusCode::OK, &SignIn { csrf: &csrf }, [fresh, cookie, gone])
}

fn who(visitor: &Visitor, token: &str, me: &Me, session: &SessionInfo) -> Response {
    let (csrf, cookie) = visitor.csrf(token.as_bytes());
    let role = format!("{:?}", me.role).to_lowercase();
    let page = Home {
        email: &me.email,
        tenant: &me.tenant_name,
        role: &role,
        until: &in_words(session.expires_at),
        csrf: &csrf,
    };
    html(StatusCode::OK, &page, [cookie])
}

fn in_words(time: Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(time.millis()).unwrap_or_default();
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    email: String,
    csrf: String,
}

/// Asks for a link.
pub(super) async fn ask(State(pages): State<Pages>, visitor: Visitor, Form(wish): Form<Wish>) -> Response {
    let Some(binding) = visitor.binding().filter(|_| visitor.proves(&wish.csrf)) else {
        return refused(&UNPROVEN, visitor.request);
    };
    if let Some(tally) = &visitor.tally
        && let Err(error) = tally.letter_to(&wish.email).await
    {
        return refused(&error, visitor.request);
    }
    let ask = RequestMagicLink {
        email: wish.email.clone(),
        tenant: None,
        purpose: LinkPurpose::SignIn,
        binding_hash: Digest32(Sha256::digest(*binding.0).into()),
    };
    match pages.system.request_magic_link(ask, &pages.meta(), visitor.request) {
        // the binding lives on for as long as the link may
        Ok(()) => html(
            StatusCode::OK,
            &Sent { email: wish.email.trim(), minutes: LINK_MINUTES },
            [binding.cookie()],
        ),
        Err(error) => refused(&error, visitor.request),
    }
}

/// What a link is for; the same whether it is good. It is not looked up.
pub(super) async fn show(Path(token): Path<String>, visitor: Visitor) -> Response {
    let Ok(parsed) = Token::parse(&token) else {
        return html(StatusCode::OK, &Elsewhere, []);
    };
    let (title, text, button) = match parsed.kind() {
        TokenKind::Link => ("Sign in", "You asked for this link in this browser.", "Sign in"),
        TokenKind::SignUp => {
            ("Finish your sign-up", "You asked for an account in this browser.", "Make my account")
        }
        TokenKind::Invite => ("You are invited", "Join, and this browser is signed in.", "Join"),
        TokenKind::Session | TokenKind::ApiKey | TokenKind::Program => {
            return html(StatusCode::OK, &Elsewhere, []);
        }
    };
    let (binding, fresh) = match (visitor.binding(), parsed.kind()) {
        (Some(binding), _) => (binding, None),
        // an invitation is bound to nobody
        (None, TokenKind::Invite) => {
            let binding = Binding::fresh();
            let cookie = binding.cookie();
            (binding, cookie)
        }
        (None, _) => return html(StatusCode::OK, &Elsewhere, []),
    };
    let secret = visitor.session().map_or(binding.0.as_slice(), str::as_bytes);
    let (csrf, cookie) = visitor.csrf(secret);
    let page = Link { title, text, button, token: parsed.expose(), csrf: &csrf };
    html(StatusCode::OK, &page, [fresh, cookie])
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Proof {
    csrf: String,
}

/// Uses a link up.
pub(super) async fn consume(
    State(pages): State<Pages>,
    Path(token): Path<String>,
    visitor: Visitor,
    Form(proof): Form<Proof>,
) -> Response {
    let Some(binding) = visitor.binding().filter(|_| visitor.proves(&proof.csrf)) else {
        return refused(&UNPROVEN, visitor.request);
    };
    let (meta, request) = (pages.meta(), visitor.request);
    let device = Device { name: "a browser".to_owned(), addr: visitor.addr };
    let invited = Token::parse_kind(TokenKind::Invite, &token).is_ok();
    let issued = if invited {
        pages.system.accept_invite(AcceptInvite { token: Secret::new(token), device }, &meta, request).await
    } else {
        let binding_secret = Secret::new(binding.0.to_vec());
        let ask = ExchangeMagicLink { token: Secret::new(token), binding_secret, device };
        pages.system.exchange_magic_link(ask, &meta, request).await
    };
    match issued {
        Ok(issued) => {
            leave(&pages, &visitor).await;
            signed_in(&issued)
        }
        Err(error) => refused(&error, request),
    }
}

/// Ends the session that the browser brought: its cookie is about to go, and nobody could end it any more.
async fn leave(pages: &Pages, visitor: &Visitor) {
    let Some(token) = visitor.session() else { return };
    let left = async {
        let caller = pages.caller(visitor, token).await?;
        pages.system.tenant(caller.tenant()).call(caller, pages.meta(), SignOut).await
    };
    if let Err(error) = left.await {
        tracing::debug!(%error, "the session that a browser brought to its sign-in was not ended");
    }
}

/// A session of its own, whatever the browser showed before; the binding has done its work.
pub(super) fn signed_in(issued: &SessionIssued) -> Response {
    let token = issued.token.expose();
    let csrf = csrf::issue(token.as_bytes(), &mut rand::rng());
    see_other(
        "/",
        [
            cookies::set(cookies::SESSION, token),
            cookies::set(cookies::CSRF, &csrf),
            cookies::clear(cookies::BINDING),
        ],
    )
}
