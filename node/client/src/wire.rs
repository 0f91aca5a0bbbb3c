//! Times between the wire's messages and ours.

use std::time::Duration;

use ocmt_types::Timestamp;

/// A duration for a request.
pub(crate) fn duration(of: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(of.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(of.subsec_nanos()).unwrap_or(0),
    }
}

/// Whole milliseconds of a duration in an answer; a negative one is zero.
pub(crate) fn millis(of: &prost_types::Duration) -> u64 {
    let millis = of.seconds.saturating_mul(1000).saturating_add(i64::from(of.nanos / 1_000_000));
    u64::try_from(millis).unwrap_or(0)
}

/// A time in an answer.
pub(crate) fn time(at: &prost_types::Timestamp) -> Timestamp {
    Timestamp(at.seconds.saturating_mul(1000).saturating_add(i64::from(at.nanos / 1_000_000)))
}

/// For serialising what has a text form alone.
pub(crate) fn as_text<S: serde::Serializer>(of: &impl std::fmt::Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(of)
}
