//! A user's own pages: containers, connections, groups and shares, approvals, pairing, alerts.
//!
//! What they do takes no key, so it is done by forms, by the same calls as over gRPC: who may is decided where the state is.
//! Giving what somebody asks for, reading a log and a terminal open the vault in the browser; what else takes one is named with its command.

mod alerts;
mod approvals;
mod cell;
mod connections;
mod containers;
mod groups;
mod pairing;
mod shares;
mod view;

use std::str::FromStr;

use axum::{
    Router,
    response::Response,
    routing::{get, post},
};
use ocmt_actors::{ActorError, Call};

use super::{
    answer::{refused, see_other},
    frame::Frame,
    pages::{Pages, Visitor},
};

/// Entries of one page of a list.
const MOST: u32 = 50;

pub(super) fn routes() -> Router<Pages> {
    Router::new()
        .route("/app/containers", get(containers::list))
        .route("/app/containers/{id}", get(containers::show))
        .route("/app/containers/wake", post(containers::wake))
        .route("/app/containers/log", post(cell::log))
        .route("/app/containers/terminal", post(cell::terminal))
        .route("/app/containers/pause", post(containers::pause))
        .route("/app/connections", get(connections::list))
        .route("/app/connections/end", post(connections::end))
        .route("/app/groups", get(groups::list))
        .route("/app/groups/{id}", get(groups::show))
        .route("/app/groups/leave", post(groups::leave))
        .route("/app/shares/accept", post(shares::accept))
        .route("/app/shares/end", post(shares::end))
        .route("/app/approvals", get(approvals::list))
        .route("/app/approvals/{id}", get(approvals::show))
        .route("/app/approvals/deny", post(approvals::deny))
        .route("/app/pairing", get(pairing::list))
        .route("/app/pairing/approve", post(pairing::approve))
        .route("/app/pairing/refuse", post(pairing::refuse))
        .route("/app/pairing/revoke", post(pairing::revoke))
        .route("/app/alerts", get(alerts::list))
        .route("/app/alerts/add", post(alerts::add))
        .route("/app/alerts/test", post(alerts::test))
        .route("/app/alerts/remove", post(alerts::remove))
}

/// Behind which entry a page of a list begins.
fn behind<T: FromStr>(after: Option<&str>) -> Result<Option<T>, ActorError> {
    let parsed =
        after.map(|after| after.parse().map_err(|_| ActorError::invalid("after", "is no page of this list")));
    parsed.transpose()
}

/// Does what a form asks for; one that names nothing that could be is answered as what is not there.
async fn act<C: Call>(
    pages: &Pages,
    visitor: &Visitor,
    csrf: &str,
    asks: impl FnOnce() -> Option<C>,
) -> Result<C::Answer, ActorError> {
    let sender = pages.sender(visitor, csrf).await?;
    pages.act(&sender, asks().ok_or(ActorError::NotFound)?).await
}

/// On to the next page once it is done.
fn then(to: Result<impl AsRef<str>, ActorError>, visitor: &Visitor) -> Response {
    match to {
        Ok(to) => see_other(to.as_ref(), []),
        Err(error) => refused(&error, visitor),
    }
}

/// A time span as people say it, rounded up.
fn lasts(frame: &Frame, ms: i64) -> String {
    const MINUTE: i64 = 60_000;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    let (unit, words) = match ms {
        ms if ms >= 2 * DAY => (DAY, "span.days"),
        ms if ms >= 2 * HOUR => (HOUR, "span.hours"),
        _ => (MINUTE, "span.minutes"),
    };
    frame.count(words, ms.saturating_add(unit - 1).unsigned_abs() / unit.unsigned_abs())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{super::words::Words, *};

    #[test]
    fn a_span_is_said_in_its_largest_unit_and_never_as_nothing() {
        let frame = Frame::new(Words::wanted(&"/".parse().unwrap(), &http::HeaderMap::new()), true);
        for (ms, said) in [
            (1, "1 minute"),
            (60_000, "1 minute"),
            (60_001, "2 minutes"),
            (7_200_000, "2 hours"),
            (7_200_001, "3 hours"),
            (2 * 86_400_000, "2 days"),
        ] {
            assert_eq!(lasts(&frame, ms), said);
        }
    }

    #[test]
    fn a_page_that_is_none_of_ours_is_refused_and_not_taken_for_the_first() {
        assert_eq!(behind::<u32>(None).unwrap(), None);
        assert_eq!(behind::<u32>(Some("7")).unwrap(), Some(7));
        assert!(behind::<u32>(Some("<script>")).is_err());
    }
}
