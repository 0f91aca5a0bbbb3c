//! Shares between people, as rows of the page of groups: taking one, declining one, giving one back.

use axum::{Form, extract::State, response::Response};
use ocmt_actors::{
    ActorError,
    api::shares::{AcceptShare, ListShares, Permission, RevokeShare, ShareInfo, SharePage, ShareState},
};
use ocmt_types::{ShareId, Timestamp};
use serde::Deserialize;

use super::{
    super::{
        frame::Frame,
        pages::{Guest, Pages, Visitor},
    },
    MOST, act, then,
    view::OneShare,
};

const HERE: &str = "/app/groups#shares";

/// One page of those that are offered or in force, newest first.
pub(super) async fn page(pages: &Pages, guest: &Guest, after: Option<&str>) -> Result<SharePage, ActorError> {
    let states = vec![ShareState::Offered, ShareState::Accepted];
    let after = after.map(behind).transpose()?;
    pages.ask(&guest.caller, ListShares { states, after, limit: MOST }).await
}

fn behind(token: &str) -> Result<(Timestamp, ShareId), ActorError> {
    let parsed =
        token.split_once('.').and_then(|(at, id)| Some((Timestamp(at.parse().ok()?), id.parse().ok()?)));
    parsed.ok_or_else(|| ActorError::invalid("shares", "is no page of this list"))
}

/// What the next page begins behind.
pub(super) fn token((at, id): (Timestamp, ShareId)) -> String {
    format!("{}.{id}", at.millis())
}

/// As the one of this address sees it.
pub(super) fn row(frame: &Frame, me: &str, one: &ShareInfo) -> OneShare {
    let (taker, giver, waits) =
        (one.taker_email == me, one.giver_email == me, one.state == ShareState::Offered);
    OneShare {
        id: one.id.to_string(),
        whose: match (taker, giver) {
            (true, _) => frame.put("share.from", &one.giver_email),
            (false, true) => frame.put("share.to", &one.taker_email),
            // given on of what is in one's own vault, or of what one administers
            (false, false) => format!(
                "{} {}",
                frame.put("share.by", &one.giver_email),
                frame.put("share.to", &one.taker_email)
            ),
        },
        state: frame.say(if waits { "share.is_offered" } else { "share.is_accepted" }).to_owned(),
        may: may(frame, &one.permissions),
        entries: one.grants.len(),
        since: frame.at(one.created_at),
        until: one.expires_at.map_or_else(|| frame.say("share.no_end").to_owned(), |time| frame.at(time)),
        can_take: taker && waits,
        can_end: taker,
        waits,
    }
}

/// What is allowed, in words.
pub(super) fn may(frame: &Frame, permissions: &[Permission]) -> String {
    let words = permissions.iter().map(|one| {
        frame.say(match one {
            Permission::Read => "may.read",
            Permission::List => "may.list",
            Permission::Write => "may.write",
            Permission::Delete => "may.delete",
            Permission::Admin => "may.admin",
            Permission::Share => "may.share",
        })
    });
    words.collect::<Vec<_>>().join(", ")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct One {
    share: String,
    csrf: String,
}

/// Takes what was offered. Reading it takes a device, which learns the giver's key by then.
pub(super) async fn accept(State(pages): State<Pages>, visitor: Visitor, Form(one): Form<One>) -> Response {
    let asks = || Some(AcceptShare { share: one.share.parse().ok()? });
    then(act(&pages, &visitor, &one.csrf, asks).await.map(|_| HERE), &visitor)
}

/// Declines an offer, or gives back what was taken.
pub(super) async fn end(State(pages): State<Pages>, visitor: Visitor, Form(one): Form<One>) -> Response {
    let asks = || Some(RevokeShare { share: one.share.parse().ok()? });
    then(act(&pages, &visitor, &one.csrf, asks).await.map(|_| HERE), &visitor)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_page_begins_behind_the_share_that_was_last() {
        let last = (Timestamp(1_700_000_000_123), "0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11".parse().unwrap());
        assert_eq!(behind(&token(last)).unwrap(), last);
        for bad in ["", ".", "1", "x.0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11", "1.<script>"] {
            assert!(behind(bad).is_err(), "{bad}");
        }
    }
}
