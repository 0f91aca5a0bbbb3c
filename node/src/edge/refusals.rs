//! What was refused at the edge, written down as far as a log bears it: the first of each minute line by line, and of the
//! others how many they were. Whoever wants to fill the log gets no further than that; `/metrics` counts them all.

use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ocmt_types::{Clock as _, RequestId, SystemClock};

/// Lines of a minute.
const LINES: u32 = 60;
const MINUTE: Duration = Duration::from_secs(60);
/// Codes of gRPC, and of statuses of HTTP, with which a control refuses. What is wrong with a lawful request is none.
const CODES: [&str; 6] =
    ["INVALID_ARGUMENT", "OUT_OF_RANGE", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "UNAUTHENTICATED", "4xx"];

static NOW: Mutex<Minute> = Mutex::new(Minute { began: Duration::ZERO, lines: 0, passed_over: 0 });

/// A request that was answered, or a connection that was not taken.
pub(crate) struct Answered {
    /// A word for the method, or `connection`.
    pub(crate) what: &'static str,
    /// The code of the answer.
    pub(crate) code: &'static str,
    /// The other end of the connection.
    pub(crate) address: Option<IpAddr>,
    pub(crate) request: Option<RequestId>,
}

/// Writes it down, if it was refused.
pub(crate) fn note(answered: &Answered) {
    if CODES.contains(&answered.code) {
        write(&NOW, SystemClock.boottime(), answered);
    }
}

fn write(minute: &Mutex<Minute>, now: Duration, answered: &Answered) {
    let taken = minute.lock().unwrap_or_else(PoisonError::into_inner).take(now);
    let Some(passed_over) = taken else { return };
    let Answered { what, code, address, request } = answered;
    let address = address.map(tracing::field::display);
    let request = request.map(tracing::field::display);
    tracing::info!(what, code, address, request, passed_over, "refused at the edge");
}

/// Lines of the minute that is counted.
struct Minute {
    began: Duration,
    lines: u32,
    /// Refused since the last line, without one.
    passed_over: u64,
}

impl Minute {
    /// Whether one more line is written, and how many were not since the last one.
    fn take(&mut self, now: Duration) -> Option<u64> {
        if now.saturating_sub(self.began) >= MINUTE {
            (self.began, self.lines) = (now, 0);
        }
        if self.lines >= LINES {
            self.passed_over += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.passed_over))
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::telemetry::heard::Log;

    fn fresh() -> Mutex<Minute> {
        Mutex::new(Minute { began: Duration::ZERO, lines: 0, passed_over: 0 })
    }

    fn lines(times: u32, minute: &Mutex<Minute>, at: Duration) -> Vec<String> {
        let log = Log::default();
        let to = log.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || to.clone()).with_ansi(false);
        let refused = Answered {
            what: "VaultService/GetEntry",
            code: "UNAUTHENTICATED",
            address: Some([192, 0, 2, 7].into()),
            request: None,
        };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            for _ in 0..times {
                write(minute, at, &refused);
            }
        });
        log.text().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_refusal_is_written_down_with_who_asked_for_what() {
        let said = lines(1, &fresh(), MINUTE).remove(0);
        for part in ["refused at the edge", "VaultService/GetEntry", "UNAUTHENTICATED", "192.0.2.7"] {
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn whoever_is_refused_without_end_fills_no_log() {
        let minute = fresh();
        assert_eq!(lines(10_000, &minute, MINUTE).len(), 60);
        let next = lines(1, &minute, MINUTE * 2);
        assert!(next[0].contains("passed_over=9940"), "{next:?}");
    }

    #[test]
    fn what_a_lawful_request_is_told_is_no_refusal() {
        for code in ["OK", "NOT_FOUND", "FAILED_PRECONDITION", "2xx", "CANCELLED"] {
            assert!(!CODES.contains(&code), "{code}");
        }
    }
}
