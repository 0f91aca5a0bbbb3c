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
            Assurance, Device, ExchangeMagicLink, LinkPurpose, RequestMagicLink, SessionIssued, SignOut,
            SignUp,
        },
        users::{AcceptInvite, Role, RoleId},
    },
};
use ocmt_crypto::token::{Token, TokenKind};
use ocmt_types::{Digest32, Secret};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{
    answer::{Cookie, html, refused, see_other},
    assets::Script,
    frame::Frame,
    pages::{Binding, Guest, Pages, Proof, UNPROVEN, Visitor},
    second_factor,
    view::{CameBack, ConnectedBack, Elsewhere, Home, Link, Sent, SignIn, SignUpForm},
};
use crate::{
    edge::{cookies, csrf},
    limits,
};

/// What people are told of links: the policy's default, the same for every address.
const LINK_MINUTES: i64 = 10;

/// Longest name of a tenant that is made of an address, in characters.
const TENANT_NAME: usize = 100;

/// Where a provider sends browsers back to. What it sent works where the sign-in was begun, and is not looked at here.
pub(super) async fn came_back(visitor: Visitor) -> Response {
    // an address with a language would lose what the provider put into it
    html(StatusCode::OK, &CameBack { frame: visitor.frame().unswitched() }, [])
}

/// Where a container's provider sends browsers back to: as [`came_back`].
pub(super) async fn connected_back(visitor: Visitor) -> Response {
    html(StatusCode::OK, &ConnectedBack { frame: visitor.frame().unswitched() }, [])
}

/// Who one is, or the form.
pub(super) async fn home(State(pages): State<Pages>, visitor: Visitor) -> Response {
    match enter(&pages, &visitor).await {
        Ok(guest) => who(&visitor, &guest),
        Err(instead) => *instead,
    }
}

/// Whose page it is; instead of it the form for signing in, for the second factor, or why not.
pub(super) async fn enter(pages: &Pages, visitor: &Visitor) -> Result<Guest, Box<Response>> {
    let instead = match pages.guest(visitor).await {
        Ok(Some(guest)) if guest.is_pending() => second_factor::form(visitor, &guest.me, None),
        Ok(Some(guest)) => return Ok(guest),
        Ok(None) => form(visitor, visitor.session().is_some()),
        Err(error) => refused(&error, visitor),
    };
    Err(Box::new(instead))
}

/// What binds a link to this browser, and the cookie if it is a new one.
fn bound(visitor: &Visitor) -> (Binding, Cookie) {
    if let Some(binding) = visitor.binding() {
        return (binding, None);
    }
    let binding = Binding::fresh();
    let cookie = binding.cookie();
    (binding, cookie)
}

fn form(visitor: &Visitor, ended: bool) -> Response {
    let (binding, fresh) = bound(visitor);
    let (csrf, cookie) = visitor.csrf(&*binding.0);
    let gone = ended.then(|| cookies::clear(cookies::SESSION)).flatten();
    let next = visitor.here.as_ref().and_then(|here| cookies::set(cookies::NEXT, here));
    let frame = visitor.frame().running(Script::Passkey);
    html(StatusCode::OK, &SignIn { frame, csrf: &csrf }, [fresh, cookie, gone, next])
}

/// The form that asks for an account.
pub(super) async fn sign_up_form(visitor: Visitor) -> Response {
    let (binding, fresh) = bound(&visitor);
    let secret = visitor.session().map_or(binding.0.as_slice(), str::as_bytes);
    let (csrf, cookie) = visitor.csrf(secret);
    html(StatusCode::OK, &SignUpForm { frame: visitor.frame(), csrf: &csrf }, [fresh, cookie])
}

fn who(visitor: &Visitor, guest: &Guest) -> Response {
    let (csrf, cookie) = visitor.own_csrf();
    let (me, session) = (&guest.me, &guest.session);
    let frame = visitor.frame().of_user();
    let page = Home {
        frame,
        email: &me.email,
        tenant: &me.tenant_name,
        role: role(&frame, &me.role),
        until: &frame.at(session.expires_at),
        csrf: &csrf,
    };
    html(StatusCode::OK, &page, [cookie])
}

/// What one may do in the tenant; a role of its own is called as its maker called it.
fn role<'a>(frame: &Frame, role: &'a RoleId) -> &'a str {
    match role {
        RoleId::BuiltIn(Role::Observer) => frame.say("home.observer"),
        RoleId::BuiltIn(Role::Member) => frame.say("home.member"),
        RoleId::BuiltIn(Role::Admin) => frame.say("home.admin"),
        RoleId::BuiltIn(Role::Owner) => frame.say("home.owner"),
        RoleId::Custom(name) => name,
    }
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
        return refused(&UNPROVEN, &visitor);
    };
    let ask = RequestMagicLink {
        email: wish.email.clone(),
        tenant: None,
        purpose: LinkPurpose::SignIn,
        binding_hash: hash_of(&binding),
    };
    let asked = match wished(&visitor, "auth/link", &wish).await {
        Ok(Some(wish)) => pages.system.request_magic_link(ask, visitor.request).map(|()| wish.granted()),
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    match asked {
        Ok(()) => sent(&visitor, "sent.link", &wish.email, &binding),
        Err(error) => refused(&error, &visitor),
    }
}

/// Asks for an account: a tenant of one's own, called as its address is.
pub(super) async fn sign_up(
    State(pages): State<Pages>,
    visitor: Visitor,
    Form(wish): Form<Wish>,
) -> Response {
    let Some(binding) = visitor.binding().filter(|_| visitor.proves(&wish.csrf)) else {
        return refused(&UNPROVEN, &visitor);
    };
    let name = wish.email.trim().chars().take(TENANT_NAME).collect();
    let ask = SignUp { email: wish.email.clone(), tenant_name: name, binding_hash: hash_of(&binding) };
    let asked = match wished(&visitor, "auth/sign-up", &wish).await {
        Ok(Some(wish)) => pages.system.sign_up(ask).map(|()| wish.granted()),
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    match asked {
        Ok(()) => sent(&visitor, "sent.sign_up", &wish.email, &binding),
        Err(error) => refused(&error, &visitor),
    }
}

fn hash_of(binding: &Binding) -> Digest32 {
    Digest32(Sha256::digest(*binding.0).into())
}

/// What the form wishes for; none if it was sent before, and is answered as then.
async fn wished(visitor: &Visitor, what: &str, wish: &Wish) -> Result<Option<limits::Wish>, ActorError> {
    let Some(tally) = &visitor.tally else { return Ok(Some(limits::Wish::default())) };
    let taken = match visitor.once(&wish.csrf) {
        Some(once) => tally.wish(what, &once.key(what).key),
        // a script knows itself what it has sent
        None => Some(limits::Wish::default()),
    };
    let Some(taken) = taken else { return Ok(None) };
    tally.letter_to(&wish.email).await?;
    Ok(Some(taken))
}

/// The same for every address. The binding lives on for as long as the link may.
fn sent(visitor: &Visitor, what: &str, email: &str, binding: &Binding) -> Response {
    let page = Sent { frame: visitor.frame(), what, email: email.trim(), minutes: LINK_MINUTES };
    html(StatusCode::OK, &page, [binding.cookie()])
}

/// What a link is for; the same whether it is good. It is not looked up.
pub(super) async fn show(Path(token): Path<String>, visitor: Visitor) -> Response {
    let frame = visitor.frame();
    // its address is pasted elsewhere, where a language behind it would be taken for a part of the token
    let elsewhere = || html(StatusCode::OK, &Elsewhere { frame: frame.unswitched() }, []);
    let Ok(parsed) = Token::parse(&token) else { return elsewhere() };
    let (title, text, button) = match parsed.kind() {
        TokenKind::Link => {
            (frame.say("sign_in.title"), frame.say("link.sign_in"), frame.say("sign_in.button"))
        }
        TokenKind::SignUp => {
            (frame.say("link.sign_up"), frame.say("link.sign_up_text"), frame.say("link.sign_up_button"))
        }
        TokenKind::Invite => {
            (frame.say("link.invite"), frame.say("link.invite_text"), frame.say("link.invite_button"))
        }
        TokenKind::Session | TokenKind::ApiKey | TokenKind::Program => return elsewhere(),
    };
    let (binding, fresh) = match (visitor.binding(), parsed.kind()) {
        (Some(binding), _) => (binding, None),
        // an invitation is bound to nobody
        (None, TokenKind::Invite) => bound(&visitor),
        (None, _) => return elsewhere(),
    };
    let secret = visitor.session().map_or(binding.0.as_slice(), str::as_bytes);
    let (csrf, cookie) = visitor.csrf(secret);
    let page = Link { frame, title, text, button, token: parsed.expose(), csrf: &csrf };
    html(StatusCode::OK, &page, [fresh, cookie])
}

/// Uses a link up. Sent again it is refused: a link is good once, and the session's token is shown once.
pub(super) async fn consume(
    State(pages): State<Pages>,
    Path(token): Path<String>,
    visitor: Visitor,
    Form(proof): Form<Proof>,
) -> Response {
    let Some(binding) = visitor.binding().filter(|_| visitor.proves(&proof.csrf)) else {
        return refused(&UNPROVEN, &visitor);
    };
    let (meta, request) = (pages.meta(), visitor.request);
    let device = Device { name: visitor.device(), addr: visitor.addr };
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
            signed_in(&issued, &visitor)
        }
        Err(error) => refused(&error, &visitor),
    }
}

/// Ends the session that the browser brought: its cookie is about to go, and nobody could end it any more.
async fn leave(pages: &Pages, visitor: &Visitor) {
    let Some(token) = visitor.session() else { return };
    let left = async {
        let caller = pages.caller(visitor, token).await?;
        pages.ask(&caller, SignOut).await
    };
    if let Err(error) = left.await {
        tracing::debug!(%error, "the session that a browser brought to its sign-in was not ended");
    }
}

/// A session of its own, whatever the browser showed before; the binding has done its work. On to the page that was asked
/// for first.
pub(super) fn signed_in(issued: &SessionIssued, visitor: &Visitor) -> Response {
    let [session, csrf] = of_session(issued);
    let arrived = issued.session.assurance != Assurance::PendingMfa;
    see_other(
        visitor.wanted().as_deref().unwrap_or("/"),
        [
            session,
            csrf,
            cookies::clear(cookies::BINDING),
            arrived.then(|| cookies::clear(cookies::NEXT)).flatten(),
        ],
    )
}

/// The cookies of a session that has just got its token.
pub(super) fn of_session(issued: &SessionIssued) -> [Cookie; 2] {
    let token = issued.token.expose();
    let csrf = csrf::issue(token.as_bytes(), &mut rand::rng());
    [cookies::set(cookies::SESSION, token), cookies::set(cookies::CSRF, &csrf)]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{super::words::Words, *};

    #[test]
    fn a_role_is_said_in_the_language_of_the_page_and_a_tenants_own_as_its_maker_called_it() {
        let frame =
            |uri: &str| Frame::new(Words::wanted(&uri.parse().unwrap(), &http::HeaderMap::new()), true);
        let (en, de) = (frame("/?language=en"), frame("/?language=de"));
        for built_in in [Role::Observer, Role::Member, Role::Admin, Role::Owner] {
            let (english, german) = (RoleId::BuiltIn(built_in), RoleId::BuiltIn(built_in));
            let (english, german) = (role(&en, &english).to_owned(), role(&de, &german).to_owned());
            assert!(english != german && !german.starts_with("home."), "{built_in:?}: {english}, {german}");
        }
        assert_eq!(role(&de, &RoleId::Custom("keeper".to_owned())), "keeper");
    }
}
