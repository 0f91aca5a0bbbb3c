//! Which hand-over lets a delay begin.

use std::{sync::atomic::Ordering, time::Duration};

use ocmt_store::tables::{Notice, Timer};
use ocmt_types::Clock as _;

use super::{
    super::circle::{Circle, Requester, SHORT, ownership, short},
    NEW,
};
use crate::{
    SystemConfig,
    api::{auth::LinkPurpose, recovery::CeremonyState},
    tests::{
        email_change::{asked, confirm, pass},
        kit::{Kit, until},
    },
};

const LOCK: Duration = Duration::from_millis(SHORT.lock_ms);
const SECOND: &str = "owner@second.example";

/// Changes of address take a minute, less than a lock period.
fn hasty(config: &mut SystemConfig) {
    short(config);
    config.policy.email_change_delay_ms = 60_000;
}

/// The account has another address, since now.
async fn changed(circle: &mut Circle, new: &str) {
    let owner = circle.owner.clone();
    let token = asked(&circle.kit, &owner, new).await;
    confirm(&circle.kit, &owner, &token).await.unwrap();
    pass(&circle.kit, &owner, Duration::from_secs(60)).await;
    until("the address has changed", async || {
        circle.kit.store.directory().addresses(new).await.unwrap().len() == 1
    })
    .await;
    circle.owner.email = new.to_owned();
    circle.owner = circle.kit.sign_in(&circle.owner, LinkPurpose::SignIn).await;
}

async fn counts(circle: &Circle, of: &Requester) -> bool {
    circle.state_of(&of.person, of.id()).await.unwrap().delay_started_at.is_some()
}

/// The first address was refused this letter, as often as it was tried.
async fn handed_over(circle: &Circle, to: &str, kind: &str) {
    until("the letter has come", async || circle.kit.mailbox.count_of(to, kind) > 0).await;
}

#[tokio::test]
async fn an_address_of_yesterday_lets_no_delay_begin_and_the_one_before_it_does() {
    let mut circle = Circle::dealt(Kit::sim_with(hasty).await, 2, &[1, 1]).await;
    let first = circle.owner.email.clone();
    changed(&mut circle, SECOND).await;
    // whoever put the new address in hears of it; the old one takes nothing for a while
    circle.kit.mailbox.unknown.lock().unwrap().insert(first.clone());
    let requester = circle.requester().await;
    circle.open(&requester).await.unwrap();
    handed_over(&circle, SECOND, "ceremony.opened").await;
    until("the old one was tried", async || !circle.kit.mailbox.tried(&first, 1).await.is_empty()).await;
    for n in 0..2 {
        until("the guardian is asked", async || {
            circle.get(&circle.guards[n].person, requester.id()).await.is_ok()
        })
        .await;
        circle.approve(n, requester.id()).await.unwrap();
    }
    assert!(!counts(&circle, &requester).await, "told to the new address alone");
    circle.kit.mailbox.unknown.lock().unwrap().clear();
    let second = circle.requester().await;
    circle.open(&second).await.unwrap();
    until("the old address counts", async || counts(&circle, &second).await).await;
    assert_eq!(circle.kit.mailbox.count_of(&first, "ceremony.opened"), 1);
}

#[tokio::test]
async fn an_address_counts_after_a_lock_period_and_the_one_before_it_is_forgotten() {
    let mut circle = Circle::dealt(Kit::sim_with(hasty).await, 2, &[1, 1]).await;
    let first = circle.owner.email.clone();
    changed(&mut circle, SECOND).await;
    circle.kit.clock.advance(LOCK);
    circle.owner = circle.kit.sign_in(&circle.owner, LinkPurpose::SignIn).await;
    let requester = circle.requester().await;
    circle.open(&requester).await.unwrap();
    until("the new address counts", async || counts(&circle, &requester).await).await;
    assert_eq!(circle.kit.mailbox.count_of(&first, "ceremony.opened"), 0);
}

/// The provider of the one before is gone, and that is why the account has moved.
#[tokio::test]
async fn what_a_new_address_took_counts_once_it_is_a_lock_period_old() {
    let mut circle = Circle::dealt(Kit::sim_with(hasty).await, 2, &[1, 1]).await;
    let first = circle.owner.email.clone();
    changed(&mut circle, SECOND).await;
    let since = circle.kit.clock.now();
    circle.kit.mailbox.unknown.lock().unwrap().insert(first.clone());
    let requester = circle.requester().await;
    circle.open(&requester).await.unwrap();
    let taken = async || timer_is_set(&circle, "ceremony.settles", &requester).await;
    until("the new one has taken it", taken).await;
    assert!(!circle.kit.mailbox.tried(&first, 1).await.is_empty());
    pass(&circle.kit, &circle.owner, LOCK - Duration::from_millis(1)).await;
    assert!(!counts(&circle, &requester).await, "told to an address that may be a thief's");
    pass(&circle.kit, &circle.owner, Duration::from_millis(1)).await;
    until("it counts now", async || counts(&circle, &requester).await).await;
    let began = circle.state_of(&requester.person, requester.id()).await.unwrap().delay_started_at;
    assert_eq!(began, Some(since + LOCK));
}

async fn timer_is_set(circle: &Circle, kind: &str, of: &Requester) -> bool {
    let own = ownership(&circle.kit, circle.owner.tenant).await.unwrap();
    let mut read = circle.kit.store.read(own).await.unwrap();
    let timers = read.find::<Timer>(Timer::kind.eq(kind)).await.unwrap();
    timers.iter().any(|timer| timer.subject.starts_with(&of.id().to_string()))
}

#[tokio::test]
async fn where_guardians_opened_it_refusal_by_every_channel_counts_after_a_lock_period() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await;
    let requester = circle.lost_proposed(NEW).await;
    circle.kit.mailbox.unknown.lock().unwrap().insert(circle.owner.email.clone());
    for n in 0..2 {
        circle.sign_lost(n, &requester).await.unwrap();
    }
    let (id, opened) = (requester.id(), circle.kit.clock.now());
    until("all refused", async || timer_is_set(&circle, "ceremony.refused", &requester).await).await;
    for n in 0..2 {
        circle.approve(n, id).await.unwrap();
    }
    circle.reaches(&requester.person, id, CeremonyState::Ready).await;
    assert!(!counts(&circle, &requester).await);
    circle.kit.clock.advance(LOCK);
    until("it counts now", async || counts(&circle, &requester).await).await;
    let began = circle.state_of(&requester.person, id).await.unwrap().delay_started_at.unwrap();
    assert!(began >= opened + LOCK);
    circle.kit.clock.advance(LOCK);
    circle.reaches(&requester.person, id, CeremonyState::Released).await;
}

/// It was opened, and this address will never hear of it.
async fn is_refused(circle: &Circle, address: &str) -> bool {
    let own = ownership(&circle.kit, circle.owner.tenant).await.unwrap();
    let mut read = circle.kit.store.read(own).await.unwrap();
    let told = read.find::<Notice>(Notice::kind.eq("ceremony.opened")).await.unwrap();
    let given_up = |row: &Notice| row.handed_over_at.is_none() && row.next_attempt_at.is_none();
    told.iter().any(|row| row.address == address && given_up(row))
}

/// The one before is refused for good; the new one is away for a while, and may be read yet.
#[tokio::test]
async fn where_guardians_opened_it_refusal_by_one_channel_of_two_counts_never() {
    let mut circle = Circle::dealt(Kit::sim_with(hasty).await, 2, &[1, 1]).await;
    let first = circle.owner.email.clone();
    changed(&mut circle, SECOND).await;
    let requester = circle.lost_proposed(NEW).await;
    circle.kit.mailbox.unknown.lock().unwrap().insert(first.clone());
    circle.kit.mailbox.refuses.store(true, Ordering::SeqCst);
    for n in 0..2 {
        circle.sign_lost(n, &requester).await.unwrap();
    }
    until("the one before is refused", async || is_refused(&circle, &first).await).await;
    assert!(!timer_is_set(&circle, "ceremony.refused", &requester).await);
    circle.kit.mailbox.refuses.store(false, Ordering::SeqCst);
    pass(&circle.kit, &circle.owner, LOCK).await;
    until("the other has taken it", async || counts(&circle, &requester).await).await;
}

/// What a mail link alone opened has nobody's word for it: a silent channel does not let it mature.
#[tokio::test]
async fn where_a_link_alone_opened_it_refusal_counts_never() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await;
    let requester = circle.requester().await;
    circle.kit.mailbox.unknown.lock().unwrap().insert(circle.owner.email.clone());
    circle.open(&requester).await.unwrap();
    let id = requester.id();
    for n in 0..2 {
        until("the guardian is asked", async || circle.get(&circle.guards[n].person, id).await.is_ok()).await;
        circle.approve(n, id).await.unwrap();
    }
    circle.reaches(&requester.person, id, CeremonyState::Ready).await;
    circle.kit.clock.advance(LOCK);
    pass(&circle.kit, &circle.owner.clone(), Duration::ZERO).await;
    assert_eq!(circle.state_of(&requester.person, id).await.unwrap().state, CeremonyState::Ready);
    assert!(!counts(&circle, &requester).await);
}
