//! The gateway token: among the subprotocols that a WebSocket's client offers, or in a header of any other request.

use axum::http::{HeaderMap, HeaderName, header};
use ocmt_actors::ActorError;

/// The subprotocol of the sealed channel.
pub(super) const SEALED: &str = "ocmt.v1";
/// The subprotocol of the workload's own messages in clear.
pub(super) const PLAIN: &str = "ocmt.plain.v1";
/// Where a request that is no WebSocket's has its token.
pub(super) const HEADER: HeaderName = HeaderName::from_static("ocmt-gateway-token");

const PREFIX: &str = "ocmt.token.";
/// Longer ones are not ours.
const TOKEN_BYTES: usize = 2048;

const HOW: ActorError = ActorError::Unauthenticated(
    "offer exactly the subprotocols `ocmt.v1` or `ocmt.plain.v1` and `ocmt.token.<gateway token>`",
);
const HOW_ELSE: ActorError = ActorError::Unauthenticated("send one `ocmt-gateway-token: <gateway token>`");

/// What a WebSocket is to carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Sealed,
    Plain,
}

/// The one token, if exactly one protocol of ours and one token are offered.
pub(super) fn of(headers: &HeaderMap) -> Result<(Protocol, &str), ActorError> {
    let (mut token, mut spoken) = (None, None);
    for value in headers.get_all(header::SEC_WEBSOCKET_PROTOCOL) {
        for offered in value.to_str().map_err(|_| HOW)?.split(',').map(str::trim) {
            match (offered.strip_prefix(PREFIX), offered) {
                (Some(found), _) if token.is_none() && is_token(found) => token = Some(found),
                (None, SEALED) if spoken.is_none() => spoken = Some(Protocol::Sealed),
                (None, PLAIN) if spoken.is_none() => spoken = Some(Protocol::Plain),
                _ => return Err(HOW),
            }
        }
    }
    spoken.zip(token).ok_or(HOW)
}

/// The one token of a request that is no WebSocket's.
pub(super) fn in_header(headers: &HeaderMap) -> Result<&str, ActorError> {
    let mut all = headers.get_all(&HEADER).iter();
    let (Some(value), None) = (all.next(), all.next()) else { return Err(HOW_ELSE) };
    value.to_str().ok().filter(|token| is_token(token)).ok_or(HOW_ELSE)
}

fn is_token(text: &str) -> bool {
    (1..=TOKEN_BYTES).contains(&text.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::http::HeaderValue;

    use super::*;

    fn sent(name: &HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn offered(values: &[&str]) -> HeaderMap {
        sent(&header::SEC_WEBSOCKET_PROTOCOL, values)
    }

    #[test]
    fn w1_only_one_token_beside_one_protocol_is_taken() {
        let taken = |values: &[&str]| of(&offered(values)).map(|(it, token)| (it, token.to_owned())).unwrap();
        assert_eq!(taken(&["ocmt.v1, ocmt.token.abc"]), (Protocol::Sealed, "abc".to_owned()));
        assert_eq!(taken(&["ocmt.v1", "ocmt.token.abc"]), (Protocol::Sealed, "abc".to_owned()));
        assert_eq!(taken(&["ocmt.plain.v1,ocmt.token.abc"]), (Protocol::Plain, "abc".to_owned()));
        let long = format!("ocmt.v1, ocmt.token.{}", "a".repeat(8192));
        let bad = [
            "",
            "ocmt.v1",
            "ocmt.token.abc",
            "ocmt.v1, ocmt.token.",
            "ocmt.v1, ocmt.token.a, ocmt.token.b",
            "ocmt.v1, abc",
            "ocmt.v1, ocmt.plain.v1, ocmt.token.abc",
            "ocmt.plain.v1, ocmt.plain.v1, ocmt.token.abc",
            "ocmt.plain.v1, mqtt, ocmt.token.abc",
            &long,
        ];
        for offer in bad {
            assert!(of(&offered(&[offer])).is_err(), "{offer}");
        }
        assert!(of(&HeaderMap::new()).is_err());
    }

    #[test]
    fn w1_other_requests_have_theirs_in_one_header() {
        assert_eq!(in_header(&sent(&HEADER, &["abc"])).unwrap(), "abc");
        let long = "a".repeat(2049);
        for bad in [[].as_slice(), &[""], &["a", "b"], &[&long]] {
            assert!(in_header(&sent(&HEADER, bad)).is_err(), "{bad:?}");
        }
        assert!(in_header(&offered(&["ocmt.plain.v1, ocmt.token.abc"])).is_err());
    }
}
