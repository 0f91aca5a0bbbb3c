//! What pages stand on, and who visits them.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
    response::Response,
};
use data_encoding::BASE64URL_NOPAD;
use ocmt_actors::{ActorError, CallMeta, Caller, System};
use ocmt_crypto::token::{Token, TokenKind};
use ocmt_types::{Clock, Deadline, RequestId};
use zeroize::Zeroizing;

use super::answer::Cookie;
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

/// The pages' ground. Cheap to clone.
#[derive(Clone)]
pub struct Pages {
    pub(super) system: System,
    clock: Arc<dyn Clock>,
    longest: Duration,
}

impl Pages {
    /// Pages of this system; none takes longer than `longest`.
    pub fn new(system: System, clock: Arc<dyn Clock>, longest: Duration) -> Self {
        Self { system, clock, longest }
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
}

/// A browser, by what it shows.
pub(super) struct Visitor {
    headers: HeaderMap,
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
            headers: parts.headers.clone(),
        })
    }
}

impl Visitor {
    pub(super) fn session(&self) -> Option<&str> {
        cookies::one(&self.headers, cookies::SESSION)
    }

    /// The secret that binds links to this browser.
    pub(super) fn binding(&self) -> Option<Binding> {
        Binding::read(cookies::one(&self.headers, cookies::BINDING)?)
    }

    /// Whether what a form repeats is the token of this browser's session, or before sign-in of its binding.
    pub(super) fn proves(&self, repeated: &str) -> bool {
        let in_cookie = cookies::one(&self.headers, cookies::CSRF);
        let secret = self.session().map(str::as_bytes).map(<[u8]>::to_vec);
        let secret = secret.or_else(|| self.binding().map(|binding| binding.0.to_vec())).map(Zeroizing::new);
        matches!((in_cookie, secret), (Some(cookie), Some(secret)) if csrf::agree(&secret, cookie, repeated))
    }

    /// The token that forms of this browser repeat under `secret`, and the cookie if it is a new one.
    pub(super) fn csrf(&self, secret: &[u8]) -> (String, Cookie) {
        match cookies::one(&self.headers, cookies::CSRF).filter(|token| csrf::holds(secret, token)) {
            Some(token) => (token.to_owned(), None),
            None => {
                let token = csrf::issue(secret, &mut rand::rng());
                let cookie = cookies::set(cookies::CSRF, &token);
                (token, cookie)
            }
        }
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
