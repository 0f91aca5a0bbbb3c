//! Alerts: who is told of what, how often, and that nothing is told or kept that must not be.

mod bounds;
mod trials;

use std::{sync::atomic::Ordering, time::Duration};

use ocmt_store::{
    Filter,
    tables::{AlertChannel, AlertGroup, Notice},
};
use ocmt_types::{AlertChannelId, Clock as _, Secret};

use super::{
    channels::MOST_CHANNELS,
    raise::{COOLDOWN, MOST_WAITING},
};
use crate::{
    ActorError,
    api::{
        alert::{
            AlertKind, ChannelInfo, ConfirmChannel, DeleteChannel, ListChannels, PutChannel, SendTestAlert,
            Severity,
        },
        auth::LinkPurpose,
        tenant::{GetTenant, TenantPolicy, UpdateTenantPolicy},
        users::{Role, SetRole},
    },
    tenant::TenantMessage,
    tests::kit::{Delivered, Kit, Person, until},
};

const URL: &str = "https://hooks.example.org/T0/B0/xyzzy";
const KEY: &str = "a-key-of-thirty-two-bytes-or-more";

fn webhook(url: &str) -> PutChannel {
    PutChannel {
        channel: None,
        kind: AlertKind::Webhook,
        name: "ours".to_owned(),
        target: Some(Secret::new(url.to_owned())),
        secret: Some(Secret::new(KEY.to_owned())),
        min_severity: Severity::Warning,
        actions: Vec::new(),
    }
}

/// The owner of a tenant who has just shown who they are.
async fn owner(kit: &Kit) -> Person {
    let ann = kit.founder("ann@example.com").await;
    kit.sign_in(&ann, LinkPurpose::SignIn).await
}

async fn put(kit: &Kit, who: &Person, channel: PutChannel) -> Result<ChannelInfo, ActorError> {
    kit.call(&who.caller, channel).await
}

/// What its channels are told of: a role that is set.
async fn something_happens(kit: &Kit, ann: &Person, bob: &Person, role: Role) {
    kit.call(&ann.caller, SetRole { user: bob.user, role: role.into() }).await.unwrap();
}

async fn rows<R: ocmt_store::TenantRow>(kit: &Kit, who: &Person, filter: Filter<R>) -> Vec<R> {
    let own = kit.store.cluster().owner(who.tenant).await.unwrap().unwrap();
    let own =
        ocmt_types::Ownership { tenant: who.tenant, incarnation: own.incarnation.unwrap(), epoch: own.epoch };
    kit.store.read(own).await.unwrap().find(filter).await.unwrap()
}

/// The first alert of this action there. What happens at the same time is told in no order.
async fn told_of(kit: &Kit, there: &str, action: &str) -> Delivered {
    for n in 0.. {
        let mail = kit.mailbox.nth(there, n).await;
        if mail.kind == format!("alert.{action}") {
            return mail;
        }
    }
    unreachable!("the mailbox gives up before")
}

async fn told_and_held(kit: Kit) {
    let ann = owner(&kit).await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    put(&kit, &ann, webhook(URL)).await.unwrap();
    something_happens(&kit, &ann, &bob, Role::Admin).await;
    told_of(&kit, URL, "AlertService/PutChannel").await;
    let first = told_of(&kit, URL, "UserService/SetRole").await;
    let fact = |name: &str| first.facts.iter().find(|(of, _)| of == name).map(|(_, value)| value.clone());
    assert_eq!(fact("severity").as_deref(), Some("warning"));
    assert_eq!(fact("who"), Some(format!("user/{}", ann.user)));
    // a storm of the same is counted, and told once at the end
    for turn in 0..50 {
        let role = if turn % 2 == 0 { Role::Member } else { Role::Admin };
        something_happens(&kit, &ann, &bob, role).await;
    }
    kit.call(&ann.caller, GetTenant).await.unwrap();
    let groups: Vec<AlertGroup> = rows(&kit, &ann, AlertGroup::action.eq("UserService/SetRole")).await;
    assert_eq!(groups.iter().map(|group| group.held).collect::<Vec<_>>(), [50]);
    assert_eq!(kit.mailbox.count(URL), 2);
    kit.clock.advance(COOLDOWN + Duration::from_secs(1));
    kit.system.env.to_root(crate::node::NodeMessage::ToTenant(ann.tenant, TenantMessage::TimerDue));
    let more = kit.mailbox.nth(URL, 2).await;
    assert!(more.facts.contains(&("times_more".to_owned(), "50".to_owned())), "{:?}", more.facts);
}

#[tokio::test]
async fn an_alert_is_told_once_and_a_storm_is_counted_on_sim() {
    told_and_held(Kit::sim().await).await;
}

#[tokio::test]
async fn an_alert_is_told_once_and_a_storm_is_counted_on_sqlite() {
    told_and_held(Kit::sqlite().await).await;
}

#[tokio::test]
async fn a_channel_is_told_of_what_it_is_for_and_nothing_else() {
    let kit = Kit::sim().await;
    let ann = owner(&kit).await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    let (critical, named) = ("https://critical.example.org/", "https://named.example.org/");
    put(&kit, &ann, PutChannel { min_severity: Severity::Critical, ..webhook(critical) }).await.unwrap();
    let actions = vec!["TenantService/".to_owned()];
    let severity = Severity::Info;
    put(&kit, &ann, PutChannel { actions, min_severity: severity, ..webhook(named) }).await.unwrap();
    put(&kit, &ann, webhook(URL)).await.unwrap();
    something_happens(&kit, &ann, &bob, Role::Admin).await;
    kit.call(&ann.caller, GetTenant).await.unwrap();
    // each hears of channels, whatever it is for
    for there in [critical, named, URL] {
        told_of(&kit, there, "AlertService/PutChannel").await;
    }
    told_of(&kit, named, "TenantService/GetTenant").await;
    told_of(&kit, URL, "UserService/SetRole").await;
    assert_eq!((kit.mailbox.count(critical), kit.mailbox.count(named)), (1, 2));
}

#[tokio::test]
async fn an_alert_of_what_was_undone_is_none_and_what_nobody_takes_is_told_later() {
    let kit = Kit::sim().await;
    let ann = owner(&kit).await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    put(&kit, &ann, webhook(URL)).await.unwrap();
    kit.mailbox.nth(URL, 0).await;
    until("that is written down", async || {
        rows::<Notice>(&kit, &ann, Notice::handed_over_at.eq(None)).await.is_empty()
    })
    .await;
    kit.store.faults().unwrap().plan(ocmt_store::Point::Commit, ocmt_store::Fault::Full);
    let lost = kit.call(&ann.caller, SetRole { user: bob.user, role: Role::Admin.into() }).await;
    assert_eq!(lost.unwrap_err().reason(), "STORE_FULL");
    let waiting: Vec<Notice> = rows(&kit, &ann, Notice::handed_over_at.eq(None)).await;
    assert!(waiting.iter().all(|notice| !notice.kind.contains("SetRole")), "nothing was done");
    kit.mailbox.refuses.store(true, Ordering::SeqCst);
    something_happens(&kit, &ann, &bob, Role::Admin).await;
    kit.mailbox.tried("", 2).await;
    kit.mailbox.refuses.store(false, Ordering::SeqCst);
    kit.clock.advance(Duration::from_secs(60));
    kit.system.env.to_root(crate::node::NodeMessage::ToTenant(ann.tenant, TenantMessage::TimerDue));
    assert_eq!(kit.mailbox.nth(URL, 1).await.kind, "alert.UserService/SetRole");
}

#[tokio::test]
async fn targets_are_wrapped_and_shown_to_nobody() {
    let kit = Kit::sim().await;
    let ann = owner(&kit).await;
    let made = put(&kit, &ann, webhook(URL)).await.unwrap();
    assert_eq!(made.hint, "https://hooks.example.org");
    let listed = kit.call(&ann.caller, ListChannels).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&made));
    let stored: Vec<AlertChannel> = rows(&kit, &ann, Filter::all()).await;
    let shown = format!("{stored:?}{listed:?}");
    assert!(!shown.contains("xyzzy") && !shown.contains(KEY), "{shown}");
    let has = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(!has(&stored[0].wrapped, "xyzzy") && !has(&stored[0].wrapped, KEY));
    // what is not given again stays
    let renamed = PutChannel {
        channel: Some(made.id),
        name: "b".to_owned(),
        target: None,
        secret: None,
        ..webhook("")
    };
    assert_eq!(put(&kit, &ann, renamed).await.unwrap().hint, made.hint);
}

#[tokio::test]
async fn a_channel_is_refused_that_leads_nowhere_good() {
    let kit = Kit::sim().await;
    let ann = owner(&kit).await;
    for url in
        ["http://hooks.example.org", "https://u:p@hooks.example.org", "hooks", "ftp://x", "https://x#y", ""]
    {
        let refused = put(&kit, &ann, webhook(url)).await.unwrap_err();
        assert_eq!(refused.reason(), "INVALID_ARGUMENT", "{url}");
    }
    let unsigned = PutChannel { secret: None, ..webhook(URL) };
    assert!(put(&kit, &ann, unsigned).await.is_err());
    let stranger = PutChannel {
        kind: AlertKind::Email,
        target: Some(Secret::new("eve@elsewhere.example".to_owned())),
        ..webhook(URL)
    };
    assert!(put(&kit, &ann, stranger).await.is_err(), "who has not asked for letters gets none");
    let own =
        PutChannel { kind: AlertKind::Email, target: Some(Secret::new(ann.email.clone())), ..webhook(URL) };
    assert_eq!(put(&kit, &ann, own).await.unwrap().hint, ann.email);
    for n in 1..MOST_CHANNELS {
        put(&kit, &ann, webhook(&format!("https://h{n}.example.org"))).await.unwrap();
    }
    let full = put(&kit, &ann, webhook(URL)).await.unwrap_err();
    assert_eq!(full.reason(), "TOO_MANY_CHANNELS");
}

#[tokio::test]
async fn channels_are_the_owners_and_of_one_tenant() {
    let kit = Kit::sim().await;
    let ann = owner(&kit).await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    let eve = kit.founder("eve@example.com").await;
    let made = put(&kit, &ann, webhook(URL)).await.unwrap();
    assert_eq!(kit.call(&bob.caller, ListChannels).await.unwrap_err().reason(), "PERMISSION_DENIED");
    assert_eq!(put(&kit, &bob, webhook(URL)).await.unwrap_err().reason(), "PERMISSION_DENIED");
    let unknown: AlertChannelId = ocmt_store::testing::id(99);
    for channel in [made.id, unknown] {
        assert_eq!(
            kit.call(&eve.caller, SendTestAlert { channel }).await.err().unwrap(),
            ActorError::NotFound
        );
    }
    kit.clock.advance(Duration::from_secs(3_000));
    let ann = kit.sign_in(&ann, LinkPurpose::SignIn).await;
    kit.call(&ann.caller, DeleteChannel { channel: made.id }).await.unwrap();
    assert!(kit.call(&ann.caller, ListChannels).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_channel_that_was_tried_hears_of_recoveries_for_a_while_after_it_was_deleted() {
    use ocmt_crypto::audit::{Actor, AuditRecord, Outcome};
    let kit = Kit::sim().await;
    let ann = owner(&kit).await;
    let made = put(&kit, &ann, webhook(URL)).await.unwrap();
    let tried = kit.system.try_channel(&ann.caller, kit.meta(), made.id).await.unwrap();
    assert!(tried.taken);
    let again = kit.system.try_channel(&ann.caller, kit.meta(), made.id).await.unwrap_err();
    assert_eq!(again.reason(), "TRIED_JUST_NOW");
    assert!(kit.call(&ann.caller, ListChannels).await.unwrap()[0].verified_at.is_some());
    // whoever has the account makes the lock period short first
    let info = kit.call(&ann.caller, GetTenant).await.unwrap();
    let policy = TenantPolicy { lock_ms: info.policy.recovery_delay_ms, ..info.policy };
    kit.call(&ann.caller, UpdateTenantPolicy { policy, version: info.version }).await.unwrap();
    kit.call(&ann.caller, DeleteChannel { channel: made.id }).await.unwrap();
    let left: Vec<AlertChannel> = rows(&kit, &ann, Filter::all()).await;
    let record = |action: &str| AuditRecord {
        tenant: ann.tenant,
        at: kit.clock.now(),
        request: ocmt_store::testing::id(1),
        actor: Actor::Anonymous,
        action: action.to_owned(),
        object: String::new(),
        outcome: Outcome::Allowed,
        details: Vec::new(),
    };
    let wanted = |action: &str, at| super::raise::wanted(&left[0], &record(action), at);
    let ends_at = left[0].ends_at.unwrap();
    assert_eq!(ends_at.since(kit.clock.now()), Duration::from_secs(5 * 24 * 3600));
    assert_eq!(wanted("RecoveryService/OpenCeremony", kit.clock.now()), Some(Severity::Critical));
    assert_eq!(wanted("UserService/SetRole", kit.clock.now()), None);
    assert_eq!(wanted("RecoveryService/OpenCeremony", ends_at), None);
    told_of(&kit, URL, "AlertService/DeleteChannel").await;
}

#[tokio::test]
async fn channels_that_a_transaction_changed_are_not_kept_though_it_is_undone() {
    use ocmt_crypto::audit::{Actor, AuditRecord, Outcome};
    let kit = Kit::sim().await;
    let ann = owner(&kit).await;
    let made = put(&kit, &ann, webhook(URL)).await.unwrap();
    told_of(&kit, URL, "AlertService/PutChannel").await;
    let own = kit.store.cluster().owner(ann.tenant).await.unwrap().unwrap();
    let own =
        ocmt_types::Ownership { tenant: ann.tenant, incarnation: own.incarnation.unwrap(), epoch: own.epoch };
    let (env, now) = (&kit.system.env, kit.clock.now());
    let record = AuditRecord {
        tenant: ann.tenant,
        at: now,
        request: ocmt_store::testing::id(1),
        actor: Actor::Anonymous,
        action: "email.change".to_owned(),
        object: String::new(),
        outcome: Outcome::Allowed,
        details: Vec::new(),
    };
    let mut undone = kit.store.fenced(own).await.unwrap();
    undone.delete::<AlertChannel>(made.id).await.unwrap();
    assert!(!super::raise(&mut undone, env, &record, now).await.unwrap());
    undone.rollback().await.unwrap();
    let mut next = kit.store.fenced(own).await.unwrap();
    assert!(super::raise(&mut next, env, &record, now).await.unwrap(), "it is there, and hears nothing");
    next.rollback().await.unwrap();
}

#[tokio::test]
async fn a_channel_whose_key_is_lost_is_deleted_and_led_anew() {
    let kit = Kit::sim().await;
    let ann = owner(&kit).await;
    let made = put(&kit, &ann, webhook(URL)).await.unwrap();
    let other = put(&kit, &ann, webhook(URL)).await.unwrap();
    let own = kit.store.cluster().owner(ann.tenant).await.unwrap().unwrap();
    let own =
        ocmt_types::Ownership { tenant: ann.tenant, incarnation: own.incarnation.unwrap(), epoch: own.epoch };
    let mut tx = kit.store.fenced(own).await.unwrap();
    for id in [made.id, other.id] {
        let row = tx.get::<AlertChannel>(id).await.unwrap().unwrap();
        tx.update(&AlertChannel { wrapped: vec![1; 60], ..row }).await.unwrap();
    }
    tx.commit().await.unwrap();
    let muted = PutChannel { channel: Some(other.id), target: None, secret: None, ..webhook(URL) };
    assert_eq!(put(&kit, &ann, muted).await.err().unwrap().reason(), "SEALING_KEY");
    kit.clock.advance(COOLDOWN + Duration::from_secs(1));
    let ann = kit.sign_in(&ann, LinkPurpose::SignIn).await;
    let anew = "https://anew.example.org/";
    put(&kit, &ann, PutChannel { channel: Some(other.id), ..webhook(anew) }).await.unwrap();
    told_of(&kit, anew, "AlertService/PutChannel").await;
    // what waits for the other is tried as often as what nobody takes, and not again and again at once
    let waits = || Notice::address.eq(made.id.to_string()).and(Notice::handed_over_at.eq(None));
    let tried = async || rows::<Notice>(&kit, &ann, waits()).await.iter().any(|notice| notice.attempts > 0);
    until("it was tried", tried).await;
    kit.call(&ann.caller, DeleteChannel { channel: made.id }).await.unwrap();
    let left = kit.call(&ann.caller, ListChannels).await.unwrap();
    assert_eq!(left.iter().map(|channel| channel.id).collect::<Vec<_>>(), [other.id]);
}

#[tokio::test]
async fn a_channel_that_is_led_elsewhere_or_muted_hears_of_it_where_it_was() {
    let kit = Kit::sim().await;
    let ann = owner(&kit).await;
    let made = put(&kit, &ann, webhook(URL)).await.unwrap();
    kit.mailbox.nth(URL, 0).await;
    kit.clock.advance(COOLDOWN + Duration::from_secs(1));
    let ann = kit.sign_in(&ann, LinkPurpose::SignIn).await;
    // muted: it is told all the same
    let nothing = vec!["x.y".to_owned()];
    let muted = PutChannel {
        channel: Some(made.id),
        target: None,
        secret: None,
        min_severity: Severity::Critical,
        actions: nothing,
        ..webhook("")
    };
    put(&kit, &ann, muted).await.unwrap();
    assert_eq!(kit.mailbox.nth(URL, 1).await.kind, "alert.AlertService/PutChannel");
    let elsewhere = "https://thief.example.org/";
    put(&kit, &ann, PutChannel { channel: Some(made.id), ..webhook(elsewhere) }).await.unwrap();
    assert_eq!(kit.mailbox.nth(URL, 2).await.kind, "alert.AlertService/PutChannel", "where it led before");
    assert_eq!(kit.call(&ann.caller, ListChannels).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_waits_for_a_channel_is_bounded() {
    let kit = Kit::sim().await;
    let ann = owner(&kit).await;
    let actions = vec!["TenantService/".to_owned()];
    let severity = Severity::Info;
    put(&kit, &ann, PutChannel { actions, min_severity: severity, ..webhook(URL) }).await.unwrap();
    kit.mailbox.refuses.store(true, Ordering::SeqCst);
    for _ in 0..MOST_WAITING + 20 {
        kit.call(&ann.caller, GetTenant).await.unwrap();
        kit.clock.advance(COOLDOWN + Duration::from_secs(1));
    }
    let waiting = Notice::handed_over_at.eq(None);
    let waiting: Vec<Notice> = rows(&kit, &ann, waiting).await;
    assert!(i64::try_from(waiting.len()).unwrap() <= MOST_WAITING, "{}", waiting.len());
}

#[tokio::test]
async fn who_is_removed_gets_no_more_letters() {
    let kit = Kit::sim().await;
    let ann = owner(&kit).await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    let cy = kit.member(&ann, "cy@example.com", Role::Member).await;
    let target = Some(Secret::new(bob.email.clone()));
    let made = put(&kit, &ann, PutChannel { kind: AlertKind::Email, target, ..webhook(URL) }).await.unwrap();
    put(&kit, &ann, webhook(URL)).await.unwrap();
    kit.mailbox.nth(&bob.email, 1).await;
    kit.call(&ann.caller, crate::api::users::RemoveUser { user: bob.user }).await.unwrap();
    let waits = || Notice::next_attempt_at.gt(Some(ocmt_types::Timestamp(0)));
    until("all is told", async || rows::<Notice>(&kit, &ann, waits()).await.is_empty()).await;
    let before = kit.mailbox.count(&bob.email);
    something_happens(&kit, &ann, &cy, Role::Admin).await;
    until("others are told", async || rows::<Notice>(&kit, &ann, waits()).await.is_empty()).await;
    assert_eq!(kit.mailbox.count(&bob.email), before);
    let tried = kit.call(&ann.caller, SendTestAlert { channel: made.id }).await.err().unwrap();
    assert_eq!(tried.reason(), "INVALID_ARGUMENT");
}
