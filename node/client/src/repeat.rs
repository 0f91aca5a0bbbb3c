//! When a call goes out again: how its answer came, how often, how long to wait.
//!
//! Every unary method of the contract either changes nothing or carries an idempotency key, under which its
//! effect and its answer are kept (`proto/tests/contract.rs` holds that). So a call that was lost, nobody knows
//! where, may be repeated like one that nobody read; what is single-use by its own nature refuses the repeat.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tonic::{Code, ConnectError, Status, body::Body, transport::Error as TransportError};
use tonic_types::StatusExt as _;

/// Reasons of answers that nobody read the call for.
const UNREAD: [&str; 3] = ["NOT_OWNER", "OWNER_AWAY", "NODE_BUSY"];
/// The reason of an answer that says that the effect may be there.
const UNKNOWN: &str = "OUTCOME_UNKNOWN";
/// How often a call goes out at most. The pauses between add up to 5 s at the most, beside what the nodes wait
/// themselves: longer than a cluster takes to give a dead node's tenants to others.
const TRIES: u32 = 8;
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(1);
/// Most of one answer, in bytes: more than any message of the contract takes.
const ANSWER: usize = 16 << 20;
const TIMEOUT: &str = "grpc-timeout";

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was answered.
    Done,
    /// Nobody read it.
    Unread,
    /// It was under way when the connection broke, or its node cannot tell.
    Lost,
}

/// An answer in one piece, and what it says of the call.
pub(crate) async fn whole(
    answer: Result<Response<Body>, TransportError>,
) -> (Fate, Result<Response<Body>, TransportError>) {
    let (head, body) = match answer {
        Ok(answer) => answer.into_parts(),
        Err(error) => return (if never_sent(&error) { Fate::Unread } else { Fate::Lost }, Err(error)),
    };
    match Limited::new(body, ANSWER).collect().await {
        Ok(body) => {
            let fate = fate(body.trailers().unwrap_or(&head.headers));
            (fate, Ok(Response::from_parts(head, Body::new(body))))
        }
        Err(error) if error.is::<LengthLimitError>() => {
            (Fate::Done, Ok(Status::resource_exhausted("the answer is longer than any may be").into_http()))
        }
        Err(_) => (Fate::Lost, Ok(Status::unavailable("the connection broke in the answer").into_http())),
    }
}

/// What the headers or trailers with the status say.
pub(crate) fn fate(headers: &HeaderMap) -> Fate {
    let status = Status::from_header_map(headers).filter(|status| status.code() == Code::Unavailable);
    let reason = status.and_then(|status| status.get_details_error_info()).map(|info| info.reason);
    match reason.as_deref() {
        Some(UNKNOWN) => Fate::Lost,
        Some(reason) if UNREAD.contains(&reason) => Fate::Unread,
        _ => Fate::Done,
    }
}

fn never_sent(error: &TransportError) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if error.is::<ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// The tries of one call, within its time.
pub(crate) struct Tries {
    made: u32,
    /// When the call's time is over (boot time).
    until: Duration,
}

impl Tries {
    /// Of a call with these headers that begins at `now`; `usual` is its time if they name none.
    pub(crate) fn new(headers: &HeaderMap, usual: Duration, now: Duration) -> Self {
        let time = headers.get(TIMEOUT).and_then(|text| parse(text.to_str().ok()?)).unwrap_or(usual);
        Self { made: 0, until: now + time }
    }

    /// Begins the next: what is left of the time goes with it.
    pub(crate) fn begin(&mut self, headers: &mut HeaderMap, now: Duration) {
        self.made += 1;
        // eight digits are the most; a call that takes a day names a day
        let left = self.until.saturating_sub(now).as_millis().clamp(1, 99_999_999);
        if let Ok(left) = HeaderValue::try_from(format!("{left}m")) {
            headers.insert(TIMEOUT, left);
        }
    }

    /// How long to wait for the one after it; none if that was the last. `chance` spreads clients that failed
    /// together: from 0 to 255, a half to the whole of the pause.
    pub(crate) fn pause(&self, now: Duration, chance: u8) -> Option<Duration> {
        let whole = (SHORTEST * 2_u32.saturating_pow(self.made.saturating_sub(1))).min(LONGEST);
        let pause = whole / 2 + whole / 2 * u32::from(chance) / 255;
        (self.made < TRIES && now + pause < self.until).then_some(pause)
    }
}

/// A value of `grpc-timeout`: up to eight digits and a unit.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// The message of a call, for each try.
pub(crate) fn body(message: &Bytes) -> Body {
    Body::new(http_body_util::Full::new(message.clone()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn pauses_grow_to_a_second_and_end() {
        let (mut headers, mut pauses) = (HeaderMap::new(), Vec::new());
        let mut tries = Tries::new(&headers, 60_000 * MS, 5 * MS);
        loop {
            tries.begin(&mut headers, 5 * MS);
            let Some(pause) = tries.pause(5 * MS, 255) else { break };
            assert_eq!(tries.pause(5 * MS, 0), Some(pause / 2));
            pauses.push(pause.as_millis());
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000, 1000]);
    }

    #[test]
    fn no_try_goes_past_the_calls_time_and_each_names_what_is_left() {
        let mut headers = HeaderMap::from_iter([(TIMEOUT.parse().unwrap(), HeaderValue::from_static("2S"))]);
        let mut tries = Tries::new(&headers, 60_000 * MS, Duration::ZERO);
        tries.begin(&mut headers, 500 * MS);
        assert_eq!(headers[TIMEOUT], "1500m");
        assert_eq!(tries.pause(1_899 * MS, 255), Some(100 * MS));
        assert_eq!(tries.pause(1_900 * MS, 255), None);
        tries.begin(&mut headers, 3_000 * MS);
        assert_eq!(headers[TIMEOUT], "1m", "a time that is over is refused there, not unbounded");
    }

    #[test]
    fn the_times_of_grpc_are_read() {
        let read = ["1H", "2M", "3S", "4m", "5u", "6n"].map(|text| parse(text).unwrap().as_nanos());
        assert_eq!(read, [3_600_000_000_000, 120_000_000_000, 3_000_000_000, 4_000_000, 5_000, 6]);
        assert!(["", "S", "1", "1x", "123456789S", "-1S"].iter().all(|text| parse(text).is_none()));
    }
}
