//! A form that is sent twice acts once: whoever loads a page again after a cut sends its form again.
//!
//! A page that is shown puts `<token>.<nonce>` into the field `csrf` of its forms: the token of [`crate::edge::csrf`], and 16 random
//! bytes of this showing in base64url. The idempotency key of a call is
//! `SHA-256("OCMT form v1" | 0 | nonce | SHA-256(path | 0 | form as sent) | method)`. So two forms of one page, or one that was filled in
//! otherwise after "back", are two requests, and each call of one form has a key of its own; what is typed goes into a hash beside the
//! nonce, which is kept nowhere. What proves the sender is the token alone.
//!
//! A field without a nonce is taken, without a key: scripts repeat the cookie, and know themselves what they have sent. One with
//! anything else behind the token is of no page of ours, and proves nothing.

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest as _, Request},
    http::{Extensions, Method},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use data_encoding::BASE64URL_NOPAD;
use ocmt_actors::IdempotencyKey;
use sha2::{Digest as _, Sha256};

const CONTEXT: &[u8] = b"OCMT form v1\0";
const NONCE: usize = 16;

/// The field of a page that is shown now.
pub(super) fn field(token: &str) -> String {
    format!("{token}.{}", BASE64URL_NOPAD.encode(&rand::random::<[u8; NONCE]>()))
}

/// The token in a field, and the nonce if there is one.
pub(super) fn parts(field: &str) -> Option<(&str, Option<[u8; NONCE]>)> {
    let Some((token, nonce)) = field.split_once('.') else { return Some((field, None)) };
    let nonce = BASE64URL_NOPAD.decode(nonce.as_bytes()).ok()?;
    Some((token, Some(nonce.try_into().ok()?)))
}

/// A form as it came: the hash of where to and of its bytes.
#[derive(Clone, Copy)]
pub(super) struct Sent([u8; 32]);

impl Sent {
    fn new(path: &str, form: &[u8]) -> Self {
        Self(Sha256::new().chain_update(path).chain_update(b"\0").chain_update(form).finalize().into())
    }

    /// Of this request, if it is a form.
    pub(super) fn of(extensions: &Extensions) -> Option<Self> {
        extensions.get().copied()
    }

    /// What makes it the same request once more; none if its page gave it no nonce.
    pub(super) fn once(self, field: &str) -> Option<Once> {
        parts(field)?.1.map(|nonce| Once { nonce, sent: self })
    }
}

/// A form of one showing of a page, filled in one way.
pub(super) struct Once {
    nonce: [u8; NONCE],
    sent: Sent,
}

impl Once {
    /// Of one of its calls.
    pub(super) fn key(&self, method: &str) -> IdempotencyKey {
        let Self { nonce, sent: Sent(sent) } = self;
        let key = Sha256::new().chain_update(CONTEXT).chain_update(nonce).chain_update(sent);
        IdempotencyKey { key: key.chain_update(method).finalize().to_vec(), request_hash: *sent }
    }
}

/// Looks at a form on its way to its handler.
pub(super) async fn keep(request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    // at most what a form may have, as the handler's own look at it
    match Bytes::from_request(Request::from_parts(parts.clone(), body), &()).await {
        Ok(form) => {
            parts.extensions.insert(Sent::new(parts.uri.path(), &form));
            next.run(Request::from_parts(parts, Body::from(form))).await
        }
        Err(refused) => refused.into_response(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn key(path: &str, form: &str, field: &str, method: &str) -> Vec<u8> {
        Sent::new(path, form.as_bytes()).once(field).unwrap().key(method).key
    }

    #[test]
    fn a_field_is_a_token_and_a_nonce_of_this_showing_or_a_token_alone() {
        let (one, other) = (field("token"), field("token"));
        assert_ne!(one, other, "two showings of a page");
        let (token, nonce) = parts(&one).unwrap();
        assert!(token == "token" && nonce.is_some());
        assert_eq!(parts("token"), Some(("token", None)));
        assert_eq!(parts(""), Some(("", None)));
        for bad in [".", "token.", "token.AAAA", "token.!", &one[..one.len() - 1], &format!("{one}.x")] {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_same_form_is_the_same_request_and_anything_else_about_it_another() {
        let (shown, again) = (field("token"), field("token"));
        let first = key("/app/x", "a=1", &shown, "A/B");
        assert_eq!(first, key("/app/x", "a=1", &shown, "A/B"));
        assert_eq!(first.len(), 32);
        for (what, other) in [
            ("another showing", key("/app/x", "a=1", &again, "A/B")),
            ("another form of the page", key("/app/y", "a=1", &shown, "A/B")),
            ("filled in otherwise", key("/app/x", "a=2", &shown, "A/B")),
            ("where the path ends", key("/app/xa", "=1", &shown, "A/B")),
            ("another call of it", key("/app/x", "a=1", &shown, "A/C")),
        ] {
            assert_ne!(first, other, "{what}");
        }
        assert!(Sent::new("/app/x", b"a=1").once("token").is_none(), "no page showed it");
    }
}
