//! Who can ask for such a link and how often, how long it is good, and what its session may propose.

use std::time::Duration;

use ocmt_store::{Fault, Point, Stalled, tables::LostMailbox};

use super::{
    super::circle::{Circle, SHORT, ownership, short},
    NEW,
};
use crate::{
    SystemConfig,
    api::{
        audit::QueryAudit,
        auth::{LinkPurpose, WhoAmI},
        recovery::{CeremonyState, ReportLostMailbox, ResignGuardianship},
    },
    tests::{
        kit::{Kit, until},
        post::waiting,
        suspension::{resume, suspend},
        trail,
    },
};

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

async fn circle() -> Circle {
    Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1, 1]).await
}

/// All sign in again: their sessions have ended with the time.
async fn signed_in_again(circle: &mut Circle) {
    for n in 0..circle.guards.len() {
        let person = circle.guards[n].person.clone();
        circle.guards[n].person = circle.kit.sign_in(&person, LinkPurpose::SignIn).await;
    }
    circle.owner = circle.kit.sign_in(&circle.owner, LinkPurpose::SignIn).await;
}

#[tokio::test]
async fn nobody_but_a_guardian_of_today_has_a_link_sent() {
    let mut circle = circle().await;
    let guardianship = circle.guards[0].guardianship;
    let report = || ReportLostMailbox { guardianship, new_email: NEW.to_owned() };
    let stranger = circle.kit.founder("stranger@example.com").await;
    for who in [&stranger, &circle.guards[1].person, &circle.owner] {
        let refused = circle.kit.call(&who.caller, report()).await.unwrap_err();
        assert_eq!(refused.reason(), "NOT_FOUND");
    }
    for bad in ["", "owner", "a b@c.example"] {
        assert_eq!(circle.report(0, bad).await.unwrap_err().reason(), "INVALID_ARGUMENT", "{bad}");
    }
    let own = circle.owner.email.clone();
    assert_eq!(circle.report(0, &own).await.unwrap_err().reason(), "INVALID_ARGUMENT");
    // one who has accepted and holds nothing yet
    let fresh = circle.kit.founder("fresh@example.com").await;
    circle.seat(fresh, 1).await;
    assert_eq!(circle.report(3, NEW).await.unwrap_err().reason(), "NO_PART");
    // one who has resigned
    circle
        .kit
        .call(&circle.guards[0].person.caller, ResignGuardianship { guardianship, only_change: false })
        .await
        .unwrap();
    assert!(matches!(circle.report(0, NEW).await.unwrap_err().reason(), "NO_PART" | "NOT_FOUND"));
    assert_eq!(circle.kit.mailbox.count(NEW), 0, "no letter to anybody");
    assert_eq!(circle.kit.mailbox.count_of(&own, "recovery.lost_mailbox"), 0);
}

#[tokio::test]
async fn each_guardian_says_it_three_times_a_week_and_uses_up_nobody_elses() {
    let mut circle = circle().await;
    for n in 0..3 {
        circle.report(0, &format!("owner{n}@new.example")).await.unwrap();
    }
    assert_eq!(circle.report(0, NEW).await.unwrap_err().reason(), "TOO_MANY_LOST_MAILBOXES");
    assert_eq!(circle.kit.mailbox.count(NEW), 0);
    circle.report(1, NEW).await.expect("another guardian");
    circle.kit.clock.advance(WEEK);
    signed_in_again(&mut circle).await;
    circle.report(0, "owner9@new.example").await.expect("a week later");
    let records = trail::everything(&circle.kit, &circle.owner).await;
    assert_eq!(records.iter().filter(|record| record.method == "recovery.lost_mailbox").count(), 5);
}

#[tokio::test]
async fn a_repeat_under_its_key_sends_no_second_link_and_uses_up_nothing() {
    let circle = circle().await;
    let (kit, owner) = (&circle.kit, &circle.owner);
    let (guardianship, who) = (circle.guards[0].guardianship, &circle.guards[0].person);
    let says = async |key| {
        let report = ReportLostMailbox { guardianship, new_email: NEW.to_owned() };
        kit.system.tenant(who.tenant).call(who.caller.clone(), kit.keyed(key, 1), report).await
    };
    for _ in 0..5 {
        says(1).await.expect("a repeat");
    }
    assert_eq!(said(&circle).await, 1);
    // and one whose letter is not taken yet
    suspend(kit, owner.tenant).await;
    for key in [2, 2, 5] {
        assert_eq!(says(key).await.unwrap_err().reason(), "NOT_TAKEN_NOW", "{key}");
    }
    resume(kit, owner.tenant).await;
    says(2).await.expect("taken now");
    says(2).await.expect("a repeat");
    assert_eq!(said(&circle).await, 2);
    says(3).await.expect("the third of the week");
    assert_eq!(says(4).await.unwrap_err().reason(), "TOO_MANY_LOST_MAILBOXES");
    says(3).await.expect("a repeat of what was done");
    assert_eq!(said(&circle).await, 3);
    for (address, kind) in [(NEW, "lost_mailbox"), (owner.email.as_str(), "recovery.lost_mailbox")] {
        until("one for each wish", async || kit.mailbox.count_of(address, kind) == 3).await;
    }
}

/// A client repeats while its first call still waits for the owner's tenant: that is what the key is for.
#[tokio::test]
async fn two_calls_at_once_under_one_key_are_both_told_and_send_one_link() {
    let circle = Circle::dealt(Kit::sim_with(unhurried).await, 2, &[1, 1, 1]).await;
    let (kit, owner) = (&circle.kit, &circle.owner);
    let (guardianship, who) = (circle.guards[0].guardianship, &circle.guards[0].person);
    for person in circle.guards.iter().map(|guard| &guard.person).chain([owner]) {
        until("no letter is on its way", async || waiting(kit, person.tenant).await == Some(0)).await;
    }
    let says = async || {
        let report = ReportLostMailbox { guardianship, new_email: NEW.to_owned() };
        kit.system.tenant(who.tenant).call(who.caller.clone(), kit.keyed(1, 1), report).await
    };
    let stalled = Stalled::default();
    kit.store.faults().unwrap().plan(Point::Begin, Fault::Stall(stalled.clone()));
    let stands = kit.call(&owner.caller, WhoAmI);
    let both = async {
        // the owner's tenant takes no letter
        stalled.reached().await;
        let once_both_wait = async {
            until("both have written", async || {
                let method = Some("RecoveryService/ReportLostMailbox".to_owned());
                let query = QueryAudit { method, limit: 10, ..QueryAudit::default() };
                kit.call(&who.caller, query).await.unwrap().records.len() == 2
            })
            .await;
            stalled.release();
        };
        let (first, second, ()) = futures_util::join!(says(), says(), once_both_wait);
        first.expect("the first is told");
        second.expect("and so is its repeat");
    };
    let (me, ()) = futures_util::join!(stands, both);
    me.expect("it stood still and was not refused");
    assert_eq!(said(&circle).await, 1);
    until("the link has come", async || kit.mailbox.count_of(NEW, "lost_mailbox") == 1).await;
}

/// Nothing looks at the store by itself while the test does.
fn unhurried(config: &mut SystemConfig) {
    short(config);
    config.limits.poll_every = Duration::from_secs(3600);
}

/// Mail may be lost; who never got it is not shut out for a week.
#[tokio::test]
async fn a_link_that_nobody_showed_in_its_day_counts_no_more_for_its_address() {
    let mut circle = circle().await;
    let used = circle.lost_link(0, NEW).await;
    circle.inert(&used, NEW).await;
    for _ in 0..2 {
        circle.report(0, NEW).await.unwrap();
    }
    assert_eq!(circle.report(0, NEW).await.unwrap_err().reason(), "TOO_MANY_LOST_MAILBOXES");
    circle.kit.clock.advance(Duration::from_secs(24 * 3600));
    signed_in_again(&mut circle).await;
    let other = circle.report(0, "other@new.example").await;
    assert_eq!(other.unwrap_err().reason(), "TOO_MANY_LOST_MAILBOXES", "that many addresses in a week");
    for _ in 0..2 {
        circle.report(0, NEW).await.expect("two have lapsed");
    }
    let more = circle.report(0, NEW).await;
    assert_eq!(more.unwrap_err().reason(), "TOO_MANY_LOST_MAILBOXES", "one was used, two are good");
}

/// How often anybody said so.
async fn said(circle: &Circle) -> i64 {
    let own = ownership(&circle.kit, circle.owner.tenant).await.unwrap();
    let mut read = circle.kit.store.read(own).await.unwrap();
    read.count(LostMailbox::user_id.eq(circle.owner.user)).await.unwrap()
}

#[tokio::test]
async fn a_link_is_good_once_and_for_a_day() {
    let mut circle = circle().await;
    let (used, late) = (circle.lost_link(0, NEW).await, circle.lost_link(1, NEW).await);
    circle.inert(&used, NEW).await;
    assert_eq!(circle.kit.exchange(&used).await.err().unwrap().reason(), "UNAUTHENTICATED");
    circle.kit.clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(circle.kit.exchange(&late).await.err().unwrap().reason(), "UNAUTHENTICATED");
    // nothing of it is left in the end
    circle.kit.clock.advance(WEEK);
    signed_in_again(&mut circle).await;
    until("they are swept", async || {
        circle.kit.system.send(circle.owner.tenant, crate::tenant::TenantMessage::TimerDue);
        said(&circle).await == 0
    })
    .await;
}

#[tokio::test]
async fn of_many_that_show_a_link_at_once_one_gets_the_session() {
    let circle = circle().await;
    let link = circle.lost_link(0, NEW).await;
    let shown = futures_util::future::join_all((0..8).map(|_| circle.kit.exchange(&link))).await;
    assert_eq!(shown.iter().filter(|shown| shown.is_ok()).count(), 1);
}

#[tokio::test]
async fn its_session_proposes_one_ceremony_at_the_longest_delay_and_never_another() {
    let mut circle = circle().await;
    let link = circle.lost_link(0, NEW).await;
    let person = circle.inert(&link, NEW).await;
    let mut hasty = circle.lost_in(person.clone());
    hasty.params.delay_ms = SHORT.lock_ms - 1;
    assert_eq!(circle.open(&hasty).await.unwrap_err().reason(), "INVALID_ARGUMENT");
    let usual = circle.requester_in(person.clone());
    assert_eq!(circle.open(&usual).await.unwrap_err().reason(), "INVALID_ARGUMENT");
    let good = circle.lost_in(person.clone());
    circle.open(&good).await.unwrap();
    let second = circle.lost_in(person.clone());
    assert_eq!(circle.open(&second).await.unwrap_err().reason(), "TOO_MANY_CEREMONIES");
    for guard in &circle.guards {
        until("the guardian is asked", async || circle.get(&guard.person, good.id()).await.is_ok()).await;
    }
    for n in 0..2 {
        circle.sign_lost(n, &good).await.unwrap();
    }
    assert_eq!(circle.state_of(&person, good.id()).await.unwrap().state, CeremonyState::Open);
    // it is a recovery session now, and still opens nothing by itself
    let usual = circle.requester_in(person.clone());
    assert_eq!(circle.open(&usual).await.unwrap_err().reason(), "TOO_MANY_CEREMONIES");
}

#[tokio::test]
async fn a_session_that_proposes_nothing_ends_within_a_day() {
    let circle = circle().await;
    let link = circle.lost_link(0, NEW).await;
    let person = circle.inert(&link, NEW).await;
    circle.kit.call(&person.caller, WhoAmI).await.expect("it lives");
    circle.kit.clock.advance(Duration::from_secs(24 * 3600));
    let ended = circle.kit.call(&person.caller, WhoAmI).await;
    assert_eq!(ended.unwrap_err().reason(), "UNAUTHENTICATED");
}
