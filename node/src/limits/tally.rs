//! Counts a request once, and tells the caller where it stands.
//!
//! Whose call it is only the node that authenticates it knows; so what stands here puts a [`Tally`] beside the request, and
//! the services and pages count on it, however often the call is tried. What needs no session is counted by its address
//! right here, at the node that it came to and before it is read.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, header};
use ocmt_actors::{ActorError, Caller};
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

use super::{Class, Limiter, Standing, Subject, Wish, class::Keyed, methods};
use crate::{
    edge::{call, guard, speech},
    forward::Hopped,
};

/// draft-ietf-httpapi-ratelimit-headers-10.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// The count of one request. Clones are the same count.
#[derive(Clone)]
pub struct Tally {
    limiter: Limiter,
    class: Class,
    address: Option<IpAddr>,
    counted: Arc<OnceCell<Result<Standing, ActorError>>>,
}

impl Tally {
    /// Of this request, if it is to be counted.
    pub fn wanted(extensions: &Extensions) -> Option<Self> {
        extensions.get().cloned()
    }

    /// It is this caller's: counted the first time, whatever is asked for on its behalf.
    ///
    /// # Errors
    /// It was one too many, or nobody can count.
    pub async fn of(&self, caller: &Caller) -> Result<(), ActorError> {
        match self.class.keyed() {
            Keyed::Principal => self.count(&Subject::principal(caller)).await,
            Keyed::Address | Keyed::Account => Ok(()),
        }
    }

    /// It has a letter sent to this address: counted beside the request itself.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub async fn letter_to(&self, email: &str) -> Result<(), ActorError> {
        let email = ocmt_actors::normalised_email(email)?;
        let standing = self.limiter.count(Class::Account, &Subject::account(&email, self.address)).await?;
        standing.refusal().map_or(Ok(()), Err)
    }

    /// What it wishes for, by all that makes it the same wish when it comes again; none if it was taken before.
    pub fn wish(&self, what: &str, as_sent: &[u8]) -> Option<Wish> {
        let digest = Sha256::new().chain_update(what).chain_update(b"\0").chain_update(as_sent);
        self.limiter.wish(digest.finalize().into())
    }

    async fn count(&self, subject: &Subject) -> Result<(), ActorError> {
        let counted = self.counted.get_or_init(|| self.limiter.count(self.class, subject)).await;
        match counted {
            Ok(standing) => standing.refusal().map_or(Ok(()), Err),
            Err(error) => Err(error.clone()),
        }
    }

    fn dress(&self, headers: &mut HeaderMap) {
        let Some(Ok(standing)) = self.counted.get() else { return };
        let Standing { class, most, within, left, full, wait } = standing;
        let seconds = |time: &std::time::Duration| time.as_millis().div_ceil(1000).max(1);
        let name = class.name();
        let mut put = |header, text: String| {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(header, value);
            }
        };
        put(POLICY, format!("\"{name}\";q={most};w={}", seconds(within)));
        put(STANDING, format!("\"{name}\";r={left};t={}", seconds(wait.as_ref().unwrap_or(full))));
        if let Some(wait) = wait {
            put(header::RETRY_AFTER, seconds(wait).to_string());
        }
    }
}

/// Puts the count beside the request, and where the caller stands into the answer.
pub async fn stand(State(limiter): State<Limiter>, mut request: Request, next: Next) -> Response {
    let Some(class) = methods::class_of(request.method(), request.uri().path()) else {
        return next.run(request).await;
    };
    let address = call::peer(request.extensions());
    let tally = Tally { limiter, class, address, counted: Arc::default() };
    if class.keyed() == Keyed::Address
        && request.extensions().get::<Hopped>().is_none()
        && let Some(address) = address
        && let Err(refused) = tally.count(&Subject::address(address)).await
    {
        let mut answer = speech::refusal(&refused, request.headers());
        guard::let_arrive(request).await;
        tally.dress(answer.headers_mut());
        return answer;
    }
    request.extensions_mut().insert(tally.clone());
    let mut answer = next.run(request).await;
    tally.dress(answer.headers_mut());
    answer
}
