//! The stream: in order, each record at least once, from where it was, by the owner alone; and who waits for nobody.

mod apart;

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use ocmt_store::{Filter, tables::AuditStream};
use ocmt_types::{Clock as _, Ownership, Secret};

use super::{FAILING_AT_ONCE, LONGEST_RETRY, Streams, TOLD_AFTER, batch::MOST};
use crate::{
    ActorError, System,
    api::{
        audit::{AuditFilter, GetAuditStream, QueryAudit, RemoveAuditStream, SetAuditStream, StreamInfo},
        auth::LinkPurpose,
        tenant::GetTenant,
        users::Role,
    },
    node::NodeMessage,
    tenant::TenantMessage,
    tests::kit::{Kit, Mailbox, Person, until},
};

const URL: &str = "https://siem.example.org/in/xyzzy";
const KEY: &str = "a-key-of-thirty-two-bytes-or-more";

fn to(url: &str) -> SetAuditStream {
    let secret = |text: &str| Some(Secret::new(text.to_owned()));
    SetAuditStream { target: secret(url), secret: secret(KEY), from: None }
}

async fn owner(kit: &Kit, email: &str) -> Person {
    let person = kit.founder(email).await;
    kit.sign_in(&person, LinkPurpose::SignIn).await
}

async fn set(kit: &Kit, who: &Person, ask: SetAuditStream) -> Result<StreamInfo, ActorError> {
    kit.call(&who.caller, ask).await
}

/// The numbers that came there, post by post.
fn posts(mailbox: &Mailbox, url: &str) -> Vec<Vec<i64>> {
    let numbers = |facts: Vec<(String, String)>| facts.iter().map(|(seq, _)| seq.parse().unwrap()).collect();
    mailbox.all_of(url, "records").into_iter().map(|post| numbers(post.facts)).collect()
}

async fn row(kit: &Kit, who: &Person) -> AuditStream {
    loop {
        let own = kit.store.cluster().owner(who.tenant).await.unwrap().unwrap();
        let Some(incarnation) = own.incarnation else { continue };
        let own = Ownership { tenant: who.tenant, incarnation, epoch: own.epoch };
        // another claim may have come in between
        if let Ok(mut tx) = kit.store.read(own).await {
            return tx.first::<AuditStream>(Filter::all()).await.unwrap().unwrap();
        }
    }
}

/// Time passes, and the tenant's timers are looked at there.
fn later(kit: &Kit, system: &System, who: &Person, wait: Duration) {
    kit.clock.advance(wait);
    system.env.to_root(NodeMessage::ToTenant(who.tenant, TenantMessage::TimerDue));
}

/// Until all that was recorded before this was taken.
async fn taken(kit: &Kit, system: &System, who: &Person, upto: i64) {
    until("the stream has come that far", async || {
        later(kit, system, who, Duration::from_secs(2));
        row(kit, who).await.sent >= upto
    })
    .await;
}

async fn records_come_in_their_order(kit: Kit) {
    let ann = owner(&kit, "ann@example.com").await;
    let made = set(&kit, &ann, to(URL)).await.unwrap();
    assert_eq!((made.hint.as_str(), made.sent), ("https://siem.example.org", made.last));
    for _ in 0..MOST + 50 {
        kit.call(&ann.caller, GetTenant).await.unwrap();
    }
    let upto = made.last + i64::try_from(MOST).unwrap() + 50;
    taken(&kit, &kit.system, &ann, upto).await;
    let posts = posts(&kit.mailbox, URL);
    assert!(
        posts.iter().all(|post| post.len() <= MOST),
        "{:?}",
        posts.iter().map(Vec::len).collect::<Vec<_>>()
    );
    let all: Vec<i64> = posts.into_iter().flatten().collect();
    let expected: Vec<i64> = (made.last + 1..).take(all.len()).collect();
    assert_eq!(all, expected, "the record that named it first, each once, in order");
    // and nothing more where nothing was recorded
    let before = all.len();
    later(&kit, &kit.system, &ann, Duration::from_secs(200));
    let shown = kit.call(&ann.caller, GetAuditStream).await.unwrap();
    assert_eq!((shown.sent, shown.failing_since), (shown.last, None));
    assert!(shown.taken_at.is_some() && shown.last >= upto);
    taken(&kit, &kit.system, &ann, shown.last + 1).await;
    assert_eq!(self::posts(&kit.mailbox, URL).into_iter().flatten().count(), before + 1);
}

#[tokio::test]
async fn records_come_in_their_order_each_once_on_sim() {
    records_come_in_their_order(Kit::sim().await).await;
}

#[tokio::test]
async fn records_come_in_their_order_each_once_on_sqlite() {
    records_come_in_their_order(Kit::sqlite().await).await;
}

#[tokio::test]
async fn a_stream_begins_where_it_is_told_and_goes_on_where_it_was() {
    let kit = Kit::sim().await;
    let ann = owner(&kit, "ann@example.com").await;
    let made = set(&kit, &ann, SetAuditStream { from: Some(1), ..to(URL) }).await.unwrap();
    taken(&kit, &kit.system, &ann, made.last + 1).await;
    assert_eq!(posts(&kit.mailbox, URL)[0][0], 1);
    // elsewhere, under the same key, from where it was
    let sent = row(&kit, &ann).await.sent;
    let other = "https://other.example.org/";
    let moved = set(&kit, &ann, SetAuditStream { secret: None, ..to(other) }).await.unwrap();
    assert_eq!(moved.sent, sent);
    taken(&kit, &kit.system, &ann, moved.last + 1).await;
    assert_eq!(posts(&kit.mailbox, other)[0][0], sent + 1);
    for from in [0, -1, moved.last + 100] {
        let refused = set(&kit, &ann, SetAuditStream { from: Some(from), ..to(URL) }).await.unwrap_err();
        assert_eq!(refused.reason(), "OUT_OF_RANGE", "{from}");
    }
}

async fn what_was_not_answered_for_comes_again_after_a_crash(kit: Kit) {
    let ann = owner(&kit, "ann@example.com").await;
    kit.mailbox.silent.lock().unwrap().insert(URL.to_owned());
    let made = set(&kit, &ann, to(URL)).await.unwrap();
    let lost = kit.mailbox.nth(URL, 0).await;
    kit.mailbox.silent.lock().unwrap().clear();
    // the node dies before it hears that the receiver took it
    kit.system.root.kill();
    let tree = kit.another_tree().await;
    kit.clock.advance(Duration::from_secs(200));
    taken(&kit, &tree, &ann, made.last + 1).await;
    let again = kit.mailbox.nth(URL, 1).await;
    assert_eq!(again.facts[0], lost.facts[0], "from where it was written down to be");
    assert_eq!(again.facts[0].0, (made.last + 1).to_string());
}

#[tokio::test]
async fn what_was_not_answered_for_comes_again_after_a_crash_on_sim() {
    what_was_not_answered_for_comes_again_after_a_crash(Kit::sim().await).await;
}

#[tokio::test]
async fn what_was_not_answered_for_comes_again_after_a_crash_on_sqlite() {
    what_was_not_answered_for_comes_again_after_a_crash(Kit::sqlite().await).await;
}

#[tokio::test]
async fn of_two_nodes_the_owner_alone_streams_from_where_the_other_was() {
    let a = Kit::sim().await;
    let ann = owner(&a, "ann@example.com").await;
    let made = set(&a, &ann, to(URL)).await.unwrap();
    taken(&a, &a.system, &ann, made.last + 1).await;
    let mailbox = Arc::new(Mailbox::new());
    let b = a.beside_with(2, |config| config.mailer = mailbox.clone()).await;
    // it waits at the first, which loses the tenant and does not know of it
    a.call(&ann.caller, GetTenant).await.unwrap();
    let sent = row(&a, &ann).await.sent;
    let by_a = posts(&a.mailbox, URL).len();
    a.is_declared_dead().await;
    let caller = b.authenticate(&ann.token).await.unwrap();
    b.call(&caller, GetTenant).await.unwrap();
    later(&a, &a.system, &ann, Duration::from_secs(5));
    taken(&b, &b.system, &ann, sent + 2).await;
    later(&a, &a.system, &ann, Duration::from_secs(5));
    assert!(a.call(&ann.caller, GetTenant).await.is_err());
    assert_eq!(posts(&a.mailbox, URL).len(), by_a, "who lost the tenant hands nothing over");
    let all: Vec<i64> = posts(&mailbox, URL).into_iter().flatten().collect();
    assert_eq!(all, (sent + 1..).take(all.len()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_receiver_that_takes_nothing_is_told_of_and_holds_nobody_up() {
    let kit = Kit::sim().await;
    let (ann, eve) = (owner(&kit, "ann@example.com").await, owner(&kit, "eve@example.com").await);
    kit.mailbox.unknown.lock().unwrap().insert(URL.to_owned());
    let made = set(&kit, &ann, to(URL)).await.unwrap();
    until("it has failed", async || row(&kit, &ann).await.failures == 1).await;
    let shown = kit.call(&ann.caller, GetAuditStream).await.unwrap();
    assert!(shown.said.contains("unknown to the test") && shown.failing_since.is_some(), "{shown:?}");
    // others' come, and calls go on
    let hers = set(&kit, &eve, to("https://eve.example.org/")).await.unwrap();
    taken(&kit, &kit.system, &eve, hers.last + 1).await;
    let told = || kit.mailbox.count_of(&ann.email, "audit.stream_down");
    assert_eq!(told(), 0, "not for every hiccup");
    kit.clock.advance(TOLD_AFTER);
    until("the owner is told", async || {
        later(&kit, &kit.system, &ann, Duration::ZERO);
        told() == 1
    })
    .await;
    // once: it goes on failing, and is not given up
    let failures = row(&kit, &ann).await.failures;
    until("it is tried again", async || {
        later(&kit, &kit.system, &ann, LONGEST_RETRY);
        row(&kit, &ann).await.failures > failures + 1
    })
    .await;
    assert_eq!(told(), 1);
    kit.mailbox.unknown.lock().unwrap().clear();
    kit.clock.advance(LONGEST_RETRY);
    let ann = kit.sign_in(&ann, LinkPurpose::SignIn).await;
    taken(&kit, &kit.system, &ann, made.last + 4).await;
    let all: Vec<i64> = posts(&kit.mailbox, URL).into_iter().flatten().collect();
    assert_eq!(all, (made.last + 1..).take(all.len()).collect::<Vec<_>>(), "nothing was left out");
    let filter = AuditFilter { actions: vec!["audit.".to_owned()], ..AuditFilter::default() };
    let page = kit.call(&ann.caller, QueryAudit { filter, ..QueryAudit::default() }).await.unwrap();
    let said: Vec<_> = page.records.iter().map(|record| record.method.as_str()).collect();
    assert_eq!(said, ["audit.stream_down", "audit.stream_up"]);
}

#[tokio::test]
async fn a_stream_that_a_transaction_took_away_is_there_when_that_is_undone() {
    let kit = Kit::sim().await;
    let ann = owner(&kit, "ann@example.com").await;
    let made = set(&kit, &ann, to(URL)).await.unwrap();
    taken(&kit, &kit.system, &ann, made.last + 1).await;
    let own = kit.store.cluster().owner(ann.tenant).await.unwrap().unwrap();
    let own = Ownership { tenant: ann.tenant, incarnation: own.incarnation.unwrap(), epoch: own.epoch };
    let (env, now) = (&kit.system.env, kit.clock.now());
    let mut undone = kit.store.fenced(own).await.unwrap();
    undone.delete::<AuditStream>(()).await.unwrap();
    env.streams.known.forget(ann.tenant);
    assert_eq!(super::recorded(&mut undone, env, now).await.unwrap(), None);
    undone.rollback().await.unwrap();
    let mut next = kit.store.fenced(own).await.unwrap();
    next.clear_timer(super::TIMER, "").await.unwrap();
    assert!(super::recorded(&mut next, env, now).await.unwrap().is_some(), "it is there, and gets nothing");
    next.rollback().await.unwrap();
}

#[tokio::test]
async fn a_stream_whose_key_is_lost_is_told_of_and_set_anew_whole() {
    let kit = Kit::sim().await;
    let ann = owner(&kit, "ann@example.com").await;
    let made = set(&kit, &ann, to(URL)).await.unwrap();
    taken(&kit, &kit.system, &ann, made.last + 1).await;
    let own = kit.store.cluster().owner(ann.tenant).await.unwrap().unwrap();
    let own = Ownership { tenant: ann.tenant, incarnation: own.incarnation.unwrap(), epoch: own.epoch };
    let mut tx = kit.store.fenced(own).await.unwrap();
    let known = tx.get::<AuditStream>(()).await.unwrap().unwrap();
    tx.update(&AuditStream { wrapped: vec![1; 60], ..known }).await.unwrap();
    tx.commit().await.unwrap();
    kit.call(&ann.caller, GetTenant).await.unwrap();
    until("it has failed", async || {
        later(&kit, &kit.system, &ann, Duration::from_secs(2));
        row(&kit, &ann).await.failures > 0
    })
    .await;
    let shown = kit.call(&ann.caller, GetAuditStream).await.unwrap();
    assert!(shown.said.contains("sealing key") && shown.failing_since.is_some(), "{shown:?}");
    kit.clock.advance(TOLD_AFTER);
    until("the owner is told", async || {
        later(&kit, &kit.system, &ann, Duration::ZERO);
        kit.mailbox.count_of(&ann.email, "audit.stream_down") == 1
    })
    .await;
    // what stays as it is cannot be opened; what is given whole can be kept
    let ann = kit.sign_in(&ann, LinkPurpose::SignIn).await;
    let anew = "https://anew.example.org/";
    for part in [SetAuditStream { secret: None, ..to(anew) }, SetAuditStream { target: None, ..to(anew) }] {
        assert_eq!(set(&kit, &ann, part).await.unwrap_err().reason(), "SEALING_KEY");
    }
    let sent = row(&kit, &ann).await.sent;
    let moved = set(&kit, &ann, to(anew)).await.unwrap();
    assert_eq!(moved.sent, sent, "it goes on where it was");
    taken(&kit, &kit.system, &ann, moved.last + 1).await;
    assert_eq!(posts(&kit.mailbox, anew)[0][0], sent + 1);
}

#[tokio::test]
async fn receivers_that_fail_have_few_places_and_a_tenant_has_one_turn() {
    let streams = Streams::default();
    let mut held = Vec::new();
    for _ in 0..FAILING_AT_ONCE {
        held.push(streams.place(true).now_or_never().unwrap());
    }
    assert!(streams.place(true).now_or_never().is_none(), "it waits for another that fails");
    assert!(streams.place(false).now_or_never().is_some(), "who does not fail waits for none");
    drop(held);
    assert!(streams.place(true).now_or_never().is_some());
    let (one, other) = (ocmt_store::testing::id(1), ocmt_store::testing::id(2));
    let turn = streams.turn(one).unwrap();
    assert!(streams.turn(one).is_none() && streams.turn(other).is_some());
    drop(turn);
    assert!(streams.turn(one).is_some());
}

#[tokio::test]
async fn a_stream_is_the_owners_and_its_secrets_are_shown_to_nobody() {
    let kit = Kit::sim().await;
    let (ann, eve) = (owner(&kit, "ann@example.com").await, owner(&kit, "eve@example.com").await);
    let bob = kit.member(&ann, "bob@example.com", Role::Admin).await;
    assert_eq!(set(&kit, &bob, to(URL)).await.unwrap_err().reason(), "PERMISSION_DENIED");
    for url in ["http://siem.example.org", "https://u:p@siem.example.org", "siem", "https://x#y", ""] {
        assert_eq!(set(&kit, &ann, to(url)).await.unwrap_err().reason(), "INVALID_ARGUMENT", "{url}");
    }
    assert!(set(&kit, &ann, SetAuditStream { secret: None, ..to(URL) }).await.is_err(), "unsigned");
    set(&kit, &ann, to(URL)).await.unwrap();
    let shown = format!("{:?}", kit.call(&bob.caller, GetAuditStream).await.unwrap());
    let stored = row(&kit, &ann).await;
    assert!(!shown.contains("xyzzy") && !format!("{stored:?}").contains("xyzzy"), "{shown}");
    let has = |text: &str| stored.wrapped.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(!has("xyzzy") && !has(KEY));
    assert_eq!(kit.call(&eve.caller, GetAuditStream).await.unwrap_err(), ActorError::NotFound);
    assert_eq!(kit.call(&eve.caller, RemoveAuditStream).await.unwrap_err(), ActorError::NotFound);
    let refused = kit.call(&bob.caller, RemoveAuditStream).await.unwrap_err();
    assert_eq!(refused.reason(), "PERMISSION_DENIED");
    // who may not read all of the audit does not see where it goes
    let cy = kit.member(&ann, "cy@example.com", Role::Member).await;
    assert_eq!(kit.call(&cy.caller, GetAuditStream).await.unwrap_err().reason(), "PERMISSION_DENIED");
    kit.clock.advance(Duration::from_secs(3_000));
    let late = kit.call(&ann.caller, RemoveAuditStream).await.unwrap_err();
    assert_eq!(late.reason(), "STEP_UP_REQUIRED");
    let ann = kit.sign_in(&ann, LinkPurpose::SignIn).await;
    kit.call(&ann.caller, RemoveAuditStream).await.unwrap();
    assert_eq!(kit.call(&ann.caller, GetAuditStream).await.unwrap_err(), ActorError::NotFound);
}
