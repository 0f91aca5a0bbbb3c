//! What pages stand on, and who visits them.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
    response::Response,
};
use data_encoding::BASE64URL_NOPAD;
use ocmt_actors::{
    ActorError, Call, CallMeta, Caller, System,
    api::auth::{Assurance, Me, SessionInfo, WhoAmI},
};
use ocmt_client::ca::ClusterCa;
use ocmt_crypto::token::{Token, TokenKind};
use ocmt_types::{Clock, Deadline, RequestId};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    answer::Cookie,
    form::{self, Once, Sent},
    frame::Frame,
    next,
    sign_in::enter,
    words::Words,
};
use crate::{
    edge::{
        call::{self, Verdict},
        cookies, csrf,
        error::problem,
    },
    limits::tally::Tally,
};

/// What a page costs the tenant's admission, in bytes.
const PAGE_BYTES: usize = 1024;

pub(super) const UNPROVEN: ActorError = ActorError::PermissionDenied(
    "this form is not of your own session in this browser, or an old one: load the page again",
);

/// A form of nothing but the proof that it is the sender's own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Proof {
    pub(super) csrf: String,
}

/// The pages' ground. Cheap to clone.
#[derive(Clone)]
pub struct Pages {
    pub(super) system: System,
    pub(super) clock: Arc<dyn Clock>,
    longest: Duration,
    /// Who vouches for the nodes whose statements pages show.
    pub(super) ca: Arc<ClusterCa>,
}

impl Pages {
    /// Pages of this system; none takes longer than `longest`.
    pub fn new(system: System, clock: Arc<dyn Clock>, longest: Duration, ca: Arc<ClusterCa>) -> Self {
        Self { system, clock, longest, ca }
    }

    pub(super) fn meta(&self) -> CallMeta {
        let deadline = Deadline::after(&*self.clock, self.longest);
        CallMeta { deadline, idempotency: None, bytes: PAGE_BYTES }
    }

    /// Who visits, by the session in the cookie.
    pub(super) async fn caller(&self, visitor: &Visitor, token: &str) -> Result<Caller, ActorError> {
        let deadline = Deadline::after(&*self.clock, self.longest);
        let who = async {
            // what programs are given is good for nothing here, whoever put it into the cookie
            Token::parse_kind(TokenKind::Session, token)
                .map_err(|_| ActorError::Unauthenticated("the session is unknown or has ended"))?;
            self.system.authenticate(token, visitor.request, visitor.addr, deadline).await
        };
        let who = who.await;
        match (&who, &visitor.verdict) {
            (Ok(_), Some(verdict)) => verdict.note(true),
            (Err(ActorError::Unauthenticated(_)), Some(verdict)) => verdict.note(false),
            (_, _) => {}
        }
        let who = who?;
        if let Some(tally) = &visitor.tally {
            tally.of(&who).await?;
        }
        Ok(who)
    }

    /// Who sends this form: proven to be from a page of their own session.
    pub(super) async fn sender(&self, visitor: &Visitor, csrf: &str) -> Result<Sender, ActorError> {
        let token = visitor.session().filter(|_| visitor.proves(csrf)).ok_or(UNPROVEN)?;
        let caller = self.caller(visitor, token).await?;
        Ok(Sender { caller, once: visitor.once(csrf) })
    }

    /// Does what a form is sent for. Sent again, it does it no second time, and is answered as the first time: but for calls whose
    /// answer is a secret, or is not kept for another reason ([`ocmt_actors::Repeat`]).
    pub(super) async fn act<C: Call>(&self, sender: &Sender, call: C) -> Result<C::Answer, ActorError> {
        let (caller, meta) = (sender.caller.clone(), self.meta_of::<C>(sender));
        self.system.tenant(caller.tenant()).call(caller, meta, call).await
    }

    /// What makes it the same call once more.
    pub(super) fn meta_of<C: Call>(&self, sender: &Sender) -> CallMeta {
        let idempotency = sender.once.as_ref().map(|once| once.key(C::METHOD));
        CallMeta { idempotency, ..self.meta() }
    }

    /// Asks the tenant of somebody who is signed in.
    pub(super) async fn ask<C: Call>(&self, caller: &Caller, call: C) -> Result<C::Answer, ActorError> {
        self.system.tenant(caller.tenant()).call(caller.clone(), self.meta(), call).await
    }

    /// All of a list that is answered in pages: what is behind the first is nobody's to hide.
    pub(super) async fn all<T, A, F>(mut page: impl FnMut(Option<A>) -> F) -> Result<Vec<T>, ActorError>
    where
        F: Future<Output = Result<(Vec<T>, Option<A>), ActorError>>,
    {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let (some, next) = page(after).await?;
            all.extend(some);
            if next.is_none() {
                return Ok(all);
            }
            after = next;
        }
    }

    /// Who is signed in, with what is known of them; none without a session that goes on.
    pub(super) async fn guest(&self, visitor: &Visitor) -> Result<Option<Guest>, ActorError> {
        let Some(token) = visitor.session() else { return Ok(None) };
        let found = async {
            let caller = self.caller(visitor, token).await?;
            let me = self.ask(&caller, WhoAmI).await?;
            Ok(me.session.clone().map(|session| Guest { caller, me, session }))
        };
        match found.await {
            Err(ActorError::Unauthenticated(_)) => Ok(None),
            found => found,
        }
    }
}

/// Who sends a form, and what makes it the same one when it comes again.
pub(super) struct Sender {
    pub(super) caller: Caller,
    once: Option<Once>,
}

/// Who is at a page that is for people with a session, whole or not.
pub(super) struct Guest {
    pub(super) caller: Caller,
    pub(super) me: Me,
    pub(super) session: SessionInfo,
}

impl Guest {
    /// Whether the second factor is still due.
    pub(super) fn is_pending(&self) -> bool {
        self.session.assurance == Assurance::PendingMfa
    }
}

/// Who asks for a page of their own. Instead of it anybody else is shown how to sign in, or why not ([`enter`]).
pub(super) struct Entered {
    pub(super) visitor: Visitor,
    pub(super) guest: Guest,
}

impl FromRequestParts<Pages> for Entered {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, pages: &Pages) -> Result<Self, Response> {
        let visitor = Visitor::from_request_parts(parts, pages).await?;
        match enter(pages, &visitor).await {
            Ok(guest) => Ok(Self { visitor, guest }),
            Err(instead) => Err(*instead),
        }
    }
}

/// A browser, by what it shows.
pub(super) struct Visitor {
    headers: HeaderMap,
    pub(super) words: &'static Words,
    /// Of the page that is asked for, if it may be come back to.
    pub(super) here: Option<String>,
    looks: bool,
    /// What came, if it is a form.
    sent: Option<Sent>,
    pub(super) addr: Option<IpAddr>,
    verdict: Option<Verdict>,
    pub(super) tally: Option<Tally>,
    pub(super) request: RequestId,
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        Ok(Self {
            request: call::request_id(&parts.extensions).map_err(|error| problem(&error))?,
            addr: call::peer(&parts.extensions),
            verdict: Verdict::wanted(&parts.extensions),
            tally: Tally::wanted(&parts.extensions),
            words: Words::wanted(&parts.uri, &parts.headers),
            here: next::page(parts.uri.path()),
            looks: parts.method == http::Method::GET,
            sent: Sent::of(&parts.extensions),
            headers: parts.headers.clone(),
        })
    }
}

impl Visitor {
    /// What makes this form the same one when it comes again; none if its page gave it no nonce.
    pub(super) fn once(&self, csrf: &str) -> Option<Once> {
        self.sent.and_then(|sent| sent.once(csrf))
    }

    /// What is around a page for them.
    pub(super) fn frame(&self) -> Frame {
        Frame::new(self.words, self.looks)
    }

    /// The page that was asked for before signing in.
    pub(super) fn wanted(&self) -> Option<String> {
        next::page(cookies::one(&self.headers, cookies::NEXT)?)
    }

    /// What the browser calls itself, for the list of sessions.
    pub(super) fn device(&self) -> String {
        let agent = self.headers.get(http::header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        super::device::name(agent.unwrap_or_default())
    }

    pub(super) fn session(&self) -> Option<&str> {
        cookies::one(&self.headers, cookies::SESSION)
    }

    /// The secret that binds links to this browser.
    pub(super) fn binding(&self) -> Option<Binding> {
        Binding::read(cookies::one(&self.headers, cookies::BINDING)?)
    }

    /// Whether what a form repeats is the token of this browser's session, or before sign-in of its binding.
    pub(super) fn proves(&self, field: &str) -> bool {
        let Some((repeated, _)) = form::parts(field) else { return false };
        let in_cookie = cookies::one(&self.headers, cookies::CSRF);
        let secret = self.session().map(str::as_bytes).map(<[u8]>::to_vec);
        let secret = secret.or_else(|| self.binding().map(|binding| binding.0.to_vec())).map(Zeroizing::new);
        matches!((in_cookie, secret), (Some(cookie), Some(secret)) if csrf::agree(&secret, cookie, repeated))
    }

    /// What forms of the page that is shown now repeat under `secret`, and the cookie if it is a new one.
    pub(super) fn csrf(&self, secret: &[u8]) -> (String, Cookie) {
        match cookies::one(&self.headers, cookies::CSRF).filter(|token| csrf::holds(secret, token)) {
            Some(token) => (form::field(token), None),
            None => {
                let token = csrf::issue(secret, &mut rand::rng());
                (form::field(&token), cookies::set(cookies::CSRF, &token))
            }
        }
    }

    /// The same of the session that was shown.
    pub(super) fn own_csrf(&self) -> (String, Cookie) {
        self.csrf(self.session().unwrap_or_default().as_bytes())
    }
}

/// 32 random bytes that only this browser and a link's hash know of.
pub(super) struct Binding(pub(super) Zeroizing<[u8; 32]>);

impl Binding {
    pub(super) fn fresh() -> Self {
        Self(Zeroizing::new(rand::random()))
    }

    fn read(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?);
        <[u8; 32]>::try_from(bytes.as_slice()).ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    pub(super) fn cookie(&self) -> Cookie {
        cookies::set(cookies::BINDING, &Zeroizing::new(BASE64URL_NOPAD.encode(&*self.0)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_list_is_asked_for_until_its_end() {
        let page = |after: Option<u32>| async move {
            let first = after.map_or(0, |last| last + 1);
            let page: Vec<u32> = (first..first + 100).collect();
            Ok((page, (first < 200).then_some(first + 99)))
        };
        assert_eq!(Pages::all(page).await.unwrap(), (0..300).collect::<Vec<u32>>());
        let fails = |after: Option<u32>| async move {
            if after.is_none() { Ok((vec![1_u32], Some(1))) } else { Err(ActorError::NotFound) }
        };
        assert!(Pages::all(fails).await.is_err(), "half a list is none");
    }
}
