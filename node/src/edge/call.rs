//! From a gRPC or HTTP request to a call of the actors: credential, deadline, size, idempotency, where from.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::{Extensions, HeaderMap, HeaderValue, header};
use ocmt_actors::ActorError;
use ocmt_types::{Clock, Deadline, RequestId};

use crate::server::PeerAddr;

/// The longest credential that is looked at, in bytes.
const CREDENTIAL_BYTES: usize = 512;

/// `authorization: Bearer …`, exactly one of it.
pub fn bearer(headers: &HeaderMap) -> Result<&str, ActorError> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (all.next(), all.next()) else {
        return Err(ActorError::Unauthenticated("send one `authorization: Bearer <token>`"));
    };
    value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, token)| {
            scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.len() <= CREDENTIAL_BYTES
        })
        .map(|(_, token)| token)
        .ok_or(ActorError::Unauthenticated("send `authorization: Bearer <token>`"))
}

/// What was found of the token that a call shows, for whoever brought the call: in the extensions of calls that
/// other nodes forward.
#[derive(Debug, Clone, Default)]
pub struct Verdict(Arc<OnceLock<bool>>);

impl Verdict {
    /// Of this call, if somebody wants to know.
    pub fn wanted(extensions: &Extensions) -> Option<Self> {
        extensions.get().cloned()
    }

    /// Somebody looked at the token. The first look counts.
    pub fn note(&self, good: bool) {
        self.0.get_or_init(|| good);
    }

    /// Whether the token is good; none if nobody looked.
    pub fn said(&self) -> Option<bool> {
        self.0.get().copied()
    }
}

/// The caller's deadline (`grpc-timeout`), at most `longest`.
pub fn deadline(headers: &HeaderMap, clock: &dyn Clock, longest: Duration) -> Deadline {
    let asked = headers.get("grpc-timeout").and_then(grpc_timeout);
    Deadline::after(clock, asked.map_or(longest, |asked| asked.min(longest)))
}

/// The gRPC wire form: up to eight digits and a unit.
pub fn grpc_timeout(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let n: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(n * 3600),
        "M" => Duration::from_secs(n * 60),
        "S" => Duration::from_secs(n),
        "m" => Duration::from_millis(n),
        "u" => Duration::from_micros(n),
        "n" => Duration::from_nanos(n),
        _ => return None,
    })
}

/// The same, to be sent on: in the finest unit that eight digits hold. None for no time at all.
pub fn grpc_timeout_text(time: Duration) -> Option<String> {
    const MOST: u128 = 99_999_999;
    match time.as_micros() {
        0 => None,
        micros @ ..=MOST => Some(format!("{micros}u")),
        micros if micros / 1000 <= MOST => Some(format!("{}m", micros / 1000)),
        micros => Some(format!("{}S", (micros / 1_000_000).min(MOST))),
    }
}

/// The address of the client: the other end of the connection, or what the node that forwarded the call says, or
/// what a trusted proxy does ([`super::door`]).
pub fn peer(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<PeerAddr>().map(|peer| peer.0.ip())
}

/// The id that [`super::headers::stamp`] gave the request.
pub fn request_id(extensions: &Extensions) -> Result<RequestId, ActorError> {
    extensions.get::<RequestId>().copied().ok_or(ActorError::Unavailable {
        reason: "NO_REQUEST_ID",
        why: "the request did not come through the edge".to_owned(),
        retry_after: None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::ManualClock;

    use super::*;

    #[test]
    fn exactly_one_bearer_credential_is_taken() {
        let mut headers = HeaderMap::new();
        assert!(bearer(&headers).is_err());
        headers.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer ocmt_ses_x"));
        assert_eq!(bearer(&headers).unwrap(), "ocmt_ses_x");
        headers.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer ocmt_ses_y"));
        assert!(bearer(&headers).is_err());
        for bad in ["Basic x", "Bearer", "Bearer ", "ocmt_ses_x"] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(bad));
            assert!(bearer(&headers).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_deadline_is_the_callers_but_never_longer_than_ours() {
        let clock = ManualClock::default();
        let with = |timeout: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", HeaderValue::from_static(timeout));
            deadline(&headers, &clock, Duration::from_secs(30)).remaining(&clock)
        };
        assert_eq!(with("5S"), Duration::from_secs(5));
        assert_eq!(with("99999999H"), Duration::from_secs(30));
        for bad in ["", "S", "5", "-5S", "123456789S", "5s", "٣S"] {
            assert_eq!(with_text(bad, &clock), Duration::from_secs(30), "{bad}");
        }
    }

    #[test]
    fn a_timeout_is_sent_on_as_it_was_read() {
        for time in
            [1, 999, 99_999_999, 100_000_000, 99_999_999_000, 100_000_000_000].map(Duration::from_micros)
        {
            let text = grpc_timeout_text(time).unwrap();
            assert_eq!(grpc_timeout(&HeaderValue::from_str(&text).unwrap()), Some(time), "{text}");
        }
        assert_eq!(grpc_timeout_text(Duration::ZERO), None);
    }

    fn with_text(text: &str, clock: &ManualClock) -> Duration {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", HeaderValue::from_bytes(text.as_bytes()).unwrap());
        deadline(&headers, clock, Duration::from_secs(30)).remaining(clock)
    }
}
