//! What a link is worth after its guardian is one no more, and what its session is worth where others last for days.

use std::time::Duration;

use super::{
    super::circle::{Circle, short},
    NEW,
};
use crate::{
    SystemConfig,
    api::{
        auth::WhoAmI,
        recovery::{GetGuardianship, GuardianshipState, ResignGuardianship},
    },
    tests::kit::{Kit, until},
};

const DAY: Duration = Duration::from_secs(24 * 3600);
const MILLI: Duration = Duration::from_millis(1);

#[tokio::test]
async fn a_link_is_worth_nothing_once_its_guardian_has_resigned_or_was_removed() {
    let circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1, 1]).await;
    let mut links = Vec::new();
    for n in 0..3 {
        links.push(circle.lost_link(n, NEW).await);
    }
    let guardianship = |n: usize| circle.guards[n].guardianship;
    for (n, by) in [(0, &circle.guards[0].person), (1, &circle.owner)] {
        let ends = ResignGuardianship { guardianship: guardianship(n), only_change: false };
        circle.kit.call(&by.caller, ends).await.unwrap();
    }
    for (n, state) in [(0, GuardianshipState::Resigned), (1, GuardianshipState::Ended)] {
        until("the owner's side knows", async || {
            let get = GetGuardianship { guardianship: guardianship(n) };
            circle.kit.call(&circle.owner.caller, get).await.unwrap().state == state
        })
        .await;
        let refused = circle.kit.exchange(&links[n]).await.err().expect("its guardian is gone");
        assert_eq!(refused.reason(), "UNAUTHENTICATED", "{n}");
    }
    circle.inert(&links[2], NEW).await;
}

/// Longer than anybody may ask for: a stored policy may be of a newer program.
fn weeks(config: &mut SystemConfig) {
    short(config);
    config.policy.session_idle_ms = 7 * 24 * 3_600_000;
    config.policy.session_absolute_ms = 7 * 24 * 3_600_000;
}

#[tokio::test]
async fn its_session_ends_within_a_day_where_others_last_for_days() {
    let circle = Circle::dealt(Kit::sim_with(weeks).await, 2, &[1, 1]).await;
    let link = circle.lost_link(0, NEW).await;
    let person = circle.inert(&link, NEW).await;
    circle.kit.clock.advance(DAY - MILLI);
    circle.kit.call(&person.caller, WhoAmI).await.expect("it lives");
    circle.kit.clock.advance(MILLI);
    let ended = circle.kit.call(&person.caller, WhoAmI).await;
    assert_eq!(ended.unwrap_err().reason(), "UNAUTHENTICATED");
    circle.kit.call(&circle.owner.caller, WhoAmI).await.expect("another session lives on");
}
