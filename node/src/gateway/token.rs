//! The gateway token among the subprotocols that a client offers.

use axum::http::{HeaderMap, header};
use ocmt_actors::ActorError;

const PREFIX: &str = "ocmt.token.";
/// Longer ones are not ours.
const TOKEN_BYTES: usize = 2048;

const HOW: ActorError =
    ActorError::Unauthenticated("offer exactly the subprotocols `ocmt.v1` and `ocmt.token.<gateway token>`");

/// The one token, if exactly `protocol` and one token are offered.
pub(super) fn of<'a>(headers: &'a HeaderMap, protocol: &str) -> Result<&'a str, ActorError> {
    let (mut token, mut spoken) = (None, false);
    for value in headers.get_all(header::SEC_WEBSOCKET_PROTOCOL) {
        for offered in value.to_str().map_err(|_| HOW)?.split(',').map(str::trim) {
            match offered.strip_prefix(PREFIX) {
                Some(found) if token.is_none() && !found.is_empty() && found.len() <= TOKEN_BYTES => {
                    token = Some(found);
                }
                None if offered == protocol && !spoken => spoken = true,
                Some(_) | None => return Err(HOW),
            }
        }
    }
    token.filter(|_| spoken).ok_or(HOW)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::http::HeaderValue;

    use super::*;

    fn offered(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn w1_only_one_token_beside_the_protocol_is_taken() {
        assert_eq!(of(&offered(&["ocmt.v1, ocmt.token.abc"]), "ocmt.v1").unwrap(), "abc");
        assert_eq!(of(&offered(&["ocmt.v1", "ocmt.token.abc"]), "ocmt.v1").unwrap(), "abc");
        let long = format!("ocmt.v1, ocmt.token.{}", "a".repeat(8192));
        let bad = [
            "",
            "ocmt.v1",
            "ocmt.token.abc",
            "ocmt.v1, ocmt.token.",
            "ocmt.v1, ocmt.token.a, ocmt.token.b",
            "ocmt.v1, abc",
            "ocmt.plain.v1, ocmt.token.abc",
            &long,
        ];
        for offer in bad {
            assert!(of(&offered(&[offer]), "ocmt.v1").is_err(), "{offer}");
        }
        assert!(of(&HeaderMap::new(), "ocmt.v1").is_err());
    }
}
