//! Who hears of a ceremony while it goes on: everybody at each step, and later those who have said nothing.

use std::time::Duration;

use ocmt_crypto::guardian::Delays;

use super::circle::Circle;
use crate::{
    Mode,
    api::{
        auth::LinkPurpose,
        recovery::{CancelCeremony, CeremonyState, ListCeremonies},
    },
    tenant::TenantMessage,
    tests::kit::{Kit, until},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn circle() -> Circle {
    let kit = Kit::sim_with(|config| config.mode = Mode::Production).await;
    let mut circle = Circle::gather(kit, &[1, 1, 1], Delays::DEFAULT).await;
    circle.deal(2).await.unwrap();
    circle.arrived().await;
    circle
}

fn heard(circle: &Circle, who: &str, kind: &str) -> usize {
    circle.kit.mailbox.count_of(who, kind)
}

async fn hears(circle: &Circle, who: &str, kind: &str, times: usize) {
    until(&format!("{who} hears {kind}"), async || heard(circle, who, kind) == times).await;
}

#[tokio::test]
async fn everybody_hears_of_every_step() {
    let mut circle = circle().await;
    let requester = circle.opened().await;
    let id = requester.id();
    let everybody = ["owner@example.com", "guard0@example.com", "guard1@example.com", "guard2@example.com"];
    let all_hear = async |circle: &Circle, kind: &str| {
        for who in everybody {
            hears(circle, who, kind, 1).await;
        }
    };
    all_hear(&circle, "ceremony.opened").await;
    circle.doubt(1, id).await.unwrap();
    all_hear(&circle, "ceremony.doubted").await;
    circle.approve(0, id).await.unwrap();
    all_hear(&circle, "ceremony.approved").await;
    circle.deny(1, id).await.unwrap();
    all_hear(&circle, "ceremony.refused").await;
    circle.approve(2, id).await.unwrap();
    all_hear(&circle, "ceremony.ready").await;
    circle.kit.clock.advance(2 * DAY);
    circle.reaches(&requester.person, id, CeremonyState::Released).await;
    all_hear(&circle, "ceremony.released").await;
}

#[tokio::test]
async fn guardians_who_said_nothing_are_asked_again_and_none_when_it_is_over() {
    let mut circle = circle().await;
    let requester = circle.opened().await;
    let id = requester.id();
    circle.approve(0, id).await.unwrap();
    let later = |circle: &Circle, days: u32| {
        circle.kit.clock.advance(days * DAY);
        circle.kit.system.send(circle.owner.tenant, TenantMessage::TimerDue);
    };
    later(&circle, 1);
    for silent in ["guard1@example.com", "guard2@example.com"] {
        hears(&circle, silent, "ceremony.reminder", 1).await;
    }
    hears(&circle, "owner@example.com", "ceremony.goes_on", 1).await;
    assert_eq!(
        heard(&circle, "guard0@example.com", "ceremony.reminder"),
        0,
        "who has approved is left in peace"
    );
    // the next comes after two days, not after one
    later(&circle, 1);
    circle.reaches(&requester.person, id, CeremonyState::Open).await;
    circle.guards[1].person = circle.kit.sign_in(&circle.guards[1].person, LinkPurpose::SignIn).await;
    circle.approve(1, id).await.unwrap();
    circle.reaches(&requester.person, id, CeremonyState::Released).await;
    later(&circle, 1);
    hears(&circle, "owner@example.com", "ceremony.collect_reminder", 1).await;
    assert_eq!(heard(&circle, "guard2@example.com", "ceremony.reminder"), 1);
    let cancel = CancelCeremony { ceremony: id };
    circle.kit.call(&requester.person.caller, cancel).await.unwrap();
    hears(&circle, "owner@example.com", "ceremony.cancelled", 1).await;
    later(&circle, 5);
    later(&circle, 30);
    let probe = ListCeremonies::default();
    let owner = circle.kit.sign_in(&circle.owner, LinkPurpose::SignIn).await;
    circle.kit.call(&owner.caller, probe).await.unwrap();
    assert_eq!(heard(&circle, "owner@example.com", "ceremony.goes_on"), 1);
    assert_eq!(heard(&circle, "owner@example.com", "ceremony.collect_reminder"), 1);
}
